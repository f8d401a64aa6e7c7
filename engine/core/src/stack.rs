//! A stack that is large enough for what people write: trees of it are read, walked and dropped on a thread of their own.
//!
//! The texts are bounded (16 KiB), so that their trees are: every byte is at most one level, and none takes more than 4 KiB of stack in a
//! debug build. The memory is only reserved; what is not touched costs nothing.

use std::{io, panic, thread};

/// Bytes of the stack.
const STACK: usize = 64 << 20;

/// Does something where the stack is large.
pub fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("deep".to_string()).stack_size(STACK);
        #[cfg(test)]
        let work = || measured::measure(work);
        let thread = builder.spawn_scoped(scope, work)?;
        let done = thread.join().unwrap_or_else(|broken| panic::resume_unwind(broken));
        #[cfg(test)]
        let done = measured::note(done);
        Ok(done)
    })
}

/// What such threads took, for tests.
#[cfg(test)]
pub(crate) mod measured {
    use std::cell::Cell;

    thread_local! {
        static MOST: Cell<u64> = const { Cell::new(0) };
    }

    /// The most bytes that such a thread of this one has held since this was asked last.
    pub(crate) fn most() -> u64 {
        MOST.replace(0)
    }

    pub(super) fn measure<T>(work: impl FnOnce() -> T) -> (T, u64) {
        let mut done = None;
        let used = allocation_counter::measure(|| done = Some(work()));
        (done.expect("it is measured as soon as it is done"), used.bytes_max)
    }

    pub(super) fn note<T>((done, bytes): (T, u64)) -> T {
        MOST.with(|most| most.set(most.get().max(bytes)));
        done
    }
}
