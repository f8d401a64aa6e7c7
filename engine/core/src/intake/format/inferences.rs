//! Inference logs: one JSON object for each answer of a model, what it was asked, and the truth where that is known.
//!
//! ```json
//! {"time": "2026-01-01T00:00:00Z", "model": "ranker", "version": "3", "inputs": {"age": 37, "country": "de"},
//!  "prediction": "yes", "score": 0.83, "label": "no", "group": {"gender": "f"}}
//! ```
//!
//! Each value is an observation of its own. A label with the answer gives errors and, with a score, calibration; groups give slices of both.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Destination, Format, Refusal, Told,
    identity::{Identity, Streams},
    json::{first_text, time_ns},
    malformed, own_time_ns,
    rows::Rows,
};
use crate::types::{Entity, EntityKind, Record, RejectReason, SeriesDef, StreamKind, cut, stable_hash};

/// Categories that are told apart; more share one.
const CATEGORIES: u64 = 9;
/// Inputs of one answer that are looked at, and groups that it is of.
const MOST_INPUTS: usize = 256;
const MOST_GROUPS: usize = 8;
/// Longest name of a model, version or group, bytes: they stand in each of the hundreds of series that come of one answer.
const LONGEST_NAME: usize = 256;

/// Whether a JSON object with these keys is an inference.
pub(in super::super) fn is_one(has: impl Fn(&str) -> bool) -> bool {
    has("model") && ["inputs", "prediction", "score", "label"].iter().any(|key| has(key))
}

/// One answer of a model.
pub(super) struct Inferences;

impl Format for Inferences {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        push(record, to.streams, to.rows).map(|()| Told::default())
    }
}

/// Takes one inference.
fn push(record: &Record, streams: &mut Streams, rows: &mut Rows) -> Result<(), Refusal> {
    let object: Map<String, Value> = serde_json::from_slice(&record.payload).map_err(malformed)?;
    let model = first_text(&object, &["model"]).ok_or_else(|| malformed("no model"))?;
    let stated = ["time", "timestamp", "@timestamp", "ts"].iter().find_map(|key| object.get(*key));
    let time_ns = match stated {
        Some(value) => {
            time_ns(value).ok_or_else(|| (RejectReason::BadTime, format!("{value} is no timestamp")))?
        }
        None => own_time_ns(record)?,
    };
    let model = &*cut(model, LONGEST_NAME);
    let version = match object.get("version") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let version = cut(&version, LONGEST_NAME).into_owned();
    Answer { model, version, time_ns, object: &object, streams, rows }.push()
}

/// One answer of a model.
struct Answer<'a> {
    model: &'a str,
    version: String,
    time_ns: i64,
    object: &'a Map<String, Value>,
    streams: &'a mut Streams,
    rows: &'a mut Rows,
}

/// A slice of a model's answers: key and value of a group; `None`: all of them.
type Slice<'a> = Option<(&'a str, &'a str)>;

impl<'a> Answer<'a> {
    fn push(mut self) -> Result<(), Refusal> {
        let object = self.object;
        let fields = |key: &str| object.get(key).and_then(Value::as_object);
        for (name, value) in fields("inputs").into_iter().flatten().take(MOST_INPUTS) {
            self.value(&format!("model.input.{name}"), value, None);
        }
        let slices = slices(object);
        for slice in slices {
            self.outcome(slice);
        }
        Ok(())
    }

    /// What the model said, and how far that was right.
    fn outcome(&mut self, slice: Slice<'a>) {
        let object = self.object;
        let (prediction, label, score) = (object.get("prediction"), object.get("label"), object.get("score"));
        if let Some(prediction) = prediction {
            self.value("model.prediction", prediction, slice);
        }
        let score = score.and_then(Value::as_f64);
        if let (Some(score), None) = (score, slice) {
            self.observe("model.score", StreamKind::Observations, score, None);
        }
        match (prediction, label) {
            (Some(Value::Number(said)), Some(Value::Number(is))) => {
                let error = said.as_f64().zip(is.as_f64()).map(|(said, is)| (said - is).abs());
                self.observe(
                    "model.error.absolute",
                    StreamKind::Observations,
                    error.unwrap_or(f64::NAN),
                    slice,
                );
            }
            (Some(said), Some(is)) if is_category(said) && is_category(is) => {
                let wrong = if said == is { 0.0 } else { 1.0 };
                self.observe("model.error", StreamKind::Outcomes, wrong, slice);
            }
            _ => {}
        }
        let happened = label.and_then(|label| match label {
            Value::Bool(label) => Some(f64::from(*label)),
            Value::Number(label) => label.as_f64().filter(|label| [0.0, 1.0].contains(label)),
            _ => None,
        });
        if let (Some(score), Some(happened)) = (score.filter(|score| (0.0..=1.0).contains(score)), happened) {
            self.observe("model.calibration", StreamKind::Observations, happened - score, slice);
        }
    }

    /// A number as it is, a truth as 0 or 1, a text as its category.
    fn value(&mut self, measure: &str, value: &Value, slice: Slice<'a>) {
        let (kind, value) = match value {
            Value::Number(number) => (StreamKind::Observations, number.as_f64().unwrap_or(f64::NAN)),
            Value::Bool(truth) => (StreamKind::Outcomes, f64::from(*truth)),
            Value::String(text) => {
                (StreamKind::Categories, (stable_hash(text.as_bytes()) % CATEGORIES) as f64)
            }
            _ => return,
        };
        self.observe(measure, kind, value, slice);
    }

    fn observe(&mut self, measure: &str, kind: StreamKind, value: f64, slice: Slice<'a>) {
        if !value.is_finite() {
            return;
        }
        let Answer { model, version, time_ns, streams, rows, .. } = self;
        let (key, group) = slice.unwrap_or_default();
        let (key, group) = (&*cut(key, LONGEST_NAME), &*cut(group, LONGEST_NAME));
        let identity = Identity::of(&[]).text("inference").text(model).text(version).text(measure);
        let identity = identity.text(kind.name()).text(key).text(group);
        let stream = streams.index(&identity, || {
            let mut attributes = vec![("model.name".to_string(), model.to_string())];
            if !version.is_empty() {
                attributes.push(("model.version".to_string(), version.clone()));
            }
            attributes.extend(slice.map(|_| (format!("model.group.{key}"), group.to_string())));
            let entity = Arc::new(Entity::new(EntityKind::Model, *model));
            (SeriesDef::new(entity, measure.to_string(), attributes), kind)
        });
        rows.number(*time_ns, stream, 0, value);
    }
}

/// All answers, and the groups that this one is of.
fn slices(object: &Map<String, Value>) -> Vec<Slice<'_>> {
    let mut slices = vec![None];
    match object.get("group") {
        Some(Value::String(group)) => slices.push(Some(("group", group.as_str()))),
        Some(Value::Object(groups)) => {
            let named = groups.iter().filter_map(|(key, group)| Some((key.as_str(), group.as_str()?)));
            slices.extend(named.take(MOST_GROUPS).map(Some));
        }
        _ => {}
    }
    slices
}

/// Whether a value is one of several, not a quantity.
fn is_category(value: &Value) -> bool {
    value.is_string() || value.is_boolean()
}
