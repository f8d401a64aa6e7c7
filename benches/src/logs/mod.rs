//! Logs: lines to templates on sixteen systems' labelled logs, sessions of events to alarms on HDFS blocks.
//!
//! | file | what |
//! |---|---|
//! | `corpus.rs` | reads lines with their true templates, and sessions |
//! | `grouping.rs` | grouping accuracy |
//! | `drain.rs` | a plain Drain, the peer |
//! | `drain3.py`, `python.rs` | drain3 itself, where a Python has it |
//! | `sessions.rs` | the session bank, its peer, and what the labels allow |

mod corpus;
mod drain;
mod grouping;
mod python;
mod sessions;

pub use crate::corpus::CorpusError;
pub use corpus::{Session, System, read_sessions, read_systems};
pub use drain::Drain;
pub use grouping::{Mined, grouping_accuracy, mine, mine_with_drain};
pub use python::{Drain3Error, drain3};
pub use sessions::{Judged, by_counts, by_session_bank, ceiling, numbered};
