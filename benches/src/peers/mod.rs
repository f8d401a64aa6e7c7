//! Other people's kernels on the same data, in the same run.
//!
//! * `core`: series, point by point
//! * `forest`: rows, scored and learnt
//! * `logs`: lines to templates
//! * `snapshot`: state to bytes and back
//! * `python`: the same for what Python has, in a process of its own

mod core;
mod forest;
mod logs;
mod plain;
mod python;
mod snapshot;

pub use python::{Python, PythonError};

use std::path::Path;

/// One line of a table: who, how many a second, and what is to be known of it.
#[derive(Debug, Clone)]
pub struct Line {
    /// Who.
    pub name: String,
    /// Points, rows, lines or bytes per second.
    pub per_second: f64,
    /// What it does and does not do, or how well.
    pub note: String,
}

impl Line {
    fn new(name: &str, per_second: f64, note: impl Into<String>) -> Line {
        Line { name: name.to_owned(), per_second, note: note.into() }
    }
}

/// One kernel beside its peers; the first line is ours.
#[derive(Debug, Clone)]
pub struct Table {
    /// What is measured.
    pub title: &'static str,
    /// What is counted per second.
    pub unit: &'static str,
    /// Ours, then the peers.
    pub lines: Vec<Line>,
}

/// Every kernel beside its peers.
///
/// # Errors
/// When the labelled logs or the Python cannot be read.
pub fn tables(data: &Path, python: Option<&Python>) -> Result<Vec<Table>, Box<dyn std::error::Error>> {
    let mut tables =
        vec![core::table(), forest::scoring(), forest::updating(), logs::table(data)?, snapshot::table()];
    if let Some(python) = python {
        let answers = python.run(data)?;
        for table in &mut tables {
            table.lines.extend(
                answers
                    .iter()
                    .filter(|answer| answer.table == table.title)
                    .map(|answer| Line::new(&answer.name, answer.per_second, answer.note.clone())),
            );
        }
    }
    Ok(tables)
}
