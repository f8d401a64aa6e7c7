//! Foreshock: the streaming AIOps engine.
//!
//! The shell around the stages of `foreshock-core`: `connect` is how anything that speaks to Kafka gets there, `run` the engine at work,
//! `api` is what can be asked of it
//! and said to it, `serve` its gRPC and HTTP, `sinks` tell others of incidents, `history` reads the past of series, `replay` and `rank` read files, and
//! `cli` is the command line.

pub mod api;
pub mod audit;
pub mod cli;
mod connect;
#[cfg(feature = "controllers")]
pub mod demo;
pub mod diff;
mod history;
mod measures;
pub mod produce;
pub mod rank;
pub mod replay;
pub mod run;
pub mod serve;
mod sinks;
