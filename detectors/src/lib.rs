//! Streaming anomaly and change-point detectors, in columns, for many series at once.
//!
//! No I/O, no async, no clock, no random source: time comes in the [`Frame`], seeds in the configuration.
//! A [`SeriesBank`] scores one value per series and frame, an [`EntityBank`] a row of residuals per entity.
//!
//! | module | what |
//! |---|---|
//! | `absence` | series that no longer report |
//! | `bank` | the contracts: frames in, scores out |
//! | `columns` | the snapshot form of a bank's state |
//! | `conformance` | what every detector promises, as checks |
//! | `core` | the core tier: decomposition, change point and calibration in one pass |
//! | `drift` | outcomes of a model whose shares change |
//! | `forest` | the streaming isolation forest over entities |
//! | `joint` | the deep tier's view of an entity: measures that part from one another |
//! | `segment` | the deep tier of a series: change points and shapes, in a window |
//! | `session` | sequences of events: unknown events, counts and orders |

mod absence;
mod bank;
mod columns;
pub mod conformance;
mod core;
mod dispatch;
mod drift;
mod forest;
mod joint;
mod kernels;
mod segment;
mod session;

pub use absence::AbsenceBank;
pub use bank::{EntityBank, EntityScores, Frame, Scores, SeriesBank, Speaker, score_of};
pub use columns::{ColumnData, Columns, LoadError};
pub use core::{CoreBank, CoreConfig};
pub use drift::{Drift, DriftConfig, DriftScore, psi};
pub use forest::{ForestBank, ForestConfig};
pub use joint::{JointBank, JointConfig};
pub use segment::{SegmentBank, SegmentConfig};
pub use session::{SessionBank, SessionConfig, SessionScore, SessionSpeaker};

/// The page's code is a test: it is compiled and run as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-a-detector.md")]
struct WritingADetector;
