//! CSV, NDJSON and Parquet as one table of values: one row per input row, one column per series.
//!
//! * `csv`, `ndjson`, `parquet`: the readers, each row by row into the table

mod csv;
mod ndjson;
mod parquet;

#[cfg(test)]
mod tests;

use std::{io, path::Path};

use foreshock_core::types::parse_time_ms;

use super::input::{Format, Input, InputError, Refused};

/// How to read a file.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// Name of the timestamp column.
    pub timestamp_column: String,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// Rows have no timestamps and are this many seconds apart.
    pub step_seconds: Option<i64>,
    /// Columns are named by an entity, this text, and a measure of it; without it all are measures of one entity.
    pub entity_separator: Option<String>,
}

/// A file in memory.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Name of the file without folder and extensions.
    pub name: String,
    /// Names of the series, in the order of the columns.
    pub series: Vec<String>,
    /// Timestamps, unix milliseconds; those without an offset are taken as UTC.
    pub times_ms: Vec<i64>,
    /// Whether the rows have times of their own.
    pub is_timed: bool,
    /// What stands between entity and measure in the names of the series, if they have both.
    pub entity_separator: Option<String>,
    /// Values that were neither empty nor numbers, taken as missing.
    pub unreadable: usize,
    /// Columns that hold no numbers.
    pub left_out: Vec<String>,
    /// Rows that are none, or have no time.
    pub refused: Refused,
    /// Timestamps as they were written, one behind the other, and where each ends.
    stamps: String,
    stamp_ends: Vec<usize>,
    values: Vec<f64>,
    /// Places of a row in `values`, as many as series or more.
    stride: usize,
}

/// A file that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It cannot be opened, or nobody knows what it is.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It holds records or text.
    #[error("{path} is no table of values: give CSV, NDJSON or Parquet, or say with --format what it is")]
    NoTable {
        /// The file.
        path: String,
    },
    /// It is damaged, or no Parquet at all.
    #[error("cannot read {path} as Parquet: {source}")]
    Parquet {
        /// The file.
        path: String,
        /// What was wrong.
        source: ::parquet::errors::ParquetError,
    },
    /// The timestamp is not where it should be.
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
    /// The column of times has a type that is none.
    #[error("{path}: column {column:?} is {found}, no time: name another one with --timestamp-column")]
    NoTime {
        /// The file.
        path: String,
        /// Its name.
        column: String,
        /// Its type.
        found: String,
    },
    /// There is nothing to score.
    #[error("{path} has no column of values")]
    NoSeries {
        /// The file.
        path: String,
    },
    /// There are rows, and none can be read.
    #[error("{path} has no row that can be read; the first problem: {first}")]
    NoRows {
        /// The file.
        path: String,
        /// The first problem.
        first: String,
    },
    /// Names that differ from row to row are data, not series.
    #[error("{path} has more than {MAX_SERIES} columns: leave some out with --ignore-column")]
    TooManySeries {
        /// The file.
        path: String,
    },
}

/// Most columns of a table.
const MAX_SERIES: usize = 10_000;

/// A value as it is written.
enum Cell {
    Number(f64),
    Missing,
    /// No number.
    Text,
}

impl Cell {
    fn parse(text: &str) -> Cell {
        let text = text.trim();
        match text.parse() {
            Ok(number) => Cell::Number(number),
            Err(_) if text.is_empty() || text.eq_ignore_ascii_case("null") => Cell::Missing,
            Err(_) => Cell::Text,
        }
    }
}

impl Table {
    /// Reads a file in any form that is a table.
    pub fn read(path: &Path, stated: Option<Format>, options: &TableOptions) -> Result<Table, TableError> {
        Table::read_input(Input::open(path, stated)?, path, options)
    }

    /// Reads an open file.
    pub(crate) fn read_input(input: Input, path: &Path, options: &TableOptions) -> Result<Table, TableError> {
        let is_timed = options.step_seconds.is_none();
        let entity_separator = options.entity_separator.clone();
        let mut table = Table { name: input.name, is_timed, entity_separator, ..Table::default() };
        let source = TableSource { path: path.display().to_string(), options };
        match input.format {
            Format::Csv => csv::read(input.reader, &source, &mut table)?,
            Format::Ndjson => ndjson::read(input.reader, &source, &mut table)?,
            Format::Parquet => parquet::read(path, &source, &mut table)?,
            Format::Otlp | Format::Text => return Err(TableError::NoTable { path: source.path }),
        }
        if table.rows() == 0
            && let Some(first) = table.refused.first.first()
        {
            return Err(TableError::NoRows { path: source.path, first: first.clone() });
        }
        if table.series.is_empty() {
            return Err(TableError::NoSeries { path: source.path });
        }
        Ok(table)
    }

