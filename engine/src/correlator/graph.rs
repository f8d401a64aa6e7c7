//! Who calls whom, forgetting slowly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{Edge, Entity};

/// What is left of a count after each tick: half after some 360 ticks, an hour of 10 s ticks.
const KEPT: f64 = 0.998;

/// Calls that count as none.
const FORGOTTEN: f64 = 0.05;

/// Calls by caller and callee.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Graph {
    calls: BTreeMap<Entity, BTreeMap<Entity, f64>>,
}

impl Graph {
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
        self.calls.get(caller).is_some_and(|callees| callees.keys().any(|known| known.is(callee)))
    }

    /// Everybody whom an entity calls, and whom those call.
    pub(super) fn within_two<'a>(&'a self, from: &Entity) -> impl Iterator<Item = &'a Entity> {
        let callees = |of: &Entity| self.calls.get(of).into_iter().flat_map(BTreeMap::keys);
        callees(from).flat_map(move |callee| [callee].into_iter().chain(callees(callee)))
    }

    /// How `from` reaches `to` along calls in at most two steps: the entities between.
    pub(super) fn path(&self, from: &Entity, to: &Entity) -> Option<Vec<&Entity>> {
        if self.calls(from, to) {
            return Some(Vec::new());
        }
        let callees = self.calls.get(from)?;
        callees.keys().find(|middle| self.calls(middle, to)).map(|middle| vec![middle])
    }

    /// Whether `from` reaches `to` along calls of any number.
    pub(super) fn reaches(&self, from: &Entity, to: &Entity) -> bool {
        let mut seen = vec![from];
        let mut next = 0;
        while let Some(at) = seen.get(next).copied() {
            for callee in self.calls.get(at).into_iter().flat_map(BTreeMap::keys) {
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
