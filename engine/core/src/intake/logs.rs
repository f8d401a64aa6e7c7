//! OTLP logs and plain text into rows.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use prost::Message;

use super::{
    Refusal,
    identity::{self, Identity, Owner, Streams, text_of},
    malformed, own_time_ns,
    redact::Redactor,
    rows::Rows,
    wire::{Fields, WireError, message, messages},
};
use crate::types::{Entity, EntityKind, Record, RejectReason, SeriesDef, StreamKind};

/// Takes an `ExportLogsServiceRequest` (opentelemetry-proto `logs/v1`), straight from the bytes.
pub(super) fn push(
    request: &[u8],
    streams: &mut Streams,
    rows: &mut Rows,
    redactor: &mut Redactor,
) -> Result<(), Refusal> {
    for group in messages(request, 1) {
        let group = group.map_err(malformed)?;
        let stream = stream(&mut Owner::of(message(group, 1).map_err(malformed)?), streams)?;
        for scope in messages(group, 2) {
            for record in messages(scope.map_err(malformed)?, 2) {
                let record = LogRecord::read(record.map_err(malformed)?).map_err(malformed)?;
                let severity = u8::try_from(record.severity.clamp(0, 24)).unwrap_or(0);
                line(rows, record.time_ns()?, stream, severity, &record.text()?, redactor);
            }
        }
    }
    Ok(())
}

fn stream(owner: &mut Owner<'_>, streams: &mut Streams) -> Result<u32, Refusal> {
    let raw = owner.raw();
    if let Some(stream) = streams.known(raw) {
        return Ok(stream);
    }
    let (owner, identity) = owner.decoded(streams)?;
    Ok(streams.learn(raw, &identity.text("log"), || {
        (SeriesDef::new(owner.clone(), "log", Vec::new()), StreamKind::Logs)
    }))
}

/// What is read of a `LogRecord`.
#[derive(Default)]
struct LogRecord<'a> {
    time: u64,
    observed: u64,
    severity: i32,
    body: &'a [u8],
}

impl<'a> LogRecord<'a> {
    fn read(bytes: &'a [u8]) -> Result<LogRecord<'a>, WireError> {
        let mut record = LogRecord::default();
        for field in Fields::of(bytes) {
            let field = field?;
            match field.number {
                1 => record.time = field.fixed64()?,
                2 => record.severity = field.int32()?,
                5 => record.body = field.bytes()?,
                11 => record.observed = field.fixed64()?,
                _ => {}
            }
        }
        Ok(record)
    }

    fn time_ns(&self) -> Result<i64, Refusal> {
        let nanos = if self.time > 0 { self.time } else { self.observed };
        match i64::try_from(nanos) {
            Ok(time_ns) if time_ns > 0 => Ok(time_ns),
            _ => Err((RejectReason::BadTime, format!("a log record's time is {nanos} ns"))),
        }
    }

    /// The body as text; what is no text (a list, a map) is written as one.
    fn text(&self) -> Result<Cow<'a, str>, Refusal> {
        match identity::text(self.body).map_err(malformed)? {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => {
                let value = AnyValue::decode(self.body).map_err(malformed)?;
                Ok(Cow::Owned(text_of(&value)))
            }
        }
    }
}

/// Longest log line that is looked at, bytes.
const MAX_LINE: usize = 8 << 10;

pub(super) fn line(
    rows: &mut Rows,
    time_ns: i64,
    stream: u32,
    severity: u8,
    body: &str,
    redactor: &mut Redactor,
) {
    let mut end = body.len().min(MAX_LINE);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    rows.log(time_ns, stream, severity, redactor.redact(&body[..end]));
}

/// The stream of the logs of an entity that has no OTLP resource.
pub(super) fn stream_of(entity: Entity, streams: &mut Streams) -> u32 {
    let identity = Identity::of(&[]).text(&entity.to_string()).text("log");
    streams.index(&identity, || {
        (SeriesDef::new(std::sync::Arc::new(entity), "log", Vec::new()), StreamKind::Logs)
    })
}

/// One plain-text line per record, at the record's own time; the topic is the entity.
pub(super) fn text(
    record: &Record,
    topic: &str,
    streams: &mut Streams,
    rows: &mut Rows,
    redactor: &mut Redactor,
) -> Result<(), Refusal> {
    let body = std::str::from_utf8(&record.payload).map_err(super::malformed)?;
    let time_ns = own_time_ns(record)?;
    let stream = stream_of(Entity::new(EntityKind::Other, topic), streams);
    line(rows, time_ns, stream, severity_in(body), body.trim_end(), redactor);
    Ok(())
}

/// Severity by the first level word among the first words of a line; 0 when there is none.
fn severity_in(line: &str) -> u8 {
    let words = line.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.take(8).map(severity_of).find(|&severity| severity > 0).unwrap_or(0)
}

/// OTLP severity number of a level's name; 0 when it is none.
pub(super) fn severity_of(level: &str) -> u8 {
    const LEVELS: [(&str, u8); 14] = [
        ("trace", 1),
        ("debug", 5),
        ("info", 9),
        ("information", 9),
        ("notice", 10),
        ("warn", 13),
        ("warning", 13),
        ("error", 17),
        ("err", 17),
        ("severe", 17),
        ("critical", 21),
        ("crit", 21),
        ("fatal", 21),
        ("panic", 21),
    ];
    LEVELS.iter().find(|(name, _)| level.eq_ignore_ascii_case(name)).map_or(0, |(_, number)| *number)
}
