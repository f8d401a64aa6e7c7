//! The engine's own thread: inputs and commands into the pipeline, its effects out. One event at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crossbeam_channel::{Receiver, select_biased};
use tokio::sync::{broadcast, mpsc};

use super::{
    RunError,
    decisions::{Decision, Included},
    handle::{Command, Handle, PartitionStatus, Status},
    journals::Clearing,
    kafka::{Consumer, Input, Lag},
    measuring::Measuring,
    metrics::{Metrics, Reason, Stage, State, Topic},
    outputs::Outputs,
    snapshots::Store,
};
use crate::{
    bus,
    config::Config,
    connect::Link,
    pipeline::{Counts, Effect, Event, Pipeline, Snapshot, SnapshotError},
    types::{Id, Incident, IncidentState, Record, Source},
};

/// What somebody who looks on from inside the process is told, in order. For the demo and for tests.
#[derive(Clone, Debug)]
pub enum Observation {
    /// What the pipeline gave.
    Effect(Effect),
    /// A batch of this partition had its whole effect; its next record.
    Taken(Source, i64),
}

/// Everything that the engine's thread owns.
pub(super) struct Core {
    pub(super) pipeline: Pipeline,
    pub(super) measuring: Measuring,
    pub(super) outputs: Outputs,
    pub(super) store: Store,
    pub(super) consumer: Consumer,
    pub(super) link: Arc<Link>,
    pub(super) inputs: Receiver<Input>,
    pub(super) commands: Receiver<Command>,
    pub(super) stop: Receiver<()>,
    pub(super) handle: Handle,
    pub(super) incidents: broadcast::Sender<Arc<Incident>>,
    pub(super) metrics: Metrics,
    pub(super) observer: Option<crossbeam_channel::Sender<Observation>>,
    pub(super) every: Duration,
    /// Decisions from the journal whose tick is not yet closed.
    pub(super) later: VecDeque<Decision>,
    /// The name under which this engine writes decisions.
    pub(super) engine: String,
    /// What it reads, for errors.
    pub(super) reads: Reads,
    /// Signals that have records in the journal.
    pub(super) journaled: BTreeSet<Id>,
    /// Our decisions in the journal, by key.
    pub(super) decisions: BTreeMap<String, Decision>,
    pub(super) clearing_signals: Clearing,
    pub(super) clearing_decisions: Clearing,
    pub(super) lag: Lag,
    pub(super) catching_up: bool,
    pub(super) counted: Counts,
    pub(super) rejected: u64,
    pub(super) outboxes: HashMap<bus::Session, mpsc::Sender<bus::Effect>>,
    /// Whether something was handed to Kafka that an effect to come may depend on.
    pub(super) undurable: bool,
}

/// What an engine reads, in words.
pub(super) struct Reads {
    topics: String,
    group: String,
}

impl Reads {
    pub(super) fn of(config: &Config) -> Reads {
        let topics: Vec<&str> = config.topics.iter().map(|topic| topic.name.as_str()).collect();
        Reads { topics: topics.join(", "), group: config.kafka.group.clone() }
    }
}

/// How the engine ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Counts since the start.
    pub counts: Counts,
    /// Series at the end.
    pub series: usize,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Going {
    On,
    Ends,
}

impl Core {
    /// Runs until it is told to stop, everything was read, or something cannot go on.
    pub(super) fn run(mut self) -> Result<Report, RunError> {
        let ended = self.turn();
        let closing = if ended.is_ok() { self.snapshot() } else { Ok(()) };
        self.consumer.stop();
        ended.and(closing)?;
        Ok(Report { counts: self.pipeline.counts(), series: self.pipeline.series() })
    }

    fn turn(&mut self) -> Result<(), RunError> {
        let mut due = Instant::now() + self.every;
        loop {
            let waited = Instant::now();
            let until = self.wake_at(due);
            let going = select_biased! {
                recv(self.stop) -> _ => Going::Ends,
                recv(self.commands) -> command => {
                    self.waited("input", waited);
                    command.map_or(Ok(Going::On), |command| self.command(command))?
                }
                recv(self.inputs) -> input => {
                    self.waited("input", waited);
                    let working = Instant::now();
                    let going = input.map_or(Ok(Going::Ends), |input| self.input(input))?;
                    self.metrics.busy.inc_by(working.elapsed().as_secs_f64());
                    going
                }
                default(until.saturating_duration_since(waited)) => {
                    self.waited("input", waited);
                    self.tell_bus(bus::Event::LeaseTimer { at: self.handle.lease_ms() })?;
                    Going::On
                }
            };
            if going == Going::Ends {
                return Ok(());
            }
            if Instant::now() >= due {
                self.try_snapshot()?;
                due = Instant::now() + self.every;
            }
        }
    }

