//! What goes into the audit log, and where that is kept: in the folder of the snapshots, and in a topic.

use std::path::Path;

use foreshock_core::{
    bus,
    config::Config,
    types::{Feedback, RemediationSignal, SignalState, Word},
};
use prometheus_client::metrics::counter::Counter;

use super::{RunError, core::Core};
use crate::audit::{Entry, Log, sha256};

/// The log, and what every entry says.
pub(super) struct Auditing {
    log: Log,
    engine: String,
    policies: String,
    failures: Counter,
}

impl Auditing {
    /// Opens the log beside the snapshots.
    pub(super) fn open(config: &Config, failures: Counter) -> Result<Auditing, RunError> {
        let folder: &Path = &config.snapshots.folder;
        let failed = |source| RunError::Audit { folder: folder.display().to_string(), source };
        let remediation = &config.remediation;
        let held = (&remediation.policies, &remediation.limits, &remediation.freezes);
        let policies = sha256(&serde_json::to_vec(&held).map_err(RunError::Json)?);
        let log = Log::open(folder).map_err(failed)?;
        Ok(Auditing { log, engine: config.kafka.instance.clone(), policies, failures })
    }
}

impl Core {
    /// Writes an entry down. A full disk stops nothing: the topic has the entry, and the failure is counted.
    pub(super) fn audit(&mut self, entry: Entry) -> Result<(), RunError> {
        let event_ms = self.pipeline.closed_ms().unwrap_or(0);
        let Auditing { log, engine, policies, failures } = &mut self.auditing;
        let time_ms = jiff::Timestamp::now().as_millisecond();
        let entry = Entry { time_ms, event_ms, engine: engine.clone(), policies: policies.clone(), ..entry };
        let folder = "the audit log".to_string();
        let (entry, written) = log.write(entry).map_err(|source| RunError::Audit { folder, source })?;
        if let Err(error) = written {
            failures.inc();
            tracing::error!(%error, number = entry.number, "an entry of the audit log could not be written to its file");
        }
        self.outputs.audit(&entry)
    }

    /// A signal has another revision.
    pub(super) fn audit_signal(&mut self, signal: &RemediationSignal) -> Result<(), RunError> {
        use SignalState::*;
        let who = match signal.state {
            _ if signal.revision == 1 && !signal.proposed_by.is_empty() => signal.proposed_by.clone(),
            _ if signal.revision == 1 => format!("policy {}", signal.policy),
            Leased | Succeeded | Failed | Unknown => signal.holder.clone(),
            _ => "engine".to_string(),
        };
        let evidence = if signal.revision == 1 { signal.reason.clone() } else { String::new() };
        self.audit(Entry {
            who,
            what: signal.state.name().to_string(),
            about: signal.id.to_string(),
            why: signal.note.clone(),
            evidence,
            ..Entry::default()
        })
    }

    /// A policy makes no signal.
    pub(super) fn audit_declined(
        &mut self,
        incident: String,
        policy: &str,
        why: String,
    ) -> Result<(), RunError> {
        let (who, what) = (format!("policy {policy}"), "declined".to_string());
        self.audit(Entry { who, what, about: incident, why, ..Entry::default() })
    }

    /// Somebody was refused, and so many before them who are not written down.
    pub(super) fn audit_denied(
        &mut self,
        who: String,
        about: String,
        why: String,
        untold: u64,
    ) -> Result<(), RunError> {
        let evidence =
            if untold == 0 { String::new() } else { format!("{untold} others since the one before") };
        self.audit(Entry { who, what: "deny".to_string(), about, why, evidence, ..Entry::default() })
    }

    /// A person says something of a signal, without effect where that was refused, or a controller comes or goes.
    pub(super) fn audit_event(&mut self, event: &bus::Event, refused: Option<&str>) -> Result<(), RunError> {
        let (who, what, about, why) = match event {
            bus::Event::Decide { signal, approve, by, comment } => {
                (by.clone(), if *approve { "approve" } else { "reject" }, signal.to_string(), comment.clone())
            }
            bus::Event::Propose(proposal) => {
                (proposal.by.clone(), "propose", proposal.id().to_string(), proposal.comment.clone())
            }
            bus::Event::Withdraw { signal, by, comment } => {
                (by.clone(), "cancel", signal.to_string(), comment.clone())
            }
            bus::Event::Connect { session, hello, .. } => {
                let why = format!("{} signals of {}", hello.kind.name(), hello.scope);
                (hello.controller.clone(), "connect", session.to_string(), why)
            }
            bus::Event::Disconnect { session, .. } => {
                let known = self.pipeline.bus().controllers().find(|(known, _)| known == session);
                let who = known.map(|(_, hello)| hello.controller.clone()).unwrap_or_default();
                (who, "disconnect", session.to_string(), String::new())
            }
            _ => return Ok(()),
        };
        let evidence = refused.map(|why| format!("no effect: {why}")).unwrap_or_default();
        self.audit(Entry { who, what: what.to_string(), about, why, evidence, ..Entry::default() })
    }

    /// A person says something of incidents, silences, or all of remediation.
    pub(super) fn audit_word(&mut self, word: &Word) -> Result<(), RunError> {
        let (who, what, about, why) = match word {
            Word::Acknowledge { incident, by } => (by, "acknowledge", incident.to_string(), ""),
            Word::Feedback(Feedback { incident, by, comment, .. }) => {
                let about = incident.map(|id| id.to_string()).unwrap_or_default();
                (by, "feedback", about, comment.as_str())
            }
            Word::Silence(silence) => {
                (&silence.by, "silence", silence.id.to_string(), silence.comment.as_str())
            }
            Word::EndSilence { silence, by } => (by, "end_silence", silence.to_string(), ""),
            Word::Undo { adjustment, by } => (by, "undo", adjustment.to_string(), ""),
            Word::Halt { halt: true, by, comment } => (by, "halt", String::new(), comment.as_str()),
            Word::Halt { halt: false, by, comment } => (by, "resume", String::new(), comment.as_str()),
        };
        let (who, what, why) = (who.clone(), what.to_string(), why.to_string());
        self.audit(Entry { who, what, about, why, ..Entry::default() })
    }
}
