//! Files into a case.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    rc::Rc,
};

use foreshock_core::types::parse_time_ms;

use super::{
    case::{Case, Change, Form, Moved, Signal, Source, is_trouble},
    logs::{self, Line},
    otlp,
    traces::{self, Span},
};
use crate::replay::{Format, Input, InputError, Refused, Table, TableError, TableOptions};

/// Files that tell nothing of an incident.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened, or nobody knows what it is.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is no table of metrics.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It breaks off.
    #[error("cannot read {path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// What was wrong.
        source: csv::Error,
    },
    /// A column is missing.
    #[error("{path} has no column {column}: its first line must name {wanted}")]
    Column {
        /// The file.
        path: String,
        /// What is missing.
        column: &'static str,
        /// All that are wanted.
        wanted: String,
    },
    /// A folder holds none of the files.
    #[error(
        "{path} holds none of metrics.csv, logs.csv, traces.csv, graph.csv, changes.csv, other .csv files of metrics, and OTLP JSON lines (.jsonl, .ndjson)"
    )]
    Nothing {
        /// The folder.
        path: String,
    },
}

/// Most stretches of rows that may lie before those above them.
const STRETCHES: usize = 4;

/// Microseconds that times and durations stay below: those of nanoseconds in 64 bits.
const MOST_US: f64 = 9.2e15;

const LOGS: [&str; 3] = ["timestamp", "service", "message"];
const TRACES: [&str; 8] =
    ["trace_id", "span_id", "parent_span_id", "service", "operation", "start_us", "duration_us", "status"];
const GRAPH: [&str; 2] = ["caller", "callee"];
const CHANGES: [&str; 4] = ["timestamp", "service", "kind", "version"];

/// Gathers what files tell.
#[derive(Debug, Default)]
pub struct Reader {
    tables: Vec<Table>,
    pub(super) lines: Vec<Line>,
    pub(super) spans: Vec<Span>,
    pub(super) points: BTreeMap<(String, String), Vec<(i64, f64)>>,
    calls: BTreeSet<(String, String)>,
    changes: Vec<Change>,
    /// Rows and lines that could not be taken.
    pub refused: Refused,
    /// Columns that hold no numbers.
    pub left_out: Vec<String>,
}

impl Reader {
    /// Reads a folder, or a file of it by its name; other tables are metrics.
    pub fn read(&mut self, path: &Path) -> Result<(), ReadError> {
        if !path.is_dir() {
            return self.read_file(path);
        }
        let shown = path.display().to_string();
        let failed = |source| InputError::Read { path: shown.clone(), source };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            if [".csv", ".jsonl", ".ndjson", ".parquet"].iter().any(|extension| name.ends_with(extension)) {
                files.push(file);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(ReadError::Nothing { path: shown });
        }
        files.iter().try_for_each(|file| self.read_file(file))
    }

    /// Reads a file of calls, whatever its name.
    pub fn read_graph(&mut self, path: &Path) -> Result<(), ReadError> {
        self.read_calls(Input::open(path, Some(Format::Csv))?, path)
    }

