//! The life of one signal: every change of its state is made here, and each gives a new revision.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    config::BusConfig,
    messages::{Effect, Hello, OutcomeStatus, Session},
};
use crate::types::{Id, RemediationSignal, SignalState};

/// Both clocks. They are never compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// Event time, unix milliseconds.
    pub(super) event_ms: i64,
    /// Lease time, milliseconds.
    pub(super) lease_ms: u64,
}

/// A signal and what the bus alone knows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tracked {
    /// As the journal has it.
    pub(super) signal: RemediationSignal,
    /// Who may execute it now. For a cancelled signal: whose outcome is still waited for.
    pub(super) lease: Option<Held>,
    /// Lease time before which it is not offered.
    pub(super) not_before: u64,
    /// Leases that expired or whose holder vanished.
    pub(super) losses: u32,
    /// Controllers that gave it back, and until when (lease time) it is not offered to them.
    pub(super) refused: BTreeMap<String, u64>,
    /// Whether a dry run was carried out.
    pub(super) rehearsed: bool,
    /// Whether its incident is resolved.
    pub(super) resolved: bool,
    /// The incident that has to recover: its own, or the one that it was merged into.
    pub(super) incident: Id,
    /// What was abnormal when it was carried out.
    pub(super) before: BTreeSet<Id>,
    /// What it is meant to help against, for the record of its policy.
    pub(super) cause: String,
    /// Why it was last held back.
    pub(super) held: String,
    /// Its revisions, the latest last.
    pub(super) history: VecDeque<Step>,
}

/// One revision of a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number.
    pub revision: u64,
    /// Where the signal stood.
    pub state: SignalState,
    /// What was said of it.
    pub note: String,
    /// Event time, unix milliseconds.
    pub time_ms: i64,
}

/// Revisions that are remembered of a signal.
const MOST_STEPS: usize = 64;

/// One lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// The holder's stream; `None` once it is gone and only the outcome is waited for.
    pub(super) session: Option<Session>,
    /// Lease time at which it ends.
    pub(super) until: u64,
}

/// Never again.
const NEVER: u64 = u64::MAX;

impl Tracked {
    /// A signal that nobody has worked on.
    pub(super) fn new(signal: RemediationSignal) -> Tracked {
        let mut tracked = Tracked {
            incident: signal.incident,
            signal,
            lease: None,
            not_before: 0,
            losses: 0,
            refused: BTreeMap::new(),
            rehearsed: false,
            resolved: false,
            before: BTreeSet::new(),
            cause: String::new(),
            held: String::new(),
            history: VecDeque::new(),
        };
        tracked.remember();
        tracked
    }

    /// Adds the present revision to the history.
    fn remember(&mut self) {
        let RemediationSignal { revision, state, note, updated_ms, .. } = &self.signal;
        if self.history.len() >= MOST_STEPS {
            self.history.pop_front();
        }
        let step = Step { revision: *revision, state: *state, note: note.clone(), time_ms: *updated_ms };
        self.history.push_back(step);
    }

    /// Sessions and lease time mean nothing in a new process.
    pub(super) fn forget_sessions(&mut self) {
        self.lease = None;
        self.not_before = 0;
        self.refused.retain(|_, until| *until == NEVER);
    }

    /// Takes a newer revision that the journal kept, with the more careful guess at what it does not hold.
    pub(super) fn overtaken_by(&mut self, signal: RemediationSignal) {
        let grants = signal.attempts.saturating_sub(self.signal.attempts);
        // The latest grant is counted as lost when the bus finds the signal leased to nobody.
        self.losses += grants.saturating_sub(u32::from(signal.state == SignalState::Leased));
        self.rehearsed |= signal.state == SignalState::DryRun && signal.attempts > 0;
        self.signal = signal;
        self.remember();
        self.forget_sessions();
    }

    /// Whether it may be granted, as far as its state goes.
    pub(super) fn waits(&self) -> bool {
        match self.signal.state {
            SignalState::Ready => true,
            SignalState::DryRun => !self.rehearsed,
            _ => false,
        }
    }

