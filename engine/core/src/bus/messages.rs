//! What the bus is told, and what it wants done.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::types::{
    Action, Change, ControllerKind, Entity, Id, Incident, Recovery, RemediationSignal, Scope,
};

/// Name of a controller's stream. The shell makes it and never uses one twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Session(pub u64);

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session-{}", self.0)
    }
}

/// What a controller says of itself when it connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Its stable name, 1..=256 bytes.
    pub controller: String,
    /// The kind of signal it executes.
    pub kind: ControllerKind,
    /// Only signals whose attributes have all of these values, 64 at most.
    pub scope: Scope,
    /// Only signals that one of these covers: what its roles allow.
    pub allowed: Vec<Scope>,
    /// How many leases it can hold at once, 1..=1024.
    pub capacity: u32,
}

/// Which lease a controller's message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who says it.
    pub session: Session,
    /// The signal.
    pub signal: Id,
    /// The token of the lease.
    pub token: u64,
}

/// How the work on a signal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    /// The action took effect.
    Succeeded,
    /// The action did not take effect.
    Failed,
    /// It cannot be known whether it took effect.
    Unknown,
    /// Nothing was done: it was a dry run.
    DryRun,
}

/// What the bus is told. `at` is lease time: milliseconds of a clock that never goes back, of any origin.
///
/// Events without `at` live in event time and are the deterministic part: what they give follows from the telemetry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A tick closed everywhere.
    Tick {
        /// End of the tick, unix milliseconds.
        time_ms: i64,
        /// Whether the engine still works through a backlog: observe, do not act.
        catching_up: bool,
    },
    /// A new revision of an incident.
    Incident(Incident),
    /// Something was changed on purpose; tells which version came before which.
    Change(Change),
    /// A person says yes or no to a signal that waits for approval.
    Decide {
        /// The signal.
        signal: Id,
        /// Yes or no.
        approve: bool,
        /// Who decides.
        by: String,
        /// Why.
        comment: String,
    },
    /// A person wants something done about an open incident.
    Propose(Proposal),
    /// A person wants a signal withdrawn.
    Withdraw {
        /// The signal.
        signal: Id,
        /// Who.
        by: String,
        /// Why.
        comment: String,
    },
    /// The kill switch: what is not carried out yet is withdrawn, and nothing is made or granted until it is taken back.
    Halt {
        /// Whether remediation halts, or goes on.
        halt: bool,
        /// Who.
        by: String,
        /// Why.
        comment: String,
    },
    /// A controller opened its stream.
    Connect {
        /// Its stream.
        session: Session,
        /// What it can do.
        hello: Hello,
        /// Lease time.
        at: u64,
    },
    /// A controller's stream ended.
    Disconnect {
        /// Its stream.
        session: Session,
        /// Lease time.
        at: u64,
    },
    /// A lease was accepted and work begins.
    Ack {
        /// Which lease.
        claim: Claim,
        /// Lease time.
        at: u64,
    },
    /// Work goes on; extends the lease.
    Progress {
        /// Which lease.
        claim: Claim,
        /// Lease time.
        at: u64,
    },
    /// A lease is given back.
    Nack {
        /// Which lease.
        claim: Claim,
        /// Why.
        reason: String,
        /// Not to be offered to this controller again for this long; 0: never again.
        retry_after_seconds: u32,
        /// Lease time.
        at: u64,
    },
    /// The end of the work.
    Outcome {
        /// Which lease.
        claim: Claim,
        /// How it ended.
        status: OutcomeStatus,
        /// Words for people.
        message: String,
        /// Lease time.
        at: u64,
    },
    /// Lease time passed; due when [`super::Bus::next_timer_ms`] says so.
    LeaseTimer {
        /// Lease time.
        at: u64,
    },
}

/// What a person wants done. Saying it twice says it once: the id of its signal is a hash of all of it but the words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The open incident that it is about.
    pub incident: Id,
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub target: Entity,
    /// What the controller has to be told.
    pub parameters: BTreeMap<String, String>,
    /// Whether controllers may only say what they would do.
    pub dry_run: bool,
    /// How often the same was wanted before and has ended.
    #[serde(default)]
    pub round: u32,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub comment: String,
}

impl Proposal {
    /// The id of its signal.
    pub fn id(&self) -> Id {
        let Proposal { incident, action, target, parameters, dry_run, round, .. } = self;
        let mut parts = vec![
            "proposal".to_string(),
            incident.to_string(),
            action.name().to_string(),
            target.to_string(),
            dry_run.to_string(),
            round.to_string(),
        ];
        parts.extend(parameters.iter().flat_map(|(key, value)| [key.clone(), value.clone()]));
        Id::of(&parts.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// A signal with the right to execute it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// What to do; its `fencing_token` and `attempts` are those of this lease.
    pub signal: RemediationSignal,
    /// How long the lease lasts without Progress.
    pub lease_seconds: u32,
}

/// What was wrong with a controller's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The lease is not, or no longer, this controller's.
    StaleToken,
    /// There is no such signal.
    UnknownSignal,
    /// The stream did not begin with an acceptable Hello.
    BadHello,
    /// The signal has ended.
    AlreadyEnded,
    /// Too many controllers.
    Full,
}

impl FaultCode {
    /// The code as it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            FaultCode::StaleToken => "stale_token",
            FaultCode::UnknownSignal => "unknown_signal",
            FaultCode::BadHello => "bad_hello",
            FaultCode::AlreadyEnded => "already_ended",
            FaultCode::Full => "full",
        }
    }
}

/// What the bus wants done, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A new revision of a signal. Must be durable in the journal before any later effect is carried out.
    Signal(RemediationSignal),
    /// Send a lease to a controller.
    Grant {
        /// Its stream.
        session: Session,
        /// What it may do.
        lease: Lease,
    },
    /// Tell a controller that a signal it holds is no longer wanted.
    Cancel {
        /// Its stream.
        session: Session,
        /// The signal.
        signal: Id,
        /// Why.
        reason: String,
    },
    /// Tell a controller that its message had no effect.
    Fault {
        /// Its stream.
        session: Session,
        /// The signal that the message was about.
        signal: Option<Id>,
        /// What was wrong.
        code: FaultCode,
        /// What was wrong, in words.
        message: String,
    },
    /// Tell a controller that it is known now.
    Welcome {
        /// Its stream.
        session: Session,
        /// How long a lease lasts without Progress.
        lease_seconds: u32,
    },
    /// Tell the correlator what came of remediation.
    Remediation {
        /// The incident.
        incident: Id,
        /// What.
        recovery: Recovery,
    },
    /// Say why a policy makes no signal for an incident; once per incident, policy and reason.
    Declined {
        /// The incident.
        incident: Id,
        /// The policy.
        policy: String,
        /// Why, in words.
        why: String,
    },
    /// Tell a person that a decision had no effect.
    Refused {
        /// The signal.
        signal: Id,
        /// Why, in words.
        why: String,
    },
}
