//! Every order of events within small bounds, checked against rules that are written down here a second time.
//!
//! One incident, one policy, one or two controllers. Messages may be late, repeated or under an old token; the process may
//! die before, in the middle of and after every event. Does not show: several signals at once (capacity, order),
//! which the tables in `tests` do.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::LazyLock,
};

use super::{
    Backoff, Bus, BusConfig, Claim, Effect, Event, OutcomeStatus, Policy, Session,
    tests::{hello, incident, policy},
};
use crate::types::{Action, Incident, IncidentState, Recovery, RemediationSignal, SignalState as State};

const START_MS: i64 = 1_000_000;
/// One step of event time.
const STEP_MS: i64 = 1000;
/// Steps of event time that are explored.
const STEPS: i64 = 2;
/// A signal is given back only under a token below this, or it could be for ever.
const MOST_TOKENS: u64 = 2;
/// Open, resolved.
const MOST_REVISIONS: u64 = 2;

fn config(policy: Policy) -> BusConfig {
    BusConfig {
        policies: vec![Policy { action: Action::Restart, ..policy }],
        max_signal_age_ms: STEP_MS,
        lease_seconds: 10,
        redelivery_limit: 1,
        backoff: Backoff { first_ms: 1000, max_ms: 1000 },
        verify_after_ms: 0,
        verify_within_ms: STEP_MS,
        ..BusConfig::default()
    }
}

/// What an onlooker knows who sees events and effects only.
#[derive(Clone, Default)]
struct Onlooker {
    /// The journal: the latest revision. It survives every crash.
    journal: Option<RemediationSignal>,
    /// Session, token and end of the lease that is valid.
    lease: Option<(Session, u64, u64)>,
    /// Whether the signal was cancelled, rejected or executed: it must never be granted again.
    closed: bool,
}

/// One situation.
#[derive(Clone)]
struct Node {
    bus: Bus,
    seen: Onlooker,
    /// Revision of the incident; odd is open, even is resolved, 0 not yet.
    incident: u64,
    /// How many controllers there are.
    controllers: u64,
}

/// Once it is approved, this is what happens to an automatic signal too.
#[test]
fn approval_required() {
    explore(policy("ask"), 2, &[State::AwaitingApproval, State::Rejected]);
}

/// Two people have to agree.
#[test]
fn four_eyes() {
    explore(Policy { approvals: 2, ..policy("ask") }, 1, &[State::AwaitingApproval, State::Rejected]);
}

#[test]
fn dry_run() {
    explore(Policy { dry_run: true, ..policy("rehearse") }, 1, &[]);
}

/// Breadth first over all situations; every state that a signal can be in must have been seen.
fn explore(policy: Policy, controllers: u64, more: &[State]) {
    let (name, dry_run) = (policy.name.clone(), policy.dry_run);
    let config = config(policy);
    let mut bus = Bus::new(config.clone()).unwrap();
    bus.on_event(Event::Tick { time_ms: START_MS, catching_up: false });
    let mut queue = VecDeque::from([Node { bus, seen: Onlooker::default(), incident: 0, controllers }]);
    let (mut known, mut states, mut steps) = (HashSet::new(), BTreeSet::new(), 0_u64);
    while let Some(node) = queue.pop_front() {
        states.extend(node.seen.journal.as_ref().map(|signal| signal.state));
        let mut next = vec![node.stopped(&config), node.killed(&config)];
        for event in node.events() {
            steps += 1;
            node.say(&event, &config, &mut next);
        }
        next.retain(|node| known.insert(node.key()));
        queue.extend(next);
    }
    println!("{name}: {} situations, {steps} steps, states {states:?}", known.len());
    let mut expected: BTreeSet<State> = more.iter().copied().collect();
    expected.extend([State::Leased, State::Succeeded, State::Failed, State::Unknown, State::Verified]);
    expected.extend([State::NotRecovered, State::Cancelled, State::DryRun]);
    if !dry_run {
        expected.insert(State::Ready);
    }
    assert_eq!(states, expected);
}

impl Node {
    /// What can happen next.
    fn events(&self) -> Vec<Event> {
        let mut events = self.event_time();
        events.extend(self.controllers());
        if self.incident < MOST_REVISIONS {
            events.push(Event::Incident(turned(self.incident + 1, self.bus.now.event_ms)));
        }
        events
    }

