//! Reads the benchmark's files.

use std::path::Path;

use crate::corpus::CorpusError;

/// One series and where its kind changes.
#[derive(Debug, Clone)]
pub struct Series {
    /// The file's name without its ending.
    pub name: String,
    /// Values.
    pub values: Vec<f64>,
    /// First row of every segment but the first.
    pub changes: Vec<usize>,
}

/// All series, in the order of `desc.txt`. The window sizes given there are not read: they are not known beforehand.
///
/// # Errors
/// When a file is missing or malformed.
pub fn read(tssb: &Path) -> Result<Vec<Series>, CorpusError> {
    let folder = tssb.join("datasets");
    let list = folder.join("desc.txt");
    text(&list)?
        .lines()
        .map(|line| {
            let form =
                || CorpusError::Form { path: list.display().to_string(), what: format!("bad line {line:?}") };
            let mut cells = line.split(',').map(str::trim);
            let name = cells.next().filter(|name| !name.is_empty()).ok_or_else(form)?.to_owned();
            let changes = cells.skip(1).map(str::parse).collect::<Result<_, _>>().map_err(|_| form())?;
            Ok(Series { values: values(&folder.join(format!("{name}.txt")))?, name, changes })
        })
        .collect()
}

fn values(path: &Path) -> Result<Vec<f64>, CorpusError> {
    let form = |line: &str| CorpusError::Form {
        path: path.display().to_string(),
        what: format!("bad line {line:?}"),
    };
    let content = text(path)?;
    content
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().map_err(|_| form(line)))
        .collect()
}

fn text(path: &Path) -> Result<String, CorpusError> {
    std::fs::read_to_string(path)
        .map_err(|source| CorpusError::Read { path: path.display().to_string(), source })
}