    fn wake_at(&self, due: Instant) -> Instant {
        let timer =
            self.pipeline.bus().next_timer_ms().map(|at| self.handle.began + Duration::from_millis(at));
        timer.map_or(due, |timer| timer.min(due))
    }

    fn waited(&self, stage: &'static str, since: Instant) {
        self.metrics.blocked.get_or_create(&Stage { stage }).inc_by(since.elapsed().as_secs_f64());
    }

    fn input(&mut self, input: Input) -> Result<Going, RunError> {
        match input {
            Input::Assigned(sources) => {
                for source in sources {
                    tracing::info!(%source, "assigned");
                    self.event(Event::Assign(source), &[])?;
                }
            }
            Input::Revoked(sources) => {
                for source in sources {
                    tracing::info!(%source, "revoked");
                    self.event(Event::Revoke(&source), &[])?;
                }
            }
            Input::Records(source, records) => self.records(&source, &records)?,
            Input::Lag(lag) => self.lag(lag)?,
            Input::Silent(source) => {
                if let Some(idle) = self.pipeline.silence(&source) {
                    tracing::info!(%source, "silent: it holds no tick open");
                    let decision = Decision::Idle(idle);
                    self.write_down(&decision)?;
                    self.apply(decision)?;
                }
            }
            Input::Ended => {
                self.event(Event::Flush, &[])?;
                return Ok(Going::Ends);
            }
            Input::Failed(problem) => {
                let Reads { topics, group } = &self.reads;
                let (topics, group) = (topics.clone(), group.clone());
                return Err(RunError::Unreadable { problem, topics, group });
            }
        }
        self.count();
        Ok(Going::On)
    }

    fn records(&mut self, source: &Source, records: &[Record]) -> Result<(), RunError> {
        let topic = Topic { topic: source.topic.to_string() };
        self.metrics.records.get_or_create(&topic).inc_by(records.len() as u64);
        let bytes = records.iter().map(|record| record.payload.len() as u64).sum();
        self.metrics.bytes.get_or_create(&topic).inc_by(bytes);
        self.event(Event::Records { source, records }, records)?;
        if let Some(last) = records.last() {
            self.observe(|| Observation::Taken(source.clone(), last.offset + 1));
        }
        Ok(())
    }

    fn lag(&mut self, lag: Lag) -> Result<(), RunError> {
        /// Records behind the end from which the engine is said to catch up.
        const BACKLOG: i64 = 100_000;
        self.lag = lag;
        self.catching_up = !lag.caught_up || lag.records > BACKLOG;
        self.event(Event::Backlog(self.catching_up), &[])
    }

    /// Gives an event to the pipeline and carries out what it gives. `records` are those of the event.
    fn event(&mut self, event: Event<'_>, records: &[Record]) -> Result<(), RunError> {
        let Core { pipeline, measuring, .. } = self;
        let effects = pipeline.on_event_measured(event, |rows| measuring.measure(rows));
        for effect in effects {
            self.observe(|| Observation::Effect(effect.clone()));
            self.effect(effect, records)?;
        }
        self.apply_later()
    }

    fn tell_bus(&mut self, event: bus::Event) -> Result<(), RunError> {
        self.event(Event::Bus(event), &[])
    }

    fn observe(&self, what: impl FnOnce() -> Observation) {
        if let Some(observer) = &self.observer {
            // An observer that went away wants to know nothing more.
            drop(observer.send(what()));
        }
    }

