//! The bank's state as columns: what cannot be computed again from the rest.

use super::shape::{COLUMNS, Shape};
use super::window::{NEIGHBOURS, Window};
use super::{SegmentBank, Series};
use crate::columns::{ColumnData, Columns, LoadError};

const NAME: &str = "segment";
const VERSION: u32 = 2;

pub(super) fn save(bank: &SegmentBank) -> Columns {
    let all = &bank.series;
    let count =
        |of: fn(&Window) -> usize| ColumnData::U32(all.iter().map(|s| of(&s.window) as u32).collect());
    let real = |of: fn(&Series) -> f64| ColumnData::F64(all.iter().map(of).collect());
    let whole = |of: fn(&Series) -> u64| ColumnData::U64(all.iter().map(of).collect());
    let near =
        |rank: usize| ColumnData::U32(all.iter().flat_map(|s| s.window.near[rank].iter().copied()).collect());
    let like =
        |rank: usize| ColumnData::F32(all.iter().flat_map(|s| s.window.like[rank].iter().copied()).collect());
    let mut columns = vec![
        ("seen".to_owned(), whole(|s| s.seen)),
        ("turn".to_owned(), whole(|s| s.window.turn)),
        ("onset".to_owned(), real(|s| s.onset)),
        ("centre".to_owned(), real(|s| s.window.centre)),
        ("scale".to_owned(), real(|s| s.window.scale)),
        ("width".to_owned(), count(|w| w.width)),
        ("length".to_owned(), count(|w| w.values.len())),
        ("done".to_owned(), count(Window::done)),
        ("shape".to_owned(), ColumnData::F64(all.iter().flat_map(|s| s.shape.to_row()).collect())),
        (
            "values".to_owned(),
            ColumnData::F64(all.iter().flat_map(|s| s.window.values.iter().copied()).collect()),
        ),
        (
            "times".to_owned(),
            ColumnData::U64(all.iter().flat_map(|s| s.window.times.iter().map(|t| *t as u64)).collect()),
        ),
        (
            "dots".to_owned(),
            ColumnData::F64(all.iter().flat_map(|s| s.window.lags().iter().copied()).collect()),
        ),
    ];
    for rank in 0..NEIGHBOURS {
        columns.push((format!("near{rank}"), near(rank)));
        columns.push((format!("like{rank}"), like(rank)));
    }
    Columns { name: NAME.to_owned(), version: VERSION, rows: all.len(), columns }
}

pub(super) fn load(columns: &Columns, capacity: usize) -> Result<Vec<Series>, LoadError> {
    columns.check(NAME, VERSION)?;
    let rows = columns.rows;
    let damaged = |column: &str| LoadError::Column { bank: NAME, column: column.to_owned() };
    let (seen, turn) = (columns.u64(NAME, "seen", rows)?, columns.u64(NAME, "turn", rows)?);
    let (onset, centre) = (columns.f64(NAME, "onset", rows)?, columns.f64(NAME, "centre", rows)?);
    let scale = columns.f64(NAME, "scale", rows)?;
    let (width, length) = (columns.u32(NAME, "width", rows)?, columns.u32(NAME, "length", rows)?);
    let done = columns.u32(NAME, "done", rows)?;
    let shape = columns.f64(NAME, "shape", rows * COLUMNS)?;
    let sum = |counts: &[u32]| counts.iter().map(|count| *count as usize).sum::<usize>();
    let values = columns.f64(NAME, "values", sum(length))?;
    let times = columns.u64(NAME, "times", sum(length))?;
    let mut series = Vec::with_capacity(rows);
    let (mut at, mut at_done, mut lags) = (0, 0, 0);
    let held: usize = (0..rows).map(|row| Window::lag_count(width[row] as usize, done[row] as usize)).sum();
    let dots = columns.f64(NAME, "dots", held)?;
    let known = sum(done);
    let mut ranks = Vec::with_capacity(NEIGHBOURS);
    for rank in 0..NEIGHBOURS {
        let near = columns.u32(NAME, &format!("near{rank}"), known)?;
        ranks.push((near, columns.f32(NAME, &format!("like{rank}"), known)?));
    }
    for row in 0..rows {
        let (width, length, done) = (width[row] as usize, length[row] as usize, done[row] as usize);
        let fits = length <= capacity && (done == 0 || width > 0 && done + width <= length + 1);
        if !fits || scale[row].is_nan() || width > capacity {
            return Err(damaged("length"));
        }
        let mut window = Window::new(capacity);
        window.values = values[at..at + length].to_vec();
        window.times = times[at..at + length].iter().map(|time| *time as i64).collect();
        (window.centre, window.scale, window.width, window.turn) =
            (centre[row], scale[row], width, turn[row]);
        for (rank, (near, like)) in ranks.iter().enumerate() {
            window.near[rank] = near[at_done..at_done + done].to_vec();
            window.like[rank] = like[at_done..at_done + done].to_vec();
            if window.near[rank].iter().any(|near| *near as usize >= done) {
                return Err(damaged("near"));
            }
        }
        let count = Window::lag_count(width, done);
        window.rebuild(done, &dots[lags..lags + count]);
        (at, at_done, lags) = (at + length, at_done + done, lags + count);
        let shape = Shape::from_row(&shape[row * COLUMNS..(row + 1) * COLUMNS]);
        series.push(Series { window, seen: seen[row], onset: onset[row], shape });
    }
    Ok(series)
}