    fn read_calls(&mut self, input: Input, path: &Path) -> Result<(), ReadError> {
        let calls = &mut self.calls;
        rows(input, path, GRAPH, &mut self.refused, |[caller, callee]| {
            calls.insert((caller.to_owned(), callee.to_owned()));
            Ok(())
        })
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ReadError> {
        let input = Input::open(path, None)?;
        match (input.format, input.name.as_str()) {
            (Format::Otlp, _) => otlp::read(input, path, self),
            (Format::Csv, "logs") => self.read_logs(input, path),
            (Format::Csv, "traces") => self.read_traces(input, path),
            (Format::Csv, "graph") => self.read_calls(input, path),
            (Format::Csv, "changes") => self.read_changes(input, path),
            _ => self.read_metrics(input, path),
        }
    }

    fn read_metrics(&mut self, input: Input, path: &Path) -> Result<(), ReadError> {
        let named =
            |column: &str| TableOptions { timestamp_column: column.to_owned(), ..TableOptions::default() };
        let table = match Table::read_input(input, path, &named("timestamp")) {
            Err(error @ TableError::NoTimestamp { .. }) => {
                Table::read(path, None, &named("time")).map_err(|_| error)?
            }
            table => table?,
        };
        self.left_out.extend(table.left_out.iter().cloned());
        self.refused.join(&table.refused);
        self.tables.push(table);
        Ok(())
    }

    fn read_logs(&mut self, input: Input, path: &Path) -> Result<(), ReadError> {
        let lines = &mut self.lines;
        rows(input, path, LOGS, &mut self.refused, |[time, service, message]| {
            let time_ms = time_of(time)?;
            lines.push(Line { time_ms, entity: service.to_owned(), text: message.to_owned() });
            Ok(())
        })
    }

    fn read_traces(&mut self, input: Input, path: &Path) -> Result<(), ReadError> {
        let spans = &mut self.spans;
        rows(
            input,
            path,
            TRACES,
            &mut self.refused,
            |[trace, id, parent, service, _, start, duration, status]| {
                let number = |text: &str, what: &str| match text.trim().parse::<f64>() {
                    Ok(number) if number.abs() < MOST_US => Ok(number),
                    _ => Err(format!("{text} is no {what} in microseconds")),
                };
                spans.push(Span {
                    trace: trace.to_owned(),
                    id: id.to_owned(),
                    parent: parent.to_owned(),
                    entity: service.to_owned(),
                    start_us: number(start, "time")?,
                    duration_us: number(duration, "duration")?.max(0.0),
                    is_error: is_error(status),
                });
                Ok(())
            },
        )
    }

    fn read_changes(&mut self, input: Input, path: &Path) -> Result<(), ReadError> {
        let changes = &mut self.changes;
        rows(input, path, CHANGES, &mut self.refused, |[time, service, kind, version]| {
            let [entity, kind, version] = [service, kind, version].map(str::to_owned);
            changes.push(Change { time_ms: time_of(time)?, entity, kind, version });
            Ok(())
        })
    }

    /// Everything that was read, as one case.
    pub fn into_case(mut self) -> Case {
        let is_metrics_alone = self.lines.is_empty() && self.spans.is_empty() && self.points.is_empty();
        let moved = if is_metrics_alone { move_up(&mut self.tables) } else { Vec::new() };
        let (mut signals, called) = traces::signals(&self.spans);
        self.calls.extend(called);
        let mut names: BTreeSet<String> = signals.iter().map(|signal| signal.entity.clone()).collect();
        names.extend(self.lines.iter().map(|line| line.entity.clone()));
        names.extend(self.calls.iter().flat_map(|(caller, callee)| [caller.clone(), callee.clone()]));
        names.extend(self.changes.iter().map(|change| change.entity.clone()));
        let (measured, unnamed) = metrics(&self.tables, &names);
        signals.extend(measured);
        signals.extend(points(std::mem::take(&mut self.points)));
        names.extend(signals.iter().map(|signal| signal.entity.clone()));
        let names: Vec<String> = names.into_iter().collect();
        signals.extend(logs::signals(self.lines, &names));
        Case { signals, calls: self.calls, changes: self.changes, moved, unnamed }
    }
}

/// Rows that lie before all that were given before them follow those all the same: a normal day may have been recorded after
/// the incident. Their times are moved up behind the others'. A file that runs backwards is none of that.
fn move_up(tables: &mut [Table]) -> Vec<Moved> {
    let mut times: Vec<&mut i64> = tables.iter_mut().flat_map(|table| &mut table.times_ms).collect();
    let mut begin = i64::MAX;
    let mut starts: Vec<usize> = Vec::new();
    for (row, time) in times.iter().enumerate() {
        if **time < begin {
            begin = **time;
            starts.push(row);
        }
    }
    let mut moved = Vec::new();
    if starts.len() > STRETCHES {
        return moved;
    }
    starts.push(times.len());
    let (mut begin, mut end) = (i64::MIN, i64::MIN);
    for bounds in starts.windows(2) {
        let stretch = &mut times[bounds[0]..bounds[1]];
        let first_ms = *stretch[0];
        let mut last_ms = stretch.iter().map(|time| **time).max().unwrap_or(first_ms);
        if last_ms < begin {
            let step_ms = (last_ms - first_ms) / (stretch.len() as i64 - 1).max(1);
            let by_ms = end + step_ms.max(1) - first_ms;
            stretch.iter_mut().for_each(|time| **time += by_ms);
            moved.push(Moved { first_ms, last_ms, by_ms });
            last_ms += by_ms;
        }
        begin = first_ms;
        end = end.max(last_ms);
    }
    moved
}

/// A signal per column, over the rows of all tables in the order of their times; and the columns that name no service.
fn metrics(tables: &[Table], names: &BTreeSet<String>) -> (Vec<Signal>, Vec<String>) {
    let mut order: Vec<(i64, usize, usize)> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        order.extend(table.times_ms.iter().enumerate().map(|(row, time)| (*time, index, row)));
    }
    order.sort_unstable();
    let times_ms: Rc<[i64]> = order.iter().map(|(time, ..)| *time).collect();
    let mut columns: BTreeMap<&str, Vec<Option<usize>>> = BTreeMap::new();
    for (index, table) in tables.iter().enumerate() {
        for (column, series) in table.series.iter().enumerate() {
            columns.entry(series).or_insert_with(|| vec![None; tables.len()])[index] = Some(column);
        }
    }
    let (mut signals, mut unnamed) = (Vec::new(), Vec::new());
    for (series, places) in columns {
        let Some((entity, measure)) = entity_and_measure(series, names) else {
            unnamed.push(series.to_owned());
            continue;
        };
        let value = |(_, table, row): &(i64, usize, usize)| {
            places[*table].map_or(f64::NAN, |column| tables[*table].row(*row)[column])
        };
        signals.push(metric(entity, measure, times_ms.clone(), order.iter().map(value).collect()));
    }
    (signals, unnamed)
}

