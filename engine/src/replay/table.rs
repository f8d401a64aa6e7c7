//! CSV files as columns of values.

use std::{fs::File, path::Path};

use jiff::{civil::DateTime, tz::TimeZone};

/// How to read a file.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// Header of the timestamp column.
    pub timestamp_column: String,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// Rows have no timestamps and are this many seconds apart.
    pub step_seconds: Option<i64>,
}

/// A file in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Name of the file without folder and extension.
    pub name: String,
    /// Names of the series, in the order of the columns.
    pub series: Vec<String>,
    /// Timestamps as they were written.
    pub stamps: Vec<String>,
    /// Timestamps, unix milliseconds; those without an offset are taken as UTC.
    pub times_ms: Vec<i64>,
    /// Values that were neither empty nor numbers, taken as missing.
    pub unreadable: usize,
    values: Vec<f64>,
}

/// A file that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It cannot be opened or is not CSV.
    #[error("cannot read {path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// What was wrong.
        source: csv::Error,
    },
    /// The header lacks the timestamp.
    #[error(
        "{path} has no column {column:?} (it has {found}): name it with --timestamp-column, or give --no-timestamp"
    )]
    NoTimestamp {
        /// The file.
        path: String,
        /// What was looked for.
        column: String,
        /// What is there.
        found: String,
    },
    /// There is nothing to score.
    #[error("{path} has no column of values")]
    NoSeries {
        /// The file.
        path: String,
    },
    /// A timestamp cannot be read.
    #[error(
        "{path}, line {line}: {text:?} is no timestamp: give ISO 8601, or seconds or milliseconds since the epoch"
    )]
    BadTimestamp {
        /// The file.
        path: String,
        /// Its line, from 1.
        line: u64,
        /// What stands there.
        text: String,
    },
}

impl Table {
    /// Reads a CSV file with a header; without timestamps a header is optional.
    pub fn read(path: &Path, options: &TableOptions) -> Result<Table, TableError> {
        let shown = path.display().to_string();
        let failed = |source| TableError::Csv { path: shown.clone(), source };
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let name = path.file_stem().map_or_else(|| shown.clone(), |stem| stem.to_string_lossy().into_owned());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(file);
        let mut table = Table { name, ..Table::default() };
        let mut record = csv::StringRecord::new();
        let mut columns: Option<Columns> = None;
        while reader.read_record(&mut record).map_err(failed)? {
            if columns.is_none() {
                let (found, is_header) = Columns::choose(&record, options, &shown)?;
                table.series = found.names(&record, is_header);
                columns = Some(found);
                if is_header {
                    continue;
                }
            }
            if let Some(columns) = &columns {
                let line = record.position().map_or(0, csv::Position::line);
                table.push(&record, columns, options, &shown, line)?;
            }
        }
        if table.series.is_empty() {
            return Err(TableError::NoSeries { path: shown });
        }
        Ok(table)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.times_ms.len()
    }

    /// The values of a row, one per series; NaN is missing.
    pub fn row(&self, row: usize) -> &[f64] {
        let width = self.series.len();
        &self.values[row * width..(row + 1) * width]
    }

    fn push(
        &mut self,
        record: &csv::StringRecord,
        columns: &Columns,
        options: &TableOptions,
        path: &str,
        line: u64,
    ) -> Result<(), TableError> {
        let row = self.times_ms.len() as i64;
        match columns.time {
            Some(column) => {
                let text = record.get(column).unwrap_or_default().trim();
                let bad =
                    || TableError::BadTimestamp { path: path.to_string(), line, text: text.to_string() };
                self.times_ms.push(parse_time_ms(text).ok_or_else(bad)?);
                self.stamps.push(text.to_string());
            }
            None => {
                self.times_ms.push(row * options.step_seconds.unwrap_or(60) * 1000);
                self.stamps.push(row.to_string());
            }
        }
        for &column in &columns.values {
            let text = record.get(column).unwrap_or_default().trim();
            let value = text.parse::<f64>().ok();
            let is_missing = text.is_empty() || text.eq_ignore_ascii_case("null");
            self.unreadable += usize::from(value.is_none() && !is_missing);
            self.values.push(value.unwrap_or(f64::NAN));
        }
        Ok(())
    }
}

