//! Anomalies, and what else the correlator is told when a tick closes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    example::Example,
    hash::Id,
    measure_role::{MeasureRole, is_of_calls},
    series::Entity,
    silence::Silence,
};

/// What is abnormal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    /// One series left its band.
    Series,
    /// The series of an entity are abnormal together (isolation forest, joint detector).
    Entity,
    /// A log template that was never seen before.
    NewTemplate,
    /// A series no longer reports; value, expected and band are seconds between two of its values.
    Absence,
    /// An alert of another system; value 1, expected 0.
    Alert,
    /// A resource that will be used up; value and band are seconds until then, expected how many seconds ahead something is said at all.
    Forecast,
}

/// A series (or entity) being abnormal over an interval. One record of the topic `foreshock.anomalies`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Anomaly {
    /// Hash of kind, series and opening tick.
    pub id: Id,
    /// 1 when it opens, one more with every change.
    pub revision: u32,
    /// What is abnormal.
    pub kind: AnomalyKind,
    /// Whose series it is.
    pub entity: Entity,
    /// Canonical name of the series.
    pub series: String,
    /// What is measured.
    pub measure: String,
    /// What that tells of.
    #[serde(default)]
    pub role: MeasureRole,
    /// False in its last revision.
    pub active: bool,
    /// Event time at which it was seen, unix milliseconds.
    pub opened_ms: i64,
    /// Most probable start, unix milliseconds, never after `opened_ms`.
    pub onset_ms: i64,
    /// Event time of this revision, unix milliseconds.
    pub updated_ms: i64,
    /// Strongest score so far, 0..1.
    pub score: f64,
    /// Ticks so far on which it lay outside what was expected before it began, the first included, less two for each within between them.
    pub ticks: u32,
    /// −ln p of the strongest tick.
    pub neg_log_p: f64,
    /// What came at the strongest tick.
    pub value: f64,
    /// What was expected there.
    pub expected: f64,
    /// Lower end of the band there.
    pub lower: f64,
    /// Upper end of the band there.
    pub upper: f64,
    /// Which detector spoke loudest.
    pub detector: String,
    /// Which detectors contributed to the score of the strongest tick, with their shares, largest first; empty where `detector` spoke alone.
    #[serde(default)]
    pub contributions: Vec<(String, f64)>,
    /// One line for people.
    pub explanation: String,
    /// Which series carry it, with their shares; for anomalies of an entity.
    #[serde(default)]
    pub attribution: Vec<(String, f64)>,
}

impl Anomaly {
    /// Whom the entity calls, where the series is about these calls: `span.edge…{callee=service/payment}`.
    pub fn callee(&self) -> Option<Entity> {
        let (_, attributes) = self.series.split_once("{callee=").filter(|_| is_of_calls(&self.measure))?;
        attributes.strip_suffix('}').map(Entity::parse)
    }

    /// The log template, where one is new: `service/cart log.template disk <*> is full`.
    pub fn template(&self) -> Option<&str> {
        let (_, template) =
            self.series.split_once(TEMPLATE).filter(|_| self.kind == AnomalyKind::NewTemplate)?;
        Some(template)
    }
}

/// The name of the series that a template is.
pub fn template_series(entity: &Entity, template: &str) -> String {
    format!("{entity}{TEMPLATE}{template}")
}

/// What stands before the template in that name.
const TEMPLATE: &str = " log.template ";

/// Calls from one entity to another during a tick.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Edge {
    /// Who calls.
    pub caller: Entity,
    /// Who is called.
    pub callee: Entity,
    /// Number of calls.
    pub calls: u64,
    /// Number of failed calls.
    pub errors: u64,
}

/// An entity was seen to run on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Placement {
    /// What runs.
    pub entity: Entity,
    /// Where.
    pub host: Entity,
}

/// Requests that an entity answered during a tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Who answered.
    pub entity: Entity,
    /// Longest time that a good answer takes, nanoseconds; `None`: however long it takes.
    pub latency_ns: Option<u64>,
    /// Number of requests.
    pub requests: u64,
    /// Number of those that failed or took longer.
    pub errors: u64,
}

/// A tick is closed in every shard: everything the correlator learns from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TickClosed {
    /// Start of the tick, unix milliseconds: the time of its frame.
    pub time_ms: i64,
    /// Revisions of anomalies, sorted by (series, id).
    pub anomalies: Vec<Anomaly>,
    /// Calls seen, sorted by (caller, callee), one per pair.
    pub edges: Vec<Edge>,
    /// Where entities were seen to run.
    pub placements: Vec<Placement>,
    /// Requests that entities answered, by shard.
    pub traffic: Vec<Traffic>,
    /// Requests and lines of entities that somebody may want to look at.
    pub examples: Vec<(Entity, Example)>,
    /// Series that are modelled: each is a chance for a false alarm.
    pub warm_series: u64,
    /// Silences that hold, in order of their ids.
    pub silences: Vec<Silence>,
}
