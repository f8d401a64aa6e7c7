//! The stages of the engine, pure: records in, anomalies, incidents and signals out. No I/O but the configuration's own files, no clock,
//! no async; equal records give equal output, bit for bit.
//!
//! `types` ← stages (`intake`, `measures`, `score`, `correlator`, `bus`) ← `pipeline`, which names them all and what passes between them.
//! `config` is what an operator writes; `templates` and `stack` bound it.
//!
//! ```
//! use foreshock_core::{
//!     pipeline::{Effect, Event, Pipeline, PipelineConfig},
//!     types::{Record, Source},
//! };
//!
//! // A latency every ten seconds, which jumps in the end.
//! let sample = |tick: i64| {
//!     let (at, value) = (1_767_225_600 + 10 * tick, if tick < 390 { 20 + tick % 7 } else { 900 });
//!     let payload = format!(
//!         r#"{{"name": "latency", "value": "{value}", "timestamp": "{}", "labels": {{"service": "cart"}}}}"#,
//!         jiff::Timestamp::from_second(at).unwrap(),
//!     );
//!     Record { offset: tick, time_ms: 1000 * at, payload: payload.into(), ..Record::default() }
//! };
//! let records: Vec<Record> = (0..400).map(sample).collect();
//!
//! let mut pipeline = Pipeline::new(PipelineConfig::default()).unwrap();
//! let source = Source { topic: "metrics".into(), partition: 0 };
//! pipeline.on_event(Event::Assign(source.clone()));
//! let mut effects = pipeline.on_event(Event::Records { source: &source, records: &records });
//! effects.extend(pipeline.on_event(Event::Flush));
//!
//! let anomalies = effects.iter().filter_map(|effect| match effect {
//!     Effect::Anomaly(anomaly) => Some(anomaly),
//!     _ => None,
//! });
//! let first = anomalies.into_iter().next().unwrap();
//! assert_eq!(first.series, "service/cart latency");
//! assert!(first.value > first.upper);
//! ```

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
