//! Accuracy on labelled and on generated data does not fall below its floors. Which test holds what: `benches/README.md`.
#![cfg(test)]

mod asd_engine;
mod asd_floor;
mod generated_floor;
mod incidents_floor;
mod logs_floor;
mod nab_band;
mod nab_floor;
mod nab_scorer;
mod tssb_floor;