    /// Whether its state says that somebody holds it, but nobody does: the engine was restarted.
    pub(super) fn orphaned(&self) -> bool {
        self.lease.is_none()
            && match self.signal.state {
                SignalState::Leased => true,
                SignalState::Cancelled => self.may_have_acted(),
                _ => false,
            }
    }

    /// Whether nothing will change it any more, short of a late outcome of a cancelled signal.
    pub(super) fn settled(&self) -> bool {
        match self.signal.state {
            SignalState::AwaitingApproval | SignalState::Ready | SignalState::Leased => false,
            SignalState::DryRun => self.rehearsed,
            SignalState::Succeeded => !self.to_verify(),
            SignalState::Cancelled => self.lease.is_none() && !self.may_have_acted(),
            SignalState::Failed
            | SignalState::Unknown
            | SignalState::Verified
            | SignalState::NotRecovered
            | SignalState::Rejected => true,
        }
    }

    /// Whether leases are about it: it waits for a controller, is held by one, or was when the engine was restarted.
    pub(super) fn is_at_work(&self) -> bool {
        self.waits() || self.lease.is_some() || self.orphaned()
    }

    /// Whether it is being carried out, or what it did is being watched: it counts against limits.
    pub(super) fn in_work(&self) -> bool {
        let held = self.lease.is_some() || self.signal.state == SignalState::Leased || self.to_verify();
        held && self.acts()
    }

    /// Whether it changes a system.
    pub(super) fn acts(&self) -> bool {
        !self.signal.dry_run && self.signal.action.changes()
    }

    /// Whether it is too old to act on.
    pub(super) fn stale(&self, now: Now) -> bool {
        now.event_ms > self.signal.expires_ms
    }

    /// Whether it is too late to agree to it.
    pub(super) fn too_late(&self, now: Now) -> bool {
        self.stale(now) || now.event_ms > self.signal.consent.until_ms
    }

    /// Whether recovery is being watched. A success without acceptance came after its incident had resolved.
    pub(super) fn to_verify(&self) -> bool {
        self.signal.state == SignalState::Succeeded && self.signal.accepted
    }

    /// Whether an outcome is still taken: it was granted, and how it ended is not known.
    pub(super) fn takes_outcome(&self) -> bool {
        let live = matches!(self.signal.state, SignalState::Leased | SignalState::Cancelled);
        (live || self.waits()) && self.signal.fencing_token > 0
    }

    /// Whether a controller began work that was more than a rehearsal.
    fn may_have_acted(&self) -> bool {
        self.signal.accepted && !self.signal.dry_run
    }

    /// A new revision in this state: the only place where a state changes. That no step is taken but those of [`SignalState::next`] is explored in
    /// `explore`.
    pub(super) fn revise(&mut self, state: SignalState, note: &str, now: Now, effects: &mut Vec<Effect>) {
        let before = self.signal.state;
        debug_assert!(before == state || before.next().contains(&state), "{before:?} to {state:?}");
        self.signal.revision += 1;
        self.signal.state = state;
        self.signal.note = clip(note);
        self.signal.updated_ms = now.event_ms;
        self.remember();
        effects.push(Effect::Signal(self.signal.clone()));
    }

    /// Gives a lease; the token is in the revision that is journaled first.
    pub(super) fn grant(
        &mut self,
        session: Session,
        holder: &str,
        config: &BusConfig,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.signal.fencing_token += 1;
        self.signal.attempts += 1;
        self.signal.holder = holder.to_string();
        self.lease = Some(Held { session: Some(session), until: now.lease_ms + config.lease_ms() });
        self.revise(SignalState::Leased, &format!("granted to {holder}"), now, effects);
    }

    /// The holder begins.
    pub(super) fn accept(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.signal.state == SignalState::Leased && !self.signal.accepted {
            self.signal.accepted = true;
            let note = format!("accepted by {}", self.signal.holder);
            self.revise(SignalState::Leased, &note, now, effects);
        }
    }

    /// The holder gives it back.
    pub(super) fn give_back(
        &mut self,
        reason: &str,
        retry_after_seconds: u32,
        config: &BusConfig,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.lease = None;
        let until = match retry_after_seconds {
            0 => NEVER,
            seconds => now.lease_ms + u64::from(seconds) * 1000,
        };
        self.refused.retain(|_, until| *until > now.lease_ms);
        // Bounded, whatever names controllers give themselves.
        if self.refused.len() >= config.max_controllers as usize {
            self.refused.pop_first();
        }
        self.refused.insert(self.signal.holder.clone(), until);
        if self.signal.state == SignalState::Leased {
            let note = format!("given back by {}: {reason}", self.signal.holder);
            self.offer_again(&note, now, effects);
        }
    }

