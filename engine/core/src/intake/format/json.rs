//! What readers of JSON have in common.

use serde_json::{Map, Value};

use crate::types::{epoch_ns, parse_time_ns};

/// The first of these keys that has a text.
pub(super) fn first_text<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| object.get(*key)?.as_str())
}

/// Text, or an epoch.
pub(super) fn time_ns(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => parse_time_ns(text),
        Value::Number(number) => epoch_ns(number.as_f64()?, number.as_i64()),
        _ => None,
    }
}
