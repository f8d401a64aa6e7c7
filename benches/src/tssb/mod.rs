//! The Time Series Segmentation Benchmark: 75 stitched series with true change points.
//!
//! | file | what |
//! |---|---|
//! | `corpus.rs` | reads series and change points |
//! | `score.rs` | covering and F1 |

mod corpus;
mod score;

pub use corpus::{Series, read};
pub use score::{covering, f1};
