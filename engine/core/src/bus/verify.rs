//! What becomes of signals as event time passes: too old, recovered or not, taken back, forgotten.

use std::collections::BTreeMap;

use super::{
    Bus, BusConfig,
    facts::Facts,
    life::{Now, Tracked},
    messages::Effect,
};
use crate::types::{Id, Incident, IncidentState, Recovery, RemediationSignal, SignalState};

impl Bus {
    /// The signals of an incident follow it, and into the one that it is merged into: that is the one that must recover.
    pub(super) fn follow(&mut self, incident: &Incident, effects: &mut Vec<Effect>) {
        if let Some(into) = incident.merged_into {
            let moved = self.signals_of(incident.id);
            for id in &moved {
                self.signals.entry(*id).and_modify(|tracked| tracked.incident = into);
            }
            self.by_incident.extend(moved.into_iter().map(|signal| (into, signal)));
            self.by_incident.retain(|(of, _)| *of != incident.id);
        }
        let resolved = incident.state == IncidentState::Resolved;
        for id in self.signals_of(incident.id) {
            let Some(tracked) = self.signals.get_mut(&id) else { continue };
            tracked.resolved = resolved;
            if resolved {
                tracked.withdraw("the incident resolved", self.now, effects);
            }
        }
        self.verify(effects);
    }

    /// Withdraws what is too old, and what nobody agreed to in time. A controller that accepted its lease in time may finish.
    pub(super) fn withdraw_stale(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        let waits = |tracked: &Tracked| tracked.signal.state == SignalState::AwaitingApproval;
        for tracked in self.signals.values_mut() {
            if !tracked.stale(now) {
                if waits(tracked) && tracked.too_late(now) {
                    tracked.withdraw("nobody agreed in time", now, effects);
                }
            } else if tracked.signal.state != SignalState::Leased || !tracked.signal.accepted {
                tracked.withdraw("too old: the evidence is past max_signal_age", now, effects);
            }
        }
    }

    /// Says of each success what came of it, as soon as that can be said: the evidence is in the note.
    pub(super) fn verify(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        let mut worse = Vec::new();
        for tracked in self.signals.values_mut().filter(|tracked| tracked.to_verify()) {
            let facts = self.watched.get(&tracked.incident);
            let Some((recovery, evidence)) = recovery(tracked, facts, now, &self.config) else { continue };
            let state = match recovery {
                Recovery::Recovered => SignalState::Verified,
                _ => SignalState::NotRecovered,
            };
            tracked.signal.recovery = Some(recovery);
            tracked.revise(state, &evidence, now, effects);
            self.records.note(tracked, recovery);
            effects.push(Effect::Remediation { incident: tracked.signal.incident, recovery });
            if recovery == Recovery::Worse {
                worse.push(tracked.signal.clone());
            }
        }
        for signal in worse {
            self.take_back(&signal, effects);
        }
    }

    /// What made it worse is taken back, if its policy says so and it can be: once.
    fn take_back(&mut self, signal: &RemediationSignal, effects: &mut Vec<Effect>) {
        let policy = self.config.policies.iter().find(|policy| policy.name == signal.policy);
        let Some(policy) = policy.filter(|policy| policy.undo_if_worse && signal.undoes.is_none()) else {
            return;
        };
        let value = |key: &str| signal.attributes.get(key).filter(|value| !value.is_empty()).cloned();
        let (Some(left), Some(present)) = (value("version"), value("to_version")) else { return };
        let id = Id::of(&["undo", &signal.id.to_string()]);
        if self.signals.contains_key(&id) || self.halted.is_some() || self.frozen(&signal.target).is_some() {
            return;
        }
        let state = policy.approval.begins();
        let expires_ms = self.now.event_ms.saturating_add(self.config.max_signal_age_ms);
        let mut attributes = signal.attributes.clone();
        attributes.insert("version".to_string(), present);
        attributes.insert("to_version".to_string(), left);
        let made = RemediationSignal::new(
            id,
            signal.incident,
            signal.action,
            signal.target.clone(),
            self.now.event_ms,
        );
        let undo = RemediationSignal {
            state,
            attributes,
            policy: signal.policy.clone(),
            expires_ms,
            reason: format!("takes back signal {}: {}", signal.id, signal.note),
            consent: self.consent(policy, state, expires_ms),
            undoes: Some(signal.id),
            ..made
        };
        effects.push(Effect::Signal(undo.clone()));
        self.insert(Tracked::new(undo));
    }

    /// Forgets what is over and older than `keep_ms`. No signal is made for incidents as old as that, so
    /// none of these ids can come back.
    pub(super) fn forget(&mut self) {
        let before = self.now.event_ms - self.config.keep_ms;
        let over = |tracked: &Tracked| tracked.settled() && tracked.signal.created_ms < before;
        self.signals.retain(|_, tracked| !over(tracked));
        let signals = &self.signals;
        self.by_incident.retain(|(_, signal)| signals.contains_key(signal));
        self.watched.forget_before(before);
    }

    /// The signals that an incident caused.
    pub(super) fn signals_of(&self, incident: Id) -> Vec<Id> {
        let range = (incident, Id(u64::MIN))..=(incident, Id(u64::MAX));
        self.by_incident.range(range).map(|(_, signal)| *signal).collect()
    }
}

/// What came of a success, with the evidence; `None` while that cannot be said. Its incident's series are held against what was expected
/// of them when they left it: an anomaly is over once its series is back there.
fn recovery(
    tracked: &Tracked,
    facts: Option<&Facts>,
    now: Now,
    config: &BusConfig,
) -> Option<(Recovery, String)> {
    let passed = now.event_ms - tracked.signal.updated_ms;
    let watched_for = passed >= config.verify_after_ms;
    if tracked.resolved {
        return watched_for.then(|| (Recovery::Recovered, "the incident resolved after it".to_string()));
    }
    let none = BTreeMap::new();
    let active = facts.map_or(&none, |facts| &facts.active);
    let before = tracked.before.len();
    let still = tracked.before.iter().filter(|id| active.contains_key(id)).count();
    let new = active.keys().filter(|id| !tracked.before.contains(id)).count();
    let spread = before > 0 && new > before;
    let over = passed >= config.verify_within_ms;
    let is_known = over || (watched_for && spread);
    if !is_known {
        return None;
    }
    let left = still + new;
    let recovery = match () {
        () if spread || (new > 0 && 2 * left >= 3 * before) => Recovery::Worse,
        () if before > 0 && 2 * left <= before => Recovery::Improved,
        () => Recovery::NoEffect,
    };
    let calm = before - still;
    let names: Vec<&str> = active.values().take(3).map(String::as_str).collect();
    let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    let words = recovery.name().replace('_', " ");
    let evidence = format!(
        "{words} after {} s: {calm} of {before} series are as they should be again, {new} others are not; {left} abnormal{names}",
        passed / 1000
    );
    Some((recovery, evidence))
}
