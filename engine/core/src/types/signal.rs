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
    /// Runs workflows: pipelines, jobs, runbooks.
    Workflow,
    /// Tells people.
    Notify,
}

impl ControllerKind {
    const ALL: [ControllerKind; 4] =
        [ControllerKind::Deploy, ControllerKind::Retrain, ControllerKind::Workflow, ControllerKind::Notify];

    /// The kind as it stands in roles.
    pub fn name(self) -> &'static str {
        match self {
            ControllerKind::Deploy => "deploy",
            ControllerKind::Retrain => "retrain",
            ControllerKind::Workflow => "workflow",
            ControllerKind::Notify => "notify",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<ControllerKind> {
        ControllerKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Go back to the version before the blamed change.
    Rollback,
    /// Halt the rollout that is under way.
    PauseRollout,
    /// Hold back the promotion of the version to more traffic or to the next environment.
    PromoteHold,
    /// Restart the workload.
    Restart,
    /// Run more or fewer replicas.
    Scale,
    /// Turn a feature flag off.
    DisableFlag,
    /// Retrain the model.
    Retrain,
    /// Go back to the version of the model before.
    RollbackModel,
    /// Run a workflow.
    RunWorkflow,
    /// Tell somebody; changes nothing.
    Notify,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 10] = [
        Action::Rollback,
        Action::PauseRollout,
        Action::PromoteHold,
        Action::Restart,
        Action::Scale,
        Action::DisableFlag,
        Action::Retrain,
        Action::RollbackModel,
        Action::RunWorkflow,
        Action::Notify,
    ];

    /// The action as it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Action::Rollback => "rollback",
            Action::PauseRollout => "pause_rollout",
            Action::PromoteHold => "promote_hold",
            Action::Restart => "restart",
            Action::Scale => "scale",
            Action::DisableFlag => "disable_flag",
            Action::Retrain => "retrain",
            Action::RollbackModel => "rollback_model",
            Action::RunWorkflow => "run_workflow",
            Action::Notify => "notify",
        }
    }

    /// The action of this name.
    pub fn from_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    /// The kind of controller that executes it.
    pub fn controller(self) -> ControllerKind {
        match self {
            Action::Rollback
            | Action::PauseRollout
            | Action::PromoteHold
            | Action::Restart
            | Action::Scale
            | Action::DisableFlag => ControllerKind::Deploy,
            Action::Retrain | Action::RollbackModel => ControllerKind::Retrain,
            Action::RunWorkflow => ControllerKind::Workflow,
            Action::Notify => ControllerKind::Notify,
        }
    }

    /// Whether it goes back to the version before a change, and needs one.
    pub fn goes_back(self) -> bool {
        matches!(self, Action::Rollback | Action::RollbackModel)
    }

    /// Whether it changes a system.
    pub fn changes(self) -> bool {
        self != Action::Notify
    }

    /// What the controller has to be told in the signal's attributes.
    pub fn needs(self) -> &'static [&'static str] {
        match self {
            Action::Scale => &["replicas"],
            Action::DisableFlag => &["flag"],
            Action::RunWorkflow => &["workflow"],
            _ => &[],
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
    /// Whether something may still come of it.
    pub fn is_live(self) -> bool {
        use SignalState::*;
        matches!(self, AwaitingApproval | Ready | Leased | Succeeded | DryRun)
    }

    /// Where a signal may go from here: the drawing in docs/remediation.md. Staying where it is, with other words, is no step.
    pub fn next(self) -> &'static [SignalState] {
        use SignalState::*;
        match self {
            AwaitingApproval => &[Ready, Rejected, Cancelled],
            // The outcome of an earlier lease may come late.
            Ready => &[Leased, Cancelled, Succeeded, Failed, Unknown, DryRun],
            DryRun => &[Leased, Cancelled, Succeeded, Failed, Unknown],
            Leased => &[Ready, DryRun, Succeeded, Failed, Unknown, Cancelled],
            // Whoever held it may still say what came of it.
            Cancelled => &[Succeeded, Failed, Unknown, DryRun],
            Succeeded => &[Verified, NotRecovered],
            Failed | Unknown | Verified | NotRecovered | Rejected => &[],
        }
    }

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

/// What came of a signal that was carried out: the incident's series against their own expectation, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The incident resolved: its series are as they should be.
    Recovered,
    /// Half of the series that were abnormal are as they should be, or more, and the incident goes on.
    Improved,
    /// Neither.
    NoEffect,
    /// Half as many series again are abnormal as were, or more.
    Worse,
}

impl Recovery {
    /// All of them.
    pub const ALL: [Recovery; 4] =
        [Recovery::Recovered, Recovery::Improved, Recovery::NoEffect, Recovery::Worse];

    /// The recovery in words.
    pub fn words(self) -> &'static str {
        match self {
            Recovery::Recovered => "recovered",
            Recovery::Improved => "improved",
            Recovery::NoEffect => "no effect",
            Recovery::Worse => "worse",
        }
    }

    /// The recovery as a label and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Recovery::Recovered => "recovered",
            Recovery::Improved => "improved",
            Recovery::NoEffect => "no_effect",
            Recovery::Worse => "worse",
        }
    }
}

/// Who has to agree to a signal, and who has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    /// How many have to; 0: nobody.
    pub needed: u32,
    /// The group of approvers that they must be of; empty: any.
    #[serde(default)]
    pub group: String,
    /// Who has, in order.
    #[serde(default)]
    pub by: Vec<String>,
    /// After this event time it is too late, unix milliseconds.
    pub until_ms: i64,
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
    /// Who has to agree, and who has.
    #[serde(default)]
    pub consent: Consent,
    /// Who proposed it; empty: a policy.
    #[serde(default)]
    pub proposed_by: String,
    /// What came of it, once that is known.
    #[serde(default)]
    pub recovery: Option<Recovery>,
    /// The signal that it takes back, if that is what it is for.
    #[serde(default)]
    pub undoes: Option<Id>,
    /// Whether it is a dead letter: granted up to the redelivery limit, and every holder was lost.
    #[serde(default)]
    pub dead_letter: bool,
}

impl RemediationSignal {
    /// A signal as it is made, at this event time: nobody has to agree, nobody has held it.
    pub fn new(id: Id, incident: Id, action: Action, target: Entity, created_ms: i64) -> RemediationSignal {
        RemediationSignal {
            id,
            revision: 1,
            state: SignalState::Ready,
            action,
            target,
            attributes: BTreeMap::new(),
            incident,
            policy: String::new(),
            dry_run: false,
            created_ms,
            expires_ms: created_ms,
            reason: String::new(),
            note: String::new(),
            fencing_token: 0,
            attempts: 0,
            updated_ms: created_ms,
            holder: String::new(),
            accepted: false,
            consent: Consent::default(),
            proposed_by: String::new(),
            recovery: None,
            undoes: None,
            dead_letter: false,
        }
    }
}
