//! Where commands write: the files that they make, and the two streams.
//!
//! * `files`: results, each beside its place until the command has ended well · `place`: what the path of an output is, and that it
//!   is no input · `interrupt`: Ctrl-C leaves no half of a file behind

mod files;
mod interrupt;
mod place;

pub(super) use files::OutputFiles;
#[cfg(feature = "controllers")]
pub(super) use foreshock_client::stream::stdout;
pub(super) use foreshock_client::{
    stream::{print, say},
    talk,
};
pub(super) use place::{Given, refuse_shared};