    fn effect(&mut self, effect: Effect, records: &[Record]) -> Result<(), RunError> {
        match effect {
            Effect::Anomaly(anomaly) => {
                self.metrics.anomalies.inc_by(u64::from(anomaly.revision == 1));
                self.outputs.anomaly(&anomaly)
            }
            Effect::Incident(incident) => {
                self.metrics.incidents.inc_by(u64::from(incident.revision == 1));
                self.metrics.pages.inc_by(u64::from(incident.page));
                tracing::info!(id = %incident.id, revision = incident.revision, page = incident.page, "{:?}", incident.title);
                self.outputs.incident(&incident)?;
                // Nobody watching is no failure.
                drop(self.incidents.send(Arc::new(incident)));
                Ok(())
            }
            Effect::Suppressed { .. } => {
                self.metrics.suppressed.inc();
                Ok(())
            }
            Effect::DeadLetter { source, reject } => {
                self.rejected += 1;
                self.metrics.rejected.get_or_create(&Reason { reason: reject.reason.name() }).inc();
                let at = records.binary_search_by_key(&reject.offset, |record| record.offset);
                self.outputs.dead_letter(&source, &reject, at.ok().map(|at| &records[at]))
            }
            Effect::Bus(effect) => self.bus_effect(effect),
            Effect::TickClosed { time_ms } => {
                self.metrics.tick_timestamp.set(time_ms as f64 / 1000.0);
                Ok(())
            }
            // A query is answered where the event came from.
            Effect::Change(_) | Effect::Scores { .. } | Effect::Query(_) => Ok(()),
        }
    }

    /// A signal must be durable before anything that follows from it leaves.
    fn bus_effect(&mut self, effect: bus::Effect) -> Result<(), RunError> {
        match effect {
            bus::Effect::Signal(signal) => {
                self.metrics.signals.get_or_create(&State { state: signal.state.name() }).inc();
                tracing::info!(id = %signal.id, state = signal.state.name(), "{:?}", signal.note);
                self.undurable = true;
                self.journaled.insert(signal.id);
                self.outputs.signal(&signal)
            }
            bus::Effect::Grant { session, .. }
            | bus::Effect::Cancel { session, .. }
            | bus::Effect::Fault { session, .. }
            | bus::Effect::Welcome { session, .. } => {
                if std::mem::take(&mut self.undurable) {
                    self.outputs.durable()?;
                }
                self.send_controller(session, effect)
            }
            bus::Effect::Declined { incident, policy, why } => {
                tracing::info!(%incident, policy, why, "no signal");
                Ok(())
            }
            bus::Effect::Refused { .. } | bus::Effect::Remediation { .. } => Ok(()),
        }
    }

    /// A controller that does not take what it is sent is disconnected.
    fn send_controller(&mut self, session: bus::Session, effect: bus::Effect) -> Result<(), RunError> {
        let refused = matches!(
            &effect,
            bus::Effect::Fault { code: bus::FaultCode::BadHello | bus::FaultCode::Full, .. }
        );
        let Some(outbox) = self.outboxes.get(&session) else { return Ok(()) };
        let taken = outbox.try_send(effect).is_ok();
        if taken && !refused {
            return Ok(());
        }
        self.outboxes.remove(&session);
        self.tell_bus(bus::Event::Disconnect { session, at: self.handle.lease_ms() })
    }

    fn command(&mut self, command: Command) -> Result<Going, RunError> {
        match command {
            Command::Incidents(reply) => {
                drop(reply.send(self.pipeline.correlator().list().into_iter().cloned().collect()));
            }
            Command::Incident(id, reply) => drop(reply.send(self.pipeline.correlator().get(id).cloned())),
            Command::Acknowledge { id, by, reply } => {
                self.decide_on(id, |after_ms| Decision::Acknowledge { incident: id, by, after_ms })?;
                drop(reply.send(self.pipeline.correlator().get(id).cloned()));
            }
            Command::Feedback { id, by, real, cause, comment, reply } => {
                self.decide_on(id, |after_ms| Decision::Feedback {
                    incident: id,
                    by,
                    real,
                    cause,
                    comment,
                    after_ms,
                })?;
                drop(reply.send(self.pipeline.correlator().get(id).cloned()));
            }
            Command::Signals(reply) => {
                drop(reply.send(self.pipeline.bus().signals().into_iter().cloned().collect()));
            }
            Command::Decide { id, approve, by, comment, reply } => {
                let event = bus::Event::Decide { signal: id, approve, by, comment };
                drop(reply.send(self.decide(id, event)?));
            }
            Command::Connect { session, hello, outbox } => {
                self.outboxes.insert(session, outbox);
                self.tell_bus(bus::Event::Connect { session, hello, at: self.handle.lease_ms() })?;
            }
            Command::Controller(event) => {
                if let bus::Event::Disconnect { session, .. } = &event {
                    self.outboxes.remove(session);
                }
                self.tell_bus(event)?;
            }
            Command::Status(reply) => drop(reply.send(self.status())),
        }
        self.count();
        Ok(Going::On)
    }

