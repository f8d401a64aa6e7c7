//! Speed and accuracy of Foreshock, always beside a peer in the same run.
//!
//! | module | what |
//! |---|---|
//! | `nab` | the Numenta Anomaly Benchmark |
//! | `tssb` | change points on the Time Series Segmentation Benchmark |
//! | `asd` | application servers: core tier and forest together |
//! | `generated` | generated series with known truth |
//!
//! Each has a program of its name in `src/bin` and a record in `record/`. The timing benches live in `benches/`.

pub mod asd;
pub mod generated;
pub mod nab;
pub mod paths;
pub mod tssb;
