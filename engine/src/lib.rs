//! Foreshock: the streaming AIOps engine.
//!
//! `types` ← stages (`intake`, `measures`, `score`, `correlator`, `bus`) ← `pipeline` ← `run` ← `main`. `connect` is how
//! any of them that speaks to Kafka gets there; `history` reads the past of series; `sinks` tell others of incidents;
//! `controllers` are the hands at the other end of the bus. `templates` and `stack` bound what people write.

pub mod audit;
pub mod bus;
#[cfg(test)]
mod chance;
pub mod cli;
pub mod config;
mod connect;
pub mod controllers;
pub mod correlator;
pub mod demo;
pub mod diff;
mod history;
pub mod intake;
pub mod measures;
pub mod pipeline;
pub mod produce;
pub mod rank;
pub mod replay;
pub mod run;
pub mod score;
pub mod serve;
pub mod silences;
mod sinks;
pub mod sql;
mod stack;
mod templates;
pub mod types;
