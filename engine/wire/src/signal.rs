//! Signals, what controllers say about them, and what controllers are told.

use foreshock_core::{
    bus::{Claim, Effect, Event, FaultCode, OutcomeStatus, PolicyStatus, Proposal, Session, Step},
    types::{Action, Consent, ControllerKind, Recovery, RemediationSignal, SignalState},
};
use foreshock_proto::v1::{self, bus_message::Message as Said, controller_message::Message};

use super::{Invalid, entity, id};

/// A message of a controller that is answered with a Fault without asking the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The signal, in the controller's words.
    pub signal: String,
    /// The code of the Fault.
    pub code: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// A signal as a message.
pub fn signal(signal: &RemediationSignal) -> v1::Signal {
    v1::Signal {
        id: signal.id.to_string(),
        kind: controller_kind_to(signal.action.controller()).into(),
        action: signal.action.name().to_string(),
        target: signal.target.to_string(),
        attributes: signal.attributes.clone().into_iter().collect(),
        incident_id: signal.incident.to_string(),
        policy: signal.policy.clone(),
        dry_run: signal.dry_run,
        created_unix_ms: signal.created_ms,
        expires_unix_ms: signal.expires_ms,
        reason: signal.reason.clone(),
        state: signal_state(signal.state).into(),
        note: signal.note.clone(),
        revision: signal.revision,
        updated_unix_ms: signal.updated_ms,
        fencing_token: signal.fencing_token,
        attempts: signal.attempts,
        holder: signal.holder.clone(),
        accepted: signal.accepted,
        approvals_needed: signal.consent.needed,
        approval_group: signal.consent.group.clone(),
        approved_by: signal.consent.by.clone(),
        approve_before_unix_ms: signal.consent.until_ms,
        proposed_by: signal.proposed_by.clone(),
        recovery: recovery_to(signal.recovery).into(),
        undoes: signal.undoes.map(|id| id.to_string()).unwrap_or_default(),
        dead_letter: signal.dead_letter,
    }
}

/// A signal out of a message.
pub fn signal_from(message: v1::Signal) -> Result<RemediationSignal, Invalid> {
    let action = Action::from_name(&message.action);
    Ok(RemediationSignal {
        id: id(&message.id)?,
        revision: message.revision,
        state: optional_signal_state(message.state)?.ok_or(Invalid::Enum("state", 0))?,
        // An action that this version does not know belongs to a kind that it may not know either.
        action: action.ok_or(Invalid::Enum("action of kind", message.kind))?,
        target: entity(&message.target)?,
        attributes: message.attributes.into_iter().collect(),
        incident: id(&message.incident_id)?,
        policy: message.policy,
        dry_run: message.dry_run,
        created_ms: message.created_unix_ms,
        expires_ms: message.expires_unix_ms,
        reason: message.reason,
        note: message.note,
        fencing_token: message.fencing_token,
        attempts: message.attempts,
        updated_ms: message.updated_unix_ms,
        holder: message.holder,
        accepted: message.accepted,
        consent: Consent {
            needed: message.approvals_needed,
            group: message.approval_group,
            by: message.approved_by,
            until_ms: message.approve_before_unix_ms,
        },
        proposed_by: message.proposed_by,
        recovery: recovery(message.recovery)?,
        undoes: super::some(message.undoes).map(|text| id(&text)).transpose()?,
        dead_letter: message.dead_letter,
    })
}

/// The pairs of recoveries: the one list for both ways.
const RECOVERIES: [(Recovery, v1::Recovery); 4] = [
    (Recovery::Recovered, v1::Recovery::Recovered),
    (Recovery::Improved, v1::Recovery::Improved),
    (Recovery::NoEffect, v1::Recovery::NoEffect),
    (Recovery::Worse, v1::Recovery::Worse),
];

fn recovery_to(recovery: Option<Recovery>) -> v1::Recovery {
    let pair = RECOVERIES.into_iter().find(|(ours, _)| Some(*ours) == recovery);
    pair.map_or(v1::Recovery::Unspecified, |(_, theirs)| theirs)
}

fn recovery(recovery: i32) -> Result<Option<Recovery>, Invalid> {
    let known = v1::Recovery::try_from(recovery).map_err(|_| Invalid::Enum("recovery", recovery))?;
    Ok(RECOVERIES.into_iter().find(|(_, theirs)| *theirs == known).map(|(ours, _)| ours))
}