    /// Writes a decision about a known incident, then lets it take effect.
    fn decide_on(&mut self, id: Id, decision: impl FnOnce(i64) -> Decision) -> Result<(), RunError> {
        if self.pipeline.correlator().get(id).is_none() {
            return Ok(());
        }
        let decision = decision(self.pipeline.closed_ms().unwrap_or(i64::MIN));
        self.write_down(&decision)?;
        self.apply(decision)
    }

    /// A decision is durable before it takes effect.
    fn write_down(&mut self, decision: &Decision) -> Result<(), RunError> {
        let key = decision.key(&self.engine).map_err(RunError::Json)?;
        self.outputs.decision(&key, decision)?;
        self.decisions.insert(key, decision.clone());
        Ok(())
    }

    fn apply(&mut self, decision: Decision) -> Result<(), RunError> {
        match decision {
            Decision::Idle(idle) => self.event(Event::Idle(&idle), &[]),
            Decision::Acknowledge { incident, by, .. } => {
                self.event(Event::Acknowledge { id: incident, by }, &[])
            }
            Decision::Feedback { .. } => Ok(()),
        }
    }

    /// Decisions from before a restart take effect after the tick after which they were made.
    fn apply_later(&mut self) -> Result<(), RunError> {
        let closed = self.pipeline.closed_ms().unwrap_or(i64::MIN);
        let due = |decision: &mut Decision| decision.after_ms().is_none_or(|after| after <= closed);
        while let Some(decision) = self.later.pop_front_if(due) {
            self.apply(decision)?;
        }
        Ok(())
    }

    /// A person's word on a signal; the answer leaves once it is durable.
    fn decide(
        &mut self,
        id: Id,
        event: bus::Event,
    ) -> Result<Result<crate::types::RemediationSignal, String>, RunError> {
        let effects = self.pipeline.on_event(Event::Bus(event));
        let mut refused = None;
        for effect in effects {
            if let Effect::Bus(bus::Effect::Refused { why, .. }) = &effect {
                refused = Some(why.clone());
            }
            self.observe(|| Observation::Effect(effect.clone()));
            self.effect(effect, &[])?;
        }
        self.outputs.durable()?;
        self.undurable = false;
        self.tell_bus(bus::Event::LeaseTimer { at: self.handle.lease_ms() })?;
        let signal = self.pipeline.bus().signal(id).cloned();
        Ok(match refused {
            Some(why) => Err(why),
            None => signal.ok_or_else(|| "there is no such signal".to_string()),
        })
    }

    fn status(&self) -> Status {
        let counts = self.pipeline.counts();
        let partitions = self.pipeline.progress().map(|progress| PartitionStatus {
            topic: progress.source.topic.to_string(),
            partition: progress.source.partition,
            next_offset: progress.next_offset,
            newest_ms: progress.newest_ns.map(|newest_ns| newest_ns / 1_000_000),
        });
        Status {
            tick_ms: self.pipeline.closed_ms(),
            lag_records: self.lag.records,
            catching_up: self.catching_up,
            series: self.pipeline.series() as u64,
            warm_series: self.pipeline.warm_series(),
            open_incidents: self.open_incidents(),
            controllers: self.pipeline.bus().controllers().count() as u64,
            records: counts.records,
            rejected: self.rejected,
            late: counts.late,
            partitions: partitions.collect(),
        }
    }

    fn open_incidents(&self) -> u64 {
        let incidents = self.pipeline.correlator().list();
        incidents.iter().filter(|incident| incident.state == IncidentState::Open).count() as u64
    }

