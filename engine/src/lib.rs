//! Foreshock: the streaming AIOps engine.
//!
//! `types` ← stages (`intake`, `measures`, `score`, `correlator`, `bus`) ← `pipeline` ← `run` ← `main`.

pub mod demo;
pub mod types;
