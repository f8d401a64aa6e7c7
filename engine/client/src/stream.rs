//! Stdout and stderr. Data that cannot be written ends the command; talk that cannot be written is lost.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::Context;

/// What an output answered instead of taking what was written.
#[derive(Debug, thiserror::Error)]
#[error("{output}: {source}")]
struct NotTaken {
    output: String,
    source: io::Error,
}

/// A writer whose errors say which output they are of.
#[derive(Debug)]
pub struct Named<W> {
    output: String,
    inner: W,
}

impl<W: Write> Named<W> {
    /// Names an output.
    pub fn new(output: String, inner: W) -> Named<W> {
        Named { output, inner }
    }

    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result
            .map_err(|source| io::Error::new(source.kind(), NotTaken { output: self.output.clone(), source }))
    }
}

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.named(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.named(flushed)
    }
}

/// The one way to stdout.
pub fn stdout() -> Named<io::Stdout> {
    Named::new("stdout".to_string(), io::stdout())
}

/// Writes a line of data.
pub fn say(line: &str) -> anyhow::Result<()> {
    print(&format!("{line}\n"))
}

/// Writes data as it is.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write")
}

/// Whether the reader of an output has gone: it has read enough, and nobody is told. A connection that broke is something else.
pub fn is_gone(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| {
        let is_ours = cause.get_ref().is_some_and(|inner| inner.is::<NotTaken>());
        is_ours && cause.kind() == io::ErrorKind::BrokenPipe
    })
}

/// Writes a line to stderr, if it takes one: `eprintln!` would panic.
pub fn write_to_stderr(words: fmt::Arguments<'_>) {
    let line = format!("{words}\n");
    io::stderr().write_all(line.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every write with this error.
    struct Refuses(io::ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_the_reader_of_an_output_goes_quietly() {
        let write = |kind| Named::new("scores.csv".to_string(), Refuses(kind)).write_all(b"x");
        let of_output =
            |kind| anyhow::Error::new(write(kind).unwrap_err()).context("cannot write the scores");
        assert!(is_gone(&of_output(io::ErrorKind::BrokenPipe)));
        assert!(!is_gone(&of_output(io::ErrorKind::StorageFull)));
        assert!(!is_gone(&anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe))));
        let words = format!("{:#}", of_output(io::ErrorKind::StorageFull));
        assert!(words.starts_with("cannot write the scores: scores.csv: "), "{words}");
    }
}
