//! Silences: what is known to be otherwise than it should be, and for how long.

use std::{fmt, str::FromStr};

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{
    anomaly::Anomaly,
    hash::Id,
    series::{Entity, SeriesDef},
};

/// An interval of event time in which what these matchers mean opens no incident and teaches no model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Hash of all that follows.
    pub id: Id,
    /// All of them must match.
    pub matchers: Vec<Matcher>,
    /// Where it begins, unix milliseconds.
    pub from_ms: i64,
    /// Where it ends, unix milliseconds; itself not in it.
    pub until_ms: i64,
    /// Who said so, or the name of the window in the configuration.
    pub by: String,
    /// Why.
    pub comment: String,
}

impl Silence {
    /// A silence with the id of its content.
    pub fn new(matchers: Vec<Matcher>, from_ms: i64, until_ms: i64, by: String, comment: String) -> Silence {
        let texts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        let times = format!("{from_ms} {until_ms}");
        let id = Id::of(&["silence", &texts.join("\n"), &times, &by, &comment]);
        Silence { id, matchers, from_ms, until_ms, by, comment }
    }

    /// Whether it holds at this time.
    pub fn holds(&self, time_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&time_ms)
    }

    /// Whether it means this anomaly.
    pub fn means(&self, anomaly: &Anomaly) -> bool {
        let (entity, measure) = (&anomaly.entity, anomaly.measure.as_str());
        let labels =
            Labels { kind: entity.kind.name(), name: &entity.name, measure, series: &anomaly.series };
        self.matchers.iter().all(|matcher| matcher.matches(&labels))
    }

    /// Whether it means this series.
    pub fn means_series(&self, series: &SeriesDef) -> bool {
        Matcher::all_mean(&self.matchers, series)
    }
}

/// What a matcher looks at.
struct Labels<'a> {
    kind: &'a str,
    name: &'a str,
    measure: &'a str,
    series: &'a str,
}

impl Labels<'_> {
    /// The value of a label; one that is not there is empty.
    fn value(&self, label: &str) -> String {
        match label {
            "entity" => format!("{}/{}", self.kind, self.name),
            "kind" => self.kind.to_string(),
            "name" => self.name.to_string(),
            "measure" => self.measure.to_string(),
            "series" => self.series.to_string(),
            _ => {
                let attributes =
                    self.series.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
                let pairs = attributes.split(',').filter_map(|pair| pair.split_once('='));
                pairs
                    .filter(|(key, _)| *key == label)
                    .map(|(_, value)| value.to_string())
                    .next()
                    .unwrap_or_default()
            }
        }
    }
}

/// A condition on one label, as Alertmanager writes them: `entity=service/cart`, `measure=~"disk.*"`, `kind!=host`,
/// `http.route!~"/internal/.*"`. Expressions are anchored. Labels are `entity`, `kind`, `name`, `measure`, `series` and the
/// attributes of the series; one that a series does not have is empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    label: String,
    operator: &'static str,
    value: String,
    expression: Option<Regex>,
}

const OPERATORS: [&str; 4] = ["!~", "=~", "!=", "="];

impl Matcher {
    /// Whether all of these mean this series.
    pub fn all_mean(matchers: &[Matcher], series: &SeriesDef) -> bool {
        let (kind, name) = (series.entity.kind.name(), series.entity.name.as_str());
        let labels = Labels { kind, name, measure: &series.measure, series: &series.name };
        matchers.iter().all(|matcher| matcher.matches(&labels))
    }

    /// Whether all of these mean this entity: its kind and its name.
    pub fn all_mean_entity(matchers: &[Matcher], entity: &Entity) -> bool {
        let labels = Labels { kind: entity.kind.name(), name: &entity.name, measure: "", series: "" };
        matchers.iter().all(|matcher| matcher.matches(&labels))
    }

    fn matches(&self, labels: &Labels<'_>) -> bool {
        let value = labels.value(&self.label);
        let equal = match &self.expression {
            Some(expression) => expression.is_match(&value),
            None => value == self.value,
        };
        equal != self.operator.starts_with('!')
    }
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Matcher, String> {
        let refuse = |problem: &str| format!("{text:?} is no matcher: {problem}");
        let at = text.find(['=', '!']).ok_or_else(|| refuse("write it like entity=service/cart"))?;
        let (label, rest) = text.split_at(at);
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
        let operator = operator.ok_or_else(|| refuse("it has none of =, !=, =~ and !~"))?;
        let (label, value) = (label.trim(), rest[operator.len()..].trim());
        if label.is_empty() {
            return Err(refuse("it names no label"));
        }
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = quoted.unwrap_or(value).to_string();
        let expression = operator
            .ends_with('~')
            .then(|| regex::RegexBuilder::new(&format!("^(?:{value})$")).size_limit(1 << 20).build());
        let expression = expression.transpose().map_err(|error| refuse(&error.to_string()))?;
        Ok(Matcher { label: label.to_string(), operator, value, expression })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}\"{}\"", self.label, self.operator, self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (&self.label, self.operator, &self.value) == (&other.label, other.operator, &other.value)
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Matcher, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Matcher {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matcher".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::{Entity, EntityKind};

    fn matches(matchers: &[&str]) -> bool {
        let entity = Arc::new(Entity::new(EntityKind::Service, "shop/cart"));
        let attributes =
            vec![("http.route".to_string(), "/add".to_string()), ("le".to_string(), "1".to_string())];
        let series = SeriesDef::new(entity, "requests:rate", attributes);
        let matchers = matchers.iter().map(|text| text.parse().expect(text)).collect();
        Silence::new(matchers, 0, 1, String::new(), String::new()).means_series(&series)
    }

    #[test]
    fn labels_and_attributes_are_matched() {
        for held in [
            &["entity=service/shop/cart"][..],
            &["kind = service", "name=~\"shop/.*\""],
            &["measure!=log.error:rate", "http.route=\"/add\""],
            &["le!~\"2|3\"", "status="],
            &["series=~\".*rate.http.*\""],
            &[],
        ] {
            assert!(matches(held), "{held:?}");
        }
        for other in [&["entity=cart"][..], &["name=~cart"], &["kind=service", "le=2"], &["http.route!~/.*"]]
        {
            assert!(!matches(other), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_matcher_is_named() {
        for (text, problem) in
            [("cart", "write it like"), ("=x", "names no label"), ("a=~(", "unclosed"), ("a!x", "none of")]
        {
            let error = text.parse::<Matcher>().unwrap_err();
            assert!(error.contains(text) && error.contains(problem), "{error}");
        }
        let matcher: Matcher = "measure =~ disk.*".parse().unwrap();
        assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher);
    }
}