/// What a person wants done, out of a message; `by` is who it is.
pub fn proposal_from(message: v1::ProposeRequest, by: String) -> Result<Proposal, Invalid> {
    let action = Action::from_name(&message.action);
    Ok(Proposal {
        incident: id(&message.incident_id)?,
        action: action.ok_or_else(|| Invalid::Action(message.action.chars().take(32).collect()))?,
        target: entity(&message.target)?,
        parameters: message.parameters.into_iter().collect(),
        dry_run: message.dry_run,
        round: 0,
        by,
        comment: message.comment,
    })
}

/// One revision of a signal as a message.
pub fn step(step: &Step) -> v1::Step {
    let Step { revision, state, note, time_ms } = step;
    v1::Step {
        revision: *revision,
        state: signal_state(*state).into(),
        note: note.clone(),
        time_unix_ms: *time_ms,
    }
}

/// A policy and what became of it as a message.
pub fn policy_status(status: &PolicyStatus) -> v1::PolicyStatus {
    let PolicyStatus { policy, failures, tried } = status;
    let tried = tried.iter().map(|(cause, tried)| v1::Tried {
        cause: cause.clone(),
        helped: tried.helped,
        failed: tried.failed,
    });
    v1::PolicyStatus {
        name: policy.name.clone(),
        action: policy.action.name().to_string(),
        playbook: policy.playbook.clone(),
        approval: policy.asks(),
        failures: u32::try_from(*failures).unwrap_or(u32::MAX),
        stopped: policy.stop_after_failures.is_some_and(|most| *failures >= most as usize),
        tried: tried.collect(),
    }
}

/// The pairs of states: the one list for both ways.
const STATES: [(SignalState, v1::SignalState); 11] = [
    (SignalState::AwaitingApproval, v1::SignalState::AwaitingApproval),
    (SignalState::Ready, v1::SignalState::Ready),
    (SignalState::Leased, v1::SignalState::Leased),
    (SignalState::Succeeded, v1::SignalState::Succeeded),
    (SignalState::Failed, v1::SignalState::Failed),
    (SignalState::Unknown, v1::SignalState::Unknown),
    (SignalState::Verified, v1::SignalState::Verified),
    (SignalState::NotRecovered, v1::SignalState::NotRecovered),
    (SignalState::Rejected, v1::SignalState::Rejected),
    (SignalState::Cancelled, v1::SignalState::Cancelled),
    (SignalState::DryRun, v1::SignalState::DryRun),
];

/// A state as it stands in messages.
pub fn signal_state(state: SignalState) -> v1::SignalState {
    let pair = STATES.into_iter().find(|(ours, _)| *ours == state);
    pair.map_or(v1::SignalState::Unspecified, |(_, theirs)| theirs)
}

/// A state out of a message; `None` when it is not set.
pub fn optional_signal_state(state: i32) -> Result<Option<SignalState>, Invalid> {
    let known = v1::SignalState::try_from(state).map_err(|_| Invalid::Enum("state", state))?;
    Ok(STATES.into_iter().find(|(_, theirs)| *theirs == known).map(|(ours, _)| ours))
}

/// The pairs of kinds: the one list for both ways.
const KINDS: [(ControllerKind, v1::ControllerKind); 4] = [
    (ControllerKind::Deploy, v1::ControllerKind::Deploy),
    (ControllerKind::Retrain, v1::ControllerKind::Retrain),
    (ControllerKind::Workflow, v1::ControllerKind::Workflow),
    (ControllerKind::Notify, v1::ControllerKind::Notify),
];

/// A kind as it stands in messages.
pub fn controller_kind_to(kind: ControllerKind) -> v1::ControllerKind {
    let pair = KINDS.into_iter().find(|(ours, _)| *ours == kind);
    pair.map_or(v1::ControllerKind::Unspecified, |(_, theirs)| theirs)
}

/// A kind out of a message; it has to be set.
pub fn controller_kind(kind: i32) -> Result<ControllerKind, Invalid> {
    let pair = KINDS.into_iter().find(|(_, theirs)| i32::from(*theirs) == kind);
    pair.map(|(ours, _)| ours).ok_or(Invalid::Enum("kind", kind))
}

