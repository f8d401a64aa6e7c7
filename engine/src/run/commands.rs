//! What servers ask of the engine's thread, and decisions: written down before they take effect.

use foreshock_core::{
    bus,
    pipeline::{Effect, Event},
    silences,
    types::{Entity, Id, IncidentState, RemediationSignal, Word},
};

use super::{
    RunError,
    core::{Core, Going, Observation, Told},
    decisions::Decision,
    gate,
    handle::{Call, Command, NoEffect, PartitionStatus, Status, Topology, Unheard},
};

impl Core {
    pub(super) fn command(&mut self, command: Command) -> Result<Going, RunError> {
        match command {
            Command::Incidents(reply) => {
                drop(reply.send(self.pipeline.correlator().list().into_iter().cloned().collect()));
            }
            Command::Incident(id, reply) => drop(reply.send(self.pipeline.correlator().get(id).cloned())),
            Command::Say { word, reply } => drop(reply.send(self.hear(word)?)),
            Command::Suppressed(reply) => {
                drop(reply.send(self.pipeline.correlator().suppressed().cloned().collect()));
            }
            Command::Adjustments(reply) => {
                drop(reply.send(self.pipeline.correlator().adjustments().to_vec()));
            }
            Command::Silences(reply) => {
                let now_ms = self.pipeline.closed_ms().unwrap_or(i64::MIN);
                drop(reply.send(self.pipeline.silences().list(now_ms)));
            }
            Command::Signals(reply) => {
                drop(reply.send(self.pipeline.bus().signals().into_iter().cloned().collect()));
            }
            Command::Signal(id, reply) => {
                let bus = self.pipeline.bus();
                drop(reply.send(bus.signal(id).map(|signal| (signal.clone(), bus.history(id)))));
            }
            Command::Policies(reply) => {
                let bus = self.pipeline.bus();
                drop(reply.send((bus.policies(), bus.halted().cloned())));
            }
            Command::Gate(target, reply) => {
                let (correlator, bus) = (self.pipeline.correlator(), self.pipeline.bus());
                drop(reply.send(gate::against(&target, correlator.list(), bus, self.catching_up)));
            }
            Command::OfSignal { id, event, reply } => {
                let answer = self.of_signal(id, event)?;
                self.to_tell.push_back(Told::Person(reply, answer));
            }
            Command::Connect { session, hello, outbox } => {
                self.outboxes.insert(session, outbox);
                let event = bus::Event::Connect { session, hello, at: self.handle.lease_ms() };
                self.audit_event(&event, None)?;
                self.tell_bus(event)?;
            }
            Command::Controller(event) => {
                if let bus::Event::Disconnect { session, .. } = &event
                    && self.outboxes.remove(session).is_some()
                {
                    self.audit_event(&event, None)?;
                }
                self.tell_bus(event)?;
            }
            Command::Denied { who, what, why, untold } => self.audit_denied(who, what, why, untold)?,
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::Topology(reply) => drop(reply.send(self.topology())),
        }
        self.count();
        Ok(Going::On)
    }

    /// Writes down what a person says, then lets it take effect; nothing of both where it is about what is not known.
    fn hear(&mut self, word: Word) -> Result<Result<(), Unheard>, RunError> {
        if let Err(unheard) = self.knows(&word) {
            return Ok(Err(unheard));
        }
        let after_ms = self.pipeline.closed_ms().unwrap_or(i64::MIN);
        self.write_down(&Decision::Said { word: word.clone(), after_ms })?;
        self.audit_word(&word)?;
        self.event(Event::Word { word, after_ms }, &[])?;
        Ok(Ok(()))
    }

    fn knows(&self, word: &Word) -> Result<(), Unheard> {
        let correlator = self.pipeline.correlator();
        let silences = self.pipeline.silences();
        let of = |what, id, is_known: bool| is_known.then_some(()).ok_or(Unheard::Unknown { what, id });
        let incident = |id: Id| of("incident", id, correlator.get(id).is_some());
        match word {
            Word::Acknowledge { incident: id, .. } => incident(*id),
            Word::Feedback(feedback) => {
                feedback.incident.into_iter().chain(feedback.duplicate_of).try_for_each(incident)
            }
            Word::Silence(_) if silences.is_full() => Err(Unheard::Full { most: silences::MOST }),
            Word::Silence(_) => Ok(()),
            Word::Halt { .. } => Ok(()),
            Word::EndSilence { silence, .. } => of("silence", *silence, silences.get(*silence).is_some()),
            Word::Undo { adjustment, .. } => {
                let is_known = correlator.adjustments().iter().any(|known| known.id == *adjustment);
                of("adjustment", *adjustment, is_known)
            }
        }
    }

