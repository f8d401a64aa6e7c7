//! Which anomalies hang together: connected components, without looking at every pair.
//!
//! Whoever is related and near in time is connected. Anomalies of one entity, in the order of their times, are connected where
//! neighbours are near; and where two entities are related it is enough to look, for each anomaly of one, at the nearest of the
//! other before and after it: those farther away that are near as well are connected with that nearest one already. So a storm
//! costs its sorting, and not its square.

use std::collections::BTreeMap;

use super::group::{Ties, lasts};
use crate::types::{Anomaly, AnomalyKind, Entity};

/// The components of anomalies, which are given in order; each in that order, and by their first.
pub(super) fn components(ordered: &[&Anomaly], ties: Ties<'_>, window_ms: i64) -> Vec<Vec<usize>> {
    let mut sets = Sets::new(ordered.len());
    for together in by_surge(ordered, ties).values() {
        together.windows(2).for_each(|pair| sets.join(pair[0], pair[1]));
    }
    let lasting: Vec<usize> = (0..ordered.len()).filter(|at| lasts(ordered[*at])).collect();
    for time in [|anomaly: &Anomaly| anomaly.onset_ms, |anomaly: &Anomaly| anomaly.opened_ms] {
        let mut by_time = lasting.clone();
        by_time.sort_by_key(|at| time(ordered[*at]));
        let mut near = Near { ordered, time, window_ms, sets: &mut sets };
        near.connect_all(&by_time, ties);
    }
    sets.groups()
}

/// Anomalies that opened in one surge.
fn by_surge(ordered: &[&Anomaly], ties: Ties<'_>) -> BTreeMap<i64, Vec<usize>> {
    let mut by_surge: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, anomaly) in ordered.iter().enumerate() {
        if ties.surges.contains(anomaly.opened_ms) {
            by_surge.entry(anomaly.opened_ms).or_default().push(at);
        }
    }
    by_surge
}

/// Connects by one of an anomaly's times.
struct Near<'a, 'b, F> {
    ordered: &'a [&'a Anomaly],
    time: F,
    window_ms: i64,
    sets: &'b mut Sets,
}

impl<'a, F: Fn(&Anomaly) -> i64> Near<'a, '_, F> {
    fn connect_all(&mut self, by_time: &[usize], ties: Ties<'_>) {
        let ordered = self.ordered;
        let mut of_entity: BTreeMap<&Entity, Vec<usize>> = BTreeMap::new();
        let mut of_callee: BTreeMap<Entity, Vec<usize>> = BTreeMap::new();
        for &at in by_time {
            of_entity.entry(&ordered[at].entity).or_default().push(at);
            if let Some(callee) = ordered[at].callee() {
                of_callee.entry(callee).or_default().push(at);
            }
        }
        let silent: Vec<usize> =
            by_time.iter().copied().filter(|at| ordered[*at].kind == AnomalyKind::Absence).collect();
        of_entity.values().chain(of_callee.values()).chain([&silent]).for_each(|of_one| self.connect(of_one));

        let mut named: BTreeMap<&str, Vec<&Entity>> = BTreeMap::new();
        for entity in of_entity.keys() {
            named.entry(&entity.name).or_default().push(entity);
        }
        let called: Vec<(&Entity, &Entity)> = of_entity
            .keys()
            .flat_map(|from| {
                let reached = ties.graph.within_two(from).chain([*from]);
                let known = reached.flat_map(|to| {
                    let same = named.get(to.name.as_str()).into_iter().flatten();
                    same.filter(move |other| other.is(to))
                });
                known.map(|to| (*from, *to)).collect::<Vec<_>>()
            })
            .collect();
        for (from, to) in called {
            self.cross(&of_entity[from], &of_entity[to]);
        }
        let callees: Vec<&Entity> = of_callee.keys().collect();
        for (index, one) in callees.iter().enumerate() {
            for other in callees[index + 1..].iter().filter(|other| other.name == one.name && other.is(one)) {
                self.cross(&of_callee[*one], &of_callee[*other]);
            }
        }
    }

    /// Anomalies that are all related, in the order of their times.
    fn connect(&mut self, related: &[usize]) {
        related.windows(2).for_each(|pair| self.join(pair[0], pair[1]));
    }

    /// Each anomaly of one list is related to each of the other; both in the order of their times.
    fn cross(&mut self, one: &[usize], other: &[usize]) {
        let mut after = 0;
        for &at in one {
            while after < other.len() && self.at(other[after]) < self.at(at) {
                after += 1;
            }
            if after > 0 {
                self.join(at, other[after - 1]);
            }
            if after < other.len() {
                self.join(at, other[after]);
            }
        }
    }

    fn at(&self, index: usize) -> i64 {
        (self.time)(self.ordered[index])
    }

    fn join(&mut self, a: usize, b: usize) {
        if (self.at(a) - self.at(b)).abs() <= self.window_ms {
            self.sets.join(a, b);
        }
    }
}

