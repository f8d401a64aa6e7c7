//! Log events as JSON objects.

use serde_json::{Map, Value};

use super::{
    Destination, Format, Refusal, Told,
    json::{first_text, time_ns},
    lines::{line, severity_of, stream_of},
    malformed, own_time_ns,
};
use crate::types::{Entity, EntityKind, Record, RejectReason};

/// One log event; the common names of body, level, time and service are understood.
pub(super) struct JsonLines;

impl Format for JsonLines {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        let object: Map<String, Value> = serde_json::from_slice(&record.payload).map_err(malformed)?;
        let body = first_text(&object, &["message", "msg", "log", "body"])
            .ok_or_else(|| malformed("no message, msg, log or body"))?;
        let level = first_text(&object, &["level", "severity", "log.level", "lvl"]).unwrap_or_default();
        let stated = ["@timestamp", "timestamp", "time", "ts"].iter().find_map(|key| object.get(*key));
        let time_ns = match stated {
            Some(value) => {
                time_ns(value).ok_or_else(|| (RejectReason::BadTime, format!("{value} is no timestamp")))?
            }
            None => own_time_ns(record)?,
        };
        let name = first_text(&object, &["service", "service.name", "app", "application", "host"])
            .unwrap_or("default");
        let stream = stream_of(Entity::new(EntityKind::Service, name), to.streams);
        line(to.rows, time_ns, stream, severity_of(level), body, to.redactor);
        Ok(Told::default())
    }
}
