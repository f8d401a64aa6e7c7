//! Application server data: 12 servers of 19 metrics, 30 days to learn from and 15 days with labels.
//!
//! | file | what |
//! |---|---|
//! | `corpus.rs` | reads the servers, and a peer's scores |
//! | `entity.rs` | core tier, forest and their combination, as the engine does it |
//! | `events.rs` | episodes: F1 and alarms per day |
//! | `volume.rs` | volume under the precision-recall surface |

mod corpus;
mod entity;
mod events;
mod volume;

pub use corpus::{Server, peer, read};
pub use entity::{ServerScores, scores};
pub use events::{Tally, best_threshold, tally};
pub use volume::{auc_pr, vus_pr};
