//! Which anomalies hang together: connected components, without looking at every pair.
//!
//! Whoever is related and near in time is connected. Anomalies of one entity, in the order of their times, are connected where
//! neighbours are near; and where two entities are related it is enough to look, for each anomaly of one, at the nearest of the
//! other before and after it: those farther away that are near as well are connected with that nearest one already. So a storm
//! costs its sorting, and not its square.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    alike,
    evidence::lasts,
    group::{Ties, is_trouble},
};
use crate::types::{Anomaly, AnomalyKind, Entity};

/// The components of anomalies, which are given in order; each in that order, and by their first.
pub(super) fn components(ordered: &[&Anomaly], ties: Ties<'_>, window_ms: i64) -> Vec<Vec<usize>> {
    if ordered.is_empty() {
        return Vec::new();
    }
    let mut sets = Sets::new(ordered.len());
    for together in by_surge(ordered, ties).values() {
        together.windows(2).for_each(|pair| sets.join(pair[0], pair[1]));
    }
    let mut kin = Kin::of(ordered, ties);
    for time in [|anomaly: &Anomaly| anomaly.onset_ms, |anomaly: &Anomaly| anomaly.opened_ms] {
        kin.lists.iter_mut().for_each(|list| list.sort_by_key(|at| time(ordered[*at])));
        kin.connect(&mut Near { ordered, time, window_ms, sets: &mut sets });
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

/// Who is related, of the anomalies that have lasted.
struct Kin {
    /// Anomalies that are all related: of one entity, of calls to one callee, silent.
    lists: Vec<Vec<usize>>,
    /// Lists of which each anomaly is related to each of the other's.
    pairs: Vec<(usize, usize)>,
}

impl Kin {
    fn of(ordered: &[&Anomaly], ties: Ties<'_>) -> Kin {
        let mut of_entity: BTreeMap<&Entity, Vec<usize>> = BTreeMap::new();
        let mut of_callee: BTreeMap<Entity, Vec<usize>> = BTreeMap::new();
        // What others run on, or are part of, and that is in trouble.
        let mut hosts: BTreeMap<&Entity, Vec<usize>> = BTreeMap::new();
        let known_hosts: BTreeSet<&Entity> = ties.graph.placements().map(|(_, host)| host).collect();
        let mut by_text: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut silent = Vec::new();
        for (at, anomaly) in ordered.iter().enumerate().filter(|(_, anomaly)| lasts(anomaly)) {
            of_entity.entry(&anomaly.entity).or_default().push(at);
            if let Some(callee) = anomaly.callee() {
                of_callee.entry(callee).or_default().push(at);
            }
            if known_hosts.contains(&anomaly.entity) && is_trouble(anomaly) {
                hosts.entry(&anomaly.entity).or_default().push(at);
            }
            for band in alike::bands(anomaly).into_iter().flatten() {
                by_text.entry(band).or_default().push(at);
            }
            if anomaly.kind == AnomalyKind::Absence {
                silent.push(at);
            }
        }
        let (entities, callees) = (Named::of(of_entity.keys().copied()), Named::of(of_callee.keys()));
        // The lists of callees come behind those of entities, those of hosts in trouble behind these.
        let begin = of_entity.len();
        let begin_hosts = begin + of_callee.len();
        let places: BTreeMap<&Entity, usize> = hosts.keys().copied().zip(begin_hosts..).collect();
        let on_hosts = of_entity.keys().enumerate().flat_map(|(runs, entity)| {
            let own = ties.graph.hosts_of(entity).filter_map(|host| places.get(host));
            own.map(move |host| (runs, *host)).collect::<Vec<_>>()
        });
        let told = ties.lessons.pairs().chain(ties.companions.pairs()).flat_map(|(a, b)| {
            let others = entities.being(b).collect::<Vec<_>>();
            entities
                .being(a)
                .flat_map(move |one| others.clone().into_iter().map(move |other| (one, other)))
                .collect::<Vec<_>>()
        });
        let called = of_entity.keys().enumerate().flat_map(|(from, entity)| {
            let reached = ties.graph.within_two(entity).chain([*entity]);
            reached.flat_map(|to| entities.being(to)).map(move |to| (from, to)).collect::<Vec<_>>()
        });
        let alike = of_callee.keys().enumerate().flat_map(|(one, callee)| {
            callees.being(callee).map(move |other| (begin + one, begin + other)).collect::<Vec<_>>()
        });
        let pairs =
            called.chain(alike).chain(on_hosts).chain(told).filter(|(one, other)| one != other).collect();
        let lists = of_entity.into_values().chain(of_callee.into_values()).chain(hosts.into_values());
        let lists = lists.chain(by_text.into_values()).chain([silent]);
        Kin { lists: lists.collect(), pairs }
    }

    /// Connects by one of an anomaly's times, in the order of which the lists are.
    fn connect<F: Fn(&Anomaly) -> i64>(&self, near: &mut Near<'_, '_, F>) {
        self.lists.iter().for_each(|list| near.connect(list));
        self.pairs.iter().for_each(|(one, other)| near.cross(&self.lists[*one], &self.lists[*other]));
    }
}

/// Entities by name, with their places.
struct Named<'a>(BTreeMap<&'a str, Vec<(usize, &'a Entity)>>);

impl<'a> Named<'a> {
    fn of(entities: impl Iterator<Item = &'a Entity>) -> Named<'a> {
        let mut named = Named(BTreeMap::new());
        for (place, entity) in entities.enumerate() {
            named.0.entry(&entity.name).or_default().push((place, entity));
        }
        named
    }

    /// Places of the entities that are this one, under whatever kind.
    fn being(&self, entity: &Entity) -> impl Iterator<Item = usize> {
        let same = self.0.get(entity.name.as_str()).into_iter().flatten();
        same.filter(move |(_, other)| other.is(entity)).map(|(place, _)| *place)
    }
}

/// Connects by one of an anomaly's times.
struct Near<'a, 'b, F> {
    ordered: &'a [&'a Anomaly],
    time: F,
    window_ms: i64,
    sets: &'b mut Sets,
}

impl<F: Fn(&Anomaly) -> i64> Near<'_, '_, F> {
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
        super::{companions::Companions, graph::Graph, group, lessons::Lessons, surge::Surges, tests},
        *,
    };
    use crate::types::{Edge, EntityKind, Id, Placement};

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

    fn placed(runs: &[(Entity, Entity)]) -> Vec<Placement> {
        let placed = runs.iter().filter(|(entity, host)| !entity.is(host));
        placed.map(|(entity, host)| Placement { entity: entity.clone(), host: host.clone() }).collect()
    }

    /// Of traffic, of calls, of memory, a silence, or a line of log.
    fn anomaly() -> impl Strategy<Value = Anomaly> {
        let callee = entity();
        (entity(), 0..300_i64, 0..60_i64, 1..6_u32, 0..8_u8, callee, any::<u64>()).prop_map(
            |(entity, opened_ms, before, ticks, sort, callee, id)| {
                let line = |word: &str| format!("{entity} log.template no more {word} left for <*> in pool");
                let (kind, measure, series) = match sort {
                    0 => {
                        let series = format!("{entity} span.edge:rate{{callee={callee}}}");
                        (AnomalyKind::Series, "span.edge:rate", series)
                    }
                    1 | 2 => (AnomalyKind::Absence, "cpu", format!("{entity} cpu")),
                    3 | 4 => (AnomalyKind::Series, "memory", format!("{entity} memory")),
                    5 => (AnomalyKind::NewTemplate, "log.template:new", line("room")),
                    6 => (AnomalyKind::NewTemplate, "log.template:new", line("time")),
                    _ => (AnomalyKind::Series, "cpu", format!("{entity} cpu")),
                };
                let (id, onset_ms) = (Id(id), opened_ms - before);
                let measure = measure.to_string();
                Anomaly {
                    id,
                    kind,
                    entity,
                    series,
                    role: crate::types::MeasureRole::named(&measure),
                    measure,
                    opened_ms,
                    onset_ms,
                    ticks,
                    ..tests::anomaly("0 e cpu 10 2")
                }
            },
        )
    }

    proptest! {
        #[test]
        fn components_are_those_of_every_pair(
            anomalies in prop::collection::vec(anomaly(), 0..40),
            calls in prop::collection::vec((entity(), entity()), 0..8),
            runs in prop::collection::vec((entity(), entity()), 0..4),
            past in prop::collection::vec((entity(), entity()), 0..3),
            surge in 0..300_i64,
        ) {
            let edges: Vec<Edge> = calls
                .into_iter()
                .map(|(caller, callee)| Edge { caller, callee, calls: 10, errors: 0 })
                .collect();
            let (mut graph, mut surges) = (Graph::default(), Surges::default());
            graph.tick(&edges);
            surges.tick(surge, 40, -1000);
            let (lessons, mut companions) = (Lessons::default(), Companions::default());
            let suspects = |pair: &(Entity, Entity)| tests::incident_of(&[&pair.0, &pair.1]);
            for _ in 0..3 {
                past.iter().for_each(|pair| companions.learn(&suspects(pair), std::iter::empty(), WINDOW_MS));
            }
            graph.place(&placed(&runs), 0);
            let ties = Ties { graph: &graph, surges: &surges, lessons: &lessons, companions: &companions };
            let mut ordered: Vec<&Anomaly> = anomalies.iter().collect();
            ordered.sort_by_key(|anomaly| (anomaly.onset_ms, anomaly.id));
            prop_assert_eq!(components(&ordered, ties, WINDOW_MS), plain(&ordered, ties));
        }
    }
}
