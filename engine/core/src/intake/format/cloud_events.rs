//! CloudEvents, structured and binary, as changes. A CDEvent is a CloudEvent whose data is the whole event.

use serde_json::Value;

use super::{Destination, Format, Refusal, Told, malformed};
use crate::types::{Change, Entity, EntityKind, Record, RejectReason};

/// A CloudEvent; CDEvents among them.
pub(super) struct CloudEvents;

impl Format for CloudEvents {
    fn read(&self, record: &Record, _: &mut Destination<'_>) -> Result<Told, Refusal> {
        Ok(Told { changes: vec![change(record)?], ..Told::default() })
    }
}

/// The change that an event tells of.
pub(super) fn change(record: &Record) -> Result<Change, Refusal> {
    let payload = || serde_json::from_slice::<Value>(&record.payload).map_err(malformed);
    let (envelope, data) = if record.header("ce_specversion").is_some() {
        let data = if record.payload.is_empty() { Value::Null } else { payload()? };
        let attributes = ["type", "source", "id", "time", "subject"].iter().filter_map(|name| {
            let value = record.header(&format!("ce_{name}"))?;
            Some(((*name).to_string(), Value::String(value.to_string())))
        });
        (Value::Object(attributes.collect()), data)
    } else {
        let mut event = payload()?;
        let data = event.get_mut("data").map_or(Value::Null, Value::take);
        (event, data)
    };
    let text = |name: &str| envelope.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, id) = (text("type"), text("id"));
    if kind.is_empty() || id.is_empty() {
        return Err(malformed("a CloudEvent needs type and id"));
    }
    let stated = [text("time"), find(&data, "/context/timestamp")];
    let time_ms = stated
        .iter()
        .find_map(|time| time.parse::<jiff::Timestamp>().ok())
        .map_or(record.time_ms, jiff::Timestamp::as_millisecond);
    if time_ms < 0 {
        return Err((RejectReason::BadTime, "neither the event nor its record has a time".to_string()));
    }
    let kind = short_kind(kind);
    let entity = entity(&kind, &data, text("subject"), text("source"));
    Ok(Change {
        time_ms,
        id: id.to_string(),
        kind,
        entity,
        version: version(&data),
        source: text("source").to_string(),
    })
}

/// `dev.cdevents.service.deployed.0.2.0` is `service.deployed`; other types stay as they are.
fn short_kind(kind: &str) -> String {
    match kind.strip_prefix("dev.cdevents.") {
        Some(rest) => rest.split('.').take(2).collect::<Vec<_>>().join("."),
        None => kind.to_string(),
    }
}

fn find<'a>(data: &'a Value, pointer: &str) -> &'a str {
    data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What was changed: namespace and name where the subject's id is of these, like `shop/payment`, else its last part.
fn entity(kind: &str, data: &Value, subject: &str, source: &str) -> Entity {
    let stated = [find(data, "/subject/id"), subject, find(data, "/service")];
    let stated = stated.into_iter().find(|text| !text.is_empty());
    let parts: Vec<&str> = stated.unwrap_or(source).split('/').collect();
    let name = match (stated, parts.as_slice()) {
        (Some(pair), [space, name]) if !space.is_empty() && !name.is_empty() => pair,
        (_, [.., name]) if !name.is_empty() => name,
        _ => "unknown",
    };
    let is_model = kind.starts_with("model") || find(data, "/customData/kind") == "model";
    Entity::new(if is_model { EntityKind::Model } else { EntityKind::Service }, name)
}

/// The version after the change: stated, or the tag or `@version` of the artifact (a package URL).
fn version(data: &Value) -> String {
    let stated = [find(data, "/customData/version"), find(data, "/version")];
    if let Some(version) = stated.into_iter().find(|text| !text.is_empty()) {
        return version.to_string();
    }
    let artifact = find(data, "/subject/content/artifactId");
    let tail =
        artifact.rsplit_once("tag=").or_else(|| artifact.rsplit_once('@')).map_or("", |(_, tail)| tail);
    tail.split(['&', '?']).next().unwrap_or_default().to_string()
}
