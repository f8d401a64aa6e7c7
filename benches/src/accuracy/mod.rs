//! Accuracy of what is shipped: every labelled set through `foreshock replay`'s own code, default configuration.
//!
//! | file | what |
//! |---|---|
//! | `replay.rs` | a file through the engine, and what it said |
//! | `table.rs` | figures with tier, floor, target and peers, as text |
//! | `nab.rs`, `changes.rs`, `asd.rs`, `logs.rs`, `faults.rs`, `quiet.rs`, `drift.rs` | the sets |
//!
//! What is scored is what a user of `replay` gets: rows of scores, change points, templates, incidents. The scorers are those of
//! the crate's other modules. Nothing here depends on which detectors the engine has.

pub mod asd;
pub mod changes;
pub mod drift;
pub mod faults;
pub mod logs;
pub mod nab;
pub mod quiet;
pub mod replay;
mod table;

use std::path::PathBuf;

use thiserror::Error;

pub use table::{Bound, Figure, Section, Tier, markdown};

/// A set that could not be scored.
#[derive(Debug, Error)]
pub enum AccuracyError {
    /// Its files cannot be read.
    #[error(transparent)]
    Corpus(#[from] crate::corpus::CorpusError),
    /// The engine could not replay it.
    #[error(transparent)]
    Replay(#[from] replay::ReplayError),
    /// A peer in Python did not run.
    #[error("{script} failed with {python}: {what}")]
    Peer {
        /// The script.
        script: &'static str,
        /// Which Python.
        python: String,
        /// What is wrong.
        what: String,
    },
    /// drain3 did not run.
    #[error(transparent)]
    Drain3(#[from] crate::logs::Drain3Error),
    /// There is no labelled data.
    #[error("no labelled data: set FORESHOCK_DATA")]
    NoData,
}

/// Where data and peers are.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The labelled data.
    pub data: Option<PathBuf>,
    /// A Python that has the peers' packages; without it they are not run.
    pub python: Option<String>,
}

impl Context {
    /// A folder of the labelled data.
    ///
    /// # Errors
    /// When there is no labelled data.
    pub fn folder(&self, set: &str) -> Result<PathBuf, AccuracyError> {
        Ok(self.data.as_ref().ok_or(AccuracyError::NoData)?.join(set))
    }

    /// Runs a script of `benches/peers` on a data folder; gives the folder with what it wrote, or `None` without a Python.
    ///
    /// # Errors
    /// When it fails.
    pub fn peers(&self, script: &'static str, set: &str) -> Result<Option<tempfile::TempDir>, AccuracyError> {
        self.peers_after(script, set, |_| Ok(()))
    }

    /// The same, after something was put into the folder for them.
    pub fn peers_after(
        &self,
        script: &'static str,
        set: &str,
        prepare: impl FnOnce(&std::path::Path) -> std::io::Result<()>,
    ) -> Result<Option<tempfile::TempDir>, AccuracyError> {
        let Some(python) = &self.python else { return Ok(None) };
        let failed = |what: String| AccuracyError::Peer { script, python: python.clone(), what };
        let out = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        prepare(out.path()).map_err(|error| failed(error.to_string()))?;
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
        let mut command = std::process::Command::new(python);
        let status = command.arg(path).arg(self.folder(set)?).arg(out.path()).status();
        match status {
            Ok(status) if status.success() => Ok(Some(out)),
            Ok(status) => Err(failed(status.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// A set's name and what scores it.
pub type Set = (&'static str, fn(&Context) -> Result<Section, AccuracyError>);

/// All sets, in the order of the table.
pub const SETS: [Set; 10] = [
    ("nab", nab::score),
    ("tssb", changes::score_tssb),
    ("changes", changes::score_generated),
    ("asd", asd::score),
    ("loghub2k", logs::score_templates),
    ("hdfs100k", logs::score_sessions),
    ("drift", drift::score),
    ("generated", faults::score),
    ("quiet", quiet::score_generated),
    ("quiet-real", quiet::score_real),
];

/// The mean of some numbers; NaN of none.
fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// The middle of some numbers, if there are any.
fn median(mut values: Vec<usize>) -> Option<usize> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
