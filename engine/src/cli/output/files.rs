//! Results: each file is written beside its place and gets its name once the command has ended well.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, ErrorKind, Write},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{MetadataExt as _, chown},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use foreshock_client::stream::{Named, stdout};

use super::{
    interrupt::{begun, begun_and_watched},
    place::Place,
};

/// The files that a command makes. Dropped before [`OutputFiles::finish`], all is as it was before.
#[derive(Debug, Default)]
pub(in super::super) struct OutputFiles {
    beside: Vec<Beside>,
}

impl OutputFiles {
    /// Opens an output; `-` is stdout. A file is there under its name after [`OutputFiles::finish`], devices and FIFOs are
    /// written at once.
    pub(in super::super) fn open(&mut self, path: &Path) -> anyhow::Result<Box<dyn Write>> {
        let shown = path.display().to_string();
        let unusable = || format!("cannot write {shown}");
        let file = match Place::of(path).with_context(unusable)? {
            Place::Stdout => return Ok(Box::new(BufWriter::new(stdout()))),
            Place::Direct(place) => OpenOptions::new().append(true).open(place).with_context(unusable)?,
            Place::File(place) => {
                let beside = Beside::begin(&place).with_context(unusable)?;
                let file = beside.file.try_clone().with_context(unusable)?;
                self.beside.push(beside);
                file
            }
        };
        Ok(Box::new(BufWriter::new(Named::new(shown, file))))
    }

    /// Gives every file its name, once all of them are on the disk. Nothing may be left in their writers.
    pub(in super::super) fn finish(self) -> anyhow::Result<()> {
        let unusable = |beside: &Beside| format!("cannot write {}", beside.place.display());
        for beside in &self.beside {
            beside.file.sync_all().with_context(|| unusable(beside))?;
        }
        let mut begun = begun();
        for beside in &self.beside {
            fs::rename(&beside.path, &beside.place).with_context(|| unusable(beside))?;
            begun.forget(&beside.path);
            // Only a power cut can take the new name away again, and not every file system syncs folders.
            let folder = beside.place.parent().and_then(|folder| File::open(folder).ok());
            folder.and_then(|folder| folder.sync_all().ok());
        }
        Ok(())
    }
}

/// A file that is written beside the place where it will be.
#[derive(Debug)]
struct Beside {
    file: File,
    path: PathBuf,
    place: PathBuf,
}

/// How often a file is begun where others begin the same one.
const ATTEMPTS: usize = 8;

impl Beside {
    /// Begins one, with the permissions of what it will replace. What a killed process left is taken away.
    fn begin(place: &Path) -> anyhow::Result<Beside> {
        let replaced = replaced(place)?;
        let path = beside(place);
        for _ in 0..ATTEMPTS {
            let Some(file) = create(&path)? else { continue };
            let begun = Beside { file, path, place: place.to_path_buf() };
            if let Some(replaced) = replaced {
                begun.take_over(&replaced)?;
            }
            return Ok(begun);
        }
        bail!(is_taken(&path))
    }

    /// The owner, where we may give files away, and the permissions.
    fn take_over(&self, replaced: &fs::Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        let owner = |own: u32, wanted: u32| (own != wanted).then_some(wanted);
        let (user, group) = (owner(own.uid(), replaced.uid()), owner(own.gid(), replaced.gid()));
        if user.is_some() || group.is_some() {
            chown(&self.path, user, group).or_else(|_| chown(&self.path, None, group)).ok();
        }
        self.file.set_permissions(replaced.permissions())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        begun().remove(&self.path);
    }
}

