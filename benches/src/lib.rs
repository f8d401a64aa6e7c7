//! Speed and accuracy of Foreshock, always beside a peer in the same run.
//!
//! `nab` scores detectors on the Numenta Anomaly Benchmark, `logs` templates and sessions on labelled logs. The timing
//! benches live in `benches/`.

pub mod logs;
pub mod nab;
pub mod paths;
