//! What a measure tells of, decided once for each series by the words of its name: golden signals (Beyer et al., *Site Reliability
//! Engineering*, 2016, chapter 6), resources (Gregg's USE method), logs and models.
//!
//! The words are those of OpenTelemetry's semantic conventions, of Prometheus' exporters, and our own (`span.…`, `log.…`, `model.…`).
//! Operators add to them by `series.roles`. A measure of unknown words is [`MeasureRole::Other`].

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::series::{SeriesDef, fits};

/// What a measure tells of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MeasureRole {
    /// Nothing that is known.
    #[default]
    Other,
    /// How much is asked for: requests, calls, what is counted.
    Traffic,
    /// What follows traffic: connections, queues, the network, threads, lines of log.
    Load,
    /// How busy processors are, which follows traffic too.
    Cpu,
    /// How long something takes.
    Latency,
    /// What fails: errors, timeouts, what is refused or dropped.
    Errors,
    /// What a cache does not have, or no longer has: hurts nobody by itself.
    CacheMisses,
    /// How full something is: memory, disks, pools.
    Saturation,
    /// What a model takes in and gives.
    ModelData,
    /// How often a model is asked.
    ModelTraffic,
    /// What else is told of a model.
    Model,
}

/// Words by role, the first that fits decides. A latency is no rate.
const WORDS: &[(MeasureRole, &[&str])] = &[
    // Whatever the feature is named.
    (MeasureRole::ModelData, &["model.input", "model.prediction", "model.score", "model.calibration"]),
    (MeasureRole::CacheMisses, &["misses", "evict"]),
    (
        MeasureRole::Errors,
        &["error", "fail", "exception", "5xx", "refused", "timeout", "drop", "reject", "throttl", "retries"],
    ),
    (MeasureRole::Model, &["model."]),
    (MeasureRole::Cpu, &["cpu"]),
    (
        MeasureRole::Load,
        &[
            "connection",
            "backends",
            "queue",
            "network",
            "log.",
            "thread",
            "message.unacked",
            "message.count",
            "message.current",
        ],
    ),
    (MeasureRole::Latency, &["duration", "latency", "time", "span.self"]),
    (MeasureRole::Saturation, &["memory", "usage", "utilization", "disk"]),
    (MeasureRole::Traffic, &["count", "requests"]),
];

/// A name says what it is of within so many bytes; longer ones are somebody's mistake and must cost no more.
const LOOKED_AT: usize = 256;

/// How the measures of calls from one entity to another begin.
pub const EDGE: &str = "span.edge";

impl MeasureRole {
    /// The role of a measure, by its name: by its first 256 bytes, and what follows the last colon.
    pub fn named(measure: &str) -> MeasureRole {
        let head = &measure[..measure.floor_char_boundary(LOOKED_AT)];
        let fits = |(role, words): &&(MeasureRole, &[&str])| {
            !(*role == MeasureRole::Latency && is_rate(measure))
                && words.iter().any(|word| head.contains(word))
        };
        match WORDS.iter().find(fits) {
            Some((MeasureRole::ModelData, _)) if is_rate(measure) => MeasureRole::ModelTraffic,
            Some((role, _)) => *role,
            None if is_rate(measure) => MeasureRole::Traffic,
            None => MeasureRole::Other,
        }
    }

    /// The role of a series: a rate of requests that failed, by its attributes, counts errors.
    pub(super) fn of(measure: &str, attributes: &[(String, String)]) -> MeasureRole {
        match MeasureRole::named(measure) {
            MeasureRole::CacheMisses => MeasureRole::CacheMisses,
            _ if is_rate(measure) && attributes.iter().any(tells_of_failure) => MeasureRole::Errors,
            role => role,
        }
    }

    /// Whether more of it is more traffic, or follows it.
    pub fn follows_traffic(self) -> bool {
        matches!(
            self,
            MeasureRole::Traffic | MeasureRole::Load | MeasureRole::Cpu | MeasureRole::ModelTraffic
        )
    }

    /// Its name, as the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            MeasureRole::Other => "other",
            MeasureRole::Traffic => "traffic",
            MeasureRole::Load => "load",
            MeasureRole::Cpu => "cpu",
            MeasureRole::Latency => "latency",
            MeasureRole::Errors => "errors",
            MeasureRole::CacheMisses => "cache_misses",
            MeasureRole::Saturation => "saturation",
            MeasureRole::ModelData => "model_data",
            MeasureRole::ModelTraffic => "model_traffic",
            MeasureRole::Model => "model",
        }
    }

    /// Every role.
    pub const ALL: [MeasureRole; 11] = [
        MeasureRole::Other,
        MeasureRole::Traffic,
        MeasureRole::Load,
        MeasureRole::Cpu,
        MeasureRole::Latency,
        MeasureRole::Errors,
        MeasureRole::CacheMisses,
        MeasureRole::Saturation,
        MeasureRole::ModelData,
        MeasureRole::ModelTraffic,
        MeasureRole::Model,
    ];

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<MeasureRole> {
        MeasureRole::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Whether a series with this attribute counts requests that failed: `error.type`, or a status of the server's own fault.
fn tells_of_failure((key, value): &(String, String)) -> bool {
    match key.as_str() {
        "error.type" => !value.is_empty(),
        "http.response.status_code" | "http.status_code" | "status_code" | "code" => {
            value.len() == 3 && value.starts_with('5')
        }
        _ => false,
    }
}

/// What an operator says of the role of measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// Measures of this name; `*` stands for any text: `app.jobs.*`.
    pub measure: String,
    /// What they tell of.
    pub role: MeasureRole,
}

