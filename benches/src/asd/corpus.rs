//! Reads the servers.

use std::path::Path;

use crate::corpus::CorpusError;

/// One server: rows to learn from, then rows with labels.
#[derive(Debug, Clone)]
pub struct Server {
    /// `omi-1` and so on.
    pub name: String,
    /// Seconds since the Unix epoch and the metrics, row by row; the first `train` of them are to learn from.
    pub rows: Vec<(i64, Vec<f64>)>,
    /// Rows to learn from.
    pub train: usize,
    /// Whether a row of the rest is abnormal.
    pub labels: Vec<bool>,
}

/// All servers.
///
/// # Errors
/// When a file is missing or malformed.
pub fn read(asd: &Path) -> Result<Vec<Server>, CorpusError> {
    (1..=12)
        .map(|number| {
            let name = format!("omi-{number}");
            let mut rows = table(&asd.join(format!("{name}_train.csv")))?;
            let train = rows.len();
            let mut labels = Vec::new();
            for (time, mut cells) in table(&asd.join(format!("{name}_test.csv")))? {
                labels.push(cells.pop().is_some_and(|label| label > 0.5));
                rows.push((time, cells));
            }
            Ok(Server { name, rows, train, labels })
        })
        .collect()
}

/// A peer's score of every labelled row of a server: one number per line.
///
/// # Errors
/// When the file is missing or malformed.
pub fn peer(folder: &Path, peer: &str, server: &Server) -> Result<Vec<f64>, CorpusError> {
    let path = folder.join(format!("{peer}_{}.txt", server.name));
    text(&path)?.lines().map(|line| line.trim().parse().map_err(|_| form(&path, line))).collect()
}

fn table(path: &Path) -> Result<Vec<(i64, Vec<f64>)>, CorpusError> {
    text(path)?
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut cells = line.split(',');
            let time = cells.next().and_then(|cell| cell.parse().ok()).ok_or_else(|| form(path, line))?;
            let cells = cells.map(str::parse).collect::<Result<_, _>>().map_err(|_| form(path, line))?;
            Ok((time, cells))
        })
        .collect()
}

fn text(path: &Path) -> Result<String, CorpusError> {
    std::fs::read_to_string(path)
        .map_err(|source| CorpusError::Read { path: path.display().to_string(), source })
}

fn form(path: &Path, line: &str) -> CorpusError {
    CorpusError::Form { path: path.display().to_string(), what: format!("bad row {line:?}") }
}
