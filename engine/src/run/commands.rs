//! What servers ask of the engine's thread, and decisions: written down before they take effect.

use super::{
    RunError,
    core::{Core, Going, Observation},
    decisions::Decision,
    handle::{Call, Command, PartitionStatus, Status, Topology},
};
use crate::{
    bus,
    pipeline::{Effect, Event},
    types::{Entity, Id, IncidentState, RemediationSignal},
};

impl Core {
    pub(super) fn command(&mut self, command: Command) -> Result<Going, RunError> {
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
            Command::Topology(reply) => drop(reply.send(self.topology())),
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
    pub(super) fn write_down(&mut self, decision: &Decision) -> Result<(), RunError> {
        let key = decision.key(&self.engine).map_err(RunError::Json)?;
        self.outputs.decision(&key, decision)?;
        self.decisions.insert(key, decision.clone());
        Ok(())
    }

    pub(super) fn apply(&mut self, decision: Decision) -> Result<(), RunError> {
        match decision {
            Decision::Idle(idle) => self.event(Event::Idle(&idle), &[]),
            Decision::Acknowledge { incident, by, .. } => {
                self.event(Event::Acknowledge { id: incident, by }, &[])
            }
            Decision::Feedback { .. } => Ok(()),
        }
    }

    /// Decisions from before a restart take effect after the tick after which they were made.
    pub(super) fn apply_later(&mut self) -> Result<(), RunError> {
        let closed = self.pipeline.closed_ms().unwrap_or(i64::MIN);
        let due = |decision: &mut Decision| decision.after_ms().is_none_or(|after| after <= closed);
        while let Some(decision) = self.later.pop_front_if(due) {
            self.apply(decision)?;
        }
        Ok(())
    }

    /// A person's word on a signal; the answer leaves once it is durable.
    fn decide(&mut self, id: Id, event: bus::Event) -> Result<Result<RemediationSignal, String>, RunError> {
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
            deep_series: self.pipeline.deep_series().0 as u64,
            shallow_series: self.pipeline.deep_series().1 as u64,
            history: self.history.clone(),
            with_history: self.pipeline.with_history(),
            silent_series: self.pipeline.silent_series() as u64,
            open_incidents: self.open_incidents(),
            controllers: self.pipeline.bus().controllers().count() as u64,
            records: counts.records,
            rejected: self.rejected,
            late: counts.late,
            partitions: partitions.collect(),
        }
    }

    fn topology(&self) -> Topology {
        let call = |(caller, callee, calls): (&Entity, &Entity, f64)| Call {
            caller: caller.to_string(),
            callee: callee.to_string(),
            calls,
        };
        Topology { calls: self.pipeline.correlator().topology().map(call).collect() }
    }

    pub(super) fn open_incidents(&self) -> u64 {
        let incidents = self.pipeline.correlator().list();
        incidents.iter().filter(|incident| incident.state == IncidentState::Open).count() as u64
    }
}