    /// The lease ended without a word from its holder.
    pub(super) fn lose(&mut self, how: &str, config: &BusConfig, now: Now, effects: &mut Vec<Effect>) {
        self.lease = None;
        match self.signal.state {
            SignalState::Leased => {
                self.losses += 1;
                self.not_before = now.lease_ms + config.backoff.after(self.losses);
                let note = format!("{how} ({})", self.signal.holder);
                if self.losses > config.redelivery_limit {
                    self.signal.dead_letter = true;
                    let end = if self.may_have_acted() { SignalState::Unknown } else { SignalState::Failed };
                    self.revise(end, &format!("{note}, as {} times in all", self.losses), now, effects);
                } else {
                    self.offer_again(&note, now, effects);
                }
            }
            SignalState::Cancelled if self.may_have_acted() => {
                let note = format!("{how} ({}), after it was cancelled", self.signal.holder);
                self.revise(SignalState::Unknown, &note, now, effects);
            }
            _ => {}
        }
    }

    /// Free for the next lease. What has become too old meanwhile is never granted, and withdrawn by the next tick.
    fn offer_again(&mut self, note: &str, now: Now, effects: &mut Vec<Effect>) {
        let waiting = if self.signal.dry_run { SignalState::DryRun } else { SignalState::Ready };
        self.revise(waiting, note, now, effects);
    }

    /// No longer wanted. Whoever holds it is told, and keeps the lease to report what came of it.
    pub(super) fn withdraw(&mut self, why: &str, now: Now, effects: &mut Vec<Effect>) {
        let leased = self.signal.state == SignalState::Leased;
        if !(leased || self.waits() || self.signal.state == SignalState::AwaitingApproval) {
            return;
        }
        self.revise(SignalState::Cancelled, why, now, effects);
        if let Some(session) = self.lease.and_then(|lease| lease.session) {
            effects.push(Effect::Cancel { session, signal: self.signal.id, reason: why.to_string() });
        }
    }

    /// The end of the work.
    pub(super) fn end(&mut self, status: OutcomeStatus, message: &str, now: Now, effects: &mut Vec<Effect>) {
        self.lease = None;
        let holder = &self.signal.holder;
        let (state, mut note) = match status {
            OutcomeStatus::Succeeded => (SignalState::Succeeded, format!("{holder}: {message}")),
            OutcomeStatus::Failed => (SignalState::Failed, format!("{holder} failed: {message}")),
            OutcomeStatus::Unknown => (SignalState::Unknown, format!("{holder} cannot tell: {message}")),
            OutcomeStatus::DryRun => (SignalState::DryRun, format!("{holder} would have: {message}")),
        };
        self.rehearsed |= status == OutcomeStatus::DryRun;
        if status == OutcomeStatus::Succeeded {
            self.signal.accepted |= !self.resolved;
            if self.signal.dry_run {
                note.push_str(" (although only a dry run was allowed)");
            } else if !self.signal.accepted {
                note.push_str(" (after the incident had resolved: not verified)");
            }
        }
        self.revise(state, &note, now, effects);
    }

    /// Whether this controller may be offered it now; otherwise when, in lease time, if ever.
    pub(super) fn offered_to(&self, hello: &Hello, now: Now) -> Option<u64> {
        let able = hello.kind == self.signal.action.controller()
            && hello.scope.covers(&self.signal.attributes)
            && hello.allowed.iter().any(|scope| scope.covers(&self.signal.attributes));
        let refused = self.refused.get(&hello.controller).copied().unwrap_or(0);
        let when = self.not_before.max(refused).max(now.lease_ms);
        (able && when != NEVER).then_some(when)
    }
}

/// Longest note, in bytes: whatever a controller or a person sends, a signal stays small.
const MAX_NOTE: usize = 1024;

fn clip(text: &str) -> String {
    let mut end = text.len().min(MAX_NOTE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}