struct Columns {
    time: Option<usize>,
    values: Vec<usize>,
}

impl Columns {
    /// Chooses the columns by the first row, and says whether that row is a header.
    fn choose(
        first: &csv::StringRecord,
        options: &TableOptions,
        path: &str,
    ) -> Result<(Columns, bool), TableError> {
        let is_header = !first.iter().all(|cell| cell.trim().parse::<f64>().is_ok());
        let kept =
            |index: &usize| !is_header || !options.ignore.iter().any(|name| name == first[*index].trim());
        if options.step_seconds.is_some() {
            let values = (0..first.len()).filter(kept).collect();
            return Ok((Columns { time: None, values }, is_header));
        }
        let time = first.iter().position(|name| name.trim() == options.timestamp_column);
        let Some(time) = time.filter(|_| is_header) else {
            return Err(TableError::NoTimestamp {
                path: path.to_string(),
                column: options.timestamp_column.clone(),
                found: first.iter().collect::<Vec<_>>().join(", "),
            });
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

/// ISO 8601 (with or without an offset, `T` or a space), or seconds, milliseconds, microseconds or nanoseconds
/// since the epoch, told apart by their size.
pub fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        let scale = match number.abs() {
            size if !size.is_finite() => return None,
            size if size < 1e11 => 1000.0,
            size if size < 1e14 => 1.0,
            size if size < 1e17 => 1e-3,
            _ => 1e-6,
        };
        return Some((number * scale).round() as i64);
    }
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Some(stamp.as_millisecond());
    }
    let civil: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(civil).ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str, options: &TableOptions) -> Result<Table, TableError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Table::read(file.path(), options)
    }

    fn stamped() -> TableOptions {
        TableOptions { timestamp_column: "timestamp".to_string(), ..TableOptions::default() }
    }

    #[test]
    fn times_in_every_common_form() {
        let cases = [
            ("2014-04-01 00:00:00", Some(1_396_310_400_000)),
            ("2014-04-01T00:00:00Z", Some(1_396_310_400_000)),
            ("2014-04-01T02:00:00+02:00", Some(1_396_310_400_000)),
            ("1396310400", Some(1_396_310_400_000)),
            ("1396310400000", Some(1_396_310_400_000)),
            ("yesterday", None),
            ("inf", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn wide_files_keep_their_columns_and_count_what_is_no_number() {
        let table = read("a,timestamp,b\n1,0,x\n,60,2\n", &stamped()).unwrap();
        assert_eq!(table.series, ["a", "b"]);
        assert_eq!((table.rows(), table.unreadable), (2, 1));
        assert!(table.row(0)[1].is_nan() && table.row(1)[0].is_nan());
        assert_eq!(table.row(1)[1], 2.0);
    }

    #[test]
    fn bare_values_need_no_header() {
        let options = TableOptions { step_seconds: Some(10), ..TableOptions::default() };
        let table = read("1\n2\n3\n", &options).unwrap();
        assert_eq!(
            (table.series.as_slice(), table.times_ms.as_slice()),
            (["value".to_string()].as_slice(), [0, 10_000, 20_000].as_slice())
        );
    }

    #[test]
    fn errors_name_the_file_and_the_way_out() {
        let missing = read("time,value\n1,2\n", &stamped()).unwrap_err().to_string();
        assert!(missing.contains("--timestamp-column") && missing.contains("time, value"), "{missing}");
        let bad = read("timestamp,value\n1,2\nsoon,3\n", &stamped()).unwrap_err().to_string();
        assert!(bad.contains("line 3") && bad.contains("\"soon\""), "{bad}");
    }
}
