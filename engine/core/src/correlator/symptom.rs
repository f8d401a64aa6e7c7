//! Which measures hurt somebody, and which only follow traffic. By the words of the semantic conventions; a
//! measure of unknown words counts as a symptom: it is better to say too much about what nobody named.

use super::evidence::NEWS;
use crate::types::{Anomaly, AnomalyKind, Entity, anomaly::EDGE};

/// What an anomaly says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Symptom {
    /// More traffic, and what follows it: busy processors, connections, queues, lines of log. What gets better, too.
    Traffic,
    /// Something may be going wrong.
    Unknown,
    /// It no longer reports.
    Silent,
    /// Memory, disks and pools that fill.
    Saturation,
    /// It takes longer.
    Slow,
    /// A model sees or says something else than it did.
    Drifting,
    /// Requests fail, errors are logged, traffic falls.
    Failing,
}

impl Symptom {
    /// Whether who calls notices.
    pub(super) fn is_felt(self) -> bool {
        matches!(self, Symptom::Silent | Symptom::Slow | Symptom::Drifting | Symptom::Failing)
    }

    /// The symptom in a title.
    pub(super) fn word(self) -> &'static str {
        match self {
            Symptom::Traffic => "traffic up",
            Symptom::Unknown => "abnormal",
            Symptom::Silent => "silent",
            Symptom::Saturation => "saturated",
            Symptom::Slow => "slow",
            Symptom::Drifting => "drifting",
            Symptom::Failing => "failing",
        }
    }
}

/// Words of what counts trouble.
const TROUBLE: &[&str] = &[
    "error",
    "fail",
    "exception",
    "5xx",
    "refused",
    "timeout",
    "drop",
    "misses",
    "evict",
    "reject",
    "throttl",
    "retries",
];

/// What models take in and give; their errors count as those of anything.
const MODELS: &[&str] = &["model.input", "model.prediction", "model.score", "model.calibration"];

fn has(measure: &str, words: &[&str]) -> bool {
    words.iter().any(|word| measure.contains(word))
}

/// What this anomaly says.
pub(super) fn of(anomaly: &Anomaly) -> Symptom {
    let measure = anomaly.measure.as_str();
    let rises = anomaly.value > anomaly.expected;
    match anomaly.kind {
        AnomalyKind::NewTemplate if anomaly.neg_log_p >= NEWS => return Symptom::Failing,
        AnomalyKind::NewTemplate => return Symptom::Unknown,
        AnomalyKind::Absence => return Symptom::Silent,
        AnomalyKind::Alert => return Symptom::Failing,
        AnomalyKind::Forecast => return Symptom::Saturation,
        AnomalyKind::Entity => return of_entity(&anomaly.attribution),
        AnomalyKind::Series => {}
    }
    if measure.ends_with(":rate") && is_of_failures(&anomaly.series) {
        return if rises { Symptom::Failing } else { Symptom::Traffic };
    }
    of_measure(measure, rises)
}

/// Whether a series counts requests that failed, by its attributes: `error.type`, or a status of the server's own fault.
fn is_of_failures(series: &str) -> bool {
    let attributes = series.split_once('{').map_or("", |(_, attributes)| attributes.trim_end_matches('}'));
    attributes.split(',').filter_map(|attribute| attribute.split_once('=')).any(|(key, value)| match key {
        "error.type" => !value.is_empty(),
        "http.response.status_code" | "http.status_code" | "status_code" | "code" => {
            value.len() == 3 && value.starts_with('5')
        }
        _ => false,
    })
}

/// Whose trouble an anomaly tells of: calls that fail or are slow tell of the callee, all else of the entity itself.
pub(super) fn whose(anomaly: &Anomaly) -> Entity {
    let callee = anomaly.callee().filter(|_| of(anomaly) > Symptom::Traffic);
    callee.unwrap_or_else(|| anomaly.entity.clone())
}

/// Whether something is counted that an entity is asked for: neither lines nor calls of its own.
pub(super) fn is_of_requests(anomaly: &Anomaly) -> bool {
    let measure = anomaly.measure.as_str();
    measure.ends_with(":rate") && !measure.starts_with(EDGE) && !measure.starts_with("log.")
}

/// Whether this says how busy processors are.
pub(super) fn is_of_processors(anomaly: &Anomaly) -> bool {
    anomaly.measure.contains("cpu")
}

/// A rise beyond this many times is no more of the usual.
const MOST_TIMES: f64 = 10.0;

/// Whether more requests than usual come in. Calls that an entity makes itself do not: it may be trying again and again. One kind of
/// line neither: it may tell of trouble; all lines together may be all that is told of requests. What hardly came before is no measure of
/// how much more there is.
pub(super) fn comes_in(anomaly: &Anomaly) -> bool {
    let is_incoming = is_of_requests(anomaly) || anomaly.measure == "log.lines:rate";
    is_incoming && of(anomaly) == Symptom::Traffic && (1.0..=MOST_TIMES).contains(&rise(anomaly))
}

/// How many times as much came as was expected.
pub(super) fn rise(anomaly: &Anomaly) -> f64 {
    anomaly.value / anomaly.expected.max(f64::MIN_POSITIVE)
}

/// A pattern that is carried by measures of traffic for the most part is traffic; of others it is not known
/// which way they went.
fn of_entity(attribution: &[(String, f64)]) -> Symptom {
    let carried = |wanted: bool| -> f64 {
        let shares = attribution.iter().filter(|(measure, _)| {
            let measure = measure.split('{').next().unwrap_or(measure);
            (of_measure(measure, true) == Symptom::Traffic) == wanted
        });
        shares.map(|(_, share)| share).sum()
    };
    if carried(true) >= carried(false) { Symptom::Traffic } else { Symptom::Unknown }
}

/// Whether this measures how far something has gone from what it was: less is better.
fn is_distance(measure: &str) -> bool {
    [":drift", ":ks"].iter().any(|function| measure.ends_with(function))
}

fn of_measure(measure: &str, rises: bool) -> Symptom {
    if is_distance(measure) && !rises {
        Symptom::Traffic
    } else if has(measure, MODELS) {
        // Whatever the feature is named. How often a model is asked is traffic.
        match measure.ends_with(":rate") {
            true if rises => Symptom::Traffic,
            true => Symptom::Unknown,
            false => Symptom::Drifting,
        }
    } else if has(measure, TROUBLE) {
        if rises { Symptom::Failing } else { Symptom::Traffic }
    } else if has(measure, &["model."]) {
        Symptom::Drifting
    } else if has(
        measure,
        &[
            "cpu",
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
    ) {
        Symptom::Traffic
    } else if has(measure, &["duration", "latency", "time", "span.self"]) && !measure.ends_with(":rate") {
        if rises { Symptom::Slow } else { Symptom::Traffic }
    } else if has(measure, &["memory", "usage", "utilization", "disk"]) {
        if rises { Symptom::Saturation } else { Symptom::Traffic }
    } else if measure.ends_with(":rate") || has(measure, &["count", "requests"]) {
        Symptom::Traffic
    } else {
        Symptom::Unknown
    }
}