    /// Brings the metrics up to date, once per batch or command.
    fn count(&mut self) {
        let (now, before) = (self.pipeline.counts(), self.counted);
        let metrics = &self.metrics;
        metrics.samples.inc_by(now.samples - before.samples);
        metrics.late.inc_by(now.late - before.late);
        metrics.refused.inc_by(now.refused - before.refused);
        metrics.scored.inc_by(now.scored - before.scored);
        metrics.ticks.inc_by(now.ticks - before.ticks);
        metrics.evicted_spans.inc_by(now.traces.evicted - before.traces.evicted);
        metrics.repeated_spans.inc_by(now.traces.repeated - before.traces.repeated);
        metrics.cut_spans.inc_by(now.traces.cut - before.traces.cut);
        metrics.lag.set(self.lag.records);
        metrics.catching_up.set(i64::from(self.catching_up));
        metrics.controllers.set(self.outboxes.len() as i64);
        metrics.partitions.set(self.pipeline.progress().count() as i64);
        if now.ticks > before.ticks {
            metrics.waiting_spans.set(self.pipeline.spans() as i64);
            metrics.series.set(self.pipeline.series() as i64);
            metrics.warm_series.set(self.pipeline.warm_series() as i64);
            metrics.open_incidents.set(self.open_incidents() as i64);
        }
        self.counted = now;
    }

    /// Takes a snapshot; one that fails is counted and tried again later, and nothing is committed.
    fn try_snapshot(&mut self) -> Result<(), RunError> {
        if self.link.is_away() {
            // It could not be written, and waiting for that would keep everybody else waiting.
            return Ok(());
        }
        match self.snapshot() {
            Ok(()) => Ok(()),
            Err(RunError::Lost(lost)) => Err(RunError::Lost(lost)),
            Err(error) => {
                self.metrics.snapshot_failures.inc();
                tracing::error!(%error, "no snapshot");
                Ok(())
            }
        }
    }

    /// Everything that was given is written, then the state, then the offsets are committed: in this order nothing
    /// is lost.
    fn snapshot(&mut self) -> Result<(), RunError> {
        let began = Instant::now();
        self.outputs.flush()?;
        let mut snapshot = self.pipeline.save()?;
        self.mark_unneeded(&mut snapshot)?;
        let bytes = self.store.write(&snapshot)?;
        let resume = snapshot.resume.iter().map(|resume| (resume.source.clone(), resume.offset));
        if self.link.is_away() {
            tracing::warn!("kafka is away: offsets not committed; the snapshot has them");
        } else if let Err(error) = self.consumer.commit(resume) {
            tracing::warn!(%error, "offsets not committed; the snapshot has them");
        }
        self.clear_journals()?;
        self.metrics.snapshots.inc();
        self.metrics.snapshot_bytes.set(bytes as i64);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.metrics.snapshot_timestamp.set(now.as_secs_f64());
        self.waited("snapshot", began);
        Ok(())
    }

    /// Notes what the snapshot does not need of the journals, and in it which of the latest decisions it has.
    fn mark_unneeded(&mut self, snapshot: &mut Snapshot) -> Result<(), SnapshotError> {
        let closed_ms = self.pipeline.closed_ms();
        // What still waits for its turn has no effect yet.
        let latest = |decision: &Decision| {
            decision.after_ms().is_some()
                && decision.after_ms() == closed_ms
                && !self.later.contains(decision)
        };
        let latest = self.decisions.iter().filter(|(_, decision)| latest(decision));
        let keys = latest.map(|(key, _)| key.clone()).collect();
        let included = Included { resume: snapshot.resume.clone(), closed_ms, keys };
        for (key, _) in self.decisions.iter().filter(|(key, decision)| !included.lacks(key, decision)) {
            self.clearing_decisions.unneeded(key);
        }
        let bus = self.pipeline.bus();
        for id in self.journaled.iter().filter(|id| bus.signal(**id).is_none()) {
            self.clearing_signals.unneeded(&id.to_string());
        }
        snapshot.sections.push(included.save()?);
        Ok(())
    }

    /// Ends the keys that no snapshot needs of those that are kept.
    fn clear_journals(&mut self) -> Result<(), RunError> {
        let decisions = self.clearing_decisions.snapshot_written();
        self.decisions.retain(|key, _| !decisions.contains(key));
        self.outputs.forget_decisions(&decisions)?;
        let signals = self.clearing_signals.snapshot_written();
        self.journaled.retain(|id| !signals.contains(&id.to_string()));
        self.outputs.forget_signals(&signals)
    }
}
