//! Names and parameters made from a signal. What is in a signal may come from telemetry: it is data, and whoever puts it into a URL or
//! names an object by it goes through here.

use std::collections::BTreeMap;

use foreshock_core::{
    templates::{Escaping, Template},
    types::RemediationSignal,
};
use minijinja::{UndefinedBehavior, Value, context};
use serde_json::json;

use super::{Ended, Order};

/// What templates may name, for errors.
const KNOWN: &str = "id, action, kind, name, namespace, target, version, to_version, incident, policy, reason, attributes.KEY";

/// Whether a text is a template, within its bounds.
pub(super) fn check(text: &str) -> Result<(), String> {
    template(text).map(drop).map_err(|error| format!("{text:?} is no template: {error}"))
}

/// Fills a template with what a signal says.
pub(super) fn fill(text: &str, order: &Order) -> Result<String, Ended> {
    let RemediationSignal { id, action, target, attributes, incident, policy, reason, .. } = &order.signal;
    let fact = |key: &str| attributes.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let known = context! {
        id => id.to_string(),
        action => action.name(),
        kind => target.kind.name(),
        name => target.name.rsplit('/').next().unwrap_or_default(),
        namespace => fact("namespace").map_or(Value::UNDEFINED, Value::from),
        target => target.to_string(),
        version => fact("version").map_or(Value::UNDEFINED, Value::from),
        to_version => fact("to_version").map_or(Value::UNDEFINED, Value::from),
        incident => incident.to_string(),
        policy => policy,
        reason => reason,
        attributes => attributes,
    };
    template(text).and_then(|template| template.fill(known)).map_err(|error| {
        Ended::Failed(format!("{text:?} cannot be filled from the signal ({error}): it may name {KNOWN}"))
    })
}

/// The same for several.
pub(super) fn fill_all(
    texts: &BTreeMap<String, String>,
    order: &Order,
) -> Result<BTreeMap<String, String>, Ended> {
    texts.iter().map(|(key, text)| Ok((key.clone(), fill(text, order)?))).collect()
}

fn template(text: &str) -> Result<Template, String> {
    let schema = |name: &'static str| match name.strip_suffix(".KEY") {
        Some(map) => (map, json!({ "type": "object", "additionalProperties": { "type": "string" } })),
        None => (name, json!({ "type": "string" })),
    };
    let known: Vec<_> = KNOWN.split(", ").map(schema).collect();
    Template::new(text, Escaping::Plain, UndefinedBehavior::Strict, &known)
}

/// A text as one segment of a URL's path, or as a value of its query: everything but unreserved characters is encoded (RFC 3986).
pub(super) fn segment(text: &str) -> String {
    // Dots alone would be a step in the path, encoded or not.
    if text.chars().all(|c| c == '.') {
        return format!("{text}%20");
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Whether a text can name an object of Kubernetes (RFC 1123: DNS labels, joined by dots).
pub(super) fn is_object_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// The name under which the work of a signal is known at its target.
pub(super) fn job_name(order: &Order) -> String {
    format!("foreshock-{}", order.signal.id)
}

#[cfg(test)]
mod tests {
    use foreshock_core::types::{Action, Entity, Id};

    use super::*;

    fn order() -> Order {
        let mut signal =
            RemediationSignal::new(Id(7), Id(8), Action::Rollback, Entity::parse("service/shop/cart"), 0);
        signal.attributes = BTreeMap::from(
            [("namespace", "shop"), ("version", "v2"), ("to_version", ""), ("flag", "{{ id }}")]
                .map(|(key, value)| (key.to_string(), value.to_string())),
        );
        Order { signal, fencing_token: 1, rehearsal: false }
    }

    #[test]
    fn templates_are_filled_from_the_signal() {
        for (text, filled) in [
            ("plain", "plain"),
            ("{{ namespace }}/{{ name }}", "shop/cart"),
            ("{{ target }} {{ version }}", "service/shop/cart v2"),
            // What comes from a signal is data: it is not filled in its turn.
            ("{{ attributes.flag }}", "{{ id }}"),
            ("{{ name | upper }}", "CART"),
        ] {
            assert_eq!(fill(text, &order()).as_deref(), Ok(filled), "{text}");
        }
        for text in ["{{ to_version }}", "{{ attributes.nothing }}", "{{ nobody }}"] {
            assert!(matches!(fill(text, &order()), Err(Ended::Failed(_))), "{text}");
        }
        assert!(check("{{ name }").is_err() || check("{{ name").is_err());
    }

    #[test]
    fn nothing_leaves_its_segment() {
        for (text, encoded) in [
            ("cart-v2", "cart-v2"),
            ("../admin?x=1#y", "..%2Fadmin%3Fx%3D1%23y"),
            ("..", "..%20"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(segment(text), encoded);
        }
    }

    #[test]
    fn names_of_objects() {
        for name in ["cart", "cart-2", "a.b", "0"] {
            assert!(is_object_name(name), "{name}");
        }
        for name in ["", "Cart", "-cart", "cart-", "a/b", "..", "a..b", "a b", &"x".repeat(254)] {
            assert!(!is_object_name(name), "{name}");
        }
    }
}
