//! The stages of the engine, pure: records in, anomalies, incidents and signals out. No I/O but the configuration's own files, no clock,
//! no async; equal records give equal output, bit for bit.
//!
//! `types` ← stages (`intake`, `measures`, `score`, `correlator`, `bus`) ← `pipeline`, which names them all and what passes between them.
//! `config` is what an operator writes; `templates` and `stack` bound it.

pub mod bus;
#[cfg(test)]
mod chance;
pub mod config;
pub mod correlator;
pub mod intake;
pub mod measures;
pub mod pipeline;
pub mod score;
pub mod silences;
pub mod stack;
pub mod templates;
pub mod types;
