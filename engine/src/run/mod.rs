//! The shell around the pipeline (being written).

mod handle;

pub use handle::{Command, Handle, PartitionStatus, Status, Stopped};
