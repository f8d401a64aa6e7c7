//! Whose trouble comes together again and again: learnt from past incidents, so that what no span and no configuration shows ties the
//! next ones together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{Entity, Incident};

/// Incidents in which two must have been in trouble together, and the share of each one's incidents that these must be.
const TIMES: u32 = 3;
const SHARE: f64 = 0.5;

/// A suspect of less weight than this may be there by chance.
const WEIGHT: f64 = 0.1;

/// Time after which what did not come again is forgotten, event time: 60 days.
const KEPT_MS: i64 = 60 * 86_400_000;

/// Most pairs that are remembered; the oldest go.
const MOST: usize = 2_000;

/// How often, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Times {
    count: u32,
    last_ms: i64,
}

/// Who was in trouble how often, alone and with whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Companions {
    alone: BTreeMap<Entity, Times>,
    /// The lesser entity first.
    together: BTreeMap<(Entity, Entity), Times>,
    /// Of these, who is in trouble together as a rule: in so many incidents of so many.
    rules: Vec<(Entity, Entity, (u32, u32))>,
}

fn ordered(a: &Entity, b: &Entity) -> (Entity, Entity) {
    if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) }
}

/// Those in trouble in an incident.
fn troubled(incident: &Incident) -> impl Iterator<Item = &Entity> + Clone {
    let suspects = incident.suspects.iter().filter(|suspect| suspect.weight >= WEIGHT);
    suspects.map(|suspect| &suspect.entity)
}

impl Companions {
    /// Learns from an incident that is over; `others` are incidents that were over before it.
    pub(super) fn learn<'a>(
        &mut self,
        incident: &Incident,
        others: impl Iterator<Item = &'a Incident>,
        window_ms: i64,
    ) {
        let time_ms = incident.started_ms;
        let mut count = |pair: (Entity, Entity)| {
            let times = self.together.entry(pair).or_default();
            *times = Times { count: times.count + 1, last_ms: times.last_ms.max(time_ms) };
        };
        for (at, one) in troubled(incident).enumerate() {
            let times = self.alone.entry(one.clone()).or_default();
            *times = Times { count: times.count + 1, last_ms: times.last_ms.max(time_ms) };
            troubled(incident).skip(at + 1).for_each(|other| count(ordered(one, other)));
        }
        let near = |other: &&Incident| (other.started_ms - time_ms).abs() <= window_ms;
        for other in others.filter(near) {
            let pairs = troubled(incident).flat_map(|one| troubled(other).map(move |two| (one, two)));
            pairs.filter(|(one, two)| !one.is(two)).for_each(|(one, two)| count(ordered(one, two)));
        }
        self.forget(time_ms);
        self.derive();
    }

    fn forget(&mut self, time_ms: i64) {
        let is_known = |times: &Times| time_ms - times.last_ms < KEPT_MS;
        self.alone.retain(|_, times| is_known(times));
        self.together.retain(|_, times| is_known(times));
        while self.together.len() > MOST {
            let oldest = self.together.iter().min_by_key(|(_, times)| times.last_ms);
            let Some(pair) = oldest.map(|(pair, _)| pair.clone()) else { return };
            self.together.remove(&pair);
        }
    }

    fn derive(&mut self) {
        let count = |entity: &Entity| self.alone.get(entity).map_or(0, |times| times.count);
        let rules = self.together.iter().filter_map(|((a, b), together)| {
            let (times, all) = (together.count, count(a).max(count(b)).max(together.count));
            let is_rule = times >= TIMES && f64::from(times) >= SHARE * f64::from(all);
            is_rule.then(|| (a.clone(), b.clone(), (times, all)))
        });
        self.rules = rules.collect();
    }

    /// Those whose trouble comes together as a rule.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.rules.iter().map(|(a, b, _)| (a, b))
    }

    /// In how many incidents both were in trouble, of how many of the one that was so more often; `None` where that is no rule.
    pub(super) fn times(&self, a: &Entity, b: &Entity) -> Option<(u32, u32)> {
        let are = |one: &Entity, other: &Entity| one.is(a) && other.is(b) || one.is(b) && other.is(a);
        self.rules.iter().find(|(one, other, _)| are(one, other)).map(|(.., times)| *times)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests, *};
    use crate::types::EntityKind;

    const MINUTE_MS: i64 = 60_000;

    fn incident(minute: i64, names: &[&str]) -> Incident {
        let entities: Vec<Entity> =
            names.iter().map(|name| Entity::new(EntityKind::Service, *name)).collect();
        let entities: Vec<&Entity> = entities.iter().collect();
        Incident { started_ms: minute * MINUTE_MS, ..tests::incident_of(&entities) }
    }

    fn rules(companions: &Companions) -> Vec<String> {
        let pair = |(a, b): (&Entity, &Entity)| {
            let (times, all) = companions.times(b, a).unwrap();
            format!("{} {} {times}/{all}", a.name, b.name)
        };
        companions.pairs().map(pair).collect()
    }

    #[test]
    fn trouble_that_comes_together_again_and_again_is_a_rule() {
        let mut companions = Companions::default();
        for day in 0..3 {
            let at = day * 1_440;
            let (cart, ledger) = (incident(at, &["cart"]), incident(at + 2, &["ledger"]));
            companions.learn(&cart, std::iter::empty(), 5 * MINUTE_MS);
            companions.learn(&ledger, [&cart].into_iter(), 5 * MINUTE_MS);
            // An hour later is another story.
            companions.learn(&incident(at + 60, &["user"]), [&cart].into_iter(), 5 * MINUTE_MS);
            assert_eq!(rules(&companions), if day < 2 { vec![] } else { vec!["cart ledger 3/3"] });
        }
        // They go on as one incident, and it still is the rule.
        companions.learn(&incident(5_000, &["cart", "ledger"]), std::iter::empty(), 5 * MINUTE_MS);
        assert_eq!(rules(&companions), ["cart ledger 4/4"]);
        // One that is in trouble all the time is so beside everybody.
        for hour in 100..106 {
            companions.learn(&incident(hour * 60, &["cart"]), std::iter::empty(), 5 * MINUTE_MS);
        }
        assert!(rules(&companions).is_empty());
    }

    #[test]
    fn what_does_not_come_again_is_forgotten() {
        let mut companions = Companions::default();
        for day in 0..3 {
            companions.learn(&incident(day * 1_440, &["a", "b"]), std::iter::empty(), MINUTE_MS);
        }
        assert_eq!(rules(&companions).len(), 1);
        companions.learn(&incident(90 * 1_440, &["c"]), std::iter::empty(), MINUTE_MS);
        assert!(rules(&companions).is_empty());
        assert_eq!(companions.alone.len(), 1);
    }
}
