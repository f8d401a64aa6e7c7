//! Which format a record has: the topic's configuration, then headers, then the topic's name, then the bytes.

use std::{borrow::Cow, collections::HashSet, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::format::{WEBHOOK, is_inference};
use crate::types::Record;

/// How a record is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Decide record by record.
    #[default]
    Auto,
    /// `ExportMetricsServiceRequest`, protobuf.
    OtlpMetrics,
    /// `ExportLogsServiceRequest`, protobuf.
    OtlpLogs,
    /// `ExportTraceServiceRequest`, protobuf.
    OtlpSpans,
    /// Any of the three as OTLP JSON.
    OtlpJson,
    /// One sample of prometheus-kafka-adapter.
    PrometheusJson,
    /// One log event as a JSON object.
    JsonLines,
    /// One log line as plain text.
    Text,
    /// One answer of a model as a JSON object: what it was asked, and the truth where that is known.
    Inferences,
    /// A CloudEvent, structured or binary; CDEvents among them.
    CloudEvents,
    /// What a webhook was sent, as the engine keeps it (`webhooks`).
    Webhook,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Encoding; 11] = [
        Encoding::Auto,
        Encoding::OtlpMetrics,
        Encoding::OtlpLogs,
        Encoding::OtlpSpans,
        Encoding::OtlpJson,
        Encoding::PrometheusJson,
        Encoding::JsonLines,
        Encoding::Text,
        Encoding::Inferences,
        Encoding::CloudEvents,
        Encoding::Webhook,
    ];
}

/// The encoding of this record, if any fits.
pub(super) fn encoding(configured: Encoding, topic: &str, record: &Record) -> Option<Encoding> {
    if configured != Encoding::Auto {
        return Some(configured);
    }
    // An OTLP message begins with a line feed (field 1), and its length may well be that of a brace.
    let is_json = record.payload.first() != Some(&b'\n') && looks_like_json(&record.payload);
    by_headers(record, is_json)
        .or_else(|| by_topic(topic, is_json))
        .or_else(|| if looks_like_json(&record.payload) { by_keys(&record.payload) } else { None })
}

fn looks_like_json(payload: &[u8]) -> bool {
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

fn by_headers(record: &Record, is_json: bool) -> Option<Encoding> {
    if record.header(WEBHOOK).is_some() {
        return Some(Encoding::Webhook);
    }
    let content_type = record.header("content-type").unwrap_or_default();
    if content_type.starts_with("application/cloudevents") || record.header("ce_specversion").is_some() {
        return Some(Encoding::CloudEvents);
    }
    let by_signal = match record.header("otelcol.signal")? {
        "metrics" => Encoding::OtlpMetrics,
        "logs" => Encoding::OtlpLogs,
        "traces" | "spans" => Encoding::OtlpSpans,
        _ => return None,
    };
    Some(if is_json { Encoding::OtlpJson } else { by_signal })
}

fn by_topic(topic: &str, is_json: bool) -> Option<Encoding> {
    let binary = match topic {
        "otlp_metrics" => Encoding::OtlpMetrics,
        "otlp_logs" => Encoding::OtlpLogs,
        "otlp_spans" | "otlp_traces" => Encoding::OtlpSpans,
        _ => return None,
    };
    Some(if is_json { Encoding::OtlpJson } else { binary })
}

/// JSON by the keys of its outermost object.
fn by_keys(payload: &[u8]) -> Option<Encoding> {
    let Keys(keys) = serde_json::from_slice(payload).ok()?;
    let has = |key: &str| keys.contains(key);
    if has("resourceMetrics") || has("resourceLogs") || has("resourceSpans") {
        Some(Encoding::OtlpJson)
    } else if has("specversion") {
        Some(Encoding::CloudEvents)
    } else if is_inference(has) {
        Some(Encoding::Inferences)
    } else if has("labels") && has("name") && has("value") {
        Some(Encoding::PrometheusJson)
    } else if has("message") || has("msg") || has("log") || has("body") {
        Some(Encoding::JsonLines)
    } else {
        None
    }
}

/// The keys of an object, of `model` only where it is a text: a log may have one too. The other values are read past.
struct Keys<'a>(HashSet<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys<'a>, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
        let mut keys = HashSet::new();
        while let Some(Key(key)) = map.next_key()? {
            let counts = match &*key {
                "model" => map.next_value::<serde_json::Value>()?.is_string(),
                _ => map.next_value::<IgnoredAny>().map(|_| true)?,
            };
            if counts {
                keys.insert(key);
            }
        }
        Ok(Keys(keys))
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
