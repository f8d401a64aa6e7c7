//! The form in which a state machine saves itself.

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

/// A named and versioned part of a snapshot. A reader that does not know the version starts that part cold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it holds, for example `shard/12/fold`.
    pub name: String,
    /// Form of `bytes`.
    pub version: u32,
    /// The state, in postcard's binary form: floats keep their bits.
    pub bytes: Bytes,
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
        Section::save_into(Vec::new(), name.into(), version, state)
    }

    /// As [`Section::save`], for megabytes that are quickly counted, such as columns: a vector that grows would move them.
    pub fn save_large<T: Serialize>(
        name: impl Into<String>,
        version: u32,
        state: &T,
    ) -> Result<Section, SectionError> {
        let name = name.into();
        match postcard::experimental::serialized_size(state) {
            Ok(size) => Section::save_into(Vec::with_capacity(size), name, version, state),
            Err(source) => Err(SectionError { name, verb: "written", source }),
        }
    }

    fn save_into<T: Serialize>(
        room: Vec<u8>,
        name: String,
        version: u32,
        state: &T,
    ) -> Result<Section, SectionError> {
        match postcard::serialize_with_flavor(state, Room(room)) {
            Ok(bytes) => Ok(Section { name, version, bytes: Bytes::from(bytes) }),
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

/// A vector that postcard writes to, with room from the beginning.
struct Room(Vec<u8>);

impl Flavor for Room {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}
