//! What becomes of signals as event time passes: too old, recovered, not recovered, forgotten.

use super::{Bus, life::Tracked, messages::Effect};
use crate::types::{Id, Incident, IncidentState, SignalState};

impl Bus {
    /// The signals of an incident follow it, and into the one that it is merged into: that is the one that must recover.
    pub(super) fn follow(&mut self, incident: &Incident, effects: &mut Vec<Effect>) {
        if let Some(into) = incident.merged_into {
            let moved = self.signals_of(incident.id);
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

    /// Withdraws what is too old. A controller that accepted its lease in time may finish.
    pub(super) fn withdraw_stale(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        for tracked in self.signals.values_mut().filter(|tracked| tracked.stale(now)) {
            if tracked.signal.state != SignalState::Leased || !tracked.signal.accepted {
                tracked.withdraw("too old: the evidence is past max_signal_age", now, effects);
            }
        }
    }

    /// Says of each success whether the incident recovered: yes when it is resolved and `verify_after` has passed, no
    /// when it is not and `verify_within` has passed.
    pub(super) fn verify(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        for tracked in self.signals.values_mut().filter(|tracked| tracked.to_verify()) {
            let passed = now.event_ms - tracked.signal.updated_ms;
            let verified = tracked.resolved && passed >= self.config.verify_after_ms;
            if !verified && (tracked.resolved || passed < self.config.verify_within_ms) {
                continue;
            }
            let (state, note) = match verified {
                true => (SignalState::Verified, "the incident resolved after it"),
                false => (SignalState::NotRecovered, "the incident did not resolve in time after it"),
            };
            tracked.revise(state, note, now, effects);
            effects.push(Effect::Remediation { incident: tracked.signal.incident, verified });
        }
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
