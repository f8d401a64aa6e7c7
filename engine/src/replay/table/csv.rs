//! CSV with a header; without timestamps a header is optional.

use std::io::BufRead;

use super::{Cell, Table, TableError, TableSource};

pub(super) fn read(
    reader: Box<dyn BufRead>,
    source: &TableSource<'_>,
    table: &mut Table,
) -> Result<(), TableError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(reader);
    let mut record = csv::StringRecord::new();
    let mut columns: Option<Columns> = None;
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                refuse(error, source, table)?;
                continue;
            }
        }
        if let Some(columns) = &columns {
            push(&record, columns, source, table);
            continue;
        }
        let (found, is_header) = Columns::choose(&record, source)?;
        for name in found.names(&record, is_header) {
            table.add_series(&name, source)?;
        }
        if !is_header {
            push(&record, &found, source, table);
        }
        columns = Some(found);
    }
}

/// Reads the header alone, and says what is wrong with it.
pub(super) fn check_header(reader: Box<dyn BufRead>, source: &TableSource<'_>) -> Result<(), TableError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(reader);
    let mut record = csv::StringRecord::new();
    // A row that is none is not the header: it is refused later.
    match reader.read_record(&mut record) {
        Ok(true) => Columns::choose(&record, source).map(|_| ()),
        Ok(false) | Err(_) => Ok(()),
    }
}

fn push(record: &csv::StringRecord, columns: &Columns, source: &TableSource<'_>, table: &mut Table) {
    let line = record.position().map_or(0, csv::Position::line);
    let stamp = columns.time.and_then(|column| record.get(column));
    if !source.row(stamp, format_args!("line {line}"), table) {
        return;
    }
    for (series, &column) in columns.values.iter().enumerate() {
        match Cell::parse(record.get(column).unwrap_or_default()) {
            Cell::Number(number) => table.set(series, number),
            Cell::Missing => {}
            Cell::Text => table.unreadable += 1,
        }
    }
}

/// A row that is none is refused; what the system refuses to read ends it all.
fn refuse(error: csv::Error, source: &TableSource<'_>, table: &mut Table) -> Result<(), TableError> {
    let line = error.position().map_or(0, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells, {expected_len} before")
        }
        csv::ErrorKind::Utf8 { .. } => "it is no UTF-8".to_string(),
        _ => return Err(source.failed(error.into())),
    };
    table.refused.add(&source.path, format_args!("line {line}"), problem);
    Ok(())
}

struct Columns {
    time: Option<usize>,
    values: Vec<usize>,
}

impl Columns {
    /// Chooses the columns by the first row, and says whether that row is a header.
    fn choose(first: &csv::StringRecord, source: &TableSource<'_>) -> Result<(Columns, bool), TableError> {
        let is_header = !first.iter().all(|cell| cell.trim().parse::<f64>().is_ok());
        let kept = |index: &usize| !is_header || !source.is_ignored(first[*index].trim());
        if source.options.step_seconds.is_some() {
            let values = (0..first.len()).filter(kept).collect();
            return Ok((Columns { time: None, values }, is_header));
        }
        let time = first.iter().position(|name| name.trim() == source.options.timestamp_column);
        let Some(time) = time.filter(|_| is_header) else {
            return Err(source.no_timestamp(&first.iter().collect::<Vec<_>>()));
        };
        let values = (0..first.len()).filter(|&index| index != time).filter(kept).collect();
        Ok((Columns { time: Some(time), values }, true))
    }

    fn names(&self, first: &csv::StringRecord, is_header: bool) -> Vec<String> {
        let name = |&index: &usize| match is_header {
            true => first[index].trim().to_string(),
            false if self.values.len() == 1 => "value".to_string(),
            false => format!("column{}", index + 1),
        };
        self.values.iter().map(name).collect()
    }
}