/// Disjoint sets: each member points towards the first of its set.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Sets {
        Sets((0..count).collect())
    }

    fn first(&mut self, of: usize) -> usize {
        let mut at = of;
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        self.0[a.max(b)] = a.min(b);
    }

    fn groups(&mut self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.0.len() {
            groups.entry(self.first(at)).or_default().push(at);
        }
        groups.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{graph::Graph, group, surge::Surges},
        *,
    };
    use crate::types::{Edge, EntityKind, Id};

    const WINDOW_MS: i64 = 30;

    /// Whether two anomalies are connected, straight from the definition.
    fn related(a: &Anomaly, b: &Anomaly, ties: Ties<'_>) -> bool {
        let near = |time: fn(&Anomaly) -> i64| (time(a) - time(b)).abs() <= WINDOW_MS;
        (near(|anomaly| anomaly.onset_ms) || near(|anomaly| anomaly.opened_ms))
            && (lasts(a) && lasts(b) || ties.surge(a, b))
            && group::relation(a, b, ties).is_some()
    }

    /// Components by looking at every pair.
    fn plain(ordered: &[&Anomaly], ties: Ties<'_>) -> Vec<Vec<usize>> {
        let mut sets = Sets::new(ordered.len());
        for a in 0..ordered.len() {
            for b in 0..a {
                if related(ordered[a], ordered[b], ties) || related(ordered[b], ordered[a], ties) {
                    sets.join(a, b);
                }
            }
        }
        sets.groups()
    }

    fn entity() -> impl Strategy<Value = Entity> {
        let kind = prop_oneof![Just(EntityKind::Service), Just(EntityKind::Database), Just(EntityKind::Host)];
        (kind, 0..6_u8).prop_map(|(kind, name)| Entity::new(kind, format!("e{name}")))
    }

    fn anomaly() -> impl Strategy<Value = Anomaly> {
        let callee = prop::option::weighted(0.2, entity());
        (entity(), 0..300_i64, 0..60_i64, 1..6_u32, any::<bool>(), callee, any::<u64>()).prop_map(
            |(entity, opened_ms, before, ticks, silent, callee, id)| {
                let (measure, series) = match callee {
                    Some(callee) => ("span.edge:rate", format!("{entity} span.edge:rate{{callee={callee}}}")),
                    None => ("cpu", format!("{entity} cpu")),
                };
                Anomaly {
                    id: Id(id),
                    revision: 1,
                    kind: if silent { AnomalyKind::Absence } else { AnomalyKind::Series },
                    entity,
                    series,
                    measure: measure.to_string(),
                    active: true,
                    opened_ms,
                    onset_ms: opened_ms - before,
                    updated_ms: opened_ms,
                    score: 0.9,
                    ticks,
                    neg_log_p: 10.0,
                    value: 2.0,
                    expected: 1.0,
                    lower: 0.5,
                    upper: 1.5,
                    detector: "residual".to_string(),
                    explanation: String::new(),
                    attribution: Vec::new(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn components_are_those_of_every_pair(
            anomalies in prop::collection::vec(anomaly(), 0..40),
            calls in prop::collection::vec((entity(), entity()), 0..8),
            surge in 0..300_i64,
        ) {
            let edges: Vec<Edge> = calls
                .into_iter()
                .map(|(caller, callee)| Edge { caller, callee, calls: 10, errors: 0 })
                .collect();
            let (mut graph, mut surges) = (Graph::default(), Surges::default());
            graph.tick(&edges);
            surges.tick(surge, 40, -1000);
            let ties = Ties { graph: &graph, surges: &surges };
            let mut ordered: Vec<&Anomaly> = anomalies.iter().collect();
            ordered.sort_by_key(|anomaly| (anomaly.onset_ms, anomaly.id));
            prop_assert_eq!(components(&ordered, ties, WINDOW_MS), plain(&ordered, ties));
        }
    }
}
