//! Ctrl-C leaves no half of a file behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// What is being written, of the whole process: a signal is one of the process too.
static BEGUN: Mutex<Begun> = Mutex::new(Begun { paths: Vec::new(), is_watched: false });

/// Files that are not finished.
#[derive(Debug)]
pub(super) struct Begun {
    paths: Vec<PathBuf>,
    is_watched: bool,
}

/// The list. While it is held, no signal ends the process.
pub(super) fn begun() -> MutexGuard<'static, Begun> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The list, to add to it: signals are waited for from the first time on.
pub(super) fn begun_and_watched() -> io::Result<MutexGuard<'static, Begun>> {
    let mut begun = begun();
    if !begun.is_watched {
        watch()?;
        begun.is_watched = true;
    }
    Ok(begun)
}

impl Begun {
    /// Adds one that was made.
    pub(super) fn add(&mut self, path: &Path) {
        self.paths.push(path.to_path_buf());
    }

    /// Forgets one that got its name.
    pub(super) fn forget(&mut self, path: &Path) {
        self.paths.retain(|known| known != path);
    }

    /// Takes one away that will not be finished.
    pub(super) fn remove(&mut self, path: &Path) {
        if self.paths.iter().any(|known| known == path) {
            fs::remove_file(path).ok();
            self.forget(path);
        }
    }
}

/// Takes away what is not finished when a signal would end the process, and ends it with 128 and the signal's number.
fn watch() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ends = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
    let mut signals = {
        let _entered = runtime.enter();
        let heard = ends.into_iter().filter(|kind| !is_ignored(*kind));
        heard.map(|kind| Ok((kind, signal(kind)?))).collect::<io::Result<Vec<_>>>()?
    };
    let wait = move || {
        let kind = first(&runtime, &mut signals);
        let mut begun = begun();
        for path in std::mem::take(&mut begun.paths) {
            fs::remove_file(path).ok();
        }
        std::process::exit(128 + kind.as_raw_value());
    };
    std::thread::Builder::new().name("signals".to_string()).spawn(wait)?;
    Ok(())
}

/// Waits for the first of them.
fn first(runtime: &Runtime, signals: &mut [(SignalKind, Signal)]) -> SignalKind {
    runtime.block_on(std::future::poll_fn(|context| {
        let mut kinds = signals
            .iter_mut()
            .filter_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind));
        kinds.next().map_or(Poll::Pending, Poll::Ready)
    }))
}

/// Whether who started the process wants it to ignore a signal, as `nohup` does. Where the system does not say, it is not ignored.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored >> (kind.as_raw_value() - 1) & 1 == 1
}