    fn event_time(&self) -> Vec<Event> {
        let now = self.bus.now.event_ms;
        let mut events = vec![Event::Tick { time_ms: now, catching_up: !self.bus.catching_up }];
        if now < START_MS + STEPS * STEP_MS {
            // One beyond the step: the end of an age is past, the end of a watch is reached.
            events.push(Event::Tick { time_ms: now + STEP_MS + 1, catching_up: false });
        }
        if let Some(signal) = &self.seen.journal {
            let (signal, comment) = (signal.id, String::new());
            for (by, approve) in [("ann", true), ("ben for ann", true), ("ann", false)] {
                events.push(Event::Decide { signal, approve, by: by.to_string(), comment: comment.clone() });
            }
            events.push(Event::Withdraw { signal, by: "ann".to_string(), comment });
        }
        events.push(halt(self.bus.halted.is_none()));
        events
    }

    fn controllers(&self) -> Vec<Event> {
        let now = self.bus.now.lease_ms;
        let mut events = Vec::new();
        if let Some(at) = self.bus.next_timer_ms() {
            events.push(Event::LeaseTimer { at });
        }
        for session in (1..=self.controllers).map(Session) {
            if !self.bus.controllers.contains_key(&session) {
                events.push(Event::Connect { session, hello: hello(&session.to_string()), at: now });
                continue;
            }
            events.push(Event::Disconnect { session, at: now });
            let Some(signal) = &self.seen.journal else { continue };
            let token = signal.fencing_token;
            let claim = |token: u64| Claim { session, signal: signal.id, token };
            if self.seen.lease.is_some_and(|(holder, _, _)| holder == session) {
                messages(claim(token), now, &mut events);
            } else {
                events.push(Event::Progress { claim: claim(token), at: now });
                events.push(outcome(claim(token), OutcomeStatus::Succeeded, now));
            }
            events.push(outcome(claim(token.saturating_sub(1)), OutcomeStatus::Succeeded, now));
            if let Some((_, token, until)) = self.seen.lease {
                let claim = claim(token);
                events.push(Event::Progress { claim, at: until });
                events.push(outcome(claim, OutcomeStatus::Succeeded, until));
            }
        }
        events
    }

    /// The situations after this event: all its effects carried out, or the process killed in the middle. Panics
    /// where a rule is broken.
    fn say(&self, event: &Event, config: &BusConfig, next: &mut Vec<Node>) {
        let mut after = self.clone();
        let effects = after.bus.on_event(event.clone());
        if let Event::Incident(incident) = event {
            after.incident = incident.revision;
            next.push(after.killed(config));
        }
        for (index, effect) in effects.iter().enumerate() {
            if matches!(effect, Effect::Signal(_)) && index + 1 < effects.len() {
                let mut cut = after.clone();
                cut.watch(event, &effects[..=index]);
                next.push(cut.killed(config));
            }
        }
        after.watch(event, &effects);
        if !self.faulted(&after, event, &effects) {
            next.push(after);
        }
    }

    /// Killed: nothing but the journal is left.
    fn killed(&self, config: &BusConfig) -> Node {
        self.restarted(Bus::new(config.clone()).unwrap())
    }

    /// Stopped in good order: there is a snapshot.
    fn stopped(&self, config: &BusConfig) -> Node {
        self.restarted(Bus::load(config.clone(), &self.bus.save().unwrap()).unwrap())
    }

    /// A new process: journal first, then the telemetry again. Its lease clock starts anew.
    fn restarted(&self, bus: Bus) -> Node {
        let seen = Onlooker { lease: None, ..self.seen.clone() };
        let mut next = Node { bus, seen, incident: self.incident, controllers: self.controllers };
        if let Some(signal) = &self.seen.journal {
            next.bus.recover(signal.clone());
        }
        assert!(next.bus.signals.values().all(|tracked| tracked.lease.is_none()), "a lease survives");
        // The journal of decisions has what a person said.
        if self.bus.halted.is_some() {
            let effects = next.bus.on_event(halt(true));
            next.watch(&halt(true), &effects);
        }
        let incidents = (1..=self.incident).map(|revision| Event::Incident(turned(revision, START_MS)));
        let caught_up_to = Event::Tick { time_ms: self.bus.now.event_ms, catching_up: true };
        for event in incidents.chain([caught_up_to]) {
            let effects = next.bus.on_event(event.clone());
            next.watch(&event, &effects);
        }
        next
    }

