//! Entities, series and streams, and their stable keys.
//!
//! A *stream* is what one producer writes (one pod's counter). Streams whose identity differs only in pod
//! or instance roll up into one *series* of their *entity*.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{hash::stable_hash, measure_role::MeasureRole};

/// What sort of thing an entity is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// `service.name`.
    Service,
    /// A Kubernetes workload without `service.name`.
    Workload,
    /// `host.name`.
    Host,
    /// A database that is called.
    Database,
    /// A queue or topic that is written to or read from.
    Queue,
    /// A machine-learning model.
    Model,
    /// Anything else: a file, a named series without a resource.
    Other,
}

impl EntityKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [EntityKind; 7] = [
        EntityKind::Service,
        EntityKind::Workload,
        EntityKind::Host,
        EntityKind::Database,
        EntityKind::Queue,
        EntityKind::Model,
        EntityKind::Other,
    ];

    /// The kind as it stands in names.
    pub fn name(self) -> &'static str {
        match self {
            EntityKind::Service => "service",
            EntityKind::Workload => "workload",
            EntityKind::Host => "host",
            EntityKind::Database => "database",
            EntityKind::Queue => "queue",
            EntityKind::Model => "model",
            EntityKind::Other => "other",
        }
    }
}

/// What a person would name.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Entity {
    /// What sort of thing it is.
    pub kind: EntityKind,
    /// Its name, with its namespace before it where there is one: `shop/cart`.
    pub name: String,
}

impl Entity {
    /// An entity of this kind and name.
    pub fn new(kind: EntityKind, name: impl Into<String>) -> Entity {
        Entity { kind, name: name.into() }
    }

    /// Reads `service/cart`; `None` without a known kind before the first slash.
    pub fn from_name(text: &str) -> Option<Entity> {
        let (kind, name) = text.split_once('/')?;
        let kind = EntityKind::ALL.into_iter().find(|known| known.name() == kind)?;
        Some(Entity::new(kind, name))
    }

    /// The same; a text without a known kind is an [`EntityKind::Other`].
    pub fn parse(text: &str) -> Entity {
        Entity::from_name(text).unwrap_or_else(|| Entity::new(EntityKind::Other, text))
    }

    /// Whether both are one thing: what its callers know as a database or a queue may report as a service of that name, and who does
    /// not say a namespace may mean any.
    pub fn is(&self, other: &Entity) -> bool {
        let reports = |kind| {
            matches!(
                kind,
                EntityKind::Service | EntityKind::Workload | EntityKind::Database | EntityKind::Queue
            )
        };
        let one = self == other || self.name == other.name && reports(self.kind) && reports(other.kind);
        let within = |a: &Entity, b: &Entity| a.kind == b.kind && is_within(&a.name, &b.name);
        one || within(self, other) || within(other, self)
    }

    /// Stable key of the canonical name.
    pub fn key(&self) -> u64 {
        stable_hash(self.to_string().as_bytes())
    }
}

/// Whether `payment` is the last part of `shop/payment`. Asked of many pairs: where no part ends, nothing is compared.
fn is_within(name: &str, whole: &str) -> bool {
    let before = whole.len().checked_sub(name.len() + 1).map(|at| whole.as_bytes()[at]);
    before == Some(b'/') && whole.ends_with(name) && !name.contains('/')
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.name)
    }
}

/// One series: entity, measure and the remaining attributes in canonical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesDef {
    /// Stable hash of `name`.
    pub key: u64,
    /// Whose series it is.
    pub entity: Arc<Entity>,
    /// [`Entity::key`] of it.
    pub entity_key: u64,
    /// What is measured: `http.server.requests:rate`, `log.error:rate`, `span.duration:p95`.
    pub measure: String,
    /// What that tells of.
    pub role: MeasureRole,
    /// The remaining attributes, sorted by key.
    pub attributes: Vec<(String, String)>,
    /// Canonical name: `service/cart http.server.requests:rate{http.route=/add}`.
    pub name: String,
}

impl SeriesDef {
    /// A series; sorts the attributes and makes name and key.
    pub fn new(
        entity: Arc<Entity>,
        measure: impl Into<String>,
        mut attributes: Vec<(String, String)>,
    ) -> SeriesDef {
        let measure = measure.into();
        attributes.sort();
        let mut name = format!("{entity} {measure}");
        for (index, (key, value)) in attributes.iter().enumerate() {
            name.push(if index == 0 { '{' } else { ',' });
            name.push_str(key);
            name.push('=');
            name.push_str(value);
        }
        if !attributes.is_empty() {
            name.push('}');
        }
        let (key, entity_key) = (stable_hash(name.as_bytes()), entity.key());
        let role = MeasureRole::of(&measure, &attributes);
        SeriesDef { key, entity, entity_key, measure, role, attributes, name }
    }
}

