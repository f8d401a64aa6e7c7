//! JSON: OTLP of every signal, log events, samples of prometheus-kafka-adapter.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use prost::Message;
use serde_json::{Map, Value};

use super::{
    Encoding, Refusal,
    identity::{Identity, Streams},
    logs, malformed, own_time_ns,
    redact::Redactor,
    rows::Rows,
};
use crate::types::{
    Entity, EntityKind, Record, RejectReason, SeriesDef, StreamKind, epoch_ns, parse_time_ns,
};

/// OTLP JSON as the same message in protobuf, so that one reader knows what a message means. The outermost keys say
/// which signals are in it.
pub(super) fn otlp(payload: &[u8]) -> Result<(Encoding, Vec<u8>), Refusal> {
    fn encoded<T: Message + serde::de::DeserializeOwned>(value: Value) -> Result<Vec<u8>, Refusal> {
        serde_json::from_value::<T>(value).map(|request| request.encode_to_vec()).map_err(malformed)
    }
    let value: Value = serde_json::from_slice(payload).map_err(malformed)?;
    if value.get("resourceMetrics").is_some() {
        Ok((Encoding::OtlpMetrics, encoded::<ExportMetricsServiceRequest>(value)?))
    } else if value.get("resourceLogs").is_some() {
        Ok((Encoding::OtlpLogs, encoded::<ExportLogsServiceRequest>(value)?))
    } else if value.get("resourceSpans").is_some() {
        Ok((Encoding::OtlpSpans, encoded::<ExportTraceServiceRequest>(value)?))
    } else {
        Err(malformed("neither resourceMetrics nor resourceLogs nor resourceSpans"))
    }
}

pub(super) fn first_text<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| object.get(*key)?.as_str())
}

/// One log event; the common names of body, level, time and service are understood.
pub(super) fn lines(
    record: &Record,
    streams: &mut Streams,
    rows: &mut Rows,
    redactor: &mut Redactor,
) -> Result<(), Refusal> {
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
    let name =
        first_text(&object, &["service", "service.name", "app", "application", "host"]).unwrap_or("default");
    let stream = logs::stream_of(Entity::new(EntityKind::Service, name), streams);
    logs::line(rows, time_ns, stream, logs::severity_of(level), body, redactor);
    Ok(())
}

/// Text, or an epoch.
pub(super) fn time_ns(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => parse_time_ns(text),
        Value::Number(number) => epoch_ns(number.as_f64()?, number.as_i64()),
        _ => None,
    }
}

/// One sample: `{"timestamp":RFC 3339,"value":"<text>","name":…,"labels":{…}}`.
pub(super) fn prometheus(payload: &[u8], streams: &mut Streams, rows: &mut Rows) -> Result<(), Refusal> {
    let object: Map<String, Value> = serde_json::from_slice(payload).map_err(malformed)?;
    let missing = |key: &str| malformed(format!("no {key}"));
    let name = first_text(&object, &["name"]).ok_or_else(|| missing("name"))?;
    let text = first_text(&object, &["value"]).ok_or_else(|| missing("value"))?;
    let value: f64 = text.parse().map_err(malformed)?;
    let time = object.get("timestamp").and_then(time_ns);
    let time = time.ok_or_else(|| (RejectReason::BadTime, "no timestamp".to_string()))?;
    let empty = Map::new();
    let labels = object.get("labels").and_then(Value::as_object).unwrap_or(&empty);
    if !value.is_finite() {
        return Ok(());
    }
    let identity = Identity::of(&[]).text(&Value::Object(labels.clone()).to_string()).text(name);
    let is_counter = ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
    let stream = streams.index(&identity, || {
        let entity = match (first_text(labels, &["service", "app"]), first_text(labels, &["job"])) {
            (Some(service), _) | (None, Some(service)) => Entity::new(EntityKind::Service, service),
            (None, None) => Entity::new(EntityKind::Other, "default"),
        };
        let own = ["__name__", "service", "app", "job", "instance", "pod"];
        let kept = labels.iter().filter(|(key, _)| !own.contains(&key.as_str()));
        let kept =
            kept.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_string())).collect();
        let (measure, kind) = match is_counter {
            true => (format!("{name}:rate"), StreamKind::CumulativeCounter),
            false => (name.to_string(), StreamKind::Gauge),
        };
        (SeriesDef::new(entity.into(), measure, kept), kind)
    });
    rows.number(time, stream, 0, value);
    Ok(())
}
