//! Which version of an entity came before which, as change events told it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{Change, Entity};

/// Versions remembered per entity.
const DEPTH: usize = 8;

/// The latest versions of entities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Versions(BTreeMap<Entity, Vec<Version>>);

/// Ordered by time; the id separates changes of one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Version {
    time_ms: i64,
    change: String,
    name: String,
}

impl Versions {
    /// Takes a change; repeats and changes without a version say nothing new.
    pub(super) fn learn(&mut self, change: &Change, limit: usize) {
        if change.version.is_empty() {
            return;
        }
        if !self.0.contains_key(&change.entity) {
            self.make_room(limit);
        }
        let known = self.0.entry(change.entity.clone()).or_default();
        let version =
            Version { time_ms: change.time_ms, change: change.id.clone(), name: change.version.clone() };
        if let Err(place) = known.binary_search(&version) {
            known.insert(place, version);
            known.drain(..known.len().saturating_sub(DEPTH));
        }
    }

    /// The version that the entity had before this change.
    pub(super) fn before(&self, change: &Change) -> Option<&str> {
        let known = self.0.get(&change.entity)?;
        let earlier = |version: &&Version| version.time_ms < change.time_ms && version.name != change.version;
        known.iter().rev().find(earlier).map(|version| version.name.as_str())
    }

    /// The version that the entity has, and the one before it.
    pub(super) fn latest(&self, entity: &Entity) -> Option<(&str, &str)> {
        let known = self.0.get(entity)?;
        let latest = known.last()?;
        let before = known.iter().rev().find(|version| version.name != latest.name)?;
        Some((latest.name.as_str(), before.name.as_str()))
    }

    fn make_room(&mut self, limit: usize) {
        if self.0.len() < limit {
            return;
        }
        let latest = |versions: &[Version]| versions.last().map(|version| version.time_ms);
        let oldest = self.0.iter().min_by_key(|(_, versions)| latest(versions));
        if let Some(entity) = oldest.map(|(entity, _)| entity.clone()) {
            self.0.remove(&entity);
        }
    }
}