/// A series with the role that the first rule for it gives; without one, its name.
pub(crate) fn with_role(rules: &[RoleRule], series: &Arc<SeriesDef>) -> Arc<SeriesDef> {
    let ruled = rules.iter().find(|rule| fits(&rule.measure, &series.measure)).map(|rule| rule.role);
    let role = ruled.unwrap_or_else(|| MeasureRole::of(&series.measure, &series.attributes));
    if role == series.role {
        return Arc::clone(series);
    }
    Arc::new(SeriesDef { role, ..SeriesDef::clone(series) })
}

// How a measure is made is in its name: `NAME:FUNCTION`, and what made it in front.

/// Whether it is counted: so many a second.
pub fn is_rate(measure: &str) -> bool {
    measure.ends_with(":rate")
}

/// Whether it tells how far something has gone from what it was: less is better.
pub fn is_distance(measure: &str) -> bool {
    is_drift(measure) || measure.ends_with(":ks")
}

/// Whether it is the drift of a model's inputs or answers.
pub fn is_drift(measure: &str) -> bool {
    measure.ends_with(":drift")
}

/// Whether it is made of spans.
pub fn is_of_spans(measure: &str) -> bool {
    measure.starts_with("span.")
}

/// Whether it is made of spans, or counts them.
pub fn is_span(measure: &str) -> bool {
    measure.starts_with("span")
}

/// Whether it is of the calls of one entity to another.
pub fn is_of_calls(measure: &str) -> bool {
    measure.starts_with(EDGE)
}

/// Whether it is made of lines of log.
pub fn is_of_lines(measure: &str) -> bool {
    measure.starts_with("log.")
}

/// Whether it counts all lines of log.
pub fn is_all_lines(measure: &str) -> bool {
    measure == "log.lines:rate"
}

/// Whether it is there only while there are requests: percentiles, and what is measured of spans. Its silence says nothing that the
/// rate does not.
pub fn needs_requests(measure: &str) -> bool {
    is_of_spans(measure) || measure.ends_with(":p50") || measure.ends_with(":p95")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_measures_have_their_role() {
        for (measure, role) in [
            ("http.server.request.duration:p95", MeasureRole::Latency),
            ("http.server.request.duration:rate", MeasureRole::Traffic),
            ("http.server.active_requests", MeasureRole::Traffic),
            ("http_requests_total:rate", MeasureRole::Traffic),
            ("span.error:ratio", MeasureRole::Errors),
            ("span.edge.errors:ratio", MeasureRole::Errors),
            ("span.self:p95", MeasureRole::Latency),
            ("span.duration:p50", MeasureRole::Latency),
            ("span:rate", MeasureRole::Traffic),
            ("log.error:rate", MeasureRole::Errors),
            ("log.lines:rate", MeasureRole::Load),
            ("log.template:rate", MeasureRole::Load),
            ("system.cpu.utilization", MeasureRole::Cpu),
            ("container.cpu.throttled:rate", MeasureRole::Errors),
            ("system.memory.usage", MeasureRole::Saturation),
            ("system.filesystem.utilization", MeasureRole::Saturation),
            ("db.client.connection.count", MeasureRole::Load),
            ("rabbitmq.message.unacked", MeasureRole::Load),
            ("kafka.consumer.lag", MeasureRole::Other),
            ("redis.keyspace.misses:rate", MeasureRole::CacheMisses),
            ("redis.keys.evicted:rate", MeasureRole::CacheMisses),
            ("jvm.thread.count", MeasureRole::Load),
            ("process.runtime.go.gc.pause_time", MeasureRole::Latency),
            ("model.input.error:mean", MeasureRole::ModelData),
            ("model.input.age:drift", MeasureRole::ModelData),
            ("model.prediction:rate", MeasureRole::ModelTraffic),
            ("model.error:ratio", MeasureRole::Errors),
            ("model.latency:p95", MeasureRole::Model),
            ("payments.open", MeasureRole::Other),
        ] {
            assert_eq!(MeasureRole::named(measure), role, "{measure}");
        }
    }

    #[test]
    fn a_rate_of_failed_requests_counts_errors() {
        let status = |code: &str| vec![("http.response.status_code".to_string(), code.to_string())];
        assert_eq!(MeasureRole::of("requests:rate", &status("503")), MeasureRole::Errors);
        assert_eq!(MeasureRole::of("requests:rate", &status("404")), MeasureRole::Traffic);
        assert_eq!(MeasureRole::of("duration:p95", &status("503")), MeasureRole::Latency);
        let kind = vec![("error.type".to_string(), "Timeout".to_string())];
        assert_eq!(MeasureRole::of("requests:rate", &kind), MeasureRole::Errors);
    }

    #[test]
    fn names_are_read_back() {
        for role in MeasureRole::ALL {
            assert_eq!(MeasureRole::from_name(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
    }
}
