//! Resources and attributes as entities, series and streams.
//!
//! A stream is found again by a hash of its bytes on the wire, or else by one of its identity, so that names are made
//! once per stream and not once per record.

use std::{
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
};

use prost::Message;

use super::{
    Redactor, Refusal, malformed,
    protobuf::{Fields, WireError},
};
use crate::types::{
    Entity, EntityKind, Facet, MAX_ATTRIBUTES, MAX_NAME, SeriesDef, StreamDef, StreamKind,
    batch::StreamTable, cut_attributes, stable_hash,
};

/// The streams of a partition, in the order in which they were seen. Their names are redacted here, once for each.
#[derive(Debug)]
pub(super) struct Streams {
    redactor: Redactor,
    by_identity: HashMap<u64, u32>,
    /// The same by their bytes on the wire; one stream may be written in several ways.
    by_raw: HashMap<u64, u32>,
    table: Arc<StreamTable>,
    /// How entities run, of resources that something new was found under.
    seen: Vec<(Arc<Entity>, Facet, String)>,
}

impl Streams {
    /// No streams yet; whether names are redacted.
    pub(super) fn new(redaction: bool) -> Streams {
        Streams {
            redactor: Redactor::new(redaction),
            by_identity: HashMap::new(),
            by_raw: HashMap::new(),
            table: Arc::default(),
            seen: Vec::new(),
        }
    }

    /// Number of streams, or of ways to write them where that is more.
    pub(super) fn len(&self) -> usize {
        self.table.defs.len().max(self.by_raw.len())
    }

    pub(super) fn table(&self) -> Arc<StreamTable> {
        self.table.clone()
    }

    /// Whether a stream with this identity is known.
    pub(super) fn has(&self, identity: &Identity) -> bool {
        self.by_identity.contains_key(&identity.hash)
    }

    /// Takes note of the service that a model is part of.
    pub(super) fn is_part_of(&mut self, model: Arc<Entity>, owner: &Entity) {
        if owner.kind == EntityKind::Service {
            let (model, owner) = (self.redactor.entity(model), self.redactor.name(&owner.name));
            self.seen.push((model, Facet::Service, owner));
        }
    }

    /// What was seen since the last call.
    pub(super) fn seen(&mut self) -> impl Iterator<Item = (Arc<Entity>, Facet, String)> {
        self.seen.drain(..)
    }

    /// Index of the stream that was written like this before.
    pub(super) fn known(&self, raw: Raw) -> Option<u32> {
        self.by_raw.get(&raw.finish()).copied()
    }

    /// Index of the stream with this identity, from now on known by its bytes too.
    pub(super) fn learn(
        &mut self,
        raw: Raw,
        identity: &Identity,
        make: impl FnOnce() -> (SeriesDef, StreamKind),
    ) -> u32 {
        let index = self.index(identity, make);
        self.by_raw.insert(raw.finish(), index);
        index
    }

    /// Index of the stream with this identity; `make` is called for a new one.
    pub(super) fn index(
        &mut self,
        identity: &Identity,
        make: impl FnOnce() -> (SeriesDef, StreamKind),
    ) -> u32 {
        let Streams { table, redactor, seen, .. } = self;
        *self.by_identity.entry(identity.hash).or_insert_with(|| {
            let (series, kind) = make();
            let (series, kind) = (redactor.series(series), redactor.kind(kind));
            let version = series.attributes.iter().find(|(key, _)| key == "model.version");
            if let Some((_, version)) = version.filter(|_| series.entity.kind == EntityKind::Model) {
                seen.push((series.entity.clone(), Facet::Model, version.clone()));
            }
            let key = identity.hash;
            let defs = &mut Arc::make_mut(table).defs;
            defs.push(Arc::new(StreamDef { key, series: Arc::new(series), kind }));
            (defs.len() - 1) as u32
        })
    }
}

/// A running hash over bytes on the wire. Only a key of [`Streams`]: what leaves the engine never depends on it.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    hash: u64,
}

impl Raw {
    /// Goes on with these bytes; where they begin and end makes a difference.
    pub(super) fn bytes(self, bytes: &[u8]) -> Raw {
        let mut hasher = FixedState::with_seed(self.hash).build_hasher();
        hasher.write(bytes);
        Raw { hash: hasher.finish() }
    }

    fn finish(self) -> u64 {
        self.hash
    }
}

