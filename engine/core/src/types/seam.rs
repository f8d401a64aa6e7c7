//! The form in which stages hand things to each other where they do not share memory: a version, then postcard.

use serde::{Serialize, de::DeserializeOwned};

/// Something that one stage hands to another.
pub trait Handed: Serialize + DeserializeOwned {
    /// The form; another is refused.
    const VERSION: u8;

    /// Whether what was read can be used.
    fn is_sound(&self) -> bool {
        true
    }

    /// Writes it.
    fn write(&self) -> Result<Vec<u8>, SeamError> {
        postcard::to_extend(self, vec![Self::VERSION]).map_err(SeamError::Form)
    }

    /// Reads what was written; floats have their bits.
    fn read(bytes: &[u8]) -> Result<Self, SeamError> {
        let (version, rest) = bytes.split_first().ok_or(SeamError::Empty)?;
        if *version != Self::VERSION {
            return Err(SeamError::Version { found: *version, known: Self::VERSION });
        }
        let read: Self = postcard::from_bytes(rest).map_err(SeamError::Form)?;
        if read.is_sound() { Ok(read) } else { Err(SeamError::Unsound) }
    }
}

/// What cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum SeamError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// Another engine wrote it.
    #[error("it has form {found}, this engine knows form {known}")]
    Version {
        /// What it has.
        found: u8,
        /// What is known.
        known: u8,
    },
    /// It is damaged.
    #[error("it is damaged: {0}")]
    Form(postcard::Error),
    /// Its parts do not fit together.
    #[error("it is damaged: its parts do not fit together")]
    Unsound,
}
