//! Remediation signals: the messages of the bus, as the topic `foreshock.signals` shows them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{hash::Id, series::Entity};

/// Who can execute a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControllerKind {
    /// Rolls deployments back, restarts, scales.
    Deploy,
    /// Retrains or rolls back models.
    Retrain,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Go back to the version before the blamed change.
    Rollback,
    /// Restart the workload.
    Restart,
    /// Retrain the model.
    Retrain,
}

impl Action {
    /// The action as it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Action::Rollback => "rollback",
            Action::Restart => "restart",
            Action::Retrain => "retrain",
        }
    }

    /// The kind of controller that executes it.
    pub fn controller(self) -> ControllerKind {
        match self {
            Action::Rollback | Action::Restart => ControllerKind::Deploy,
            Action::Retrain => ControllerKind::Retrain,
        }
    }
}

/// Where a signal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalState {
    /// Waits for a person.
    AwaitingApproval,
    /// May be granted to a controller.
    Ready,
    /// Under a lease.
    Leased,
    /// The controller reported success; recovery is being watched.
    Succeeded,
    /// The controller reported failure.
    Failed,
    /// Nobody knows whether it took effect; never retried by itself.
    Unknown,
    /// The incident's series recovered after success.
    Verified,
    /// The incident's series did not recover in time after success.
    NotRecovered,
    /// Rejected by a person.
    Rejected,
    /// Withdrawn: the incident resolved first, or it got too old.
    Cancelled,
    /// The policy is a dry run: recorded, and granted only as a dry run.
    DryRun,
}

impl SignalState {
    /// The state as a label and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            SignalState::AwaitingApproval => "awaiting_approval",
            SignalState::Ready => "ready",
            SignalState::Leased => "leased",
            SignalState::Succeeded => "succeeded",
            SignalState::Failed => "failed",
            SignalState::Unknown => "unknown",
            SignalState::Verified => "verified",
            SignalState::NotRecovered => "not_recovered",
            SignalState::Rejected => "rejected",
            SignalState::Cancelled => "cancelled",
            SignalState::DryRun => "dry_run",
        }
    }
}

/// One remediation signal at one revision. One record of the topic `foreshock.signals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RemediationSignal {
    /// Hash of incident, policy and action: the idempotency key at the target.
    pub id: Id,
    /// 1 when it is made, one more with every change.
    pub revision: u64,
    /// Where it stands.
    pub state: SignalState,
    /// What is asked for.
    pub action: Action,
    /// What to act on.
    pub target: Entity,
    /// Facts the controller needs: `version`, `to_version`, ...
    pub attributes: BTreeMap<String, String>,
    /// The incident that caused it.
    pub incident: Id,
    /// The policy that allowed it.
    pub policy: String,
    /// Whether only a dry run is allowed.
    pub dry_run: bool,
    /// Event time at which it was made, unix milliseconds.
    pub created_ms: i64,
    /// After this event time it is stale, unix milliseconds.
    pub expires_ms: i64,
    /// Why, in words.
    pub reason: String,
    /// Last words about it: approval, outcome, verification.
    pub note: String,
    /// Fencing token of the latest lease; 0 before the first.
    pub fencing_token: u64,
    /// How often it was granted.
    pub attempts: u32,
    /// Event time of this revision, unix milliseconds.
    pub updated_ms: i64,
    /// The controller that was granted it last; empty before the first grant.
    pub holder: String,
    /// Whether a controller accepted a lease of it: work may have begun.
    pub accepted: bool,
}
