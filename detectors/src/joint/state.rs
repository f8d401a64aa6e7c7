//! Save and load, one row of columns per entity.

use super::row::Row;
use crate::columns::{ColumnData, Columns, LoadError};
use crate::forest::Tail;

const NAME: &str = "joint";
const VERSION: u32 = 2;

pub(super) fn save(rows: &[Row], features: usize) -> Columns {
    let wide = |of: fn(&Row) -> &[f64]| ColumnData::F64(rows.iter().flat_map(of).copied().collect());
    let columns = vec![
        ("features".to_owned(), ColumnData::U64(vec![features as u64])),
        ("seen".to_owned(), ColumnData::U64(rows.iter().map(|row| row.seen).collect())),
        ("time".to_owned(), ColumnData::U64(rows.iter().map(|row| row.time as u64).collect())),
        ("usual".to_owned(), ColumnData::F64(rows.iter().map(|row| row.usual).collect())),
        ("mean".to_owned(), wide(|row| &row.mean)),
        ("covariance".to_owned(), wide(|row| &row.covariance)),
        ("deviation".to_owned(), wide(|row| &row.deviation)),
        ("factor".to_owned(), wide(|row| &row.factor)),
        ("least".to_owned(), wide(|row| &row.least)),
        ("most".to_owned(), wide(|row| &row.most)),
        ("records".to_owned(), wide(|row| &row.records)),
        ("tail".to_owned(), wide(|row| &row.tail.0)),
    ];
    Columns { name: NAME.to_owned(), version: VERSION, rows: rows.len(), columns }
}

pub(super) fn load(columns: &Columns, features: usize) -> Result<Vec<Row>, LoadError> {
    columns.check(NAME, VERSION)?;
    let (rows, square) = (columns.rows, features * features);
    if columns.u64(NAME, "features", 1)? != [features as u64] {
        return Err(LoadError::Column { bank: NAME, column: "features".to_owned() });
    }
    let (seen, usual) = (columns.u64(NAME, "seen", rows)?, columns.f64(NAME, "usual", rows)?);
    let time = columns.u64(NAME, "time", rows)?;
    let mean = columns.f64(NAME, "mean", rows * features)?;
    let covariance = columns.f64(NAME, "covariance", rows * square)?;
    let deviation = columns.f64(NAME, "deviation", rows * features)?;
    let factor = columns.f64(NAME, "factor", rows * square)?;
    let least = columns.f64(NAME, "least", rows * features)?;
    let most = columns.f64(NAME, "most", rows * features)?;
    let records = columns.f64(NAME, "records", rows * features)?;
    let tail = columns.f64(NAME, "tail", rows * 6)?;
    let part = |values: &[f64], row: usize, len: usize| values[row * len..(row + 1) * len].to_vec();
    let all = (0..rows).map(|row| {
        let mut own = Tail::default();
        own.0.copy_from_slice(&tail[row * 6..(row + 1) * 6]);
        Row {
            seen: seen[row],
            time: time[row] as i64,
            mean: part(mean, row, features),
            covariance: part(covariance, row, square),
            deviation: part(deviation, row, features),
            factor: part(factor, row, square),
            least: part(least, row, features),
            most: part(most, row, features),
            records: part(records, row, features),
            usual: usual[row],
            tail: own,
        }
    });
    Ok(all.collect())
}
