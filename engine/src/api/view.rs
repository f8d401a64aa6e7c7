//! What there is to see of an engine: immutable, shared by all who read.

use std::{cmp::Reverse, collections::HashMap, hash::Hash, sync::Arc};

use foreshock_core::{
    bus,
    types::{
        Adjustment, Caller, Entity, Id, Incident, RemediationSignal, Schedule, SignalState, Silence,
        Suppressed,
    },
};
use rpds::RedBlackTreeMapSync;

use super::{Against, Refused, Status, Topology, gate};

/// An engine at one moment. What has not changed since the moment before is the same piece of memory.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// How it is doing.
    pub status: Arc<Status>,
    /// Who calls whom.
    pub topology: Arc<Topology>,
    /// Every incident that is known, newest first.
    pub incidents: Arc<[Arc<Incident>]>,
    /// The latest anomalies that opened no incident, newest first.
    pub suppressed: Arc<[Arc<Suppressed>]>,
    /// What judgements changed, oldest first.
    pub adjustments: Arc<[Adjustment]>,
    /// What is silenced, by its beginning.
    pub silences: Arc<[Silence]>,
    /// Every signal that is known. Thousands may change in a second, so that a new view shares all but these with the one before.
    pub signals: RedBlackTreeMapSync<Id, Arc<Tracked>>,
    /// The policies with what became of them.
    pub policies: Arc<[bus::PolicyStatus]>,
    /// Who threw the kill switch.
    pub halted: Option<bus::Halted>,
    /// When nothing may be changed.
    pub freezes: Arc<[Schedule]>,
    /// Event time as the bus has it, unix milliseconds: freezes hold by it.
    pub bus_ms: i64,
}

/// A signal and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    /// The signal.
    pub signal: RemediationSignal,
    /// Its revisions that are remembered, the latest last.
    pub history: Vec<bus::Step>,
}

impl View {
    /// One incident.
    pub fn incident(&self, id: Id) -> Result<&Arc<Incident>, Refused> {
        let found = self.incidents.iter().find(|incident| incident.id == id);
        found.ok_or(Refused::Unknown { what: "incident", id })
    }

    /// The signals that a caller may see, newest first.
    pub fn signals(&self, caller: &Caller) -> Vec<&RemediationSignal> {
        let signals = self.signals.values().map(|tracked| &tracked.signal);
        let mut seen: Vec<&RemediationSignal> = signals.filter(|signal| caller.sees(signal)).collect();
        seen.sort_by_key(|signal| (Reverse(signal.created_ms), signal.id));
        seen
    }

    /// One signal. What a caller may not see is not there.
    pub fn signal(&self, caller: &Caller, id: Id) -> Result<&Arc<Tracked>, Refused> {
        let found = self.signals.get(&id).filter(|tracked| caller.sees(&tracked.signal));
        found.ok_or(Refused::Unknown { what: "signal", id })
    }

    /// The state of a signal, whoever asks.
    pub(super) fn signal_state(&self, id: Id) -> Option<SignalState> {
        self.signals.get(&id).map(|tracked| tracked.signal.state)
    }

    /// What speaks against changing an entity now; nothing: go ahead.
    pub fn gate(&self, target: &Entity) -> Vec<Against> {
        gate::against(target, self)
    }

    /// Where event time stands.
    pub fn now_ms(&self) -> Result<i64, Refused> {
        let no_now = "nothing was read yet, so that there is no now: give from_unix_ms";
        self.status.tick_ms.ok_or_else(|| Refused::NotNow(no_now.to_string()))
    }
}

/// A list of shared items, of which those that are the same as before are the same piece of memory.
pub fn shared<'a, T: Clone + 'a, K: Eq + Hash>(
    before: &[Arc<T>],
    now: impl Iterator<Item = &'a T>,
    key: impl Fn(&T) -> K,
    is_same: impl Fn(&T, &T) -> bool,
) -> Arc<[Arc<T>]> {
    let known: HashMap<K, &Arc<T>> = before.iter().map(|item| (key(item), item)).collect();
    let share = |item: &T| match known.get(&key(item)) {
        Some(old) if is_same(old, item) => Arc::clone(old),
        _ => Arc::new(item.clone()),
    };
    now.map(share).collect()
}
