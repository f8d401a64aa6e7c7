//! Speed and accuracy of Foreshock, always beside a peer in the same run.
//!
//! `nab` scores detectors on the Numenta Anomaly Benchmark. The timing benches live in `benches/`.

pub mod nab;
pub mod paths;
