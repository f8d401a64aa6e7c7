//! Policies: which incident may cause which signal, and the guards that hold one back.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::{Evidence, Facts};
use crate::types::{Action, EntityKind, Matcher, SignalState, Suspect, fits};

/// Which incident may cause which signal. For each incident and action the first policy that matches decides: when
/// its guards hold it back, no later policy for that action is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Policy {
    /// Its name; part of the id of its signals.
    pub name: String,
    /// Which incidents it is for; empty: all that have a suspect.
    #[serde(default)]
    pub when: Match,
    /// What is to be done to the first suspect.
    pub action: Action,
    /// What the controller has to be told: `replicas` for `scale` (`5`, `+2`), `flag` for `disable_flag`, `workflow` for `run_workflow`,
    /// and whatever else it knows. It comes with the signal's attributes.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Policies with the same playbook are steps of it: for an incident one at a time, the next only once the one before was verified not
    /// to have helped. First comes what helped most often, then the order here.
    #[serde(default)]
    pub playbook: String,
    /// Whether controllers may only say what they would do.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether a person must agree first. Dry runs never wait for one.
    #[serde(default)]
    pub approval: Approval,
    /// How many different people must agree, 1 or more; 2: four eyes.
    #[serde(default = "one")]
    pub approvals: u32,
    /// The group whose approvers must agree (role `approver:GROUP`); empty: any approver.
    #[serde(default)]
    pub approval_group: String,
    /// Event time within which they must agree; 0: for as long as the evidence holds (`max_signal_age`).
    #[serde(default)]
    pub approval_seconds: u32,
    /// After this many signals in a row that failed or did not help, within a day of event time, the policy makes no more.
    #[serde(default)]
    pub stop_after_failures: Option<u32>,
    /// Whether a rollback that made it worse is taken back: with the same approval.
    #[serde(default)]
    pub undo_if_worse: bool,
    /// Most signals of this policy within an hour of event time, 1 or more.
    #[serde(default)]
    pub max_per_hour: Option<u32>,
    /// Blast radius: no action on an incident that spans more entities than this, 1 or more.
    #[serde(default)]
    pub max_affected: Option<u32>,
    /// Event time that must have passed since the latest signal of any policy for the same target.
    #[serde(default)]
    pub cool_down_seconds: u32,
    /// How many kinds of telemetry (metrics, logs, spans) must show the incident, 1..=3. Default: 2 for what
    /// changes a system without a person's word, else 1.
    #[serde(default)]
    pub min_evidence_kinds: Option<u32>,
}

/// Which incidents a policy is for. Every part that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Match {
    /// What sort of incident.
    pub incident: Option<IncidentKind>,
    /// Labels of the first suspect, all of which must match: `kind`, `name`, `entity`, with `=`, `!=`, `=~`, `!~`.
    #[serde(rename = "match")]
    pub matchers: Vec<Matcher>,
    /// Canonical names that the first suspect may have, `*` for anything: `service/shop/*`. Empty: any.
    pub entities: Vec<String>,
    /// What sort of thing the first suspect must be; `model` for drift.
    pub entity_kind: Option<EntityKind>,
    /// Kind of the change that the first suspect is blamed for, `*` for anything: `service.*`.
    pub change_kind: Option<String>,
    /// Least share of belief in the first suspect, 0..=1.
    pub min_weight: f64,
    /// Least severity of the incident, 0..=1.
    pub min_severity: f64,
}

fn one() -> u32 {
    1
}

/// What sort of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Something is otherwise than it should be.
    Anomaly,
    /// All that is known of it are others' alerts.
    Alert,
    /// Something will be used up.
    Forecast,
}

impl IncidentKind {
    /// The kind as it stands in policies.
    pub fn name(self) -> &'static str {
        match self {
            IncidentKind::Anomaly => "anomaly",
            IncidentKind::Alert => "alert",
            IncidentKind::Forecast => "forecast",
        }
    }
}