/// A signal per series of points that each have a time of their own.
fn points(series: BTreeMap<(String, String), Vec<(i64, f64)>>) -> impl Iterator<Item = Signal> {
    series.into_iter().map(|((entity, measure), mut points)| {
        if measure.ends_with(otlp::GROWTH) {
            otlp::growth(&mut points);
        }
        points.sort_by_key(|(time, _)| *time);
        let (times, values): (Vec<i64>, Vec<f64>) = points.into_iter().unzip();
        metric(&entity, &measure, times.into(), values)
    })
}

fn metric(entity: &str, measure: &str, times_ms: Rc<[i64]>, values: Vec<f64>) -> Signal {
    Signal {
        entity: entity.to_owned(),
        measure: measure.to_owned(),
        source: Source::Metrics,
        form: if is_trouble(measure) { Form::Rise } else { Form::Level },
        times_ms,
        values,
        names: None,
        example: None,
    }
}

/// `<service>_<metric>`: the longest known service, or else what stands before the first underscore.
fn entity_and_measure<'a>(series: &'a str, names: &BTreeSet<String>) -> Option<(&'a str, &'a str)> {
    let known = names.iter().filter_map(|name| Some((name.len(), series.strip_prefix(name.as_str())?)));
    let known = known.filter_map(|(len, rest)| Some((&series[..len], rest.strip_prefix('_')?)));
    let known = known.filter(|(_, measure)| !measure.is_empty()).max_by_key(|(entity, _)| entity.len());
    known
        .or_else(|| series.split_once('_'))
        .filter(|(entity, measure)| !entity.is_empty() && !measure.is_empty())
}