/// What lies at the place now. What may not be written may not be replaced either.
fn replaced(place: &Path) -> io::Result<Option<fs::Metadata>> {
    match OpenOptions::new().write(true).open(place) {
        Ok(file) => file.metadata().map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Longest start of a name that is kept, bytes: with what comes to it no name is longer than a file system allows.
const NAME: usize = 200;

/// Where a file is written until it is whole: `.scores.csv.foreshock-part`.
fn beside(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().as_bytes();
    let mut hidden = vec![b'.'];
    hidden.extend_from_slice(&name[..name.len().min(NAME)]);
    if name.len() > NAME {
        hidden.extend_from_slice(format!(".{:08x}", crc32fast::hash(name)).as_bytes());
    }
    hidden.extend_from_slice(b".foreshock-part");
    place.with_file_name(OsString::from_vec(hidden))
}

/// Makes the file at this path and locks it, unless another process is faster. A signal takes it away from then on.
fn create(path: &Path) -> anyhow::Result<Option<File>> {
    let mut begun = begun_and_watched()?;
    match File::create_new(path) {
        Ok(file) if owns(&file, path)? => {
            begun.add(path);
            Ok(Some(file))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => clear(path).map(|()| None),
        Err(error) => {
            let folder = path.parent().unwrap_or(path).display();
            Err(error).with_context(|| format!("no file can be made in {folder}, name another folder"))
        }
    }
}

/// Locks a file, and says whether it is ours alone, and the one at this path.
fn owns(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        // Not every file system has locks.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let own = file.metadata()?;
    Ok(fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

/// Takes away what a killed process left.
fn clear(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(there) if there.is_file() => {}
        _ => bail!(is_taken(path)),
    }
    let left = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.with_context(|| is_taken(path))?,
    };
    if !owns(&left, path)? {
        bail!(is_taken(path));
    }
    fs::remove_file(path).with_context(|| is_taken(path))
}

fn is_taken(path: &Path) -> String {
    format!("another command writes {}: wait for its end, or remove that file", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn write(files: &mut OutputFiles, path: &Path, text: &str) {
        let mut out = files.open(path).unwrap();
        out.write_all(text.as_bytes()).unwrap();
        out.flush().unwrap();
    }

    #[test]
    fn files_get_their_names_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old.csv"), folder.path().join("new.csv"));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
        let mut files = OutputFiles::default();
        write(&mut files, &old, "newer");
        write(&mut files, &new, "new");
        assert_eq!(fs::read_to_string(&old).unwrap(), "old");
        assert_eq!(names(folder.path()), [".new.csv.foreshock-part", ".old.csv.foreshock-part", "old.csv"]);
        files.finish().unwrap();
        assert_eq!(names(folder.path()), ["new.csv", "old.csv"]);
        assert_eq!(fs::read_to_string(&old).unwrap(), "newer");
        assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_is_not_finished_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old.csv");
        fs::write(&old, "old").unwrap();
        let mut files = OutputFiles::default();
        write(&mut files, &old, "newer");
        drop(files);
        let panicked = std::panic::catch_unwind(|| {
            let mut files = OutputFiles::default();
            write(&mut files, &old, "newer");
            panic!("a test");
        });
        assert!(panicked.is_err());
        assert_eq!(
            (names(folder.path()), fs::read_to_string(&old).unwrap()),
            (vec!["old.csv".into()], "old".into())
        );
    }

    #[test]
    fn what_a_killed_process_left_is_taken_over_and_what_another_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("scores.csv");
        fs::write(beside(&place), "half a line that was lef").unwrap();
        let mut files = OutputFiles::default();
        write(&mut files, &place, "whole\n");
        let refused = OutputFiles::default().open(&place).err().unwrap();
        assert!(format!("{refused:#}").contains("another command writes"), "{refused:#}");
        files.finish().unwrap();
        assert_eq!(
            (names(folder.path()), fs::read_to_string(&place).unwrap()),
            (vec!["scores.csv".into()], "whole\n".into())
        );
    }

    #[test]
    fn long_names_stay_different_and_possible() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = OutputFiles::default();
        let places = ["a", "b"].map(|end| folder.path().join(format!("{}{end}", "x".repeat(250))));
        places.iter().for_each(|place| write(&mut files, place, "whole"));
        files.finish().unwrap();
        assert_eq!(names(folder.path()).len(), 2);
    }
}