/// Whether a person must agree before a signal is granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// A person must agree.
    #[default]
    Required,
    /// The policy alone decides.
    None,
}

impl Approval {
    /// Where a signal begins that is no dry run.
    pub(super) fn begins(self) -> SignalState {
        match self {
            Approval::Required => SignalState::AwaitingApproval,
            Approval::None => SignalState::Ready,
        }
    }
}

/// A policy that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy:?}: {problem}")]
pub struct PolicyError {
    policy: String,
    problem: String,
}

/// Why a policy makes no signal: the kind of reason, which is said once, and the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) why: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Reason {
    NoSuspect,
    IncidentKind,
    Labels,
    Entity,
    EntityKind,
    ChangeKind,
    Weight,
    Severity,
    NothingToRollBack,
    UndoOfUndo,
    EarlierPolicy,
    CatchingUp,
    Halted,
    Frozen,
    Playbook,
    Failures,
    Limit,
    Stale,
    OpenTooLong,
    Evidence,
    Affected,
    Rate,
    CoolDown,
    Full,
}

impl Reason {
    /// This reason with its words.
    pub(super) fn because(self, why: impl fmt::Display) -> Refusal {
        Refusal { reason: self, why: why.to_string() }
    }
}

/// Attributes that the engine gives a signal itself.
pub(super) const RESERVED: [&str; 7] =
    ["kind", "name", "namespace", "change_id", "version", "to_version", "evidence"];

/// CDEvents' name for going back to an earlier version.
const ROLLED_BACK: &str = "service.rolledback";

