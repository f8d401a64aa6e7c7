//! What can be wrong with a data set's files.

use thiserror::Error;

/// Why a data set could not be read.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not have the form of its data set.
    #[error("{path}: {what}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
}
