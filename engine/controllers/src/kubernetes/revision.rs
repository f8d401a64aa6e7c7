//! The templates that a workload had: its ReplicaSets, by revision.

use std::{collections::BTreeSet, fmt};

use serde_json::{Map, Value};

use super::{
    super::Ended,
    at,
    cluster::{Cluster, Object, Place},
    kind::{Past, REPLICA_SET},
    mark, unread,
};

/// A template that a workload had.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    number: i64,
    /// Without the label that its controller added.
    pub(super) template: Value,
    /// Annotations that came with it.
    annotations: Map<String, Value>,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revision {}", self.number)
    }
}

impl Revision {
    /// The annotations of a workload that goes back to it.
    pub(super) fn annotations(&self, object: &Object, past: Past) -> Map<String, Value> {
        let own = |key: &String| past.own.contains(&key.as_str());
        let mut annotations = mark::annotations(object);
        annotations.retain(|key, _| own(key));
        annotations.extend(
            self.annotations.iter().filter(|(key, _)| !own(key)).map(|(k, v)| (k.clone(), v.clone())),
        );
        annotations
    }
}

/// The revisions of a workload, the latest first.
pub(super) fn revisions(
    cluster: &Cluster,
    place: &Place,
    object: &Object,
    past: Past,
) -> Result<Vec<Revision>, Ended> {
    let selector = selector(at(object, "/spec/selector"));
    let sets = cluster
        .list(REPLICA_SET, &place.namespace, &selector)
        .map_err(|refusal| unread(refusal, false, place))?;
    let mut revisions: Vec<Revision> =
        sets.iter().filter(|set| is_of(set, object)).filter_map(|set| revision(set, past)).collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    Ok(revisions)
}

/// The one to go back to: that which names `to_version`, if one does, else the one before the latest.
pub(super) fn before<'a>(revisions: &'a [Revision], to_version: &str) -> Option<&'a Revision> {
    let named =
        |revision: &&Revision| !to_version.is_empty() && names(&revision.template).contains(to_version);
    revisions.iter().find(named).or_else(|| revisions.get(1))
}

/// Whether templates of this workload are named by this version, and the present one is not.
pub(super) fn has_moved_on(revisions: &[Revision], template: &Value, version: &str) -> bool {
    let named = |template: &Value| names(template).contains(version);
    !version.is_empty() && !named(template) && revisions.iter().any(|revision| named(&revision.template))
}

/// What a template says of its version: labels that are made for it, and the tags of its images.
pub(super) fn names(template: &Value) -> BTreeSet<&str> {
    let labels = ["/metadata/labels/app.kubernetes.io~1version", "/metadata/labels/version"];
    let labels = labels.iter().filter_map(|label| template.pointer(label)?.as_str());
    let containers = template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let tags = containers.filter_map(|container| {
        let image = container.get("image")?.as_str()?;
        let name = image.split('@').next().unwrap_or_default();
        name.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag)
    });
    labels.chain(tags).collect()
}

/// Whether two templates differ in more than the label that a controller adds.
pub(super) fn same(one: &Value, other: &Value, past: Past) -> bool {
    without_hash(one, past) == without_hash(other, past)
}

fn without_hash(template: &Value, past: Past) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(past.hash);
    }
    template
}

fn revision(set: &Object, past: Past) -> Option<Revision> {
    let annotations = mark::annotations(set);
    let number = annotations.get(past.revision)?.as_str()?.parse().ok()?;
    let template = without_hash(at(set, "/spec/template"), past);
    Some(Revision { number, template, annotations })
}

/// Whether an object is made by another's controller.
fn is_of(set: &Object, owner: &Object) -> bool {
    let owners = set.metadata.owner_references.iter().flatten();
    owners
        .filter(|reference| reference.controller == Some(true))
        .any(|reference| owner.metadata.uid.as_ref() == Some(&reference.uid))
}

/// A selector as it stands in a query.
fn selector(selector: &Value) -> String {
    let mut parts = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        let values = values.filter_map(Value::as_str).collect::<Vec<&str>>().join(",");
        let key = text("key");
        parts.push(match text("operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_string(),
            _ => format!("!{key}"),
        });
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "cart"}}, "spec": {"containers": [{"image": image}]}})
    }

    #[test]
    fn versions_are_read_from_labels_and_images() {
        let mut labelled = template("registry:5000/shop/cart@sha256:00");
        labelled["metadata"]["labels"]["app.kubernetes.io/version"] = json!("v7");
        for (template, names) in [
            (template("cart"), vec![]),
            (template("cart:v1"), vec!["v1"]),
            (template("registry:5000/shop/cart:v2@sha256:00"), vec!["v2"]),
            (template("registry:5000/shop/cart"), vec![]),
            (labelled, vec!["v7"]),
        ] {
            assert_eq!(super::names(&template).into_iter().collect::<Vec<_>>(), names);
        }
    }

    #[test]
    fn selectors_are_written_as_queries() {
        let selector = super::selector(&json!({
            "matchLabels": {"app": "cart"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }));
        assert_eq!(selector, "app=cart,tier in (a,b),!old");
    }
}
