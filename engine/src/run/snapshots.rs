//! Snapshots in a folder (through `object_store`): written whole, the newest few kept, one engine per folder. Four bytes at the end are the
//! CRC-32 of the rest: what a disk bent is refused, not understood in part.

use std::{fs::File, path::PathBuf, sync::Arc};

use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path};

use super::RunError;
use crate::{config::Snapshots, pipeline::Snapshot};

/// The folder of snapshots.
pub(super) struct Store {
    store: Arc<dyn ObjectStore>,
    runtime: tokio::runtime::Handle,
    folder: PathBuf,
    keep: usize,
    next: u64,
    /// Held while the engine lives.
    _lock: File,
}

fn name(number: u64) -> Path {
    Path::from(format!("snapshot-{number:012}.bin"))
}

impl Store {
    /// Opens the folder, makes it where it is missing, and takes it for this process.
    pub(super) fn open(config: &Snapshots, runtime: tokio::runtime::Handle) -> Result<Store, RunError> {
        let folder = config.folder.clone();
        let refuse = |problem: String| RunError::Snapshots { folder: folder.display().to_string(), problem };
        std::fs::create_dir_all(&folder).map_err(|error| refuse(error.to_string()))?;
        let lock = File::create(folder.join("lock")).map_err(|error| refuse(error.to_string()))?;
        lock.try_lock()
            .map_err(|_| refuse("another engine uses it: give each its own snapshots.folder".to_string()))?;
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

    /// The newest snapshot, or `None` in an empty folder.
    pub(super) fn newest(&mut self) -> Result<Option<Snapshot>, RunError> {
        let Some(number) = self.numbers()?.last().copied() else { return Ok(None) };
        self.next = number + 1;
        let read = async { self.store.get(&name(number)).await?.bytes().await };
        let bytes = self.runtime.block_on(read).map_err(|error| self.refuse(error))?;
        let snapshot = unsealed(&bytes).map_err(|problem| {
            self.refuse(format!(
                "{} is damaged ({problem}): remove it to begin with the one before",
                name(number)
            ))
        })?;
        Ok(Some(snapshot))
    }

    /// Writes a snapshot; when this returns it is there in whole, and older ones are thinned out. Gives its size.
    pub(super) fn write(&mut self, snapshot: &Snapshot) -> Result<usize, RunError> {
        let bytes = sealed(snapshot).map_err(|error| self.refuse(error))?;
        let size = bytes.len();
        let location = name(self.next);
        let put = self.store.put(&location, bytes.into());
        self.runtime.block_on(put).map_err(|error| self.refuse(error))?;
        self.sync(&self.folder.join(name(self.next).as_ref()))?;
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

fn sealed(snapshot: &Snapshot) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = postcard::to_stdvec(snapshot)?;
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    Ok(bytes)
}

fn unsealed(bytes: &[u8]) -> Result<Snapshot, String> {
    let (state, seal) = bytes.split_last_chunk::<4>().ok_or("it is empty")?;
    if crc32fast::hash(state) != u32::from_le_bytes(*seal) {
        return Err("its checksum is another".to_string());
    }
    postcard::from_bytes(state).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Pipeline, PipelineConfig};

    #[test]
    fn what_a_disk_bent_is_refused() {
        let snapshot = Pipeline::new(PipelineConfig::default()).unwrap().save().unwrap();
        let whole = sealed(&snapshot).unwrap();
        assert!(unsealed(&whole).is_ok());
        for at in 0..whole.len() {
            assert!(unsealed(&whole[..at]).is_err(), "cut off at {at}");
            let mut bent = whole.clone();
            bent[at] ^= 1 << (at % 8);
            assert!(unsealed(&bent).is_err(), "another bit at {at}");
        }
    }
}
