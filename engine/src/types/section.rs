//! The form in which a state machine saves itself.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A named and versioned part of a snapshot. A reader that does not know the version starts that part cold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// What it holds, for example `shard/12/fold`.
    pub name: String,
    /// Form of `bytes`.
    pub version: u32,
    /// The state, in postcard's binary form: floats keep their bits.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// A part of a snapshot that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("snapshot section {name:?} cannot be {verb}: {source}")]
pub struct SectionError {
    name: String,
    verb: &'static str,
    source: postcard::Error,
}

impl Section {
    /// Saves a state under this name.
    pub fn save<T: Serialize>(
        name: impl Into<String>,
        version: u32,
        state: &T,
    ) -> Result<Section, SectionError> {
        let name = name.into();
        match postcard::to_stdvec(state) {
            Ok(bytes) => Ok(Section { name, version, bytes }),
            Err(source) => Err(SectionError { name, verb: "written", source }),
        }
    }

    /// The state that was saved, or `None` when it was saved in another version.
    pub fn load<T: DeserializeOwned>(&self, version: u32) -> Result<Option<T>, SectionError> {
        if self.version != version {
            return Ok(None);
        }
        match postcard::from_bytes(&self.bytes) {
            Ok(state) => Ok(Some(state)),
            Err(source) => Err(SectionError { name: self.name.clone(), verb: "read", source }),
        }
    }
}