/// An outcome as it stands in messages.
pub fn outcome_to(status: OutcomeStatus) -> v1::OutcomeStatus {
    match status {
        OutcomeStatus::Succeeded => v1::OutcomeStatus::Succeeded,
        OutcomeStatus::Failed => v1::OutcomeStatus::Failed,
        OutcomeStatus::Unknown => v1::OutcomeStatus::Unknown,
        OutcomeStatus::DryRun => v1::OutcomeStatus::DryRun,
    }
}

fn outcome_from(status: i32) -> Result<OutcomeStatus, Invalid> {
    match v1::OutcomeStatus::try_from(status) {
        Ok(v1::OutcomeStatus::Succeeded) => Ok(OutcomeStatus::Succeeded),
        Ok(v1::OutcomeStatus::Failed) => Ok(OutcomeStatus::Failed),
        Ok(v1::OutcomeStatus::Unknown) => Ok(OutcomeStatus::Unknown),
        Ok(v1::OutcomeStatus::DryRun) => Ok(OutcomeStatus::DryRun),
        Ok(v1::OutcomeStatus::Unspecified) | Err(_) => Err(Invalid::Enum("status", status)),
    }
}

/// What a controller's message after its Hello means.
pub fn controller_event(message: v1::ControllerMessage, session: Session, at: u64) -> Result<Event, Refused> {
    let claim = |signal: &str, token| match id(signal) {
        Ok(signal) => Ok(Claim { session, signal, token }),
        Err(problem) => Err(refused(signal, FaultCode::UnknownSignal.name(), problem.to_string())),
    };
    match message.message {
        None => Err(refused("", BAD_MESSAGE, "the message is none that this version knows".to_string())),
        Some(Message::Hello(_)) => {
            let problem = "this stream has said hello already".to_string();
            Err(refused("", FaultCode::BadHello.name(), problem))
        }
        Some(Message::Ack(ack)) => Ok(Event::Ack { claim: claim(&ack.signal_id, ack.fencing_token)?, at }),
        Some(Message::Progress(progress)) => {
            Ok(Event::Progress { claim: claim(&progress.signal_id, progress.fencing_token)?, at })
        }
        Some(Message::Nack(nack)) => Ok(Event::Nack {
            claim: claim(&nack.signal_id, nack.fencing_token)?,
            reason: nack.reason,
            retry_after_seconds: nack.retry_after_seconds,
            at,
        }),
        Some(Message::Outcome(outcome)) => {
            let claim = claim(&outcome.signal_id, outcome.fencing_token)?;
            let status = outcome_from(outcome.status)
                .map_err(|problem| refused(&outcome.signal_id, BAD_MESSAGE, problem.to_string()))?;
            Ok(Event::Outcome { claim, status, message: outcome.message, at })
        }
    }
}

/// What is told to a controller; `None`: the effect is for somebody else.
pub fn bus_message(effect: &Effect) -> Option<v1::BusMessage> {
    let said = match effect {
        Effect::Welcome { session, lease_seconds } => {
            Said::Welcome(v1::Welcome { session: session.to_string(), lease_seconds: *lease_seconds })
        }
        Effect::Grant { lease, .. } => Said::Lease(v1::Lease {
            signal: Some(signal(&lease.signal)),
            fencing_token: lease.signal.fencing_token,
            lease_seconds: lease.lease_seconds,
            attempt: lease.signal.attempts,
        }),
        Effect::Cancel { signal, reason, .. } => {
            Said::Cancel(v1::Cancel { signal_id: signal.to_string(), reason: reason.clone() })
        }
        Effect::Fault { signal, code, message, .. } => Said::Fault(v1::Fault {
            signal_id: signal.map(|signal| signal.to_string()).unwrap_or_default(),
            code: code.name().to_string(),
            message: message.clone(),
        }),
        Effect::Signal(_) | Effect::Remediation { .. } | Effect::Declined { .. } | Effect::Refused { .. } => {
            return None;
        }
    };
    Some(v1::BusMessage { message: Some(said) })
}

/// A fault as the bus says it.
pub fn fault_message(fault: v1::Fault) -> v1::BusMessage {
    v1::BusMessage { message: Some(Said::Fault(fault)) }
}

/// The shell's own code: the engine never sees such a message.
const BAD_MESSAGE: &str = "bad_message";

fn refused(signal: &str, code: &'static str, problem: String) -> Refused {
    Refused { signal: signal.chars().take(32).collect(), code, problem }
}
