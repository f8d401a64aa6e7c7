//! Reads lines with their true templates, and sessions with their labels.

use std::path::Path;

use crate::corpus::CorpusError;
use serde::Deserialize;

/// One system's lines.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name.
    pub name: String,
    /// The lines without the system's own headers.
    pub lines: Vec<String>,
    /// Each line's true template.
    pub truth: Vec<String>,
}

/// One session.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    /// 1 is abnormal.
    pub label: u8,
    /// Its events, in order.
    pub templates: Vec<String>,
}

/// All systems, by name.
///
/// # Errors
/// When a file is missing or malformed.
pub fn read_systems(loghub: &Path) -> Result<Vec<System>, CorpusError> {
    let failed = |source| CorpusError::Read { path: loghub.display().to_string(), source };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(loghub).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            folders.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    folders.sort();
    folders.into_iter().map(|name| read_system(loghub, name)).collect()
}

fn read_system(loghub: &Path, name: String) -> Result<System, CorpusError> {
    let path = loghub.join(&name).join(format!("{name}_2k.log_structured_corrected.csv"));
    let form = |what: String| CorpusError::Form { path: path.display().to_string(), what };
    let text = read(&path)?;
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let headers = rows.headers().map_err(|error| form(error.to_string()))?.clone();
    let column = |name: &str| {
        headers.iter().position(|header| header == name).ok_or_else(|| form(format!("no column {name}")))
    };
    let (content, template) = (column("Content")?, column("EventTemplate")?);
    let (mut lines, mut truth) = (Vec::new(), Vec::new());
    for row in rows.records() {
        let row = row.map_err(|error| form(error.to_string()))?;
        lines.push(row[content].to_string());
        truth.push(row[template].to_string());
    }
    Ok(System { name, lines, truth })
}

/// The sessions of one file.
///
/// # Errors
/// When it is missing or malformed.
pub fn read_sessions(path: &Path) -> Result<Vec<Session>, CorpusError> {
    let form = |error: serde_json::Error| CorpusError::Form {
        path: path.display().to_string(),
        what: format!("not a session: {error}"),
    };
    read(path)?.lines().map(|line| serde_json::from_str(line).map_err(form)).collect()
}

fn read(path: &Path) -> Result<String, CorpusError> {
    let bytes = std::fs::read(path)
        .map_err(|source| CorpusError::Read { path: path.display().to_string(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
