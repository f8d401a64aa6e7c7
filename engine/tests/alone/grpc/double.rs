//! The engine's double: a thread that owns a real bus and answers commands as the engine's loop does, without Kafka.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use foreshock::{
    api::{Api, Command, Publisher, Refused, Status, Tracked, View},
    serve::{Guard, Limited, Rules, Tally, Tls, access::Access},
};
use foreshock_core::{
    bus::{Backoff, Bus, BusConfig, Effect, Event, FaultCode, Session},
    silences::Silences,
    types::*,
};
use tokio::sync::{mpsc, oneshot};

/// What the tests know of the world, in event time.
pub const NOW_MS: i64 = 1_000_000;

/// A server with the double behind it. Stops when it is dropped.
pub struct Double {
    pub address: SocketAddr,
    pub access: Arc<Access>,
    pub tls: Option<Arc<Tls>>,
    events: Option<Sender<Event>>,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Double {
    /// Serves on this address; port 0 is any free one.
    pub fn start_at(address: SocketAddr, config: BusConfig) -> Double {
        Double::start_with(address, config, Access::open(), None)
    }

    /// Serves those who are known, over TLS or without.
    pub fn start_with(address: SocketAddr, config: BusConfig, access: Access, tls: Option<Tls>) -> Double {
        let (access, tls) = (Arc::new(access), tls.map(Arc::new));
        let (command_sender, commands) = unbounded();
        let (events, told) = unbounded();
        let (api, publisher) = Api::new(command_sender, Default::default());
        let engine = Engine {
            bus: Bus::new(config).unwrap(),
            api: api.clone(),
            publisher,
            incidents: Vec::new(),
            signals: Vec::new(),
            known: BTreeMap::new(),
            adjustments: Vec::new(),
            silences: Silences::default(),
            outboxes: HashMap::new(),
        };
        let thread = std::thread::spawn(move || engine.run(&commands, &told));
        let (stop, stopped) = oneshot::channel::<()>();
        let (listening, address_of) = std::sync::mpsc::channel();
        let (guard, secure) = (Guard::new(access.clone(), Default::default(), api.clone()), tls.clone());
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(address).await.unwrap();
                listening.send(listener.local_addr().unwrap()).unwrap();
                let limited = Limited::new(listener, secure, Rules::grpc(1024), Tally::default());
                // On a task of its own, as the engine has it.
                let serving =
                    foreshock::serve::grpc::serve(limited, api, guard, async { drop(stopped.await) });
                tokio::spawn(serving).await.unwrap().unwrap();
            });
        });
        let address = address_of.recv().unwrap();
        let double = Double {
            address,
            access,
            tls,
            events: Some(events),
            thread: Some(thread),
            stop: Some(stop),
            server: Some(server),
        };
        double.tell(Event::Tick { time_ms: NOW_MS, catching_up: false });
        double
    }

    /// Serves on any free port.
    pub fn start(config: BusConfig) -> Double {
        Double::start_at(([127, 0, 0, 1], 0).into(), config)
    }

    /// Where clients find it.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Something happens.
    pub fn tell(&self, event: Event) {
        self.events.as_ref().unwrap().send(event).unwrap();
    }

    /// Stops the server alone and waits until it has; the engine lives.
    pub fn stop_serving(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stop_serving();
        drop(self.events.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Rolls back whatever a change is blamed for, without asking; leases last as long as they are told to.
pub fn automatic(lease_seconds: u32) -> BusConfig {
    let policy = "{name: undo, action: rollback, approval: none, min_evidence_kinds: 1}";
    config(lease_seconds, policy)
}

/// The same, but a person must agree.
pub fn with_approval() -> BusConfig {
    config(60, "{name: undo, action: rollback, min_evidence_kinds: 1}")
}

/// One policy; leases last as long as they are told to.
pub fn config(lease_seconds: u32, policy: &str) -> BusConfig {
    BusConfig {
        policies: vec![serde_yaml_ng::from_str(policy).unwrap()],
        lease_seconds,
        backoff: Backoff { first_ms: 1, max_ms: 1 },
        ..BusConfig::default()
    }
}

/// A bad deploy of payment.
pub fn incident(id: u64) -> Incident {
    let entity = Entity::new(EntityKind::Service, "shop/payment");
    let change = Change {
        time_ms: 890_000,
        id: format!("deploy-{id}"),
        kind: "service.upgraded".to_string(),
        entity: entity.clone(),
        version: "v2".to_string(),
        source: "test".to_string(),
    };
    let suspect = Suspect {
        entity,
        weight: 0.8,
        reasons: vec!["it was changed just before".to_string()],
        change: Some(change.clone()),
        examples: vec![Example {
            kind: ExampleKind::FailedRequest,
            time_ms: change.time_ms + 10_000,
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_string(),
            text: "a request failed after 3.20 s".to_string(),
        }],
    };
    Incident {
        id: Id(id),
        revision: 1,
        event: IncidentEvent::Opened,
        state: IncidentState::Open,
        title: "payment: errors up, after \u{1b}[31mv2".to_string(),
        started_ms: 900_000,
        opened_ms: NOW_MS,
        updated_ms: NOW_MS,
        resolved_ms: None,
        severity: 0.9,
        members: vec![member()],
        suspects: vec![suspect],
        changes: vec![change],
        reopened: 0,
        acknowledged_by: None,
        remediation: None,
        page: true,
        why: "one story".to_string(),
        ..Incident::default()
    }
}

fn member() -> Member {
    let anomaly = Anomaly {
        id: Id(70),
        revision: 1,
        kind: AnomalyKind::Series,
        entity: Entity::new(EntityKind::Service, "shop/payment"),
        series: "service/shop/payment span.error:ratio".to_string(),
        measure: "span.error:ratio".to_string(),
        role: MeasureRole::Errors,
        active: true,
        opened_ms: NOW_MS,
        onset_ms: 900_000,
        updated_ms: NOW_MS,
        score: 0.9,
        ticks: 3,
        neg_log_p: 20.0,
        value: 1.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.1,
        detector: "residual".to_string(),
        explanation: "errors at 1, at most 0.1 expected".to_string(),
        contributions: Vec::new(),
        attribution: Vec::new(),
    };
    Member { anomaly, because: "it began first".to_string() }
}

/// What the engine's thread owns.
struct Engine {
    bus: Bus,
    api: Api,
    publisher: Publisher,
    /// Revisions to be told.
    incidents: Vec<Incident>,
    signals: Vec<RemediationSignal>,
    known: BTreeMap<Id, Incident>,
    adjustments: Vec<Adjustment>,
    silences: Silences,
    outboxes: HashMap<Session, mpsc::Sender<Effect>>,
}

impl Engine {
    fn run(mut self, commands: &Receiver<Command>, events: &Receiver<Event>) {
        loop {
            self.publish();
            let now = self.api.lease_ms();
            let due = self.bus.next_timer_ms().map_or(1000, |due| due.saturating_sub(now));
            crossbeam_channel::select! {
                recv(events) -> event => match event {
                    Ok(Event::Incident(incident)) => {
                        self.revise(incident.clone());
                        self.event(Event::Incident(incident));
                    }
                    Ok(event) => {
                        self.event(event);
                    }
                    Err(_) => return,
                },
                recv(commands) -> command => self.command(command.expect("the engine holds a sender itself")),
                default(Duration::from_millis(due)) => {
                    self.event(Event::LeaseTimer { at: self.api.lease_ms() });
                }
            }
        }
    }

    fn event(&mut self, event: Event) -> Option<String> {
        let mut refused = None;
        for effect in self.bus.on_event(event) {
            match &effect {
                Effect::Refused { why, .. } => refused = Some(why.clone()),
                Effect::Welcome { session, .. }
                | Effect::Grant { session, .. }
                | Effect::Cancel { session, .. }
                | Effect::Fault { session, .. } => self.tell_controller(*session, effect),
                Effect::Signal(signal) => self.signals.push(signal.clone()),
                Effect::Remediation { .. } | Effect::Declined { .. } => {}
            }
        }
        refused
    }

    fn tell_controller(&mut self, session: Session, effect: Effect) {
        let last = matches!(&effect, Effect::Fault { code: FaultCode::BadHello | FaultCode::Full, .. });
        let Some(outbox) = self.outboxes.get(&session) else { return };
        if outbox.try_send(effect).is_err() || last {
            self.outboxes.remove(&session);
            self.event(Event::Disconnect { session, at: self.api.lease_ms() });
        }
    }

    fn revise(&mut self, incident: Incident) {
        self.known.insert(incident.id, incident.clone());
        self.incidents.push(incident);
    }

    fn change(&mut self, id: Id, change: impl FnOnce(&mut Incident)) -> Option<Incident> {
        let mut incident = self.known.get(&id)?.clone();
        incident.revision += 1;
        change(&mut incident);
        self.revise(incident.clone());
        Some(incident)
    }

    /// Does with each word something that can be seen; what the engine's correlator learns from it is tested there.
    fn hear(&mut self, word: Word) -> Result<(), Refused> {
        let unknown = |what, id| Err(Refused::Unknown { what, id });
        match word {
            Word::Acknowledge { incident, by } => self
                .change(incident, |incident| incident.acknowledged_by = Some(by))
                .map(drop)
                .map_or_else(|| unknown("incident", incident), Ok),
            Word::Feedback(Feedback { incident: Some(id), .. }) if !self.known.contains_key(&id) => {
                unknown("incident", id)
            }
            Word::Feedback(feedback) => {
                let Feedback { by, verdict, entity, comment, .. } = feedback;
                let entity = entity.unwrap_or_else(|| Entity::new(EntityKind::Service, "shop/payment"));
                let lesson = Lesson::Evidence { entity, symptom: None, more: 1.0 };
                let said = format!("{}: {comment}", verdict.name());
                let id = Id(self.adjustments.len() as u64);
                self.adjustments.push(Adjustment { id, time_ms: NOW_MS, by, said, lesson });
                Ok(())
            }
            Word::Silence(silence) => {
                self.silences.take(silence);
                Ok(())
            }
            Word::EndSilence { silence, .. } if self.silences.get(silence).is_none() => {
                unknown("silence", silence)
            }
            Word::EndSilence { silence, .. } => {
                self.silences.end(silence, NOW_MS);
                Ok(())
            }
            Word::Halt { halt, by, comment } => {
                self.event(Event::Halt { halt, by, comment });
                Ok(())
            }
            Word::Undo { adjustment, .. } => {
                let before = self.adjustments.len();
                self.adjustments.retain(|known| known.id != adjustment);
                if self.adjustments.len() < before { Ok(()) } else { unknown("adjustment", adjustment) }
            }
        }
    }

    fn command(&mut self, command: Command) {
        // Whoever asks sees what came of it.
        match command {
            Command::Ping(reply) => {
                self.publish();
                reply.send(()).ok();
            }
            Command::Say { word, reply } => {
                let answer = self.hear(word);
                self.publish();
                reply.send(answer).ok();
            }
            Command::OfSignal { id, event, reply } => {
                let refused = self.event(event);
                self.event(Event::LeaseTimer { at: self.api.lease_ms() });
                let signal = self.bus.signal(id).cloned();
                let answer = match refused {
                    Some(why) => Err(Refused::NotNow(why)),
                    None => signal.ok_or(Refused::Unknown { what: "signal", id }),
                };
                self.publish();
                reply.send(answer).ok();
            }
            Command::Connect { session, hello, outbox } => {
                self.outboxes.insert(session, outbox);
                self.event(Event::Connect { session, hello, at: self.api.lease_ms() });
            }
            Command::Controller(event) => {
                if let Event::Disconnect { session, .. } = &event {
                    self.outboxes.remove(session);
                }
                self.event(event);
            }
            // Whoever is refused is written down by the engine alone.
            Command::Denied { .. } => {}
        }
        self.publish();
    }

    /// Shows everything, and tells of what is new.
    fn publish(&mut self) {
        let suppressed = Suppressed { time_ms: NOW_MS, anomaly: member().anomaly, why: "alone".to_string() };
        let tracked = |signal: &RemediationSignal| {
            let history = self.bus.history(signal.id);
            (signal.id, Arc::new(Tracked { signal: signal.clone(), history }))
        };
        let view = View {
            status: Arc::new(Status { tick_ms: Some(NOW_MS), ..Status::default() }),
            incidents: self.known.values().rev().cloned().map(Arc::new).collect(),
            suppressed: [Arc::new(suppressed)].into(),
            adjustments: self.adjustments.as_slice().into(),
            silences: self.silences.list(NOW_MS).into(),
            signals: self.bus.signals().into_iter().map(tracked).collect(),
            policies: self.bus.policies().into(),
            halted: self.bus.halted().cloned(),
            freezes: self.bus.freezes().into(),
            bus_ms: self.bus.now_ms(),
            ..View::default()
        };
        self.publisher.publish(view, self.incidents.drain(..), self.signals.drain(..));
    }
}