impl Policy {
    /// Whether the policy makes sense; `keep_ms` is how far back signals are remembered.
    pub(super) fn check(&self, keep_ms: i64) -> Result<(), PolicyError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let refuse = |problem| Err(PolicyError { policy: self.name.clone(), problem });
        let missing = self.action.needs().iter().find(|key| !self.parameters.contains_key(**key));
        let reserved = RESERVED.iter().find(|key| self.parameters.contains_key(**key));
        let problem = if self.name.is_empty() {
            "give it a name"
        } else if let Some(key) = missing {
            return refuse(format!("{} needs the parameter {key}", self.action.name()));
        } else if let Some(key) = reserved {
            return refuse(format!(
                "the parameter {key} says what the engine says itself: take another name"
            ));
        } else if self.approvals == 0 {
            "approvals of 0 is what approval: none is for"
        } else if self.stop_after_failures == Some(0) {
            "stop_after_failures of 0 allows nothing: remove the policy, or make it a dry run"
        } else if self.undo_if_worse && !self.action.goes_back() {
            "undo_if_worse is for rollback and rollback_model: nothing else can be taken back"
        } else if !share(self.when.min_weight) || !share(self.when.min_severity) {
            "set min_weight and min_severity to a number from 0 to 1"
        } else if self.max_per_hour == Some(0) || self.max_affected == Some(0) {
            "max_per_hour and max_affected of 0 allow nothing: remove the policy, or make it a dry run"
        } else if self.min_evidence_kinds.is_some_and(|kinds| !(1..=3).contains(&kinds)) {
            "set min_evidence_kinds to 1, 2 or 3"
        } else if i64::from(self.cool_down_seconds) * 1000 > keep_ms {
            "cool_down_seconds is longer than signals are remembered: raise keep_ms"
        } else {
            return Ok(());
        };
        refuse(problem.to_string())
    }

    /// The suspect to act on, or why the incident is not one that the policy is for.
    pub(super) fn matches<'a>(&self, facts: &'a Facts) -> Result<&'a Suspect, Refusal> {
        let Match { incident, matchers, entities, entity_kind, change_kind, min_weight, min_severity } =
            &self.when;
        if let Some(kind) = incident.filter(|kind| *kind != facts.kind) {
            let why = format!("the incident is of the kind {}, not {}", facts.kind.name(), kind.name());
            return Err(Reason::IncidentKind.because(why));
        }
        let Some(suspect) = &facts.suspect else {
            return Err(Reason::NoSuspect.because("the incident has no suspect"));
        };
        if let Some(matcher) = matchers
            .iter()
            .find(|matcher| !Matcher::all_mean_entity(std::slice::from_ref(matcher), &suspect.entity))
        {
            let why = format!("the first suspect, {}, does not match {matcher}", suspect.entity);
            return Err(Reason::Labels.because(why));
        }
        let name = suspect.entity.to_string();
        let blamed = suspect.change.as_ref().map(|change| change.kind.as_str());
        if !entities.is_empty() && !entities.iter().any(|pattern| fits(pattern, &name)) {
            let patterns = entities.join(", ");
            return Err(
                Reason::Entity.because(format_args!("the first suspect, {name}, is none of {patterns}"))
            );
        }
        if let Some(kind) = entity_kind.filter(|kind| *kind != suspect.entity.kind) {
            let kind = kind.name();
            return Err(Reason::EntityKind.because(format_args!("the first suspect, {name}, is no {kind}")));
        }
        if let Some(pattern) =
            change_kind.as_ref().filter(|pattern| !blamed.is_some_and(|it| fits(pattern, it)))
        {
            let blamed = blamed.unwrap_or("none");
            let why = format!("the change that is blamed has to be {pattern}, it is {blamed}");
            return Err(Reason::ChangeKind.because(why));
        }
        if suspect.weight < *min_weight {
            let weight = suspect.weight;
            let why = format!("{name} is the cause with weight {weight:.2}, less than {min_weight:.2}");
            return Err(Reason::Weight.because(why));
        }
        if facts.severity < *min_severity {
            let why = format!("severity {:.2} is less than {min_severity:.2}", facts.severity);
            return Err(Reason::Severity.because(why));
        }
        Ok(suspect)
    }

    /// The guards that need nothing but the incident.
    pub(super) fn guard(&self, facts: &Facts, suspect: &Suspect) -> Result<(), Refusal> {
        if self.action.goes_back() {
            match &suspect.change {
                None => {
                    let why = format!("no change of {} is blamed: nothing to roll back", suspect.entity);
                    return Err(Reason::NothingToRollBack.because(why));
                }
                // Undoing it would bring back the version that somebody just left.
                Some(change) if change.kind == ROLLED_BACK => {
                    return Err(Reason::UndoOfUndo.because("the change that is blamed is a rollback itself"));
                }
                Some(_) => {}
            }
        }
        let (seen, needed) = (facts.evidence.len(), self.evidence_needed());
        if seen < needed as usize {
            let names: Vec<String> = facts.evidence.iter().map(Evidence::to_string).collect();
            let names = if names.is_empty() { "nothing".to_string() } else { names.join(" and ") };
            let why = format!("seen in {names} only, {needed} kinds of telemetry are needed");
            return Err(Reason::Evidence.because(why));
        }
        if let Some(most) = self.max_affected.filter(|most| facts.affected > *most) {
            let why = format!("the incident spans {} entities, more than {most}", facts.affected);
            return Err(Reason::Affected.because(why));
        }
        Ok(())
    }

    /// Who has to agree, in words: `dry run`, `nobody`, `1 approver`, `2 of dba`.
    pub fn asks(&self) -> String {
        match (self.dry_run, self.approval, self.approval_group.as_str()) {
            (true, _, _) => "dry run".to_string(),
            (false, Approval::None, _) => "nobody".to_string(),
            (false, Approval::Required, "") if self.approvals == 1 => "1 approver".to_string(),
            (false, Approval::Required, "") => format!("{} approvers", self.approvals),
            (false, Approval::Required, group) => format!("{} of {group}", self.approvals),
        }
    }

    fn evidence_needed(&self) -> u32 {
        let automatic = self.approval == Approval::None && !self.dry_run && self.action.changes();
        self.min_evidence_kinds.unwrap_or(if automatic { 2 } else { 1 })
    }
}
