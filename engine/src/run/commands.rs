//! What is said to the engine's thread, and decisions: written down before they take effect.

use foreshock_core::{
    bus,
    pipeline::{Effect, Event},
    silences,
    types::{Id, RemediationSignal, Word},
};

use super::{
    RunError,
    core::{Core, Going, Observation, Told},
    decisions::Decision,
};
use crate::api::{Command, Refused};

impl Core {
    pub(super) fn command(&mut self, command: Command) -> Result<Going, RunError> {
        match command {
            Command::Ping(reply) => self.answer(Told::Pong(reply)),
            Command::Say { word, reply } => {
                let answer = self.hear(word)?;
                self.answer(Told::Said(reply, answer));
            }
            Command::OfSignal { id, event, reply } => {
                let answer = self.of_signal(id, event)?;
                self.answer(Told::OfSignal(reply, answer));
            }
            Command::Connect { session, hello, outbox } => {
                self.outboxes.insert(session, outbox);
                let event = bus::Event::Connect { session, hello, at: self.api.lease_ms() };
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
        }
        self.publishing.changed();
        self.count();
        Ok(Going::On)
    }

    /// Somebody is answered once what they said is durable and can be seen.
    fn answer(&mut self, answer: Told) {
        self.publishing.hurry();
        self.to_tell.push_back(answer);
    }

    /// Writes down what a person says, then lets it take effect; nothing of both where it is about what is not known.
    fn hear(&mut self, word: Word) -> Result<Result<(), Refused>, RunError> {
        if let Err(refused) = self.knows(&word) {
            return Ok(Err(refused));
        }
        let after_ms = self.pipeline.closed_ms().unwrap_or(i64::MIN);
        self.write_down(&Decision::Said { word: word.clone(), after_ms })?;
        self.audit_word(&word)?;
        self.event(Event::Word { word, after_ms }, &[])?;
        Ok(Ok(()))
    }

    fn knows(&self, word: &Word) -> Result<(), Refused> {
        let correlator = self.pipeline.correlator();
        let silences = self.pipeline.silences();
        let of = |what, id, is_known: bool| is_known.then_some(()).ok_or(Refused::Unknown { what, id });
        let incident = |id: Id| of("incident", id, correlator.get(id).is_some());
        match word {
            Word::Acknowledge { incident: id, .. } => incident(*id),
            Word::Feedback(feedback) => {
                feedback.incident.into_iter().chain(feedback.duplicate_of).try_for_each(incident)
            }
            Word::Silence(_) if silences.is_full() => {
                let most = silences::MOST;
                Err(Refused::Full(format!("{most} silences are kept, the limit: end some")))
            }
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
    ) -> Result<Result<RemediationSignal, Refused>, RunError> {
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
        self.tell_bus(bus::Event::LeaseTimer { at: self.api.lease_ms() })?;
        Ok(match (refused, signal) {
            (Some(why), _) => Err(Refused::NotNow(why)),
            (None, Some(signal)) => Ok(signal),
            (None, None) => Err(Refused::Unknown { what: "signal", id }),
        })
    }
}
