//! What Python has, in a process of its own, on the same data.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{corpus::CorpusError, logs::read_systems, shapes};

/// A Python that has some of the peers.
#[derive(Debug, Clone)]
pub struct Python(pub PathBuf);

/// The peers in Python could not be run.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// The logs could not be read.
    #[error(transparent)]
    Logs(#[from] CorpusError),
    /// A file for it could not be written, or it could not be started.
    #[error("cannot run {python}: {source}")]
    Run {
        /// Which Python.
        python: String,
        /// Why.
        source: io::Error,
    },
    /// It ended otherwise than well.
    #[error("{python} failed: is numpy there?")]
    Failed {
        /// Which Python.
        python: String,
    },
}

/// What a peer says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Answer {
    pub table: String,
    pub name: String,
    pub per_second: f64,
    pub note: String,
}

impl Python {
    pub(super) fn run(&self, data: &Path) -> Result<Vec<Answer>, PythonError> {
        let python = self.0.display().to_string();
        let failed = |source| PythonError::Run { python: python.clone(), source };
        let folder = tempfile::tempdir().map_err(failed)?;
        let systems = read_systems(&data.join("loghub2k"))?;
        let lines: Vec<&Vec<String>> = systems.iter().map(|system| &system.lines).collect();
        std::fs::write(folder.path().join("lines.json"), serde_json::json!(lines).to_string())
            .map_err(failed)?;
        write_rows(&folder.path().join("train.csv"), 1, false).map_err(failed)?;
        write_rows(&folder.path().join("test.csv"), 2, true).map_err(failed)?;
        let series: Vec<String> = (0..2_000).map(|tick| shapes::value(3, tick).to_string()).collect();
        std::fs::write(folder.path().join("series.csv"), series.join("\n")).map_err(failed)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/speed.py");
        let mut command = Command::new(&self.0);
        command.arg(script).arg(folder.path()).stderr(Stdio::null());
        for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
            command.env(variable, "1");
        }
        let output = command.output().map_err(failed)?;
        let answers = String::from_utf8_lossy(&output.stdout);
        let answers: Option<Vec<Answer>> =
            answers.lines().map(|line| serde_json::from_str(line).ok()).collect();
        answers.filter(|_| output.status.success()).ok_or(PythonError::Failed { python })
    }
}

fn write_rows(path: &Path, salt: u64, is_labelled: bool) -> io::Result<()> {
    let (matrix, odd) = shapes::rows(16_384, 8, salt);
    let mut text = String::new();
    for (row, odd) in matrix.rows().into_iter().zip(odd) {
        let mut cells: Vec<String> = row.iter().map(f64::to_string).collect();
        cells.extend(is_labelled.then(|| u8::from(odd).to_string()));
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    std::fs::write(path, text)
}
