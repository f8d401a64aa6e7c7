//! Changes that nobody told of: an entity runs as it never did before.
//!
//! A value of a facet that is new to an entity is a change. Silent are: the first [`LEARNING_MS`] of an entity, since several versions may have
//! been there before us; and what is new within [`SAME_MS`] of another change of the entity, told or seen, since that is this one. A
//! value that was seen before is no news: two versions may run side by side for good, and a restart sees them all again.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::{Change, Entity, EntityKind, Facet, Placement, Sighting};

/// Time after an entity's first sighting in which whatever is seen was there before.
const LEARNING_MS: i64 = 600_000;
/// Changes of an entity nearer than this are one.
const SAME_MS: i64 = 600_000;
/// Values that are remembered per entity.
const REMEMBERED: usize = 64;
/// Entities that are remembered; beyond it new ones are not watched.
const MOST: usize = 100_000;

/// What was seen of every entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sightings(BTreeMap<Entity, Seen>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    first_ms: i64,
    /// Latest change, told or seen.
    changed_ms: i64,
    /// Oldest first.
    values: VecDeque<(Facet, String)>,
}

impl Sightings {
    /// Takes note of a change that was told.
    pub(super) fn told(&mut self, change: &Change) {
        for (_, seen) in self.0.iter_mut().filter(|(entity, _)| entity.is(&change.entity)) {
            seen.changed_ms = seen.changed_ms.max(change.time_ms);
        }
    }

    /// The change that a sighting is, if it is one; what something runs on or is part of is none.
    pub(super) fn take(&mut self, sighting: Sighting) -> Option<Change> {
        let Sighting { time_ms, entity, facet, value } = sighting;
        let kind = match facet {
            Facet::Version | Facet::Image => "service.upgraded",
            Facet::PodTemplate => "pod_template.changed",
            Facet::Config => "config.changed",
            Facet::Model => "model.upgraded",
            Facet::Host | Facet::Workload | Facet::Service => return None,
        };
        if self.0.len() >= MOST && !self.0.contains_key(&entity) {
            return None;
        }
        let fresh = Seen { first_ms: time_ms, changed_ms: i64::MIN / 2, values: VecDeque::new() };
        let seen = self.0.entry(entity.clone()).or_insert(fresh);
        if seen.values.iter().any(|(of, known)| *of == facet && *known == value) {
            return None;
        }
        seen.values.push_back((facet, value.clone()));
        if seen.values.len() > REMEMBERED {
            seen.values.pop_front();
        }
        if time_ms - seen.first_ms < LEARNING_MS || time_ms - seen.changed_ms < SAME_MS {
            return None;
        }
        seen.changed_ms = time_ms;
        Some(Change {
            time_ms,
            id: format!("telemetry/{entity}/{value}"),
            kind: kind.to_string(),
            entity,
            version: value,
            source: "telemetry".to_string(),
        })
    }
}

/// Takes out of sightings what entities run on, and are part of.
pub(super) fn placements(sightings: &mut Vec<Sighting>) -> Vec<Placement> {
    let placed = sightings.extract_if(.., |seen| seen.facet.place().is_some());
    let placements = placed.filter_map(|Sighting { entity, facet, value, .. }| {
        let host = Entity::new(facet.place()?, value);
        let is_itself = entity.is(&host) || entity.kind == EntityKind::Host;
        (!is_itself).then_some(Placement { entity, host })
    });
    placements.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart() -> Entity {
        Entity::new(EntityKind::Service, "cart")
    }

    fn take(sightings: &mut Sightings, minute: i64, facet: Facet, value: &str) -> Option<String> {
        let sighting = Sighting { time_ms: minute * 60_000, entity: cart(), facet, value: value.to_string() };
        sightings.take(sighting).map(|change| format!("{} {}", change.kind, change.version))
    }

    #[test]
    fn what_never_ran_before_is_a_change_once() {
        let mut sightings = Sightings::default();
        let upgraded = |version: &str| Some(format!("service.upgraded {version}"));
        // A canary that was there before us.
        assert_eq!(take(&mut sightings, 0, Facet::Version, "v1"), None);
        assert_eq!(take(&mut sightings, 5, Facet::Version, "v2"), None);
        assert_eq!(take(&mut sightings, 60, Facet::Version, "v3"), upgraded("v3"));
        assert_eq!(take(&mut sightings, 60, Facet::PodTemplate, "cart-5d"), None, "the same deploy");
        assert_eq!(take(&mut sightings, 61, Facet::Version, "v3"), None, "its next pod");
        assert_eq!(take(&mut sightings, 90, Facet::Version, "v2"), None, "side by side");
        let template = take(&mut sightings, 120, Facet::PodTemplate, "cart-7f");
        assert_eq!(template.as_deref(), Some("pod_template.changed cart-7f"));
    }

    #[test]
    fn configurations_and_models_change_too() {
        let mut sightings = Sightings::default();
        take(&mut sightings, 0, Facet::Config, "a1");
        let config = take(&mut sightings, 60, Facet::Config, "b2");
        assert_eq!(config.as_deref(), Some("config.changed b2"));
        assert_eq!(take(&mut sightings, 90, Facet::Model, "7").as_deref(), Some("model.upgraded 7"));
    }

    #[test]
    fn what_an_entity_is_part_of_is_a_place_unless_it_is_itself() {
        let seen = |entity: &str, facet, value: &str| {
            let (entity, value) = (Entity::parse(entity), value.to_string());
            Sighting { time_ms: 0, entity, facet, value }
        };
        let mut seen = vec![
            seen("service/cart", Facet::Workload, "shop/cart"),
            seen("workload/shop/cart", Facet::Workload, "shop/cart"),
            seen("model/ranker", Facet::Service, "recommender"),
            seen("service/cart", Facet::Host, "n1"),
            seen("host/n1", Facet::Host, "n1"),
            seen("service/cart", Facet::Version, "v1"),
        ];
        let placed = placements(&mut seen);
        let placed = placed.iter().map(|Placement { entity, host }| format!("{entity} on {host}"));
        let expected = [
            "service/cart on workload/shop/cart",
            "model/ranker on service/recommender",
            "service/cart on host/n1",
        ];
        assert!(placed.eq(expected));
        assert_eq!(seen.len(), 1, "the version is left");
    }

    #[test]
    fn what_was_told_is_not_said_again() {
        let mut sightings = Sightings::default();
        take(&mut sightings, 0, Facet::Version, "v1");
        let change = Change {
            time_ms: 59 * 60_000,
            id: "d1".to_string(),
            kind: "service.upgraded".to_string(),
            entity: cart(),
            version: "2.0.0".to_string(),
            source: "ci".to_string(),
        };
        sightings.told(&change);
        assert_eq!(take(&mut sightings, 60, Facet::Version, "v2"), None);
        assert_eq!(take(&mut sightings, 75, Facet::Version, "v3").as_deref(), Some("service.upgraded v3"));
    }
}
