//! What a correlator was told during a story, in a file: another one can be told the same, without the hours before it.
//!
//! Good for one state of the generator and of everything before the correlator.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use foreshock_core::{
    correlator::Event,
    types::{Change, TickClosed},
};
use serde::{Deserialize, Serialize};

/// One thing in the file.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Tick(TickClosed),
    Change(Change),
    /// The story is over; so many series were known.
    End(usize),
}

/// What was told cannot be written down, or not be read again.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file has another form.
    #[error("{path}: {source}; was it written by another state of the engine?")]
    Form {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: postcard::Error,
    },
    /// The file has been cut.
    #[error("{0}: the end is missing")]
    NoEnd(PathBuf),
    /// A story has changes and ticks only.
    #[error("this cannot be kept: {0}")]
    Other(String),
}

/// A file that is being written. It has its name when it is whole.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    begun: PathBuf,
    file: BufWriter<File>,
}

impl Kept {
    pub(super) fn create(path: &Path) -> Result<Kept, KeepError> {
        let begun = path.with_extension("part");
        let file = File::create(&begun).map_err(|source| KeepError::File { path: begun.clone(), source })?;
        Ok(Kept { path: path.to_owned(), begun, file: BufWriter::new(file) })
    }

    pub(super) fn event(&mut self, event: Event) -> Result<(), KeepError> {
        match event {
            Event::Tick(tick) => self.said(&Said::Tick(tick)),
            Event::Change(change) => self.said(&Said::Change(change)),
            other => Err(KeepError::Other(format!("{other:?}"))),
        }
    }

    /// Nothing more is told.
    pub(super) fn end(mut self, series: usize) -> Result<(), KeepError> {
        self.said(&Said::End(series))?;
        let named = self.file.flush().and_then(|()| std::fs::rename(&self.begun, &self.path));
        named.map_err(|source| KeepError::File { path: self.path, source })
    }

    fn said(&mut self, said: &Said) -> Result<(), KeepError> {
        postcard::to_io(said, &mut self.file)
            .map(drop)
            .map_err(|source| KeepError::Form { path: self.begun.clone(), source })
    }
}

/// Gives everything in the file, in order; then the number of series.
pub(super) fn events(path: &Path, mut take: impl FnMut(Event)) -> Result<usize, KeepError> {
    let bytes = std::fs::read(path).map_err(|source| KeepError::File { path: path.to_owned(), source })?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (said, after) = postcard::take_from_bytes(rest)
            .map_err(|source| KeepError::Form { path: path.to_owned(), source })?;
        rest = after;
        match said {
            Said::Tick(tick) => take(Event::Tick(tick)),
            Said::Change(change) => take(Event::Change(change)),
            Said::End(series) => return Ok(series),
        }
    }
    Err(KeepError::NoEnd(path.to_owned()))
}
