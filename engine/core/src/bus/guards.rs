//! What holds a signal back, whatever its policy says: the kill switch, freezes, limits, failures.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Bus,
    config::HOUR_MS,
    life::Tracked,
    messages::Effect,
    policy::{Policy, Reason, Refusal},
};
use crate::types::{Entity, Schedule, SignalState};

/// Event time after which a failure is forgotten.
const FAILURES_MS: i64 = 24 * HOUR_MS;

/// Who threw the kill switch, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    /// Who.
    pub by: String,
    /// Why.
    pub comment: String,
    /// When, in event time.
    pub time_ms: i64,
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remediation was halted by {}{}", self.by, because(&self.comment))
    }
}

impl Bus {
    /// The kill switch. What is not carried out yet is withdrawn; whoever is at work is told to stop.
    pub(super) fn halt(&mut self, halt: bool, by: String, comment: String, effects: &mut Vec<Effect>) {
        if !halt {
            self.halted = None;
            return;
        }
        let halted = Halted { by, comment, time_ms: self.now.event_ms };
        for tracked in self.signals.values_mut() {
            tracked.withdraw(&halted.to_string(), self.now, effects);
        }
        self.halted = Some(halted);
    }

    /// Who threw the kill switch.
    pub fn halted(&self) -> Option<&Halted> {
        self.halted.as_ref()
    }

    /// When nothing may be changed, and to what that applies.
    pub fn freezes(&self) -> &[Schedule] {
        &self.config.freezes
    }

    /// Event time, by which freezes hold, unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now.event_ms
    }

    /// The name of the freeze that holds for an entity now.
    pub(super) fn frozen(&self, target: &Entity) -> Option<&str> {
        let mut freezes = self.config.freezes.iter();
        let holds = freezes.find(|freeze| freeze.means(target, self.now.event_ms));
        holds.map(|freeze| freeze.name.as_str())
    }

    /// No more signals than may be made, for this target and altogether.
    pub(super) fn guard_limits(&self, policy: &Policy, target: &Entity) -> Result<(), Refusal> {
        if policy.dry_run || !policy.action.changes() {
            return Ok(());
        }
        if let Some(freeze) = self.frozen(target) {
            return Err(Reason::Frozen.because(format_args!("{target} is frozen: {freeze}")));
        }
        let limits = &self.config.limits;
        let recent =
            |tracked: &&Tracked| self.now.event_ms - tracked.signal.created_ms < HOUR_MS && tracked.acts();
        for (limit, whose, counts) in
            self.scopes(target, [limits.target_per_hour, limits.namespace_per_hour, limits.fleet_per_hour])
        {
            let made =
                self.signals.values().filter(recent).filter(|tracked| counts(&tracked.signal.target)).count();
            if made >= limit as usize {
                let why = format!("{made} signals for {whose} within an hour, {limit} are allowed");
                return Err(Reason::Limit.because(why));
            }
        }
        Ok(())
    }

    /// Not again what failed time after time.
    pub(super) fn guard_failures(&self, policy: &Policy) -> Result<(), Refusal> {
        let Some(most) = policy.stop_after_failures else { return Ok(()) };
        let failures = self.failures(policy);
        if failures >= most as usize {
            let why = format!("{failures} in a row failed or did not help within a day, {most} are enough");
            return Err(Reason::Failures.because(why));
        }
        Ok(())
    }

    /// How many of a policy's latest signals failed or did not help, one after the other, within a day.
    pub(super) fn failures(&self, policy: &Policy) -> usize {
        let of = |tracked: &&Tracked| tracked.signal.policy == policy.name;
        let mut ends: Vec<(i64, bool)> = self
            .signals
            .values()
            .filter(of)
            .filter(|tracked| self.now.event_ms - tracked.signal.updated_ms < FAILURES_MS)
            .filter_map(|tracked| {
                let failed = match tracked.signal.state {
                    SignalState::Failed | SignalState::Unknown | SignalState::NotRecovered => true,
                    SignalState::Verified => false,
                    _ => return None,
                };
                Some((tracked.signal.created_ms, failed))
            })
            .collect();
        ends.sort_unstable_by_key(|(created_ms, _)| std::cmp::Reverse(*created_ms));
        ends.into_iter().take_while(|(_, failed)| *failed).count()
    }

    /// Why a signal that waits for a controller may not be granted now.
    pub(super) fn held_back(&self, tracked: &Tracked) -> Option<String> {
        if !tracked.acts() {
            return None;
        }
        let target = &tracked.signal.target;
        if let Some(freeze) = self.frozen(target) {
            return Some(format!("{target} is frozen: {freeze}"));
        }
        let limits = &self.config.limits;
        let at_once = [limits.target_at_once, limits.namespace_at_once, limits.fleet_at_once];
        for (limit, whose, counts) in self.scopes(target, at_once) {
            let busy =
                self.signals.values().filter(|other| other.in_work() && counts(&other.signal.target)).count();
            if busy >= limit as usize {
                return Some(format!("{limit} at once are allowed for {whose}"));
            }
        }
        None
    }

    /// The limits that are set of one each for the target, its namespace and the fleet, with a test of what counts.
    #[expect(clippy::type_complexity, reason = "only here")]
    fn scopes<'a>(
        &self,
        target: &'a Entity,
        limits: [Option<u32>; 3],
    ) -> Vec<(u32, String, Box<dyn Fn(&Entity) -> bool + 'a>)> {
        let space = namespace(target);
        let [own, spaces, fleet] = limits;
        let mut scopes: Vec<(u32, String, Box<dyn Fn(&Entity) -> bool + 'a>)> = Vec::new();
        if let Some(limit) = own {
            scopes.push((limit, target.to_string(), Box::new(move |other| other == target)));
        }
        if let Some(limit) = spaces.filter(|_| !space.is_empty()) {
            scopes.push((
                limit,
                format!("namespace {space}"),
                Box::new(move |other| namespace(other) == space),
            ));
        }
        if let Some(limit) = fleet {
            scopes.push((limit, "the fleet".to_string(), Box::new(|_| true)));
        }
        scopes
    }
}

/// The namespace of an entity; empty when it has none.
pub(super) fn namespace(entity: &Entity) -> &str {
    entity.name.rsplit_once('/').map_or("", |(namespace, _)| namespace)
}

/// A comment behind something that was said.
pub(super) fn because(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!(": {comment}") }
}
