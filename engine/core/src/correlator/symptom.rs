//! Which anomalies hurt somebody, and which only follow traffic: by the role of the measure, and by which way it went. A measure
//! whose role is not known counts as a symptom: it is better to say too much about what nobody named.

use super::evidence::NEWS;
use crate::types::{
    Anomaly, AnomalyKind, Entity, MeasureRole,
    measure_role::{is_all_lines, is_distance, is_of_calls, is_of_lines, is_rate},
};

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

    /// How much it speaks for its entity being the cause, in steps of one.
    pub(super) fn weight(self) -> f64 {
        match self {
            Symptom::Traffic => 0.0,
            Symptom::Unknown => 1.0,
            Symptom::Silent => 2.0,
            Symptom::Saturation => 3.0,
            Symptom::Slow => 4.0,
            Symptom::Drifting => 5.0,
            Symptom::Failing => 6.0,
        }
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

/// What this anomaly says.
pub(super) fn of(anomaly: &Anomaly) -> Symptom {
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
    of_measure(&anomaly.measure, anomaly.role, rises)
}

/// Whose trouble an anomaly tells of: calls that fail or are slow tell of the callee, all else of the entity itself.
pub(super) fn whose(anomaly: &Anomaly) -> Entity {
    let callee = anomaly.callee().filter(|_| of(anomaly) > Symptom::Traffic);
    callee.unwrap_or_else(|| anomaly.entity.clone())
}

/// Whether something is counted that an entity is asked for: neither lines nor calls of its own.
pub(super) fn is_of_requests(anomaly: &Anomaly) -> bool {
    let measure = &anomaly.measure;
    is_rate(measure) && !is_of_calls(measure) && !is_of_lines(measure)
}

/// Whether this says how busy processors are.
pub(super) fn is_of_processors(anomaly: &Anomaly) -> bool {
    anomaly.role == MeasureRole::Cpu
}

/// A rise beyond this many times is no more of the usual.
const MOST_TIMES: f64 = 10.0;

/// Whether more requests than usual come in. Calls that an entity makes itself do not: it may be trying again and again. One kind of
/// line neither: it may tell of trouble; all lines together may be all that is told of requests. What hardly came before is no measure of
/// how much more there is.
pub(super) fn comes_in(anomaly: &Anomaly) -> bool {
    let is_incoming = is_of_requests(anomaly) || is_all_lines(&anomaly.measure);
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
            MeasureRole::named(measure).follows_traffic() == wanted
        });
        shares.map(|(_, share)| share).sum()
    };
    if carried(true) >= carried(false) { Symptom::Traffic } else { Symptom::Unknown }
}

fn of_measure(measure: &str, role: MeasureRole, rises: bool) -> Symptom {
    if is_distance(measure) && !rises {
        return Symptom::Traffic;
    }
    match role {
        MeasureRole::Other => Symptom::Unknown,
        MeasureRole::Traffic | MeasureRole::Load | MeasureRole::Cpu => Symptom::Traffic,
        MeasureRole::ModelData | MeasureRole::Model => Symptom::Drifting,
        MeasureRole::ModelTraffic if !rises => Symptom::Unknown,
        _ if !rises => Symptom::Traffic,
        MeasureRole::ModelTraffic => Symptom::Traffic,
        MeasureRole::Latency => Symptom::Slow,
        MeasureRole::Errors | MeasureRole::CacheMisses => Symptom::Failing,
        MeasureRole::Saturation => Symptom::Saturation,
    }
}
