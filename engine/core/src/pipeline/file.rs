//! A snapshot as bytes: a number that says the form, then sections, each behind a head that says its name, version, length and
//! CRC-32; a section without a name, of no bytes, ends it. What a disk bent is refused before anybody understands it.

use std::{
    io::{self, Read},
    sync::mpsc,
    thread,
};

use bytes::Bytes;

use crate::types::Section;

/// The form: [`VERSION`] in postcard's.
const VERSION: u32 = 2;
/// Longest head of a section that is believed.
const HEAD: usize = 4096;
/// Sections that are read before their turn.
const AHEAD: usize = 2;
/// Bytes that are set aside for a section on its word alone.
const ROOM: usize = 64 << 20;

/// Bytes that are no snapshot, or not what was written.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// Another version of the engine wrote it.
    #[error(
        "it has form {found}, and this engine reads {VERSION}: empty the folder to start cold, or use the engine that wrote it"
    )]
    Version {
        /// Form found.
        found: u32,
    },
    /// It is cut off or cannot be read.
    #[error("it cannot be read to its end: {0}")]
    Read(#[from] io::Error),
    /// A head is none.
    #[error("a section begins with what is none: {0}")]
    Head(#[from] postcard::Error),
    /// The bytes are not what was written.
    #[error("the checksum of section {name:?} is another")]
    Checksum {
        /// The section.
        name: String,
    },
}

/// What a file of sections begins with.
pub fn begin() -> Bytes {
    Bytes::from_static(&[VERSION as u8])
}

/// What comes for a section: its head, and its bytes as they are.
pub fn pieces(section: &Section) -> Result<[Bytes; 2], postcard::Error> {
    let Section { name, version, bytes } = section;
    let head = postcard::to_stdvec(&(name, version, bytes.len(), seal(section)))?;
    Ok([head.into(), bytes.clone()])
}

/// What a file of sections ends with.
pub fn end() -> Result<Bytes, postcard::Error> {
    let [head, _] = pieces(&Section { name: String::new(), version: 0, bytes: Bytes::new() })?;
    Ok(head)
}

/// CRC-32 of all that a section is.
fn seal(section: &Section) -> u32 {
    let mut seal = crc32fast::Hasher::new();
    seal.update(section.name.as_bytes());
    seal.update(&section.version.to_le_bytes());
    seal.update(&section.bytes);
    seal.finalize()
}

/// The sections of a file, one by one.
#[derive(Debug)]
pub struct Sections<R> {
    /// `None` after the end, or after an error.
    from: Option<R>,
}

impl<R: Read> Sections<R> {
    /// Of what can be read here.
    pub fn new(mut from: R) -> Result<Sections<R>, Damaged> {
        let mut version = [0];
        from.read_exact(&mut version)?;
        let [found] = version.map(u32::from);
        if found != VERSION {
            return Err(Damaged::Version { found });
        }
        Ok(Sections { from: Some(from) })
    }

    fn section(&mut self) -> Result<Option<Section>, Damaged> {
        let Some(mut from) = self.from.take() else { return Ok(None) };
        let mut scratch = [0; HEAD];
        let ((name, version, length, sealed), _) =
            postcard::from_io::<(String, u32, u64, u32), _>((&mut from, &mut scratch))?;
        // A length may be a lie: little is set aside for what nothing may follow.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(ROOM).min(ROOM));
        let found = (&mut from).take(length).read_to_end(&mut bytes)?;
        if (found as u64) < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let section = Section { name, version, bytes: bytes.into() };
        if seal(&section) != sealed {
            return Err(Damaged::Checksum { name: section.name });
        }
        if section.name.is_empty() {
            return Ok(None);
        }
        self.from = Some(from);
        Ok(Some(section))
    }
}

impl<R: Read> Iterator for Sections<R> {
    type Item = Result<Section, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        self.section().transpose()
    }
}

/// The sections of what can be read here, on a thread of its own: the next ones are read while one is understood.
pub fn read_ahead(
    from: impl Read + Send + 'static,
) -> io::Result<impl Iterator<Item = Result<Section, Damaged>>> {
    let (sender, sections) = mpsc::sync_channel(AHEAD);
    let read = move || match Sections::new(from) {
        // When nobody takes them any more there is nothing left to do.
        Ok(mut sections) => drop(sections.try_for_each(|section| sender.send(section))),
        Err(damaged) => drop(sender.send(Err(damaged))),
    };
    thread::Builder::new().name("snapshot".to_string()).spawn(read)?;
    Ok(sections.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Pipeline, PipelineConfig};

    fn written(sections: &[Section]) -> Vec<u8> {
        let pieces = sections.iter().flat_map(|section| pieces(section).unwrap());
        [begin()].into_iter().chain(pieces).chain([end().unwrap()]).collect::<Vec<_>>().concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Section>, Damaged> {
        Sections::new(bytes)?.collect()
    }

    #[test]
    fn sections_come_back_and_what_a_disk_bent_is_refused() {
        let config = PipelineConfig::default();
        let sections = Pipeline::new(config.clone()).unwrap().save().unwrap();
        let whole = written(&sections);
        assert_eq!(read(&whole).unwrap(), sections);
        assert_eq!(Pipeline::load(config, &sections).unwrap().save().unwrap(), sections);
        for at in 0..whole.len() {
            assert!(read(&whole[..at]).is_err(), "cut off at {at}");
            let mut bent = whole.clone();
            bent[at] ^= 1 << (at % 8);
            assert!(read(&bent).is_err(), "another bit at {at}");
        }
        let text = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(text(&[]).contains("read to its end"));
        assert!(text(&[1, 0, 0]).contains("it has form 1, and this engine reads 2"));
    }
}
