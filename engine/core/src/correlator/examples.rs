//! Requests and lines of entities that somebody may want to look at: the latest of each kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{Entity, EntityKind, Example, ExampleKind};

/// Time for which an example is kept, event time.
const KEPT_MS: i64 = 1_800_000;

/// An example may be from so long before an onset, which is an estimate.
const BEFORE_MS: i64 = 60_000;

/// The latest examples of every entity, by kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Examples(BTreeMap<Entity, BTreeMap<ExampleKind, Example>>);

impl Examples {
    /// Takes those of a tick.
    pub(super) fn tick(&mut self, time_ms: i64, examples: Vec<(Entity, Example)>) {
        for (entity, example) in examples {
            self.0.entry(entity).or_default().insert(example.kind, example);
        }
        self.0.retain(|_, kinds| {
            kinds.retain(|_, example| time_ms - example.time_ms < KEPT_MS);
            !kinds.is_empty()
        });
    }

    /// Those of an entity since an onset.
    pub(super) fn since(&self, entity: &Entity, onset_ms: i64) -> impl Iterator<Item = &Example> {
        // Its callers may know it as something else.
        let names = EntityKind::ALL.into_iter().map(|kind| Entity::new(kind, entity.name.as_str()));
        let same = names.filter(|other| other.is(entity));
        let known = same.filter_map(|other| self.0.get(&other)).flat_map(BTreeMap::values);
        known.filter(move |example| example.time_ms >= onset_ms - BEFORE_MS)
    }
}
