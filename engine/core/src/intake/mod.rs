//! Intake: record bytes in, Arrow batches, changes and rejects out. One per source partition.
//!
//! * `sniff`: which format a record has · `format`: how each is read
//! * `identity`: resources and attributes as entities, series and streams
//! * `rows`: the Arrow builders that formats write into
//! * `protobuf`: the wire format, borrowed · `redact`: what must not be kept
//!
//! A record is taken whole or not at all. Does not know ticks, shards or lateness.

mod format;
mod identity;
mod protobuf;
mod redact;
mod rows;
mod sniff;

use crate::types::{Alert, Batch, Change, Entity, MAX_NAME, Record, Reject, RejectReason, Sighting, cut};

use format::{Buckets, Destination, Told};
pub use format::{RECEIVER, WEBHOOK};
use identity::Streams;
pub use redact::Redactor;
use rows::Rows;
pub use sniff::Encoding;

/// How the records of a topic are read.
#[derive(Clone, Debug, PartialEq)]
pub struct IntakeConfig {
    /// The topic's encoding; [`Encoding::Auto`] decides record by record.
    pub encoding: Encoding,
    /// Largest record that is decoded, bytes.
    pub max_record: usize,
    /// Streams that are remembered per partition; beyond it the memory starts anew.
    pub max_streams: usize,
    /// Whether log bodies are redacted.
    pub redaction: bool,
    /// How far an event may be ahead of its record's own time, milliseconds.
    pub max_ahead_ms: i64,
}

impl Default for IntakeConfig {
    fn default() -> IntakeConfig {
        IntakeConfig {
            encoding: Encoding::Auto,
            max_record: 8 << 20,
            max_streams: 200_000,
            redaction: true,
            max_ahead_ms: 600_000,
        }
    }
}

/// What an intake is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Records of its partition, with rising offsets.
    Records(&'a [Record]),
}

/// What an intake gives.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Decoded rows, in record order; at most one batch of each signal per event.
    Batch(Batch),
    /// A change event.
    Change(Change),
    /// Somebody else's alert.
    Alert(Alert),
    /// How an entity runs, seen on something new.
    Sighting(Sighting),
    /// A record that was refused.
    Reject(Reject),
}

/// Decodes the records of one partition.
#[derive(Debug)]
pub struct Intake {
    topic: String,
    config: IntakeConfig,
    streams: Streams,
    buckets: Buckets,
    redactor: Redactor,
    rows: Rows,
}

/// Why a record is refused, before its offset is known.
type Refusal = (RejectReason, String);

fn malformed(error: impl std::fmt::Display) -> Refusal {
    (RejectReason::Malformed, error.to_string())
}

/// A record's own time, for what states none. Unix nanoseconds.
fn own_time_ns(record: &Record) -> Result<i64, Refusal> {
    let time = record.time_ms.checked_mul(1_000_000).filter(|time| *time >= 0);
    time.ok_or_else(|| (RejectReason::BadTime, "neither it nor its record has a time".to_string()))
}

impl Intake {
    /// An intake for a partition of this topic.
    pub fn new(topic: &str, config: IntakeConfig) -> Intake {
        Intake {
            topic: topic.to_string(),
            redactor: Redactor::new(config.redaction),
            streams: Streams::new(config.redaction),
            config,
            buckets: Buckets::default(),
            rows: Rows::default(),
        }
    }

    /// Decodes records: rejects, changes, alerts and sightings first, then the batches.
    pub fn on_event(&mut self, event: Event<'_>) -> Vec<Effect> {
        let Event::Records(records) = event;
        let mut effects = Vec::new();
        if self.streams.len() > self.config.max_streams {
            self.streams = Streams::new(self.config.redaction);
        }
        for record in records {
            self.rows.begin(record.offset);
            match self.decode(record) {
                Ok(told) => {
                    let redactor = &mut self.redactor;
                    let changes = told.changes.into_iter().map(|change| redactor.change(change));
                    effects.extend(changes.map(Effect::Change));
                    let alerts = told.alerts.into_iter().map(|alert| redactor.alert(alert));
                    effects.extend(alerts.map(Effect::Alert));
                    let newest_ms = self.rows.newest_ns() / 1_000_000;
                    let time_ms = if newest_ms > 0 { newest_ms } else { record.time_ms };
                    effects.extend(self.streams.seen().map(|(entity, facet, value)| {
                        let entity = Entity::clone(&entity);
                        Effect::Sighting(Sighting { time_ms, entity, facet, value })
                    }));
                }
                Err((reason, detail)) => {
                    self.rows.undo();
                    drop(self.streams.seen());
                    let detail = cut(&detail, MAX_NAME).into_owned();
                    effects.push(Effect::Reject(Reject { offset: record.offset, reason, detail }));
                }
            }
        }
        let table = self.streams.table();
        effects.extend(self.rows.finish(&table).into_iter().map(Effect::Batch));
        effects
    }

    fn decode(&mut self, record: &Record) -> Result<Told, Refusal> {
        if let Some(why) = record.unreadable() {
            return Err((RejectReason::Unreadable, why));
        }
        if record.payload.len() > self.config.max_record {
            let detail =
                format!("{} bytes, ingest.max_record is {}", record.payload.len(), self.config.max_record);
            return Err((RejectReason::TooLarge, detail));
        }
        let encoding = sniff::encoding(self.config.encoding, &self.topic, record);
        let format = encoding.and_then(format::of);
        let format = format.ok_or_else(|| (RejectReason::UnknownEncoding, "no decoder fits".to_string()))?;
        let Intake { topic, streams, buckets, redactor, rows, .. } = self;
        let told = format.read(record, &mut Destination { topic, streams, buckets, redactor, rows })?;
        self.check_times(record)?;
        Ok(told)
    }

    /// Events far ahead of their record would close ticks for everyone else.
    fn check_times(&self, record: &Record) -> Result<(), Refusal> {
        let newest_ms = self.rows.newest_ns() / 1_000_000;
        if record.time_ms >= 0 && newest_ms - record.time_ms > self.config.max_ahead_ms {
            let detail = format!("an event is {} ms ahead of its record", newest_ms - record.time_ms);
            return Err((RejectReason::BadTime, detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
