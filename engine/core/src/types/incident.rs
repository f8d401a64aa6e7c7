//! Incidents: groups of anomalies with one story.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{anomaly::Anomaly, change::Change, example::Example, hash::Id, series::Entity};

/// Where an incident stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Something is abnormal now.
    #[default]
    Open,
    /// Its series are back to normal.
    Resolved,
}

/// What happened to an incident.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum IncidentEvent {
    /// It is new.
    Opened,
    /// It had been resolved, and is open again.
    Reopened,
    /// Somebody looks after it.
    Acknowledged,
    /// Its members, suspects or changes are others, or remediation came to something.
    #[default]
    Updated,
    /// Its series are back to normal.
    Resolved,
    /// It turned out to be part of another, which goes on.
    Merged,
}

/// One incident at one revision. One record of the topic `foreshock.incidents`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Hash of the first members and the opening tick.
    pub id: Id,
    /// 1 when it opens, one more with every change.
    pub revision: u64,
    /// What happened to it with this revision.
    #[serde(default)]
    pub event: IncidentEvent,
    /// Where it stands.
    pub state: IncidentState,
    /// One line for people: `payment: errors up, after deploy v2`.
    pub title: String,
    /// First onset of its members, unix milliseconds.
    pub started_ms: i64,
    /// Event time at which it opened, unix milliseconds.
    pub opened_ms: i64,
    /// Event time of this revision, unix milliseconds.
    pub updated_ms: i64,
    /// Event time of its resolution, unix milliseconds.
    pub resolved_ms: Option<i64>,
    /// How bad it is for those who use the system, 0..1, see [`Harm`]; where no requests are seen, the strongest score of its
    /// members.
    pub severity: f64,
    /// What the severity rests on; none where no requests are seen.
    #[serde(default)]
    pub harm: Option<Harm>,
    /// Its anomalies, strongest first, each at its latest revision.
    pub members: Vec<Member>,
    /// Candidate causes, best first.
    pub suspects: Vec<Suspect>,
    /// Changes near it in time and graph, oldest first.
    pub changes: Vec<Change>,
    /// How often it was reopened.
    pub reopened: u32,
    /// The incident that it turned out to be part of.
    #[serde(default)]
    pub merged_into: Option<Id>,
    /// The incident that it was part of, before they turned out to be two.
    #[serde(default)]
    pub split_from: Option<Id>,
    /// Who looks after it.
    pub acknowledged_by: Option<String>,
    /// What came of remediation: `recovered`, `improved`, `no effect` or `worse`.
    pub remediation: Option<String>,
    /// Whether this revision should notify people.
    pub page: bool,
    /// Why its members belong together, and why it pages or does not.
    pub why: String,
}

/// What an incident does to those who use the system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Harm {
    /// Share of user-facing requests of the last minutes that went to entities which fail, are slow or silent in this incident,
    /// 0..1. User-facing is who answers requests and is called by nobody else.
    pub user_traffic: f64,
    /// How many times as fast as it may last an error budget is spent: the worst of the objectives that it touches.
    pub burn_rate: f64,
    /// Whose budget: the name of the objective, or the entity that has the default one.
    pub objective: String,
    /// The same in words.
    pub why: String,
}

/// An anomaly that opened no incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suppressed {
    /// Event time at which that was decided, unix milliseconds.
    pub time_ms: i64,
    /// The anomaly as it was then.
    pub anomaly: Anomaly,
    /// Why.
    pub why: String,
}

/// An anomaly in an incident, and why it is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The anomaly at its latest revision.
    pub anomaly: Anomaly,
    /// Why it belongs here: `service/checkout calls service/payment`.
    pub because: String,
}

/// A candidate cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suspect {
    /// The entity.
    pub entity: Entity,
    /// Share of belief; the suspects of an incident add up to 1.
    pub weight: f64,
    /// Why it is ranked here, in words.
    pub reasons: Vec<String>,
    /// The change that is blamed.
    pub change: Option<Change>,
    /// Requests and lines that show it, at most one of each kind, from the time of the incident.
    #[serde(default)]
    pub examples: Vec<Example>,
}
