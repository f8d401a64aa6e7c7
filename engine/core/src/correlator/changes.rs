//! Changes that may be the cause of something, each once, and the few of them that an incident shows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::{Change, Entity, stable_hash};

/// Changes that are kept, the oldest leave first. Incidents look for theirs among them at every tick.
const MOST: usize = 10_000;

/// The changes of the last while, in the order in which they were told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Changes {
    all: VecDeque<Change>,
    /// Hashes of their ids; made again after a restart.
    #[serde(skip)]
    known: BTreeSet<u64>,
}

impl Changes {
    /// Takes a change; the repeat of one that is known changes nothing.
    pub(super) fn take(&mut self, change: Change) {
        let hash = |change: &Change| stable_hash(change.id.as_bytes());
        if self.known.is_empty() {
            self.known.extend(self.all.iter().map(hash));
        }
        if !self.known.insert(hash(&change)) {
            return;
        }
        self.all.push_back(change);
        if self.all.len() > MOST
            && let Some(oldest) = self.all.pop_front()
        {
            self.known.remove(&hash(&oldest));
        }
    }

    /// Forgets those from before this time.
    pub(super) fn forget_before(&mut self, time_ms: i64) {
        let before = self.all.len();
        self.all.retain(|change| change.time_ms >= time_ms);
        if self.all.len() < before {
            self.known.clear();
        }
    }

    /// Those since this time.
    pub(super) fn since(&self, time_ms: i64) -> impl Iterator<Item = &Change> {
        self.all.iter().filter(move |change| change.time_ms >= time_ms)
    }
}

/// Leaves as many changes as there is room for, in order of time: the latest of each entity, so that one that is changed without end
/// takes no other's place.
pub(super) fn fit(changes: &mut Vec<Change>, room: usize) {
    changes.sort();
    if changes.len() <= room {
        return;
    }
    let mut of_entity: BTreeMap<&Entity, usize> = BTreeMap::new();
    changes.iter().for_each(|change| *of_entity.entry(&change.entity).or_default() += 1);
    let all = |each: usize| of_entity.values().map(|count| *count.min(&each)).sum::<usize>();
    let each = (1..=room).rev().find(|each| all(*each) <= room).unwrap_or(1);
    let mut spare: BTreeMap<Entity, usize> =
        of_entity.into_iter().map(|(entity, count)| (entity.clone(), count.saturating_sub(each))).collect();
    changes.retain(|change| match spare.get_mut(&change.entity) {
        Some(spare) if *spare > 0 => {
            *spare -= 1;
            false
        }
        _ => true,
    });
    changes.drain(..changes.len().saturating_sub(room));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EntityKind;

    fn change(time_ms: i64, service: &str) -> Change {
        Change {
            time_ms,
            id: format!("{service}-{time_ms}"),
            kind: "service.deployed".to_string(),
            entity: Entity::new(EntityKind::Service, service),
            version: String::new(),
            source: "test".to_string(),
        }
    }

    #[test]
    fn one_that_is_changed_without_end_takes_no_others_place() {
        let mut changes: Vec<Change> = (10..20_000).map(|time| change(time, "noisy")).collect();
        changes.extend([change(0, "cart"), change(1, "cart"), change(2, "payment")]);
        fit(&mut changes, 100);
        let of = |service: &str| -> Vec<i64> {
            let own = changes.iter().filter(|change| change.entity.name == service);
            own.map(|change| change.time_ms).collect()
        };
        assert_eq!((of("cart"), of("payment")), (vec![0, 1], vec![2]));
        assert_eq!(of("noisy"), (19_903..20_000).collect::<Vec<i64>>());
        let mut many: Vec<Change> = (0..300).map(|time| change(time, &time.to_string())).collect();
        fit(&mut many, 100);
        assert_eq!((many.len(), many[0].time_ms), (100, 200));
        let few = [change(3, "a"), change(4, "a")];
        let mut turned = vec![few[1].clone(), few[0].clone()];
        fit(&mut turned, 100);
        assert_eq!(turned, few);
    }

    #[test]
    fn a_repeat_is_one_change_and_there_are_no_more_than_there_is_room_for() {
        let mut changes = Changes::default();
        (0..2).for_each(|_| (0..50).for_each(|time| changes.take(change(time, "cart"))));
        assert_eq!(changes.since(10).count(), 40);
        let mut loaded: Changes =
            postcard::from_bytes(&postcard::to_stdvec(&changes).expect("saved")).expect("read");
        loaded.take(change(49, "cart"));
        assert_eq!(loaded.since(0).count(), 50);
        loaded.forget_before(49);
        loaded.take(change(3, "cart"));
        assert_eq!(loaded.since(0).count(), 2);
        (0..MOST as i64 + 10).for_each(|time| loaded.take(change(time, "noisy")));
        assert_eq!(loaded.since(0).count(), MOST);
    }
}
