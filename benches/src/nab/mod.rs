//! The Numenta Anomaly Benchmark, version 1.1: 58 series, 116 windows.
//!
//! | file | what |
//! |---|---|
//! | `corpus.rs` | reads series, windows and published detectors' scores |
//! | `scorer.rs` | the benchmark's scoring, with a fitted or a fixed threshold |

mod corpus;
mod scorer;

pub use crate::corpus::CorpusError;
pub use corpus::{Series, published, read, scores_of_peer};
pub use scorer::{Fitted, PROFILES, Profile, Rows, crossed, fit, rows};
