//! Snapshots in a folder (through `object_store`): written whole, the newest few kept, one engine per folder. They are written and read in
//! parts, while the next one is made or understood.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use foreshock_core::{
    config::Snapshots,
    pipeline::file::{self, Damaged},
    types::Section,
};
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart, local::LocalFileSystem, path::Path};
use tokio::runtime::Handle;

use super::RunError;

/// The folder of snapshots.
pub(super) struct Store {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    folder: PathBuf,
    keep: usize,
    next: u64,
    /// Held while the engine lives.
    _lock: File,
}

/// Bytes that are written and read at once, and how many such parts are on their way to the disk.
const PART: usize = 2 << 20;
const PARTS: usize = 4;

fn name(number: u64) -> Path {
    Path::from(format!("snapshot-{number:012}.bin"))
}

impl Store {
    /// Opens the folder, makes it where it is missing, and takes it for this process.
    pub(super) fn open(config: &Snapshots, runtime: Handle) -> Result<Store, RunError> {
        let folder = config.folder.clone();
        let refuse = |problem: String| RunError::Snapshots { folder: folder.display().to_string(), problem };
        std::fs::create_dir_all(&folder).map_err(|error| refuse(error.to_string()))?;
        let lock = File::create(folder.join("lock")).map_err(|error| refuse(error.to_string()))?;
        lock.try_lock()
            .map_err(|_| refuse("another engine uses it: give each its own snapshots.folder".to_string()))?;
        remove_unfinished(&folder).map_err(|error| refuse(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| refuse(error.to_string()))?;
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        Ok(Store { store, runtime, folder, keep: config.keep, next: 0, _lock: lock })
    }

    fn refuse(&self, problem: impl ToString) -> RunError {
        RunError::Snapshots { folder: self.folder.display().to_string(), problem: problem.to_string() }
    }

    /// Numbers of the snapshots, rising.
    fn numbers(&self) -> Result<Vec<u64>, RunError> {
        let listed = self
            .runtime
            .block_on(self.store.list_with_delimiter(None))
            .map_err(|error| self.refuse(error))?;
        let number = |path: &Path| {
            path.filename()?.strip_prefix("snapshot-")?.strip_suffix(".bin")?.parse::<u64>().ok()
        };
        let mut numbers: Vec<u64> =
            listed.objects.iter().filter_map(|object| number(&object.location)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The sections of the newest snapshot as they are read, or `None` in an empty folder.
    pub(super) fn newest(
        &mut self,
    ) -> Result<Option<impl Iterator<Item = Result<Section, RunError>>>, RunError> {
        let Some(number) = self.numbers()?.last().copied() else { return Ok(None) };
        self.next = number + 1;
        let path = name(number);
        let known = self.runtime.block_on(self.store.head(&path)).map_err(|error| self.refuse(error))?;
        let parts =
            Parts { store: self.store.clone(), runtime: self.runtime.clone(), path, at: 0, end: known.size };
        let read = BufReader::with_capacity(PART, parts);
        let sections = file::read_ahead(read).map_err(RunError::Thread)?;
        let folder = self.folder.display().to_string();
        let refuse = move |damaged: Damaged| {
            let way_out = match damaged {
                Damaged::Version { .. } => "",
                _ => "; remove it to begin with the one before",
            };
            let problem = format!("{}: {damaged}{way_out}", name(number));
            RunError::Snapshots { folder: folder.clone(), problem }
        };
        Ok(Some(sections.map(move |section| section.map_err(&refuse))))
    }

    /// Writes a snapshot of what `save` gives; when this returns it is there in whole, and older ones are thinned out. Gives its size.
    pub(super) fn write(
        &mut self,
        save: impl FnOnce(&mut dyn FnMut(Section) -> Result<(), RunError>) -> Result<(), RunError>,
    ) -> Result<usize, RunError> {
        let path = name(self.next);
        let upload =
            self.runtime.block_on(self.store.put_multipart(&path)).map_err(|error| self.refuse(error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut size = 0;
        let mut put = |piece: Bytes| {
            size += piece.len();
            let put = async {
                upload.wait_for_capacity(PARTS).await?;
                upload.put(piece);
                Ok::<(), object_store::Error>(())
            };
            self.runtime.block_on(put).map_err(|error| self.refuse(error))
        };
        let written = put(file::begin())
            .and_then(|()| {
                save(&mut |section| {
                    file::pieces(&section)
                        .map_err(|error| self.refuse(error))?
                        .into_iter()
                        .try_for_each(&mut put)
                })
            })
            .and_then(|()| put(file::end().map_err(|error| self.refuse(error))?));
        if let Err(error) = written {
            // What was written of it goes away; if not, it is no snapshot by its name.
            drop(self.runtime.block_on(upload.abort()));
            return Err(error);
        }
        self.runtime.block_on(upload.finish()).map_err(|error| self.refuse(error))?;
        self.sync(&self.folder.join(path.as_ref()))?;
        self.sync(&self.folder)?;
        self.next += 1;
        let numbers = self.numbers()?;
        for number in &numbers[..numbers.len().saturating_sub(self.keep)] {
            self.runtime.block_on(self.store.delete(&name(*number))).map_err(|error| self.refuse(error))?;
        }
        Ok(size)
    }

    /// Survives a loss of power.
    fn sync(&self, path: &std::path::Path) -> Result<(), RunError> {
        File::open(path).and_then(|file| file.sync_all()).map_err(|error| self.refuse(error))
    }
}

/// Removes what an engine that was killed had begun to write: the store gives it its name, with `#` and a number, until it is whole.
fn remove_unfinished(folder: &std::path::Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("snapshot-") && name.to_string_lossy().contains(".bin#") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A file of the store, read part by part.
struct Parts {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    path: Path,
    at: u64,
    end: u64,
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let to = self.end.min(self.at + into.len() as u64);
        if to == self.at {
            return Ok(0);
        }
        let part = self.runtime.block_on(self.store.get_range(&self.path, self.at..to))?;
        let (begin, _) = into.split_at_mut(part.len().min(into.len()));
        begin.copy_from_slice(&part[..begin.len()]);
        self.at += begin.len() as u64;
        Ok(begin.len())
    }
}

#[cfg(test)]
mod tests {
    use foreshock_core::config::Duration;

    use super::*;

    #[test]
    fn the_newest_whole_one_counts_and_what_was_begun_goes() {
        let folder = tempfile::tempdir().unwrap();
        let config =
            Snapshots { folder: folder.path().to_path_buf(), every: Duration::from_secs(60), keep: 2 };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let section = |text: &str| Section::save("a", 1, &text.repeat(3_000_000)).unwrap();
        let begun = folder.path().join("snapshot-000000000009.bin#1");
        std::fs::write(&begun, "begun").unwrap();
        let mut store = Store::open(&config, runtime.handle().clone()).unwrap();
        assert!(!begun.exists(), "left behind by one that was killed");
        assert!(store.newest().unwrap().is_none());
        for text in ["one", "two", "three"] {
            let size = store.write(|take| take(section(text))).unwrap();
            assert!(size > text.len() * 3_000_000);
        }
        let failed = store.write(|take| {
            take(section("half"))?;
            Err(RunError::Lost(1))
        });
        assert!(matches!(failed, Err(RunError::Lost(1))));
        drop(store);
        let mut store = Store::open(&config, runtime.handle().clone()).unwrap();
        let read: Result<Vec<Section>, RunError> = store.newest().unwrap().unwrap().collect();
        assert_eq!(read.unwrap(), [section("three")]);
        assert_eq!(store.numbers().unwrap(), [1, 2]);

        let path = folder.path().join("snapshot-000000000002.bin");
        let mut bent = std::fs::read(&path).unwrap();
        bent[5_000_000] ^= 4;
        std::fs::write(&path, bent).unwrap();
        let read: Result<Vec<Section>, RunError> = store.newest().unwrap().unwrap().collect();
        let text = read.unwrap_err().to_string();
        let said = "snapshot-000000000002.bin: the checksum of section \"a\" is another; remove it";
        assert!(text.contains(said), "{text}");
        std::fs::write(&path, [1, 0, 0]).unwrap();
        let read: Result<Vec<Section>, RunError> = store.newest().unwrap().unwrap().collect();
        let text = read.unwrap_err().to_string();
        assert!(text.ends_with("empty the folder to start cold, or use the engine that wrote it"), "{text}");
    }
}
