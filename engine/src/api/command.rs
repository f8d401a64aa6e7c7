//! What is said to an engine: written down, then applied, then answered. One path for all of it.

use std::{ops::RangeInclusive, sync::Arc};

use foreshock_core::{
    bus::{self, Event, Proposal},
    types::{Adjustment, Caller, Feedback, Id, Incident, RemediationSignal, Silence, Word},
};
use tokio::sync::{mpsc, oneshot};

use super::{Api, Refused, Stopped};

/// Bytes of a name.
const NAME: RangeInclusive<usize> = 0..=256;
/// Bytes of a comment.
const COMMENT: RangeInclusive<usize> = 0..=4096;
/// Most parameters of a proposal.
const MOST_PARAMETERS: usize = 32;
/// Most matchers of a silence.
const MOST_MATCHERS: usize = 32;

/// What reaches the engine's thread. A reply whose asker went away is dropped.
#[derive(Debug)]
pub enum Command {
    /// Whether it is there; answered once the view shows it as it is.
    Ping(oneshot::Sender<()>),
    /// What a person says of incidents and silences, and the kill switch.
    Say {
        /// What.
        word: Word,
        /// Answered once that is durable and applied.
        reply: Reply<()>,
    },
    /// What a person says of a signal: `Decide`, `Propose` or `Withdraw`.
    OfSignal {
        /// The signal.
        id: Id,
        /// What.
        event: bus::Event,
        /// The signal afterwards; answered once that is durable and applied.
        reply: Reply<RemediationSignal>,
    },
    /// A controller opened its stream.
    Connect {
        /// Its stream, from [`Api::session`].
        session: bus::Session,
        /// What it can do.
        hello: bus::Hello,
        /// Takes `Welcome`, `Grant`, `Cancel` and `Fault` for it. When it is full the controller is too slow and is
        /// disconnected; it is dropped at the end of the subscription.
        outbox: mpsc::Sender<bus::Effect>,
    },
    /// `Ack`, `Progress`, `Nack`, `Outcome` or `Disconnect` of a connected controller.
    Controller(bus::Event),
    /// Somebody was refused.
    Denied {
        /// Who, as far as that is known.
        who: String,
        /// The method or path.
        what: String,
        /// Why.
        why: String,
        /// How many were refused since the one before and are not told.
        untold: u64,
    },
}

/// Where the answer to a command goes.
pub type Reply<T> = oneshot::Sender<Result<T, Refused>>;

