//! The engine's own thread: inputs and commands into the pipeline, its effects out. One event at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, select_biased};
use foreshock_core::{
    bus,
    config::Config,
    pipeline::{Counts, Effect, Event, Pipeline},
    types::{Id, Record, RemediationSignal, Source},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    RunError,
    auditing::Auditing,
    decisions::Decision,
    journals::Clearing,
    kafka::{Consumer, Input, Lag},
    measuring::Measuring,
    metrics::{Metrics, Reason, Stage, State, Topic},
    outputs::Outputs,
    publish::Publishing,
    skips::Skips,
    snapshots::Store,
};
use crate::{
    api::{Api, Command, HistoryStatus, Refused, Reply},
    connect::Link,
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
    pub(super) auditing: Auditing,
    pub(super) link: Arc<Link>,
    pub(super) inputs: Receiver<Input>,
    pub(super) commands: Receiver<Command>,
    pub(super) stop: Receiver<()>,
    pub(super) api: Api,
    pub(super) publishing: Publishing,
    pub(super) metrics: Metrics,
    pub(super) observer: Option<crossbeam_channel::Sender<Observation>>,
    pub(super) every: Duration,
    /// Decisions of the journal that the state lacks and that were not applied again yet.
    pub(super) recalled: Vec<Decision>,
    /// Records that are left out.
    pub(super) skips: Skips,
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
    /// Partitions that stand still, with the record that each waits for.
    pub(super) standing: Vec<(Source, i64)>,
    pub(super) history: HistoryStatus,
    pub(super) counted: Counts,
    pub(super) rejected: u64,
    pub(super) outboxes: HashMap<bus::Session, mpsc::Sender<bus::Effect>>,
    /// Whether something was handed to Kafka that what waits in `to_tell` may depend on.
    pub(super) undurable: bool,
    /// What controllers and people are told once everything before it is durable.
    pub(super) to_tell: VecDeque<Told>,
}

/// Something to be told, and to whom.
pub(super) enum Told {
    /// A controller is sent this.
    Controller(bus::Session, bus::Effect),
    /// It is there.
    Pong(oneshot::Sender<()>),
    /// A person's word is answered.
    Said(Reply<()>, Result<(), Refused>),
    /// A person's word on a signal is answered.
    OfSignal(Reply<RemediationSignal>, Result<RemediationSignal, Refused>),
}

/// Commands that are taken together, so that what they change is written down at once.
const TOGETHER: usize = 256;

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
pub(super) enum Going {
    On,
    Ends,
}

impl Core {
    /// Runs until it is told to stop, everything was read, or something cannot go on.
    pub(super) fn run(mut self) -> Result<Report, RunError> {
        let ended = self.turn();
        let closing = if ended.is_ok() { self.snapshot() } else { Ok(()) };
        self.consumer.leave();
        ended.and(closing)?;
        Ok(Report { counts: self.pipeline.counts(), series: self.pipeline.series() })
    }

