//! OTLP logs and plain text into rows.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

use super::{
    Refusal,
    identity::{Identity, Streams, entity, text_of},
    redact::redact,
    rows::Rows,
};
use crate::types::{Entity, EntityKind, Record, RejectReason, SeriesDef, StreamKind};

pub(super) fn push(
    request: &ExportLogsServiceRequest,
    streams: &mut Streams,
    rows: &mut Rows,
    redaction: bool,
) -> Result<(), Refusal> {
    for group in &request.resource_logs {
        let resource = group.resource.as_ref();
        let stream = streams.index(&Identity::of(resource).text("log"), || {
            (SeriesDef::new(entity(resource), "log", Vec::new()), StreamKind::Logs)
        });
        for record in group.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            let nanos = if record.time_unix_nano > 0 {
                record.time_unix_nano
            } else {
                record.observed_time_unix_nano
            };
            let time_ns = match i64::try_from(nanos) {
                Ok(time_ns) if time_ns > 0 => time_ns,
                _ => return Err((RejectReason::BadTime, format!("a log record's time is {nanos} ns"))),
            };
            let severity = u8::try_from(record.severity_number.clamp(0, 24)).unwrap_or(0);
            let body = record.body.as_ref().map_or_else(String::new, text_of);
            line(rows, time_ns, stream, severity, &body, redaction);
        }
    }
    Ok(())
}

/// Longest log line that is looked at, bytes.
const MAX_LINE: usize = 8 << 10;

pub(super) fn line(rows: &mut Rows, time_ns: i64, stream: u32, severity: u8, body: &str, redaction: bool) {
    let mut end = body.len().min(MAX_LINE);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    let body = &body[..end];
    if redaction {
        rows.log(time_ns, stream, severity, &redact(body));
    } else {
        rows.log(time_ns, stream, severity, body);
    }
}

/// The stream of the logs of an entity that has no OTLP resource.
pub(super) fn stream_of(entity: Entity, streams: &mut Streams) -> u32 {
    let identity = Identity::of(None).text(&entity.to_string()).text("log");
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
    redaction: bool,
) -> Result<(), Refusal> {
    let body = std::str::from_utf8(&record.payload).map_err(super::malformed)?;
    if record.time_ms < 0 {
        return Err((RejectReason::BadTime, "a plain-text line needs the record's timestamp".to_string()));
    }
    let stream = stream_of(Entity::new(EntityKind::Other, topic), streams);
    line(rows, record.time_ms * 1_000_000, stream, severity_in(body), body.trim_end(), redaction);
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
