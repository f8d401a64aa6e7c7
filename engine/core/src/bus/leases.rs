//! Controllers and leases: who may execute what, until when. Everything here lives in lease time.

use std::collections::BTreeMap;

use super::{
    Bus,
    life::{Held, Tracked},
    messages::{Claim, Effect, FaultCode, Hello, Lease, OutcomeStatus, Session},
};
use crate::types::{Id, SignalState};

impl Bus {
    pub(super) fn connect(&mut self, session: Session, hello: Hello, effects: &mut Vec<Effect>) {
        let problem = if self.controllers.contains_key(&session) {
            Some((FaultCode::BadHello, "this stream has said hello already"))
        } else if !(1..=256).contains(&hello.controller.len()) {
            Some((FaultCode::BadHello, "name the controller, in 256 bytes at most"))
        } else if !(1..=1024).contains(&hello.capacity) {
            Some((FaultCode::BadHello, "set capacity to a number from 1 to 1024"))
        } else if hello.scope.0.len() > 64 {
            Some((FaultCode::BadHello, "a scope has 64 attributes at most"))
        } else if self.controllers.len() >= self.config.max_controllers as usize {
            Some((FaultCode::Full, "too many controllers are connected: raise max_controllers"))
        } else {
            None
        };
        if let Some((code, message)) = problem {
            effects.push(Effect::Fault { session, signal: None, code, message: message.to_string() });
            return;
        }
        self.controllers.insert(session, hello);
        effects.push(Effect::Welcome { session, lease_seconds: self.config.lease_seconds });
    }

    pub(super) fn disconnect(&mut self, session: Session, effects: &mut Vec<Effect>) {
        if self.controllers.remove(&session).is_none() {
            return;
        }
        for id in &self.at_work {
            let Some(tracked) = self.signals.get_mut(id) else { continue };
            let Some(lease) = tracked.lease.as_mut().filter(|lease| lease.session == Some(session)) else {
                continue;
            };
            if tracked.signal.state == SignalState::Cancelled {
                // Nobody else will be granted it, so its holder may come back and say what happened.
                lease.session = None;
            } else {
                tracked.lose("its holder disconnected", &self.config, self.now, effects);
            }
        }
    }

    pub(super) fn ack(&mut self, claim: Claim, effects: &mut Vec<Effect>) {
        if let Some((tracked, _)) = held(&mut self.signals, claim, effects) {
            tracked.accept(self.now, effects);
        }
    }

    pub(super) fn progress(&mut self, claim: Claim, effects: &mut Vec<Effect>) {
        if let Some((tracked, session)) = held(&mut self.signals, claim, effects) {
            let until = self.now.lease_ms + self.config.lease_ms();
            tracked.lease = Some(Held { session: Some(session), until });
            tracked.accept(self.now, effects);
        }
    }

    pub(super) fn nack(
        &mut self,
        claim: Claim,
        reason: &str,
        retry_after_seconds: u32,
        effects: &mut Vec<Effect>,
    ) {
        if let Some((tracked, _)) = held(&mut self.signals, claim, effects) {
            tracked.give_back(reason, retry_after_seconds, &self.config, self.now, effects);
        }
    }

    /// Takes an outcome under the latest token from the controller that holds it or held it last: the truth
    /// about what was done is worth having after the lease is lost, and saves doing it again.
    pub(super) fn outcome(
        &mut self,
        claim: Claim,
        status: OutcomeStatus,
        message: &str,
        effects: &mut Vec<Effect>,
    ) {
        let speaker = self.controllers.get(&claim.session).map(|hello| hello.controller.as_str());
        let Some(tracked) = current(&mut self.signals, claim, effects) else {
            return;
        };
        if !tracked.takes_outcome() {
            effects.push(ended(claim, tracked));
        } else if speaker != Some(tracked.signal.holder.as_str()) {
            effects.push(not_yours(claim));
        } else {
            tracked.end(status, message, self.now, effects);
            if let Some(facts) = self.watched.get(&tracked.incident) {
                tracked.before = facts.active.keys().copied().collect();
            }
        }
    }

    /// Ends the leases whose time is over, and those that a restart left without a holder.
    pub(super) fn expire_leases(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now;
        let signals = &self.signals;
        self.at_work.retain(|id| signals.get(id).is_some_and(Tracked::is_at_work));
        for id in &self.at_work {
            let Some(tracked) = self.signals.get_mut(id) else { continue };
            if tracked.lease.is_some_and(|lease| lease.until <= now.lease_ms) {
                tracked.lose("its lease expired", &self.config, now, effects);
            } else if tracked.orphaned() {
                if tracked.signal.state == SignalState::Leased {
                    tracked.lose("the engine was restarted", &self.config, now, effects);
                } else {
                    let until = now.lease_ms + self.config.lease_ms();
                    tracked.lease = Some(Held { session: None, until });
                }
            }
        }
    }

    /// Grants what can be granted, oldest signal first, each to the least busy controller that can take it.
    pub(super) fn grant_leases(&mut self, effects: &mut Vec<Effect>) {
        if self.catching_up || self.halted.is_some() {
            return;
        }
        let mut busy = self.busy();
        for id in self.waiting() {
            if self.hold_back(id, effects) {
                continue;
            }
            let Some(tracked) = self.signals.get_mut(&id) else { continue };
            let takes = |hello: &Hello| tracked.offered_to(hello, self.now) == Some(self.now.lease_ms);
            let best = least_busy(&self.controllers, &busy, takes);
            let Some((load, session)) = best else { continue };
            busy.insert(session, load + 1);
            tracked.grant(session, &self.controllers[&session].controller, &self.config, self.now, effects);
            let lease = Lease { signal: tracked.signal.clone(), lease_seconds: self.config.lease_seconds };
            effects.push(Effect::Grant { session, lease });
        }
    }

