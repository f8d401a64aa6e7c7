//! What a target remembers of signals: an annotation with the latest that changed it, each with the token of its lease.

use serde_json::{Value, json};

use super::{super::Order, cluster::Object, step};

/// Signals and tokens, the latest first: `4f1c…:3 90aa…:1`.
pub(super) const SIGNALS: &str = "foreshock.io/signals";
/// The incident of the latest.
pub(super) const INCIDENT: &str = "foreshock.io/incident";

/// How many are remembered.
const REMEMBERED: usize = 8;

/// The token under which a signal changed this object.
pub(super) fn token(object: &Object, order: &Order) -> Option<u64> {
    let id = order.signal.id.to_string();
    marks(object).find_map(|mark| {
        let (signal, token) = mark.split_once(':')?;
        (signal == id).then(|| token.parse().ok())?
    })
}

/// The annotations of an object with the mark of an order among them.
pub(super) fn marked(
    object: &Object,
    mut annotations: serde_json::Map<String, Value>,
    order: &Order,
) -> Value {
    let own = format!("{}:{}", order.signal.id, order.fencing_token);
    let earlier = marks(object).take(REMEMBERED - 1).map(str::to_string);
    let all = std::iter::once(own).chain(earlier).collect::<Vec<String>>().join(" ");
    annotations.insert(SIGNALS.to_string(), json!(all));
    annotations.insert(INCIDENT.to_string(), json!(order.signal.incident.to_string()));
    Value::Object(annotations)
}

/// The annotations of an object.
pub(super) fn annotations(object: &Object) -> serde_json::Map<String, Value> {
    let annotations = object.metadata.annotations.iter().flatten();
    annotations.map(|(key, value)| (key.clone(), json!(value))).collect()
}

/// Steps of a patch that holds only for the object as it was read, and marks it.
pub(super) fn steps(
    object: &Object,
    annotations: serde_json::Map<String, Value>,
    order: &Order,
) -> [Value; 2] {
    let version = json!(object.metadata.resource_version);
    // `add` replaces what is there.
    [
        step("test", "/metadata/resourceVersion", version),
        step("add", "/metadata/annotations", marked(object, annotations, order)),
    ]
}

fn marks(object: &Object) -> impl Iterator<Item = &str> {
    let annotation = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(SIGNALS));
    annotation.into_iter().flat_map(|text| text.split(' '))
}