    /// A decision is durable before it takes effect.
    pub(super) fn write_down(&mut self, decision: &Decision) -> Result<(), RunError> {
        self.write_down_all(std::slice::from_ref(decision))
    }

    /// The same of several.
    pub(super) fn write_down_all(&mut self, decisions: &[Decision]) -> Result<(), RunError> {
        for decision in decisions {
            let key = decision.key(&self.engine).map_err(RunError::Json)?;
            self.outputs.decision(&key, decision)?;
            self.decisions.insert(key, decision.clone());
        }
        self.outputs.durable()
    }

    /// Applies decisions from before a restart: words wait in the pipeline for their tick, what was silent is said of a partition that
    /// is read.
    pub(super) fn recall(&mut self, is_due: impl Fn(&Decision) -> bool) -> Result<(), RunError> {
        let due: Vec<Decision> = self.recalled.extract_if(.., |decision| is_due(decision)).collect();
        due.into_iter().try_for_each(|decision| self.apply(decision))
    }

    pub(super) fn apply(&mut self, decision: Decision) -> Result<(), RunError> {
        match decision {
            Decision::Idle(idle) => self.event(Event::Idle(&idle), &[]),
            Decision::Said { word, after_ms } => self.event(Event::Word { word, after_ms }, &[]),
            Decision::Skip(skip) => {
                tracing::warn!(source = %skip.source, from = skip.from, until = skip.until, "{}", skip.why);
                self.skips.decide(&skip);
                Ok(())
            }
        }
    }

    /// What a person says of a signal. The answer must not leave before it is durable.
    fn of_signal(
        &mut self,
        id: Id,
        event: bus::Event,
    ) -> Result<Result<RemediationSignal, NoEffect>, RunError> {
        let effects = self.pipeline.on_event(Event::Bus(event.clone()));
        let refused = effects.iter().find_map(|effect| match effect {
            Effect::Bus(bus::Effect::Refused { why, .. }) => Some(why.clone()),
            _ => None,
        });
        self.audit_event(&event, refused.as_deref())?;
        for effect in effects {
            self.observe(|| Observation::Effect(effect.clone()));
            self.effect(effect, &[])?;
        }
        let signal = self.pipeline.bus().signal(id).cloned();
        self.tell_bus(bus::Event::LeaseTimer { at: self.handle.lease_ms() })?;
        Ok(match (refused, signal) {
            (Some(why), _) => Err(NoEffect::Refused(why)),
            (None, Some(signal)) => Ok(signal),
            (None, None) => Err(NoEffect::Unknown(id)),
        })
    }

    fn status(&self) -> Status {
        let counts = self.pipeline.counts();
        let partitions = self.pipeline.progress().map(|progress| PartitionStatus {
            topic: progress.source.topic.to_string(),
            partition: progress.source.partition,
            next_offset: progress.next_offset,
            newest_ms: progress.newest_ns.map(|newest_ns| newest_ns / 1_000_000),
            stands_still: self.standing.iter().any(|(source, _)| source == progress.source),
        });
        Status {
            tick_ms: self.pipeline.closed_ms(),
            lag_records: self.lag.records,
            catching_up: self.catching_up,
            learns_until_ms: self.pipeline.learns_until_ms(),
            series: self.pipeline.series() as u64,
            warm_series: self.pipeline.warm_series(),
            deep_series: self.pipeline.deep_series().0 as u64,
            shallow_series: self.pipeline.deep_series().1 as u64,
            history: self.history.clone(),
            with_history: self.pipeline.with_history(),
            silent_series: self.pipeline.silent_series() as u64,
            open_incidents: self.open_incidents(),
            controllers: self.pipeline.bus().controllers().count() as u64,
            halted: self.pipeline.bus().halted().map(ToString::to_string).unwrap_or_default(),
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
        let pair = |(from, to): (&Entity, &Entity)| (from.to_string(), to.to_string());
        let correlator = self.pipeline.correlator();
        Topology {
            calls: correlator.topology().map(call).collect(),
            runs_on: correlator.placements().map(pair).collect(),
            together: correlator.companions().map(pair).collect(),
            declared: correlator.declared().map(pair).collect(),
        }
    }

    pub(super) fn open_incidents(&self) -> u64 {
        let incidents = self.pipeline.correlator().list();
        incidents.iter().filter(|incident| incident.state == IncidentState::Open).count() as u64
    }
}
