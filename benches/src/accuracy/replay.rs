//! A file through the engine as `foreshock replay` does it, and what it wrote, read back.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use foreshock::replay::{
    Format, Input, InputError, LinesError, OutputError, Outputs, Sinks, Table, TableError, TableOptions,
    replay_lines, replay_table,
};
use foreshock_core::pipeline::PipelineConfig;
use serde::Deserialize;
use thiserror::Error;

/// A file that could not be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// Its table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It cannot be opened.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is no text log.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// The engine could not write.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A file between here and the engine cannot be written or read.
    #[error("cannot exchange files with the engine: {0}")]
    Exchange(#[from] std::io::Error),
    /// The engine's output is not as its contract says.
    #[error("the engine's {what} are not as promised: {problem}")]
    Contract {
        /// Which output.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// What is asked of the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `--scores`.
    pub scores: bool,
    /// `--changes`.
    pub changes: bool,
    /// `--incidents`.
    pub incidents: bool,
}

/// A series' scores, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scored {
    /// Scores, 0 to 1.
    pub score: Vec<f64>,
    /// Whether the engine calls the row an anomaly.
    pub anomaly: Vec<bool>,
}

/// A change point as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Timestamp of the row at which it was written, as in the input.
    pub stamp: String,
    /// When it began, seconds since the Unix epoch.
    pub onset: f64,
}

/// What the engine said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// Scores by series.
    pub scores: BTreeMap<String, Scored>,
    /// Change points, of all series.
    pub changes: Vec<Change>,
    /// Times at which incidents opened, unix milliseconds.
    pub incidents: Vec<i64>,
}

/// Rows with a column `timestamp`.
pub fn timed() -> TableOptions {
    TableOptions { timestamp_column: "timestamp".to_string(), ..TableOptions::default() }
}

/// Rows without times, as `--no-timestamp` takes them: a minute apart.
pub fn untimed() -> TableOptions {
    TableOptions { step_seconds: Some(STEP), ..TableOptions::default() }
}

/// Seconds between two rows without times.
pub const STEP: i64 = 60;

/// A CSV file of these columns; missing values are empty cells. With times it has a column `timestamp` before the others.
///
/// # Errors
/// When it cannot be written.
pub fn write_csv<'a>(
    path: &Path,
    series: &[String],
    rows: impl Iterator<Item = (Option<i64>, &'a [f64])>,
) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut rows = rows.peekable();
    let is_timed = rows.peek().is_some_and(|(time, _)| time.is_some());
    writeln!(file, "{}{}", if is_timed { "timestamp," } else { "" }, series.join(","))?;
    for (time, values) in rows {
        if let Some(time) = time {
            write!(file, "{time},")?;
        }
        for (place, value) in values.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match value.is_nan() {
                // A line without a cell would be no row at all.
                true if values.len() == 1 && time.is_none() => write!(file, "null")?,
                true => write!(file, "{comma}")?,
                false => write!(file, "{comma}{value}")?,
            }
        }
        writeln!(file)?;
    }
    file.flush()
}

/// Replays one series of values a minute apart.
///
/// # Errors
/// When it cannot be replayed.
pub fn untimed_series(values: &[f64], wanted: Wanted) -> Result<Heard, ReplayError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("series.csv");
    write_csv(&path, &["value".to_string()], values.chunks(1).map(|value| (None, value)))?;
    replay(&Table::read(&path, None, &untimed())?, &PipelineConfig::default(), wanted)
}

/// Replays a table and reads back what was written.
///
/// # Errors
/// When it cannot be replayed.
pub fn replay(table: &Table, config: &PipelineConfig, wanted: Wanted) -> Result<Heard, ReplayError> {
    let folder = tempfile::tempdir()?;
    let sink = |wanted: bool, name: &str| -> std::io::Result<Option<Box<dyn Write>>> {
        let open = || Ok(Box::new(BufWriter::new(File::create(folder.path().join(name))?)) as Box<dyn Write>);
        wanted.then(open).transpose()
    };
    let sinks = Sinks {
        scores: sink(wanted.scores, "scores.csv")?,
        changes: sink(wanted.changes, "changes.csv")?,
        anomalies: None,
        incidents: sink(wanted.incidents, "incidents.ndjson")?,
    };
    let mut outputs = Outputs::new(sinks, None)?;
    replay_table(table, None, config, &mut outputs)?;
    outputs.finish()?;
    let mut heard = Heard::default();
    if wanted.scores {
        heard.scores = read_scores(&folder.path().join("scores.csv"))?;
    }
    if wanted.changes {
        heard.changes = read_changes(&folder.path().join("changes.csv"))?;
    }
    if wanted.incidents {
        heard.incidents = read_incidents(&folder.path().join("incidents.ndjson"))?;
    }
    Ok(heard)
}