/// A resource on the wire, decoded once something new is found under it.
pub(super) struct Owner<'a> {
    bytes: &'a [u8],
    raw: Raw,
    decoded: Option<(Arc<Entity>, Identity)>,
}

impl<'a> Owner<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Owner<'a> {
        Owner { bytes, raw: Raw { hash: 0 }.bytes(bytes), decoded: None }
    }

    pub(super) fn raw(&self) -> Raw {
        self.raw
    }

    /// The entity that it describes, and its identity. The first time, `streams` learns how the entity runs.
    pub(super) fn decoded(&mut self, streams: &mut Streams) -> Result<(&Arc<Entity>, Identity), Refusal> {
        if self.decoded.is_none() {
            let resource = Resource::decode(self.bytes).map_err(malformed)?;
            let entity = streams.redactor.entity(entity(&resource));
            for (facet, value) in facets(&resource.attributes) {
                let value = streams.redactor.name(&value);
                streams.seen.push((entity.clone(), facet, value));
            }
            self.decoded = Some((entity, Identity::of(&resource.attributes)));
        }
        let (entity, identity) = self.decoded.as_ref().expect("it was decoded just now");
        Ok((entity, *identity))
    }
}

/// A running hash over everything that tells streams apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    hash: u64,
}

impl Identity {
    /// Of a resource with these attributes.
    pub(super) fn of(resource: &[KeyValue]) -> Identity {
        Identity { hash: 0 }.mix(sum(resource))
    }

    pub(super) fn text(self, text: &str) -> Identity {
        self.mix(stable_hash(text.as_bytes()))
    }

    /// Of these attributes too, in any order.
    pub(super) fn joined(self, attributes: &Attributes) -> Identity {
        self.mix(attributes.sum)
    }

    fn mix(self, other: u64) -> Identity {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..].copy_from_slice(&other.to_le_bytes());
        Identity { hash: stable_hash(&bytes) }
    }
}

/// The attributes of a data point.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    /// See [`sum`].
    sum: u64,
    /// Those that stay in the name of its series, cut at [`ROOM`] times what is kept in the end.
    pub(super) kept: Vec<(String, String)>,
}

/// Names are cut once they are redacted, so that nothing secret is cut in two; before that, at so many times the length.
const ROOM: usize = 4;

impl Attributes {
    pub(super) fn of(attributes: &[KeyValue]) -> Attributes {
        let kept = attributes.iter().filter(|attribute| !is_instance(&attribute.key)).map(|attribute| {
            (attribute.key.clone(), attribute.value.as_ref().map_or_else(String::new, text_of))
        });
        let kept = cut_attributes(kept.collect(), ROOM * MAX_NAME, ROOM * MAX_ATTRIBUTES);
        Attributes { sum: sum(attributes), kept }
    }
}

/// A hash of attributes in any order: their hashes are added.
fn sum(attributes: &[KeyValue]) -> u64 {
    let each = attributes.iter().map(|attribute| {
        let key = Identity { hash: stable_hash(attribute.key.as_bytes()) };
        key.mix(attribute.value.as_ref().map_or(0, hash_value)).hash
    });
    each.fold(0, u64::wrapping_add)
}

fn hash_value(value: &AnyValue) -> u64 {
    match &value.value {
        Some(Value::StringValue(text)) => stable_hash(text.as_bytes()),
        Some(Value::IntValue(number)) => stable_hash(&number.to_le_bytes()) ^ 1,
        Some(Value::DoubleValue(number)) => stable_hash(&number.to_bits().to_le_bytes()) ^ 2,
        Some(Value::BoolValue(flag)) => stable_hash(&[u8::from(*flag)]) ^ 3,
        Some(_) => stable_hash(text_of(value).as_bytes()) ^ 4,
        None => 5,
    }
}

/// An attribute's value as text.
pub(super) fn text_of(value: &AnyValue) -> String {
    let mut text = String::new();
    write_text(value, &mut text);
    text
}

fn write_text(value: &AnyValue, text: &mut String) {
    match &value.value {
        Some(Value::StringValue(own)) => text.push_str(own),
        Some(Value::IntValue(number)) => text.push_str(&number.to_string()),
        Some(Value::DoubleValue(number)) => text.push_str(&number.to_string()),
        Some(Value::BoolValue(flag)) => text.push_str(&flag.to_string()),
        Some(Value::ArrayValue(array)) => {
            for (place, item) in array.values.iter().enumerate() {
                text.push_str(if place > 0 { "," } else { "" });
                write_text(item, text);
            }
        }
        Some(Value::KvlistValue(list)) => {
            for (place, pair) in list.values.iter().enumerate() {
                text.push_str(if place > 0 { "," } else { "" });
                text.push_str(&pair.key);
                text.push('=');
                pair.value.iter().for_each(|value| write_text(value, text));
            }
        }
        Some(Value::BytesValue(bytes)) => text.push_str(&String::from_utf8_lossy(bytes)),
        _ => {}
    }
}

