//! What telemetry says in passing of how an entity runs.

use serde::{Deserialize, Serialize};

use super::series::{Entity, EntityKind};

/// What of an entity may be another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Facet {
    /// `service.version`.
    Version,
    /// `container.image.tags`, or `container.image.tag`.
    Image,
    /// `k8s.replicaset.name`: another pod template, be it of the same version.
    PodTemplate,
    /// The hash or version of its configuration: an annotation like `checksum/config`, an attribute like `config.hash`.
    Config,
    /// `model.version` of a model.
    Model,
    /// `k8s.node.name`, or `host.name`: where it runs. No change: work is moved all the time.
    Host,
    /// The Kubernetes workload that a service is part of.
    Workload,
    /// The service that a model is part of.
    Service,
}

impl Facet {
    /// The kind of the entity on which another runs, or of which it is part; `None` for what can be changed.
    pub fn place(self) -> Option<EntityKind> {
        match self {
            Facet::Host => Some(EntityKind::Host),
            Facet::Workload => Some(EntityKind::Workload),
            Facet::Service => Some(EntityKind::Service),
            Facet::Version | Facet::Image | Facet::PodTemplate | Facet::Config | Facet::Model => None,
        }
    }
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
