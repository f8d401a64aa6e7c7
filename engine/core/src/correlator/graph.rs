//! Who calls whom and who runs where, forgetting slowly; and what the configuration declares.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Dependence;
use crate::types::{Edge, Entity, Placement};

/// What is left of a count after each tick: half after some 360 ticks, an hour of 10 s ticks.
const KEPT: f64 = 0.998;

/// Calls that count as none.
const FORGOTTEN: f64 = 0.05;

/// How long it is known where an entity ran; a resource says so when it is new, and again after a restart.
const PLACED_MS: i64 = 7 * 86_400_000;

/// Most hosts of an entity that are known: the latest.
const MOST_HOSTS: usize = 64;

/// Calls by caller and callee, hosts by what runs on them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Graph {
    calls: BTreeMap<Entity, BTreeMap<Entity, f64>>,
    /// When each was last seen there, unix milliseconds.
    hosts: BTreeMap<Entity, BTreeMap<Entity, i64>>,
    #[serde(skip)]
    declared: BTreeMap<Entity, Vec<Entity>>,
}

impl Graph {
    /// Takes what the configuration says, which is no part of the state.
    pub(super) fn declare(&mut self, declared: &[Dependence]) {
        self.declared.clear();
        for Dependence { from, on } in declared {
            self.declared.entry(from.clone()).or_default().push(on.clone());
        }
    }

    /// Where entities were seen to run.
    pub(super) fn place(&mut self, placements: &[Placement], time_ms: i64) {
        for Placement { entity, host } in placements {
            let hosts = self.hosts.entry(entity.clone()).or_default();
            hosts.insert(host.clone(), time_ms);
            hosts.retain(|_, seen_ms| time_ms - *seen_ms < PLACED_MS);
            if hosts.len() > MOST_HOSTS
                && let Some(oldest) =
                    hosts.iter().min_by_key(|(_, seen_ms)| **seen_ms).map(|(host, _)| host.clone())
            {
                hosts.remove(&oldest);
            }
        }
    }

    /// Who runs where, in order.
    pub(super) fn placements(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.hosts.iter().flat_map(|(entity, hosts)| hosts.keys().map(move |host| (entity, host)))
    }

    /// Whether an entity was seen to run on this host.
    pub(super) fn runs_on(&self, entity: &Entity, host: &Entity) -> bool {
        self.hosts.get(entity).is_some_and(|hosts| hosts.contains_key(host))
    }

    /// The hosts of an entity.
    pub(super) fn hosts_of(&self, entity: &Entity) -> impl Iterator<Item = &Entity> {
        self.hosts.get(entity).into_iter().flat_map(BTreeMap::keys)
    }

    /// What the configuration declares, in order.
    pub(super) fn declared(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.declared.iter().flat_map(|(from, on)| on.iter().map(move |on| (from, on)))
    }

    /// Names of all that is called: whoever is not faces people, or what they use.
    pub(super) fn called(&self) -> BTreeSet<&str> {
        let callees = self.calls.values().flat_map(BTreeMap::keys).chain(self.declared.values().flatten());
        callees.map(|callee| callee.name.as_str()).collect()
    }

    /// Whom it calls or depends on.
    fn callees(&self, of: &Entity) -> impl Iterator<Item = &Entity> {
        let called = self.calls.get(of).into_iter().flat_map(BTreeMap::keys);
        called.chain(self.declared.get(of).into_iter().flatten())
    }

    pub(super) fn tick(&mut self, edges: &[Edge]) {
        for callees in self.calls.values_mut() {
            callees.retain(|_, calls| {
                *calls *= KEPT;
                *calls >= FORGOTTEN
            });
        }
        for edge in edges {
            let callees = self.calls.entry(edge.caller.clone()).or_default();
            *callees.entry(edge.callee.clone()).or_insert(0.0) += edge.calls as f64;
        }
    }

    /// Every caller and callee, and about how many calls there were lately, in order.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&Entity, &Entity, f64)> {
        let callees = |(caller, callees)| std::iter::repeat(caller).zip::<&BTreeMap<Entity, f64>>(callees);
        self.calls.iter().flat_map(callees).map(|(caller, (callee, calls))| (caller, callee, *calls))
    }

    pub(super) fn calls(&self, caller: &Entity, callee: &Entity) -> bool {
        self.callees(caller).any(|known| known.is(callee))
    }

    /// Everybody whom an entity calls, and whom those call.
    pub(super) fn within_two<'a>(&'a self, from: &Entity) -> impl Iterator<Item = &'a Entity> {
        self.callees(from).flat_map(move |callee| [callee].into_iter().chain(self.callees(callee)))
    }

    /// How `from` reaches `to` along calls in at most two steps: the entities between.
    pub(super) fn path(&self, from: &Entity, to: &Entity) -> Option<Vec<&Entity>> {
        if self.calls(from, to) {
            return Some(Vec::new());
        }
        self.callees(from).find(|middle| self.calls(middle, to)).map(|middle| vec![middle])
    }

    /// Whether `from` reaches `to` along calls of any number.
    pub(super) fn reaches(&self, from: &Entity, to: &Entity) -> bool {
        let mut seen = vec![from];
        let mut next = 0;
        while let Some(at) = seen.get(next).copied() {
            for callee in self.callees(at) {
                if callee.is(to) {
                    return true;
                }
                if !seen.contains(&callee) {
                    seen.push(callee);
                }
            }
            next += 1;
        }
        false
    }
}
