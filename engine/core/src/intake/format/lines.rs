//! Lines of log as rows, whatever the format that they come in.

use super::{
    identity::{Identity, Streams},
    redact::Redactor,
    rows::Rows,
};
use crate::types::{Entity, SeriesDef, StreamKind};

/// Longest log line that is looked at, bytes.
const MAX_LINE: usize = 8 << 10;

/// Writes a line, redacted.
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
