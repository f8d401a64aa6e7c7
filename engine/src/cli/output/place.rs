//! What the path of an output is, and that no two are one file.

use std::{
    fs, io,
    os::{
        fd::AsFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{FileTypeExt as _, MetadataExt as _},
        },
    },
    path::{Path, PathBuf},
};

use super::super::BadConfig;

/// A path of the command line, and the option that gave it; inputs have none.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Given<'a> {
    pub(in super::super) option: &'static str,
    pub(in super::super) path: &'a Path,
}

impl Given<'_> {
    fn words(&self) -> String {
        format!("{} {}", self.option, self.path.display())
    }
}

/// Refuses outputs that are one file, or that an input is in, whatever their paths.
pub(in super::super) fn refuse_shared(outputs: &[Given<'_>], inputs: &[Given<'_>]) -> Result<(), BadConfig> {
    for (index, output) in outputs.iter().enumerate() {
        let Some(identity) = Identity::of_output(output.path) else { continue };
        let same = |other: &&Given<'_>| Identity::of_output(other.path).as_ref() == Some(&identity);
        if let Some(other) = outputs[..index].iter().find(same) {
            let words = format!("{} and {} are one file", other.words(), output.words());
            return Err(BadConfig(format!("{words}: give each output its own")));
        }
        let read = |input: &&Given<'_>| Identity::of_input(input.path).as_ref() == Some(&identity);
        if let Some(input) = inputs.iter().find(read) {
            let words = format!("{} and {} are one file", output.words(), input.words());
            return Err(BadConfig(format!("{words}, which would be lost: give the output another name")));
        }
    }
    Ok(())
}

/// Where an output goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stdout,
    /// A device, a FIFO, or what this process has open: written as it is.
    Direct(PathBuf),
    /// A file that is there or will be, with symbolic links followed.
    File(PathBuf),
}

impl Place {
    pub(super) fn of(path: &Path) -> io::Result<Place> {
        if path.as_os_str() == "-" {
            return Ok(Place::Stdout);
        }
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let path = follow(path)?;
        if is_of_kernel(&path) {
            return Ok(if is_stdout(&path) { Place::Stdout } else { Place::Direct(path) });
        }
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => Ok(Place::Direct(path)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(Place::File(path)),
        }
    }
}

/// Most symbolic links on the way to a file, as in Linux.
const LINKS: usize = 40;

/// The place that a path leads to, in a folder without symbolic links. Nothing has to be there.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
        path = folder.join(name);
        match fs::read_link(&path) {
            Ok(target) if !is_of_kernel(&path) => path = folder.join(target),
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Whether the path is one of the kernel's names, which lead to open files and can not be renamed.
fn is_of_kernel(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev/fd")
}

/// Whether it is another name of stdout: `/dev/stdout` leads there.
fn is_stdout(path: &Path) -> bool {
    let open = ["/proc/self/fd", "/dev/fd"].map(|folder| Path::new(folder).canonicalize().ok());
    let folder = path.parent().map(Path::to_path_buf);
    path.ends_with("1") && folder.is_some() && open.contains(&folder)
}

/// What is the same by whatever path.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// A file, a FIFO or a socket, by device and inode.
    Inode(u64, u64),
    /// It is not there yet.
    Missing(PathBuf),
    /// A terminal or a device that is stdout.
    Stdout,
}

impl Identity {
    /// That of an output; devices take everything and have none, and what cannot be reached fails where it is opened.
    fn of_output(path: &Path) -> Option<Identity> {
        match Place::of(path).ok()? {
            Place::Stdout => {
                let stdout = fs::File::from(io::stdout().as_fd().try_clone_to_owned().ok()?);
                Some(Identity::of(&stdout.metadata().ok()?).unwrap_or(Identity::Stdout))
            }
            Place::Direct(path) => Identity::of(&fs::metadata(path).ok()?),
            Place::File(path) => match fs::metadata(&path) {
                Ok(found) => Identity::of(&found),
                Err(_) => Some(Identity::Missing(path)),
            },
        }
    }

    fn of_input(path: &Path) -> Option<Identity> {
        Identity::of(&fs::metadata(path).ok()?)
    }

    fn of(found: &fs::Metadata) -> Option<Identity> {
        let is_device = found.file_type().is_char_device() || found.file_type().is_block_device();
        (!is_device).then(|| Identity::Inode(found.dev(), found.ino()))
    }
}