/// How the samples of a stream become values of series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamKind {
    /// Last value of the tick; the mean over the streams of a series.
    Gauge,
    /// Monotonic, counted from `start`: a rate per second, summed over streams.
    CumulativeCounter,
    /// Increments: a rate per second, summed over streams.
    DeltaCounter,
    /// Buckets counted from `start`: rate and quantiles over all streams.
    CumulativeHistogram,
    /// Buckets of the interval: rate and quantiles over all streams.
    DeltaHistogram,
    /// Log lines: counts per severity and template, novelty.
    Logs,
    /// Spans of one operation: rate, error ratio, duration quantiles; edges to `peer`.
    Spans {
        /// True for server, consumer and internal root spans: they describe their own entity.
        inbound: bool,
        /// Whom the span calls, where it says so.
        peer: Option<Arc<Entity>>,
    },
    /// What was seen of a model, each value by itself: rate, mean and quantiles over all streams, drift.
    Observations,
    /// The same of what is 0 or 1: rate and share, drift.
    Outcomes,
    /// The same of one of a few categories, 0 to 8: rate, drift.
    Categories,
}

impl StreamKind {
    /// The kind as it stands in the identity of a stream.
    pub fn name(&self) -> &'static str {
        match self {
            StreamKind::Gauge => "gauge",
            StreamKind::CumulativeCounter => "cumulative",
            StreamKind::DeltaCounter => "delta",
            StreamKind::CumulativeHistogram => "cumulative histogram",
            StreamKind::DeltaHistogram => "delta histogram",
            StreamKind::Logs => "log",
            StreamKind::Spans { .. } => "span",
            StreamKind::Observations => "observations",
            StreamKind::Outcomes => "outcomes",
            StreamKind::Categories => "categories",
        }
    }
}

/// One stream: what a sample's `stream` key stands for.
///
/// For `Logs` and `Spans`, `series` holds the entity and, for spans, the attribute `operation`; the measure
/// is the prefix of the series made from it (`log`, `span`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDef {
    /// Stable hash of the whole identity, pod and instance included.
    pub key: u64,
    /// The series that it rolls up into.
    pub series: Arc<SeriesDef>,
    /// How its samples become values.
    pub kind: StreamKind,
}

/// Whether the text, for example the name of an entity, fits the pattern, in which `*` stands for any text.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_read_as_they_are_written() {
        for kind in EntityKind::ALL {
            let entity = Entity::new(kind, "shop/cart");
            assert_eq!(Entity::parse(&entity.to_string()), entity);
        }
        for text in ["cart", "thing/cart", ""] {
            assert_eq!(Entity::parse(text), Entity::new(EntityKind::Other, text));
        }
    }

    #[test]
    fn one_thing_has_several_names() {
        for (a, b, is_one) in [
            ("service/cart", "service/cart", true),
            ("service/orders", "database/orders", true),
            ("service/shop/cart", "service/cart", true),
            ("service/shop/cart", "service/bank/cart", false),
            ("service/shop/cart", "service/shop", false),
            ("service/shop/mycart", "service/cart", false),
            ("service/shop/cart", "workload/cart", false),
            ("service/cart", "host/cart", false),
        ] {
            let (a, b) = (Entity::parse(a), Entity::parse(b));
            assert_eq!((a.is(&b), b.is(&a)), (is_one, is_one), "{a} {b}");
        }
    }

    #[test]
    fn names_are_canonical() {
        let cart = Arc::new(Entity::new(EntityKind::Service, "cart"));
        let series = |attributes: &[(&str, &str)]| {
            let owned = attributes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            SeriesDef::new(cart.clone(), "requests:rate", owned)
        };
        assert_eq!(series(&[]).name, "service/cart requests:rate");
        assert_eq!(series(&[("b", "2"), ("a", "1")]).name, "service/cart requests:rate{a=1,b=2}");
        assert_eq!(series(&[("b", "2"), ("a", "1")]).key, series(&[("a", "1"), ("b", "2")]).key);
    }
}