    /// The rules, for every effect.
    fn watch(&mut self, event: &Event, effects: &[Effect]) {
        let faulted = effects.iter().any(|effect| matches!(effect, Effect::Fault { .. }));
        self.seen.lease_before(event, faulted);
        for effect in effects {
            match effect {
                Effect::Signal(signal) => self.seen.journaled(signal, &self.bus, event),
                Effect::Grant { session, lease } => {
                    assert!(!self.bus.catching_up, "granted while catching up: {event:?}");
                    assert!(self.bus.halted.is_none(), "granted while halted: {event:?}");
                    assert_eq!(Some(&lease.signal), self.seen.journal.as_ref(), "not durable: {event:?}");
                    assert_eq!(self.seen.lease, None, "two leases: {event:?}");
                    let until = self.bus.now.lease_ms + self.bus.config.lease_ms();
                    self.seen.lease = Some((*session, lease.signal.fencing_token, until));
                }
                Effect::Cancel { session, .. } => {
                    let holder = self.seen.lease.map(|(holder, _, _)| holder);
                    assert_eq!(holder, Some(*session), "cancelled for another: {event:?}");
                }
                Effect::Remediation { recovery, .. } => {
                    let is_well = *recovery == Recovery::Recovered;
                    let state = if is_well { State::Verified } else { State::NotRecovered };
                    assert_eq!(
                        self.seen.journal.as_ref().map(|signal| signal.state),
                        Some(state),
                        "{event:?}"
                    );
                }
                Effect::Fault { .. } | Effect::Welcome { .. } => {}
                Effect::Declined { .. } | Effect::Refused { .. } => {}
            }
        }
        if let Event::LeaseTimer { at } = event {
            assert!(self.bus.next_timer_ms().is_none_or(|next| next > *at), "the timer spins: {event:?}");
        }
    }

    /// Checks that a message that is answered with a fault does what a timer would have done, and nothing else; true
    /// when that is nothing at all.
    fn faulted(&self, after: &Node, event: &Event, effects: &[Effect]) -> bool {
        let is_fault = |effect: &Effect| matches!(effect, Effect::Fault { .. });
        if !effects.iter().any(is_fault) {
            if let Event::Ack { claim, .. }
            | Event::Progress { claim, .. }
            | Event::Nack { claim, .. }
            | Event::Outcome { claim, .. } = event
            {
                let latest = self.seen.journal.as_ref().map(|signal| signal.fencing_token);
                assert_eq!(Some(claim.token), latest, "an outdated token passes: {event:?}");
            }
            return false;
        }
        let mut idle = self.clone();
        let expected = idle.bus.on_event(Event::LeaseTimer { at: after.bus.now.lease_ms });
        let mut others = effects.to_vec();
        others.retain(|effect| !is_fault(effect));
        assert_eq!(others, expected, "{event:?}");
        assert_eq!(idle.bus.signals, after.bus.signals, "{event:?}");
        assert_eq!(idle.bus.controllers, after.bus.controllers, "{event:?}");
        expected.is_empty()
    }

    /// What decides about the future, in bytes: no words, no count of revisions, lease time from now on.
    fn key(&self) -> Vec<u8> {
        let now = self.bus.now;
        let left = |until: u64| until.saturating_sub(now.lease_ms);
        let mut tracked: Vec<_> = self.bus.signals.values().cloned().collect();
        for one in &mut tracked {
            one.not_before = left(one.not_before);
            if let Some(lease) = &mut one.lease {
                lease.until = left(lease.until);
            }
            for until in one.refused.values_mut().filter(|until| **until != u64::MAX) {
                *until = left(*until);
            }
            one.refused.retain(|_, until| *until > 0);
            // What never changes, and words.
            one.signal.attributes.clear();
            one.signal.reason.clear();
            one.signal.policy.clear();
            one.signal.target.name.clear();
            one.signal.note.clear();
            one.history.clear();
            one.cause.clear();
            one.signal.revision = 0;
            if one.signal.state != State::Succeeded {
                one.signal.updated_ms = 0;
            }
        }
        let open = self.bus.watched.open();
        let sessions: Vec<Session> = self.bus.controllers.keys().copied().collect();
        let seen = self.seen.lease.map(|(session, token, until)| (session, token, left(until)));
        let bus = (self.bus.catching_up, self.bus.halted.is_some());
        let world = (now.event_ms, bus, self.incident, self.seen.closed);
        postcard::to_stdvec(&(tracked, open, sessions, seen, world)).unwrap()
    }
}