    fn turn(&mut self) -> Result<(), RunError> {
        self.recall(|decision| matches!(decision, Decision::Said { .. } | Decision::Skip(_)))?;
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
                    self.tell_bus(bus::Event::LeaseTimer { at: self.api.lease_ms() })?;
                    Going::On
                }
            };
            if going == Going::Ends {
                return Ok(());
            }
            for command in self.commands.clone().try_iter().take(TOGETHER) {
                self.command(command)?;
            }
            self.tell()?;
            self.publish_due();
            if Instant::now() >= due {
                self.try_snapshot()?;
                due = Instant::now() + self.every;
            }
        }
    }

    fn wake_at(&self, due: Instant) -> Instant {
        let timer = self.pipeline.bus().next_timer_ms().map(|at| self.api.lease_instant(at));
        [timer, self.publishing.due()].into_iter().flatten().fold(due, Instant::min)
    }

    pub(super) fn waited(&self, stage: &'static str, since: Instant) {
        self.metrics.blocked.get_or_create(&Stage { stage }).inc_by(since.elapsed().as_secs_f64());
    }

    fn input(&mut self, input: Input) -> Result<Going, RunError> {
        match input {
            Input::Assigned(sources) => {
                for source in sources {
                    tracing::info!(%source, "assigned");
                    self.event(Event::Assign(source.clone()), &[])?;
                    self.recall(
                        |decision| matches!(decision, Decision::Idle(idle) if idle.source == source),
                    )?;
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
            Input::Standing(standing) => self.standing(standing),
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
        self.publishing.changed();
        self.count();
        Ok(Going::On)
    }

    fn records(&mut self, source: &Source, records: &[Record]) -> Result<(), RunError> {
        self.skip_unreadable(source, records)?;
        let left = self.skips.without(source, records);
        self.event(Event::Records { source, records: &left }, &left)?;
        // Last, so that what came of a record is counted when the record is.
        let topic = Topic { topic: source.topic.to_string() };
        self.metrics.records.get_or_create(&topic).inc_by(records.len() as u64);
        let bytes = records.iter().map(|record| record.payload.len() as u64).sum();
        self.metrics.bytes.get_or_create(&topic).inc_by(bytes);
        if let Some(last) = records.last() {
            self.observe(|| Observation::Taken(source.clone(), last.offset + 1));
        }
        Ok(())
    }

    /// Decides that a partition goes on behind batches that cannot be unpacked.
    fn skip_unreadable(&mut self, source: &Source, records: &[Record]) -> Result<(), RunError> {
        let skips = self.skips.called_for(source, records);
        if skips.is_empty() {
            return Ok(());
        }
        let decisions: Vec<Decision> = skips.into_iter().map(Decision::Skip).collect();
        self.write_down_all(&decisions)?;
        decisions.into_iter().try_for_each(|decision| self.apply(decision))
    }

    fn lag(&mut self, lag: Lag) -> Result<(), RunError> {
        /// Records behind the end from which the engine is said to catch up.
        const BACKLOG: i64 = 100_000;
        self.lag = lag;
        self.catching_up = !lag.caught_up || lag.records > BACKLOG;
        self.event(Event::Backlog(self.catching_up), &[])
    }

    /// Takes note of the partitions that stand still.
    fn standing(&mut self, standing: Vec<(Source, i64)>) {
        for (source, offset) in standing.iter().filter(|now| !self.standing.contains(now)) {
            tracing::error!(%source, offset, "stands still: the broker has records from this offset on and gives none; see docs/operations.md");
        }
        self.standing = standing;
    }

    /// Gives an event to the pipeline and carries out what it gives. `records` are those of the event.
    pub(super) fn event(&mut self, event: Event<'_>, records: &[Record]) -> Result<(), RunError> {
        let Core { pipeline, measuring, publishing, .. } = self;
        if matches!(event, Event::Word { .. }) {
            publishing.stages_changed();
        }
        let effects = pipeline.on_event_measured(event, |rows| measuring.measure(rows));
        for effect in effects {
            self.observe(|| Observation::Effect(effect.clone()));
            self.effect(effect, records)?;
        }
        Ok(())
    }

    pub(super) fn tell_bus(&mut self, event: bus::Event) -> Result<(), RunError> {
        self.event(Event::Bus(event), &[])
    }

    pub(super) fn observe(&self, what: impl FnOnce() -> Observation) {
        if let Some(observer) = &self.observer {
            // An observer that went away wants to know nothing more.
            drop(observer.send(what()));
        }
    }

    pub(super) fn effect(&mut self, effect: Effect, records: &[Record]) -> Result<(), RunError> {
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
                self.publishing.incident(incident);
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
                self.publishing.stages_changed();
                Ok(())
            }
            // A query is answered where the event came from.
            Effect::Change(_) | Effect::Scores { .. } | Effect::Told(_) | Effect::Query(_) => Ok(()),
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
                self.outputs.signal(&signal)?;
                self.audit_signal(&signal)?;
                self.publishing.signal(signal);
                Ok(())
            }
            bus::Effect::Grant { session, .. }
            | bus::Effect::Cancel { session, .. }
            | bus::Effect::Fault { session, .. }
            | bus::Effect::Welcome { session, .. } => {
                self.to_tell.push_back(Told::Controller(session, effect));
                Ok(())
            }
            bus::Effect::Declined { incident, policy, why } => {
                tracing::info!(%incident, policy, why, "no signal");
                self.audit_declined(incident.to_string(), &policy, why)
            }
            bus::Effect::Refused { .. } | bus::Effect::Remediation { .. } => Ok(()),
        }
    }

    /// Tells everybody who waits, once what it depends on is durable: once for all of them.
    fn tell(&mut self) -> Result<(), RunError> {
        while !self.to_tell.is_empty() {
            if std::mem::take(&mut self.undurable) {
                self.outputs.durable()?;
            }
            self.publish_due();
            // Telling may give more to write down, and to tell.
            for told in std::mem::take(&mut self.to_tell) {
                match told {
                    Told::Controller(session, effect) => self.send_controller(session, effect)?,
                    // Who asked may have gone.
                    Told::Pong(reply) => drop(reply.send(())),
                    Told::Said(reply, answer) => drop(reply.send(answer)),
                    Told::OfSignal(reply, answer) => drop(reply.send(answer)),
                }
            }
        }
        Ok(())
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
        self.tell_bus(bus::Event::Disconnect { session, at: self.api.lease_ms() })
    }

    /// Brings the metrics up to date, once per batch or command.
    pub(super) fn count(&mut self) {
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
        metrics.standing.set(self.standing.len() as i64);
        metrics.catching_up.set(i64::from(self.catching_up));
        metrics.controllers.set(self.outboxes.len() as i64);
        metrics.partitions.set(self.pipeline.progress().count() as i64);
        if now.ticks > before.ticks {
            metrics.waiting_spans.set(self.pipeline.spans() as i64);
            metrics.series.set(self.pipeline.series() as i64);
            metrics.warm_series.set(self.pipeline.warm_series() as i64);
            let (deep, shallow) = self.pipeline.deep_series();
            metrics.deep_series.set(deep as i64);
            metrics.shallow_series.set(shallow as i64);
            metrics.history_series.set(self.pipeline.with_history() as i64);
            metrics.silent_series.set(self.pipeline.silent_series() as i64);
            metrics.forecast_series.set(self.pipeline.forecast_series() as i64);
            metrics.silences.set(self.pipeline.silences().holding() as i64);
            metrics.open_incidents.set(self.open_incidents() as i64);
        }
        self.counted = now;
    }
}
