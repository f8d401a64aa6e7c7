//! What telemetry says in passing of how an entity runs.

use serde::{Deserialize, Serialize};

use super::series::Entity;

/// What of an entity may be another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Facet {
    /// `service.version`.
    Version,
    /// `container.image.tags`, or `container.image.tag`.
    Image,
    /// `k8s.replicaset.name`: another pod template, be it of the same version.
    PodTemplate,
    /// `k8s.node.name`, or `host.name`: where it runs. No change: work is moved all the time.
    Host,
}

/// A value of a facet, seen on a resource that is new.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// Newest event time of the record, unix milliseconds.
    pub time_ms: i64,
    /// Whose.
    pub entity: Entity,
    /// What.
    pub facet: Facet,
    /// Its value.
    pub value: String,
}