impl Onlooker {
    /// What the event itself does to the valid lease.
    fn lease_before(&mut self, event: &Event, faulted: bool) {
        let Some((holder, token, until)) = self.lease else { return };
        let (at, ends) = match event {
            Event::Disconnect { session, at } => (*at, *session == holder),
            Event::Nack { claim, at, .. } | Event::Outcome { claim, at, .. } => {
                (*at, !faulted && claim.token == token)
            }
            Event::Progress { claim, at } if !faulted && claim.token == token && *at < until => {
                self.lease = Some((holder, token, at + 10_000));
                return;
            }
            Event::Connect { at, .. } | Event::Ack { at, .. } | Event::Progress { at, .. } => (*at, false),
            Event::LeaseTimer { at } => (*at, false),
            _ => return,
        };
        if ends || at >= until {
            self.lease = None;
        }
    }

    /// A revision is written to the journal.
    fn journaled(&mut self, signal: &RemediationSignal, bus: &Bus, event: &Event) {
        if let Some(before) = self.journal.replace(signal.clone()) {
            assert_eq!(signal.revision, before.revision + 1, "{event:?}");
            assert!(
                may_follow(before.state, signal.state),
                "{:?} to {:?}: {event:?}",
                before.state,
                signal.state
            );
            if before.state == State::AwaitingApproval && signal.state == State::Ready {
                let people: BTreeSet<&str> = signal.consent.by.iter().map(String::as_str).collect();
                assert_eq!(people.len(), signal.consent.needed as usize, "not agreed: {event:?}");
            }
            let granted = u64::from(signal.state == State::Leased && before.state != State::Leased);
            assert_eq!(signal.fencing_token, before.fencing_token + granted, "{event:?}");
            assert_eq!(u64::from(signal.attempts), signal.fencing_token, "{event:?}");
            if granted == 1 {
                assert!(!self.closed, "granted after its end: {event:?}");
                assert!(bus.now.event_ms <= signal.expires_ms, "granted too old: {event:?}");
            }
        } else {
            assert_eq!((signal.revision, signal.fencing_token), (1, 0), "{event:?}");
            assert!(!bus.catching_up, "made while catching up: {event:?}");
            assert!(bus.halted.is_none(), "made while halted: {event:?}");
        }
        let executed = signal.state == State::DryRun && signal.note.contains("would have");
        self.closed |= executed
            || !matches!(
                signal.state,
                State::AwaitingApproval | State::Ready | State::Leased | State::DryRun
            );
    }
}

/// Which state may come after which. What is missing here is final.
fn may_follow(before: State, after: State) -> bool {
    use State::*;
    let outcome = matches!(after, Succeeded | Failed | Unknown | DryRun);
    match before {
        AwaitingApproval => matches!(after, AwaitingApproval | Ready | Rejected | Cancelled),
        // The holder of a lost lease may still say what it did.
        Ready | DryRun => matches!(after, Leased | Cancelled) || outcome,
        Leased => matches!(after, Leased | Ready | Cancelled) || outcome,
        Cancelled => outcome,
        Succeeded => matches!(after, Verified | NotRecovered),
        Failed | Unknown | Verified | NotRecovered | Rejected => false,
    }
}

/// The fixture's incident, as small as it can be: it is copied at every step.
static INCIDENT: LazyLock<Incident> = LazyLock::new(|| {
    let mut small = Incident { opened_ms: START_MS, changes: Vec::new(), ..incident() };
    small.members.truncate(1);
    let suspect = &mut small.suspects[0];
    (suspect.change, suspect.reasons) = (None, Vec::new());
    suspect.entity.name = "cart".to_string();
    small
});

fn turned(revision: u64, updated_ms: i64) -> Incident {
    let open = revision % 2 == 1;
    let state = if open { IncidentState::Open } else { IncidentState::Resolved };
    Incident { revision, state, updated_ms, ..INCIDENT.clone() }
}

/// The first controller gives back for good, the second one for a while.
fn messages(claim: Claim, at: u64, events: &mut Vec<Event>) {
    events.push(Event::Ack { claim, at });
    events.push(Event::Progress { claim, at });
    if claim.token < MOST_TOKENS {
        let retry_after_seconds = if claim.session == Session(1) { 0 } else { 2 };
        events.push(Event::Nack { claim, reason: String::new(), retry_after_seconds, at });
    }
    use OutcomeStatus::{DryRun, Failed, Succeeded, Unknown};
    events.extend([Succeeded, Failed, Unknown, DryRun].map(|status| outcome(claim, status, at)));
}

fn halt(halt: bool) -> Event {
    Event::Halt { halt, by: "ann".to_string(), comment: String::new() }
}

fn outcome(claim: Claim, status: OutcomeStatus, at: u64) -> Event {
    Event::Outcome { claim, status, message: String::new(), at }
}
