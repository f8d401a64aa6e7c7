//! Generated series with known truth: seeded, the same on every machine.
//!
//! | file | what |
//! |---|---|
//! | `random.rs` | random numbers from a seed |
//! | `changes.rs` | series with change points, and without |
//! | `faults.rs` | series like those of a fleet, with faults |
//! | `report.rs` | what comes of reporting them: precision, recall, delay |
//! | `fleet.rs` | whole fleets without a fault |

pub mod changes;
pub mod faults;
pub mod fleet;
pub mod random;
pub mod report;