    /// Reads the header of an open file, where it is at the beginning, and says what is wrong with it.
    pub(crate) fn check_header(input: Input, path: &Path, options: &TableOptions) -> Result<(), TableError> {
        match input.format {
            Format::Csv => {
                csv::check_header(input.reader, &TableSource { path: path.display().to_string(), options })
            }
            Format::Ndjson | Format::Parquet | Format::Otlp | Format::Text => Ok(()),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.times_ms.len()
    }

    /// The values of a row, one per series; NaN is missing.
    pub fn row(&self, row: usize) -> &[f64] {
        let start = row * self.stride;
        &self.values[start..start + self.series.len()]
    }

    /// Whose measure a series is, and which: by its name, or of the one entity that is named like the file.
    pub fn entity_and_measure<'a>(&'a self, series: &'a str) -> (&'a str, &'a str) {
        let parts = self.entity_separator.as_deref().and_then(|separator| series.split_once(separator));
        parts.unwrap_or((&self.name, series))
    }

    /// The timestamp of a row as it was written.
    pub fn stamp(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.stamp_ends[before]);
        &self.stamps[start..self.stamp_ends[row]]
    }

    /// Adds a row without values.
    fn push(&mut self, time: &Time<'_>) {
        self.times_ms.push(time.unix_ms);
        self.stamps.push_str(time.stamp);
        self.stamp_ends.push(self.stamps.len());
        self.values.resize(self.rows() * self.stride, f64::NAN);
    }

    /// Sets a value of the last row.
    fn set(&mut self, series: usize, value: f64) {
        let start = self.values.len() - self.stride;
        self.values[start + series] = value;
    }

    /// Adds a series, missing so far. Room is made for several at once, so that rows move rarely.
    fn add_series(&mut self, name: &str, source: &TableSource<'_>) -> Result<usize, TableError> {
        let series = self.series.len();
        if series == MAX_SERIES {
            return Err(TableError::TooManySeries { path: source.path.clone() });
        }
        if series == self.stride {
            let (old, new) = (self.stride, (2 * self.stride).max(1));
            let rows = self.rows();
            self.values.resize(rows * new, f64::NAN);
            for row in (1..rows).rev() {
                self.values.copy_within(row * old..(row + 1) * old, row * new);
            }
            for row in 0..rows {
                self.values[row * new + old..(row + 1) * new].fill(f64::NAN);
            }
            self.stride = new;
        }
        self.series.push(name.to_string());
        Ok(series)
    }

    /// Puts the series into another order.
    fn reorder(&mut self, order: &[usize]) {
        if order.is_sorted() {
            return;
        }
        self.series = order.iter().map(|&series| std::mem::take(&mut self.series[series])).collect();
        let mut moved = vec![0.0; order.len()];
        for row in self.values.chunks_exact_mut(self.stride) {
            for (to, &from) in moved.iter_mut().zip(order) {
                *to = row[from];
            }
            row[..order.len()].copy_from_slice(&moved);
        }
    }
}

/// A file on its way into a table.
struct TableSource<'a> {
    path: String,
    options: &'a TableOptions,
}

/// A row's time.
struct Time<'a> {
    unix_ms: i64,
    stamp: &'a str,
}

impl TableSource<'_> {
    fn failed(&self, source: io::Error) -> TableError {
        InputError::Read { path: self.path.clone(), source }.into()
    }

    fn is_ignored(&self, column: &str) -> bool {
        self.options.ignore.iter().any(|name| name == column)
    }

    fn no_timestamp(&self, found: &[&str]) -> TableError {
        TableError::NoTimestamp {
            path: self.path.clone(),
            column: self.options.timestamp_column.clone(),
            found: found.join(", "),
        }
    }

    /// Adds a row with this timestamp, or refuses the row: what is wrong then is in the table.
    fn row(&self, stamp: Option<&str>, place: impl std::fmt::Display, table: &mut Table) -> bool {
        if let Some(step_seconds) = self.options.step_seconds {
            let row = table.rows();
            table.push(&Time { unix_ms: row as i64 * step_seconds * 1000, stamp: &row.to_string() });
            return true;
        }
        let stamp = stamp.unwrap_or_default().trim();
        let time = parse_time_ms(stamp);
        match time {
            Some(unix_ms) => table.push(&Time { unix_ms, stamp }),
            None => table.refused.add(&self.path, place, bad_time(stamp)),
        }
        time.is_some()
    }
}

fn bad_time(stamp: &str) -> String {
    format!("{stamp:?} is no timestamp: give ISO 8601, or seconds or milliseconds since the epoch")
}
