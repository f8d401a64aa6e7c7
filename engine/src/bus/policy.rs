//! Policies: which incident may cause which signal, and the guards that hold one back.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::{Evidence, Facts};
use crate::types::{Action, EntityKind, Suspect};

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
    /// Whether controllers may only say what they would do.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether a person must agree first. Dry runs never wait for one.
    #[serde(default)]
    pub approval: Approval,
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
    Entity,
    EntityKind,
    ChangeKind,
    Weight,
    Severity,
    NothingToRollBack,
    UndoOfUndo,
    EarlierPolicy,
    CatchingUp,
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

/// CDEvents' name for going back to an earlier version.
const ROLLED_BACK: &str = "service.rolledback";

impl Policy {
    /// Whether the policy makes sense; `keep_ms` is how far back signals are remembered.
    pub(super) fn check(&self, keep_ms: i64) -> Result<(), PolicyError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let problem = if self.name.is_empty() {
            "give it a name"
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
        Err(PolicyError { policy: self.name.clone(), problem: problem.to_string() })
    }

    /// The suspect to act on, or why the incident is not one that the policy is for.
    pub(super) fn matches<'a>(&self, facts: &'a Facts) -> Result<&'a Suspect, Refusal> {
        let Match { entities, entity_kind, change_kind, min_weight, min_severity } = &self.when;
        let Some(suspect) = &facts.suspect else {
            return Err(Reason::NoSuspect.because("the incident has no suspect"));
        };
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
        if self.action == Action::Rollback {
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

    fn evidence_needed(&self) -> u32 {
        let automatic = self.approval == Approval::None && !self.dry_run;
        self.min_evidence_kinds.unwrap_or(if automatic { 2 } else { 1 })
    }
}

/// Whether the text fits the pattern, in which `*` stands for any text.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