/// The template of each line of a text log, as `--templates` gives it; a line without words has none.
///
/// # Errors
/// When it cannot be replayed.
pub fn templates(lines: &[String]) -> Result<Vec<Option<usize>>, ReplayError> {
    let folder = tempfile::tempdir()?;
    let (log, out) = (folder.path().join("a.log"), folder.path().join("templates.csv"));
    std::fs::write(&log, lines.join("\n") + "\n")?;
    let mut file = File::create(&out)?;
    replay_lines(Input::open(&log, Some(Format::Text))?, &log, &mut file)?;
    rows(&out, "templates", |row| match &row[1] {
        "" => Some(None),
        id => id.parse().ok().map(Some),
    })
}

fn read_scores(path: &Path) -> Result<BTreeMap<String, Scored>, ReplayError> {
    let mut scores: BTreeMap<String, Scored> = BTreeMap::new();
    rows(path, "scores", |row| {
        if !scores.contains_key(&row[1]) {
            scores.insert(row[1].to_string(), Scored::default());
        }
        let scored = scores.get_mut(&row[1])?;
        scored.score.push(row[6].parse().ok()?);
        scored.anomaly.push(&row[7] == "1");
        Some(())
    })?;
    Ok(scores)
}

fn read_changes(path: &Path) -> Result<Vec<Change>, ReplayError> {
    rows(path, "change points", |row| Some(Change { stamp: row[0].to_string(), onset: row[2].parse().ok()? }))
}

/// The rows of a CSV file with a header, each made into something; `None` is a row that is not as promised.
fn rows<T>(
    path: &Path,
    what: &'static str,
    mut make: impl FnMut(&csv::StringRecord) -> Option<T>,
) -> Result<Vec<T>, ReplayError> {
    let contract = |problem: String| ReplayError::Contract { what, problem };
    let mut reader = csv::Reader::from_path(path).map_err(|error| contract(error.to_string()))?;
    let mut record = csv::StringRecord::new();
    let mut made = Vec::new();
    while reader.read_record(&mut record).map_err(|error| contract(error.to_string()))? {
        made.push(make(&record).ok_or_else(|| contract(format!("row {record:?}")))?);
    }
    Ok(made)
}

#[derive(Deserialize)]
struct Revision {
    revision: u32,
    opened_ms: i64,
}

/// Incidents by their first revision: what pages somebody, and what the budget counts.
fn read_incidents(path: &Path) -> Result<Vec<i64>, ReplayError> {
    let contract = |problem: String| ReplayError::Contract { what: "incidents", problem };
    let text = std::fs::read_to_string(path)?;
    let revisions = text.lines().map(serde_json::from_str::<Revision>);
    let revisions: Vec<Revision> =
        revisions.collect::<Result<_, _>>().map_err(|error| contract(error.to_string()))?;
    Ok(revisions.iter().filter(|one| one.revision == 1).map(|one| one.opened_ms).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_a_file_has_a_score() {
        let values: Vec<f64> =
            (0..200).map(|row| if row == 50 { f64::NAN } else { (row % 7) as f64 }).collect();
        let heard = untimed_series(&values, Wanted { scores: true, ..Wanted::default() }).unwrap();
        assert_eq!(heard.scores.keys().collect::<Vec<_>>(), ["value"]);
        let scored = &heard.scores["value"];
        assert_eq!((scored.score.len(), scored.anomaly.len()), (200, 200));
        assert!(scored.score.iter().all(|score| (0.0..=1.0).contains(score)));
    }

    #[test]
    fn services_of_one_table_have_scores_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.csv");
        let names = ["cart/cpu", "cart/memory", "web/cpu"].map(str::to_string);
        let rows: Vec<[f64; 3]> = (0..50).map(|row| [f64::from(row % 5), f64::from(row % 3), 1.0]).collect();
        let rows = rows.iter().enumerate().map(|(row, values)| (Some(row as i64 * 60), values.as_slice()));
        write_csv(&path, &names, rows).unwrap();
        let series = |separator: Option<&str>| {
            let options = TableOptions { entity_separator: separator.map(str::to_string), ..timed() };
            let table = Table::read(&path, None, &options).unwrap();
            let wanted = Wanted { scores: true, ..Wanted::default() };
            let scores = replay(&table, &PipelineConfig::default(), wanted).unwrap().scores;
            assert!(scores.values().all(|scored| scored.score.len() == 50));
            scores.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(series(None), ["cart/cpu", "cart/memory", "entity", "web/cpu"]);
        assert_eq!(series(Some("/")), ["cart/cpu", "cart/memory", "service/cart", "web/cpu"]);
    }

    #[test]
    fn lines_alike_have_one_template() {
        let lines: Vec<String> = (0..50).map(|n| format!("user {n} logged in")).chain(["".into()]).collect();
        let found = templates(&lines).unwrap();
        assert_eq!(found.len(), 51);
        assert!(found[..50].iter().all(|id| id.is_some() && *id == found[0]));
        assert_eq!(found[50], None);
    }
}
