//! The remediation bus: from incidents to signals to outcomes. A pure state machine; the gRPC shell is elsewhere.
//!
//! * `config`: settings and their bounds
//! * `messages`: events, effects and what they carry
//! * `facts`: what policies look at of an incident
//! * `policy`: policies and the guards that need only the incident
//! * `create`: policies in order, the other guards, the signal
//! * `guards`: the kill switch, freezes, limits, failures
//! * `playbook`: policies that are steps of one another, and what helped how often
//! * `people`: decisions, proposals, withdrawals
//! * `versions`: which version came before which
//! * `life`: the states of one signal
//! * `leases`: controllers, grants, expiry (lease time)
//! * `verify`: age, recovery, forgetting (event time)
//!
//! Event time decides what is made, what is too old and what recovered; lease time decides who holds what. Grants are
//! made only in events that carry lease time, so that everything else follows from the telemetry alone.

mod config;
mod create;
#[cfg(test)]
mod explore;
mod facts;
mod guards;
mod leases;
mod life;
mod messages;
mod people;
mod playbook;
mod policy;
#[cfg(test)]
mod tests;
mod verify;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use config::{Backoff, BusConfig, ConfigError, Limits};
pub use guards::Halted;
pub use life::Step;
pub use messages::{Claim, Effect, Event, FaultCode, Hello, Lease, OutcomeStatus, Proposal, Session};
pub use playbook::{PolicyStatus, Tried};
pub use policy::{Approval, IncidentKind, Match, Policy, PolicyError};

use crate::types::{Id, Incident, IncidentState, RemediationSignal, Section, section::SectionError};
use facts::Watched;
use life::{Now, Tracked};
use playbook::Records;
use versions::Versions;

/// The bus.
#[derive(Clone, Debug)]
pub struct Bus {
    config: BusConfig,
    signals: BTreeMap<Id, Tracked>,
    /// Signals that wait for a controller or are held by one, among others: what leases are about.
    at_work: BTreeSet<Id>,
    /// (incident, signal) of every signal.
    by_incident: BTreeSet<(Id, Id)>,
    watched: Watched,
    versions: Versions,
    records: Records,
    halted: Option<Halted>,
    controllers: BTreeMap<Session, Hello>,
    now: Now,
    catching_up: bool,
}

/// A bus that could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The settings contradict themselves.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The section is damaged.
    #[error(transparent)]
    Section(#[from] SectionError),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    event_ms: i64,
    signals: Vec<Tracked>,
    watched: Watched,
    versions: Versions,
    records: Records,
    halted: Option<Halted>,
}

const NAME: &str = "bus";
const VERSION: u32 = 4;

impl Bus {
    /// A bus without signals. It observes only, until a tick says that the engine has caught up.
    pub fn new(config: BusConfig) -> Result<Bus, ConfigError> {
        config.check()?;
        Ok(Bus {
            config,
            signals: BTreeMap::new(),
            at_work: BTreeSet::new(),
            by_incident: BTreeSet::new(),
            watched: Watched::default(),
            versions: Versions::default(),
            records: Records::default(),
            halted: None,
            controllers: BTreeMap::new(),
            now: Now { event_ms: 0, lease_ms: 0 },
            catching_up: true,
        })
    }

