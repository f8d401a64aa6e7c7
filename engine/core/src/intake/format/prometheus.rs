//! Samples of prometheus-kafka-adapter.

use serde_json::{Map, Value};

use super::{
    Destination, Format, Refusal, Told,
    identity::Identity,
    json::{first_text, time_ns},
    malformed,
};
use crate::types::{Entity, EntityKind, Record, RejectReason, SeriesDef, StreamKind};

/// One sample: `{"timestamp":RFC 3339,"value":"<text>","name":…,"labels":{…}}`.
pub(super) struct PrometheusJson;

impl Format for PrometheusJson {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        let object: Map<String, Value> = serde_json::from_slice(&record.payload).map_err(malformed)?;
        let missing = |key: &str| malformed(format!("no {key}"));
        let name = first_text(&object, &["name"]).ok_or_else(|| missing("name"))?;
        let text = first_text(&object, &["value"]).ok_or_else(|| missing("value"))?;
        let value: f64 = text.parse().map_err(malformed)?;
        let time = object.get("timestamp").and_then(time_ns);
        let time = time.ok_or_else(|| (RejectReason::BadTime, "no timestamp".to_string()))?;
        let empty = Map::new();
        let labels = object.get("labels").and_then(Value::as_object).unwrap_or(&empty);
        if !value.is_finite() {
            return Ok(Told::default());
        }
        let identity = Identity::of(&[]).text(&Value::Object(labels.clone()).to_string()).text(name);
        let is_counter = ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
        let stream = to.streams.index(&identity, || {
            let entity = match (first_text(labels, &["service", "app"]), first_text(labels, &["job"])) {
                (Some(service), _) | (None, Some(service)) => Entity::new(EntityKind::Service, service),
                (None, None) => Entity::new(EntityKind::Other, "default"),
            };
            let own = ["__name__", "service", "app", "job", "instance", "pod"];
            let kept = labels.iter().filter(|(key, _)| !own.contains(&key.as_str()));
            let kept = kept
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_string()))
                .collect();
            let (measure, kind) = match is_counter {
                true => (format!("{name}:rate"), StreamKind::CumulativeCounter),
                false => (name.to_string(), StreamKind::Gauge),
            };
            (SeriesDef::new(entity.into(), measure, kept), kind)
        });
        to.rows.number(time, stream, 0, value);
        Ok(Told::default())
    }
}