    /// Whether a signal that waits is held back, which is said when the reason is another.
    fn hold_back(&mut self, id: Id, effects: &mut Vec<Effect>) -> bool {
        let reason = self.signals.get(&id).and_then(|tracked| self.held_back(tracked)).unwrap_or_default();
        let Some(tracked) = self.signals.get_mut(&id) else { return true };
        if tracked.held != reason {
            tracked.held.clone_from(&reason);
            if !reason.is_empty() {
                tracked.revise(tracked.signal.state, &format!("held back: {reason}"), self.now, effects);
            }
        }
        !reason.is_empty()
    }

    /// When a lease timer is due, in lease time: the end of a lease or of a rest, or at once when something can be
    /// granted. `None`: nothing will happen by itself.
    pub fn next_timer_ms(&self) -> Option<u64> {
        let busy = self.busy();
        let has_room =
            |session: &Session, hello: &Hello| busy.get(session).is_none_or(|load| *load < hello.capacity);
        let due = |tracked: &Tracked| match tracked.lease {
            Some(lease) => Some(lease.until),
            None if tracked.orphaned() => Some(self.now.lease_ms),
            None if self.catching_up || self.halted.is_some() => None,
            None if !tracked.waits() || tracked.stale(self.now) => None,
            None if self.held_back(tracked).is_some_and(|reason| reason == tracked.held) => None,
            None => {
                let able = self.controllers.iter().filter(|(session, hello)| has_room(session, hello));
                able.filter_map(|(_, hello)| tracked.offered_to(hello, self.now)).min()
            }
        };
        self.those_at_work().filter_map(due).min()
    }

    fn those_at_work(&self) -> impl Iterator<Item = &Tracked> {
        self.at_work.iter().filter_map(|id| self.signals.get(id))
    }

    /// How many leases each controller holds.
    fn busy(&self) -> BTreeMap<Session, u32> {
        let mut busy = BTreeMap::new();
        for session in self.those_at_work().filter_map(|tracked| tracked.lease?.session) {
            *busy.entry(session).or_insert(0) += 1;
        }
        busy
    }

    /// The signals that wait for a controller, oldest first.
    fn waiting(&self) -> Vec<Id> {
        let waits = |tracked: &&Tracked| tracked.waits() && !tracked.stale(self.now);
        let signals = self.those_at_work().filter(waits).map(|tracked| &tracked.signal);
        let mut waiting: Vec<(i64, Id)> = signals.map(|signal| (signal.created_ms, signal.id)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }
}

/// The controller with room that has the fewest leases of those that take a signal, and how many; of several the first.
fn least_busy(
    controllers: &BTreeMap<Session, Hello>,
    busy: &BTreeMap<Session, u32>,
    takes: impl Fn(&Hello) -> bool,
) -> Option<(u32, Session)> {
    let mut best: Option<(u32, Session)> = None;
    for (session, hello) in controllers {
        let load = busy.get(session).copied().unwrap_or(0);
        let is_less = load < hello.capacity && best.is_none_or(|(least, _)| load < least);
        // Its load is cheaper to look at than what it takes.
        if is_less && takes(hello) {
            best = Some((load, *session));
            if load == 0 {
                break;
            }
        }
    }
    best
}

/// The signal that the claim is about, if its token is the latest.
fn current<'a>(
    signals: &'a mut BTreeMap<Id, Tracked>,
    claim: Claim,
    effects: &mut Vec<Effect>,
) -> Option<&'a mut Tracked> {
    let Some(tracked) = signals.get_mut(&claim.signal) else {
        let message = format!("there is no signal {}", claim.signal);
        effects.push(fault(claim, FaultCode::UnknownSignal, message));
        return None;
    };
    let latest = tracked.signal.fencing_token;
    if claim.token != latest {
        let message = format!("token {} is outdated, the latest is {latest}: stop", claim.token);
        effects.push(fault(claim, FaultCode::StaleToken, message));
        return None;
    }
    Some(tracked)
}

/// The signal that the claim is about, if the speaker holds a valid lease of it.
fn held<'a>(
    signals: &'a mut BTreeMap<Id, Tracked>,
    claim: Claim,
    effects: &mut Vec<Effect>,
) -> Option<(&'a mut Tracked, Session)> {
    let tracked = current(signals, claim, effects)?;
    if tracked.lease.is_some_and(|lease| lease.session == Some(claim.session)) {
        return Some((tracked, claim.session));
    }
    let over = tracked.signal.state == SignalState::Cancelled || tracked.settled();
    effects.push(if over { ended(claim, tracked) } else { not_yours(claim) });
    None
}

fn not_yours(claim: Claim) -> Effect {
    let message = "the lease is not, or no longer, yours: stop".to_string();
    fault(claim, FaultCode::StaleToken, message)
}

fn ended(claim: Claim, tracked: &Tracked) -> Effect {
    let note = &tracked.signal.note;
    fault(claim, FaultCode::AlreadyEnded, format!("signal {} has ended: {note}", claim.signal))
}

fn fault(claim: Claim, code: FaultCode, message: String) -> Effect {
    Effect::Fault { session: claim.session, signal: Some(claim.signal), code, message }
}