    /// Takes one event and gives what is to be done, in order.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Tick { time_ms, catching_up } => self.tick(time_ms, catching_up, &mut effects),
            Event::Incident(incident) => self.incident(&incident, &mut effects),
            Event::Change(change) => self.versions.learn(&change, self.config.max_versions as usize),
            Event::Decide { signal, approve, by, comment } => {
                self.at_work.insert(signal);
                self.decide(signal, approve, &by, &comment, &mut effects);
            }
            Event::Propose(proposal) => self.propose(proposal, &mut effects),
            Event::Withdraw { signal, by, comment } => self.withdraw(signal, &by, &comment, &mut effects),
            Event::Halt { halt, by, comment } => self.halt(halt, by, comment, &mut effects),
            Event::Connect { session, hello, at } => {
                self.at(at, &mut effects, |bus, effects| bus.connect(session, hello, effects));
            }
            Event::Disconnect { session, at } => {
                self.at(at, &mut effects, |bus, effects| bus.disconnect(session, effects));
            }
            Event::Ack { claim, at } => self.at(at, &mut effects, |bus, effects| bus.ack(claim, effects)),
            Event::Progress { claim, at } => {
                self.at(at, &mut effects, |bus, effects| bus.progress(claim, effects));
            }
            Event::Nack { claim, reason, retry_after_seconds, at } => {
                self.at(at, &mut effects, |bus, effects| {
                    bus.nack(claim, &reason, retry_after_seconds, effects);
                });
            }
            Event::Outcome { claim, status, message, at } => {
                self.at(at, &mut effects, |bus, effects| bus.outcome(claim, status, &message, effects));
            }
            Event::LeaseTimer { at } => self.at(at, &mut effects, |_, _| {}),
        }
        effects
    }

    /// The signals that the bus knows, newest first.
    pub fn signals(&self) -> Vec<&RemediationSignal> {
        let mut signals: Vec<&RemediationSignal> =
            self.signals.values().map(|tracked| &tracked.signal).collect();
        signals.sort_by_key(|signal| (std::cmp::Reverse(signal.created_ms), signal.id));
        signals
    }

    /// How many signals the bus knows.
    pub fn signal_count(&self) -> usize {
        self.signals.len()
    }

    /// One signal.
    pub fn signal(&self, id: Id) -> Option<&RemediationSignal> {
        self.signals.get(&id).map(|tracked| &tracked.signal)
    }

    /// The revisions of one signal that are remembered, the latest last.
    pub fn history(&self, id: Id) -> Vec<Step> {
        self.signals.get(&id).map(|tracked| tracked.history.iter().cloned().collect()).unwrap_or_default()
    }

    /// The controllers that are connected.
    pub fn controllers(&self) -> impl Iterator<Item = (Session, &Hello)> {
        self.controllers.iter().map(|(session, hello)| (*session, hello))
    }

    /// Saves all state that outlives the process.
    pub fn save(&self) -> Result<Section, SectionError> {
        let saved = Saved {
            event_ms: self.now.event_ms,
            signals: self.signals.values().cloned().collect(),
            watched: self.watched.clone(),
            versions: self.versions.clone(),
            records: self.records.clone(),
            halted: self.halted.clone(),
        };
        Section::save(NAME, VERSION, &saved)
    }

    /// Restores what [`Bus::save`] gave; a section of another version gives a cold bus. No lease survives, every
    /// token does. What the journal has since then is given to [`Bus::recover`] before the first event.
    pub fn load(config: BusConfig, section: &Section) -> Result<Bus, LoadError> {
        let mut bus = Bus::new(config)?;
        if let Some(saved) = section.load::<Saved>(VERSION)? {
            bus.now.event_ms = saved.event_ms;
            bus.watched = saved.watched;
            bus.versions = saved.versions;
            bus.records = saved.records;
            bus.halted = saved.halted;
            for mut tracked in saved.signals {
                tracked.forget_sessions();
                bus.insert(tracked);
            }
        }
        Ok(bus)
    }

    /// Takes a revision that the journal kept, between [`Bus::load`] and the first event. Older ones than the bus
    /// knows are ignored, so that the whole journal can be given.
    pub fn recover(&mut self, signal: RemediationSignal) {
        self.now.event_ms = self.now.event_ms.max(signal.updated_ms);
        self.at_work.insert(signal.id);
        let resolved = self.watched.get(&signal.incident).is_some_and(|facts| !facts.open);
        match self.signals.get_mut(&signal.id) {
            Some(known) if known.signal.revision >= signal.revision => {}
            Some(known) => {
                let news = signal.recovery.filter(|_| known.signal.recovery.is_none());
                known.overtaken_by(signal);
                if let Some(recovery) = news {
                    self.records.note(known, recovery);
                }
            }
            None => {
                let unseen = RemediationSignal { attempts: 0, ..signal.clone() };
                let mut tracked = Tracked { resolved, ..Tracked::new(unseen) };
                tracked.overtaken_by(signal);
                self.insert(tracked);
            }
        }
    }

    fn tick(&mut self, time_ms: i64, catching_up: bool, effects: &mut Vec<Effect>) {
        self.now.event_ms = self.now.event_ms.max(time_ms);
        self.catching_up = catching_up;
        self.withdraw_stale(effects);
        self.verify(effects);
        self.forget();
        for incident in self.watched.open() {
            self.consider(incident, effects);
        }
    }

    fn incident(&mut self, incident: &Incident, effects: &mut Vec<Effect>) {
        self.now.event_ms = self.now.event_ms.max(incident.updated_ms);
        for change in &incident.changes {
            self.versions.learn(change, self.config.max_versions as usize);
        }
        if !self.watched.learn(incident, self.config.max_incidents as usize) {
            return;
        }
        self.follow(incident, effects);
        if incident.state == IncidentState::Open {
            self.consider(incident.id, effects);
        }
    }

    /// One event in lease time. Leases end on time, whether or not a timer was on time.
    fn at(&mut self, at: u64, effects: &mut Vec<Effect>, then: impl FnOnce(&mut Bus, &mut Vec<Effect>)) {
        self.now.lease_ms = self.now.lease_ms.max(at);
        self.expire_leases(effects);
        then(self, effects);
        self.grant_leases(effects);
    }

    fn insert(&mut self, tracked: Tracked) {
        self.by_incident.insert((tracked.signal.incident, tracked.signal.id));
        self.at_work.insert(tracked.signal.id);
        self.signals.insert(tracked.signal.id, tracked);
    }
}