/// The text of an `AnyValue` on the wire; `None` where it holds something else. Nothing at all is an empty text.
pub(super) fn text(value: &[u8]) -> Result<Option<&str>, WireError> {
    let mut text = Some("");
    for field in Fields::of(value) {
        let field = field?;
        match field.number {
            1 => text = Some(field.text()?),
            2..=7 => text = None,
            _ => {}
        }
    }
    Ok(text)
}

/// The text of the first of these attributes that is there.
pub(super) fn find<'a>(attributes: &'a [KeyValue], keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| {
        let attribute = attributes.iter().find(|attribute| attribute.key == *key)?;
        match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        }
    })
}

/// Attributes of a resource that say how its entity runs; the first that is there counts.
const FACETS: [(Facet, &[&str]); 4] = [
    (Facet::Version, &["service.version"]),
    (Facet::Image, &["container.image.tags", "container.image.tag"]),
    (Facet::PodTemplate, &["k8s.replicaset.name"]),
    (Facet::Host, &["k8s.node.name", "host.name"]),
];

/// Ends of attributes that say which configuration an entity runs with. Charts put the checksum of a pod's configuration into an
/// annotation, which a Collector copies as `k8s.pod.annotation.checksum/config`.
const CONFIGS: [&str; 4] = ["checksum/config", "config.hash", "config.checksum", "config.version"];

/// Names of Kubernetes workloads.
const WORKLOADS: [&str; 4] =
    ["k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.cronjob.name"];

/// How the entity of a resource with these attributes runs.
fn facets(attributes: &[KeyValue]) -> Vec<(Facet, String)> {
    let named = FACETS.iter().filter_map(|(facet, keys)| Some((*facet, text_at(attributes, keys)?)));
    let says_config = |key: &str| CONFIGS.iter().any(|end| key.ends_with(end));
    let config = attributes.iter().find(|attribute| says_config(&attribute.key));
    let config = config.and_then(|attribute| text_at(attributes, &[attribute.key.as_str()]));
    let config = config.map(|config| (Facet::Config, config));
    let workload = find(attributes, &WORKLOADS).map(|name| (Facet::Workload, workload(attributes, name)));
    named.chain(config).chain(workload).collect()
}

/// A workload by its full name.
fn workload(attributes: &[KeyValue], name: &str) -> String {
    with_namespace(attributes, "k8s.namespace.name", name)
}

fn with_namespace(attributes: &[KeyValue], key: &str, name: &str) -> String {
    match find(attributes, &[key]) {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_string(),
    }
}

/// The first of these attributes that is there, as text; lists too.
fn text_at(attributes: &[KeyValue], keys: &[&str]) -> Option<String> {
    let found = keys.iter().find_map(|key| attributes.iter().find(|attribute| attribute.key == *key))?;
    Some(text_of(found.value.as_ref()?)).filter(|text| !text.is_empty())
}

/// The entity that a resource describes.
fn entity(resource: &Resource) -> Arc<Entity> {
    let attributes = &resource.attributes;
    let entity = if let Some(name) = find(attributes, &["service.name"]) {
        Entity::new(EntityKind::Service, with_namespace(attributes, "service.namespace", name))
    } else if let Some(name) = find(attributes, &WORKLOADS) {
        Entity::new(EntityKind::Workload, workload(attributes, name))
    } else if let Some(name) = find(attributes, &["host.name"]) {
        Entity::new(EntityKind::Host, name)
    } else if let Some(name) = find(attributes, &["db.system.name"]) {
        Entity::new(EntityKind::Database, name)
    } else {
        Entity::new(EntityKind::Other, "default")
    };
    Arc::new(entity)
}

/// Whether an attribute tells instances of one workload apart, so that roll-up drops it.
fn is_instance(key: &str) -> bool {
    const EXACT: [&str; 4] = ["service.instance.id", "container.id", "service.version", "instance"];
    const PREFIXES: [&str; 4] = ["k8s.pod.", "k8s.node.", "process.pid", "telemetry."];
    EXACT.contains(&key) || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}
