//! Where commands write: the files that they make, and the two streams.
//!
//! * `files`: results, each beside its place until the command has ended well · `place`: what the path of an output is, and that it
//!   is no input · `interrupt`: Ctrl-C leaves no half of a file behind · `stream`: stdout and stderr

mod files;
mod interrupt;
mod place;
mod stream;

pub(super) use files::OutputFiles;
pub(super) use place::{Given, refuse_shared};
#[cfg(feature = "controllers")]
pub(super) use stream::stdout;
pub(super) use stream::{is_gone, print, say, write_to_stderr};

/// Says something on stderr, one line. Who cannot be told is not told.
macro_rules! talk {
    ($($words:tt)*) => {
        $crate::cli::output::write_to_stderr(format_args!($($words)*))
    };
}

pub(super) use talk;
