//! How an engine is doing, and what it knows of who needs whom.

use serde::{Deserialize, Serialize};

/// What is known of who needs whom, for `foreshock topology`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// The calls that spans have shown, by caller and callee.
    pub calls: Vec<Call>,
    /// What runs on which host, or is part of which workload or service, as resources say.
    #[serde(default)]
    pub runs_on: Vec<(String, String)>,
    /// Whose trouble comes together as a rule, as past incidents have shown.
    #[serde(default)]
    pub together: Vec<(String, String)>,
    /// Who depends on whom by declaration.
    #[serde(default)]
    pub declared: Vec<(String, String)>,
}

/// An entity calls another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Kind and name: `service/cart`.
    pub caller: String,
    /// The same of the one that is called.
    pub callee: String,
    /// About how many calls there were lately: a count halves in 347 ticks, and is forgotten below 0.05.
    pub calls: f64,
}

/// What could be had of the past of series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryStatus {
    /// Series whose past is known.
    pub series: u64,
    /// What could not be had.
    pub problems: Vec<String>,
}

/// What the engine sees and how warm it is, for `foreshock status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// End of the latest closed tick, unix milliseconds; `None` before the first.
    pub tick_ms: Option<i64>,
    /// Records behind the ends of the partitions.
    pub lag_records: i64,
    /// Whether the engine still works through a backlog: it observes only.
    pub catching_up: bool,
    /// Event time, unix milliseconds, until which the engine learns and tells nothing (`history.kafka`); `None`: it tells.
    #[serde(default)]
    pub learns_until_ms: Option<i64>,
    /// Series that have a slot.
    pub series: u64,
    /// Series that have been seen for long enough to be judged.
    pub warm_series: u64,
    /// Series that are modelled in the deep tier too.
    pub deep_series: u64,
    /// Series that would be, were there room.
    pub shallow_series: u64,
    /// What of the past could be had.
    pub history: HistoryStatus,
    /// Series that started with a past, since the start of the process.
    pub with_history: u64,
    /// Series that have not reported for longer than they ever do.
    pub silent_series: u64,
    /// Incidents that are open.
    pub open_incidents: u64,
    /// Controllers that are connected.
    pub controllers: u64,
    /// Who threw the kill switch and why; empty: nobody.
    #[serde(default)]
    pub halted: String,
    /// Counts since the start of the process.
    pub records: u64,
    /// Records that could not be read.
    pub rejected: u64,
    /// Samples that came too late.
    pub late: u64,
    /// The partitions, in order.
    pub partitions: Vec<PartitionStatus>,
}

/// How far a partition was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The next record that is awaited.
    pub next_offset: i64,
    /// Newest event time, unix milliseconds; `None` before the first event.
    pub newest_ms: Option<i64>,
    /// Whether the broker has had records for `time.idle_after` and has given none.
    #[serde(default)]
    pub stands_still: bool,
}