fn time_of(text: &str) -> Result<i64, String> {
    parse_time_ms(text.trim()).ok_or_else(|| format!("{text} is no timestamp"))
}

/// Whether a span's status, in words or as a code of OTLP, gRPC or HTTP, tells of an error.
fn is_error(status: &str) -> bool {
    let status = status.trim().to_ascii_lowercase();
    match status.parse::<f64>() {
        Ok(code) => (2.0..=16.0).contains(&code) || code >= 400.0,
        Err(_) => ["err", "fail"].iter().any(|word| status.contains(word)),
    }
}

/// The named columns of every row of a CSV file; a row that cannot be taken is counted.
fn rows<const N: usize>(
    input: Input,
    path: &Path,
    wanted: [&'static str; N],
    refused: &mut Refused,
    mut take: impl FnMut([&str; N]) -> Result<(), String>,
) -> Result<(), ReadError> {
    let shown = path.display().to_string();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input.reader);
    let header = reader.headers().map_err(|source| ReadError::Csv { path: shown.clone(), source })?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(wanted) {
        let found = header.iter().position(|name| name.trim().eq_ignore_ascii_case(column));
        *place = found.ok_or_else(|| ReadError::Column {
            path: shown.clone(),
            column,
            wanted: wanted.join(", "),
        })?;
    }
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let cells = places.map(|place| record.get(place));
                let taken = if cells.iter().all(Option::is_some) {
                    take(cells.map(Option::unwrap_or_default))
                } else {
                    Err(format!("{} cells where {} are wanted", record.len(), header.len()))
                };
                if let Err(problem) = taken {
                    refused.add(&shown, format!("line {line}"), problem);
                }
            }
            Err(source) if source.is_io_error() => return Err(ReadError::Csv { path: shown, source }),
            Err(error) => refused.add(&shown, format!("line {line}"), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_split_at_the_known_service_or_the_first_underscore() {
        let names = BTreeSet::from(["user_api".to_owned(), "user".to_owned()]);
        let cases = [
            ("front-end_lat_50", Some(("front-end", "lat_50"))),
            ("user_api_cpu", Some(("user_api", "cpu"))),
            ("user_cpu", Some(("user", "cpu"))),
            ("total", None),
            ("_cpu", None),
        ];
        for (series, expected) in cases {
            assert_eq!(entity_and_measure(series, &names), expected, "{series}");
        }
    }

    #[test]
    fn what_was_recorded_before_but_given_after_is_moved_up() {
        let moved = |stretches: &[&[i64]]| {
            let table = |times: &&[i64]| {
                let mut table = Table::default();
                table.times_ms.extend_from_slice(times);
                table
            };
            let mut tables: Vec<Table> = stretches.iter().map(table).collect();
            let moved = move_up(&mut tables);
            (tables.into_iter().flat_map(|table| table.times_ms).collect::<Vec<i64>>(), moved.len())
        };
        assert_eq!(moved(&[&[100, 101, 102], &[10, 11, 12]]), (vec![100, 101, 102, 103, 104, 105], 1));
        assert_eq!(moved(&[&[100, 101, 102, 10, 11, 12]]).1, 1, "in one table too");
        assert_eq!(moved(&[&[100, 101, 102], &[99, 100, 101]]).1, 0, "tables of the same time");
        assert_eq!(moved(&[&[9, 8, 7, 6, 5, 4, 3, 2]]).1, 0, "newest first");
    }

    #[test]
    fn a_status_is_an_error_in_words_and_codes() {
        let errors = ["ERROR", "STATUS_CODE_ERROR", "2", "14", "500", "404", "failed"];
        let fine = ["", "OK", "0", "1", "200", "302", "UNSET"];
        assert!(errors.iter().all(|status| is_error(status)));
        assert!(!fine.iter().any(|status| is_error(status)));
    }
}
