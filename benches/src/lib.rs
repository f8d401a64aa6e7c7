//! Speed and accuracy of Foreshock, always beside a peer in the same run.
//!
//! | module | what |
//! |---|---|
//! | `accuracy` | all of the below through `replay`, as one table |
//! | `nab` | the Numenta Anomaly Benchmark |
//! | `tssb` | change points on the Time Series Segmentation Benchmark |
//! | `asd` | application servers: core tier, forest and joint detector |
//! | `generated` | generated series and fleets with known truth |
//! | `incidents` | generated estates of services: incidents and their causes |
//! | `logs` | templates and sessions on labelled logs |
//! | `rank` | root causes of real faults |
//!
//! Results are recorded in `record/`. The timing benches live in `benches/`.

pub mod accuracy;
pub mod asd;
mod corpus;
pub mod generated;
pub mod incidents;
pub mod logs;
pub mod nab;
pub mod paths;
#[cfg(feature = "peers")]
pub mod peers;
pub mod rank;
pub mod shapes;
pub mod tssb;