impl Api {
    /// Somebody looks after an incident.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        by: &str,
        incident: Id,
    ) -> Result<Arc<Incident>, Refused> {
        let by = signed(caller, by)?;
        self.say(Word::Acknowledge { incident, by }).await?;
        self.view()?.incident(incident).cloned()
    }

    /// What somebody thinks of an incident; gives what it changed.
    pub async fn feedback(&self, caller: &Caller, feedback: Feedback) -> Result<Vec<Adjustment>, Refused> {
        bounded("comment", &feedback.comment, COMMENT)?;
        let by = signed(caller, &feedback.by)?;
        let before = self.view()?.adjustments.clone();
        self.say(Word::Feedback(Feedback { by, ..feedback })).await?;
        let is_new = |adjustment: &&Adjustment| before.iter().all(|known| known.id != adjustment.id);
        Ok(self.view()?.adjustments.iter().filter(is_new).cloned().collect())
    }

    /// A judgement's change is taken back.
    pub async fn undo(&self, caller: &Caller, by: &str, adjustment: Id) -> Result<(), Refused> {
        let by = signed(caller, by)?;
        self.say(Word::Undo { adjustment, by }).await
    }

    /// Something is silenced for a while.
    pub async fn silence(&self, caller: &Caller, silence: Silence) -> Result<Silence, Refused> {
        bounded("comment", &silence.comment, COMMENT)?;
        let given = silence.matchers.len();
        if !(1..=MOST_MATCHERS).contains(&given) {
            return Err(Refused::Invalid(format!("{given} matchers: give 1 to {MOST_MATCHERS}")));
        }
        let silence = Silence { by: signed(caller, &silence.by)?, ..silence };
        self.say(Word::Silence(silence.clone())).await?;
        Ok(silence)
    }

    /// A silence ends.
    pub async fn end_silence(&self, caller: &Caller, by: &str, silence: Id) -> Result<(), Refused> {
        let by = signed(caller, by)?;
        self.say(Word::EndSilence { silence, by }).await
    }

    /// The kill switch.
    pub async fn halt(&self, caller: &Caller, by: &str, halt: bool, comment: String) -> Result<(), Refused> {
        let by = signed(caller, by)?;
        bounded("comment", &comment, COMMENT)?;
        self.say(Word::Halt { halt, by, comment }).await
    }

    /// Yes or no to a signal that waits for a person.
    pub async fn decide(
        &self,
        caller: &Caller,
        by: &str,
        signal: Id,
        approve: bool,
        comment: String,
    ) -> Result<RemediationSignal, Refused> {
        let by = signed(caller, by)?;
        bounded("comment", &comment, COMMENT)?;
        let view = self.view()?;
        let group = &view.signal(caller, signal)?.signal.consent.group;
        if !caller.approves(group) {
            return Err(Refused::Forbidden(format!("signal {signal} needs the role approver:{group}")));
        }
        self.of_signal(signal, Event::Decide { signal, approve, by, comment }).await
    }

    /// A signal that no policy asked for.
    pub async fn propose(&self, caller: &Caller, proposal: Proposal) -> Result<RemediationSignal, Refused> {
        bounded("comment", &proposal.comment, COMMENT)?;
        let given = proposal.parameters.len();
        if given > MOST_PARAMETERS {
            return Err(Refused::Invalid(format!("{given} parameters: give {MOST_PARAMETERS} at most")));
        }
        for (key, value) in &proposal.parameters {
            bounded("parameters", key, 1..=256)?;
            bounded("parameters", value, COMMENT)?;
        }
        let mut proposal = Proposal { by: signed(caller, &proposal.by)?, ..proposal };
        let view = self.view()?;
        // It is one while its signal may still come to something; after that, the same is another.
        while view.signal_state(proposal.id()).is_some_and(|state| !state.is_live()) {
            proposal.round += 1;
        }
        self.of_signal(proposal.id(), Event::Propose(proposal)).await
    }

    /// A signal is not wanted any more.
    pub async fn withdraw(
        &self,
        caller: &Caller,
        by: &str,
        signal: Id,
        comment: String,
    ) -> Result<RemediationSignal, Refused> {
        let by = signed(caller, by)?;
        bounded("comment", &comment, COMMENT)?;
        self.view()?.signal(caller, signal)?;
        self.of_signal(signal, Event::Withdraw { signal, by, comment }).await
    }

    async fn say(&self, word: Word) -> Result<(), Refused> {
        self.ask(|reply| Command::Say { word, reply }).await?
    }

    async fn of_signal(&self, id: Id, event: Event) -> Result<RemediationSignal, Refused> {
        self.ask(|reply| Command::OfSignal { id, event, reply }).await?
    }

    /// Sends a command. Never blocks: commands are few, and each asker waits for its answer.
    pub fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).map_err(|_| Stopped)
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.map_err(|_| Stopped)
    }
}

/// The name that is written down for what somebody says: who they are, or, where nobody is known, who they say that they are.
fn signed(caller: &Caller, by: &str) -> Result<String, Refused> {
    if by.is_empty() && caller.name.is_empty() {
        return Err(Refused::Invalid("by is empty: say who says it (--by NAME)".to_string()));
    }
    bounded("by", by, NAME)?;
    Ok(caller.signs(by))
}

/// Refuses a text that is missing or too long.
pub(crate) fn bounded(field: &str, text: &str, bytes: RangeInclusive<usize>) -> Result<(), Refused> {
    if bytes.contains(&text.len()) {
        return Ok(());
    }
    let (least, most) = (bytes.start(), bytes.end());
    Err(Refused::Invalid(format!("{field} has {} bytes: give {least} to {most}", text.len())))
}
