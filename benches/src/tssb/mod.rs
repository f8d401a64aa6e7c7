//! The Time Series Segmentation Benchmark: 75 stitched series with true change points.
//!
//! | file | what |
//! |---|---|
//! | `corpus.rs` | reads series and change points |
//! | `score.rs` | covering and F1 |
//! | `run.rs` | detectors on a series: onsets and when they were announced |

mod corpus;
mod run;
mod score;

pub use corpus::{Series, read};
pub use run::{Found, core_changes, segment_changes};
pub use score::{covering, f1};
