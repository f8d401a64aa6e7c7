//! Anomalies that belong together, why, and how strong a group's evidence is.

use std::collections::BTreeMap;

use super::{
    alike,
    companions::Companions,
    connect,
    graph::Graph,
    lessons::Lessons,
    surge::Surges,
    symptom::{self, Symptom},
};
use crate::types::{Anomaly, AnomalyKind, Entity, EntityKind, Id, Incident, anomaly::EDGE};

/// −ln p from which the core tier calls something news.
pub(super) const NEWS: f64 = 6.9;

/// An anomaly has lasted, and counts, from this number of ticks on.
const LASTING_TICKS: u32 = 3;

/// Evidence of each further tick outside, in units of −ln p: by chance about one in three ticks after one
/// outside is outside too, because series wander.
const PER_TICK: f64 = 1.2;

/// −ln p from which a new template is worse than a warning, whose p is raised by its mildness.
const TROUBLE: f64 = 5.0;

/// Most evidence of how far out a value was; approached, so that farther is always more.
const MOST_NEWS: f64 = 3.0;

/// Most evidence of one symptom of one entity.
const MOST: f64 = 12.0;

/// Evidence of a model's drift: its detector tells it once in two million observations by chance, having waited for what it saw to
/// last; −ln p beyond [`NEWS`].
const DRIFT: f64 = 7.6;

/// Weight of an entity's joint pattern: it says that something is different, not that it hurts, so that it needs
/// a sign beside it.
const JOINT: f64 = 0.5;

/// Weight of one silent series: its measure may have been removed. Every further one of the same entity halves the doubt.
const SILENT: f64 = 0.5;

/// Errors that rise no more than this times as much as the traffic follow it; times that rise no more than this times the root of it
/// are what more traffic brings, and its own root is what more traffic of others brings.
const FOLLOWS: f64 = 1.5;

/// How far beyond its band what is counted may be on the strongest of many ticks.
const STRONGEST: f64 = 3.0;

/// Whether an anomaly has lasted; a new template, an alert, a forecast and a drift that is told is what it is at once.
pub(super) fn lasts(anomaly: &Anomaly) -> bool {
    let at_once =
        matches!(anomaly.kind, AnomalyKind::NewTemplate | AnomalyKind::Alert | AnomalyKind::Forecast);
    at_once || is_drift(anomaly) || anomaly.ticks >= LASTING_TICKS
}

/// Whether a change of a model's inputs or answers is told.
fn is_drift(anomaly: &Anomaly) -> bool {
    anomaly.kind == AnomalyKind::Series
        && anomaly.measure.ends_with(":drift")
        && anomaly.value > anomaly.expected
}

/// Evidence of one anomaly.
pub(super) fn strength(anomaly: &Anomaly) -> f64 {
    let news = MOST_NEWS * (1.0 - (-(anomaly.neg_log_p - NEWS).max(0.0) / MOST_NEWS).exp());
    match anomaly.kind {
        // How long a silence lasts is in its p already.
        AnomalyKind::Absence => (anomaly.neg_log_p - NEWS).clamp(0.0, MOST),
        AnomalyKind::Alert | AnomalyKind::Forecast => (anomaly.neg_log_p - NEWS).clamp(0.0, MOST),
        AnomalyKind::Entity => JOINT * (news + PER_TICK * f64::from(anomaly.ticks - 1)).min(MOST),
        // A new line that comes with every change may go on for ever.
        AnomalyKind::NewTemplate if anomaly.neg_log_p < TROUBLE => news,
        AnomalyKind::Series if is_drift(anomaly) => {
            (DRIFT + PER_TICK * f64::from(anomaly.ticks - 1)).min(MOST)
        }
        AnomalyKind::Series | AnomalyKind::NewTemplate => {
            (news + PER_TICK * f64::from(anomaly.ticks - 1)).min(MOST)
        }
    }
}

/// What ties anomalies of different entities together.
#[derive(Clone, Copy)]
pub(super) struct Ties<'a> {
    pub(super) graph: &'a Graph,
    pub(super) surges: &'a Surges,
    pub(super) lessons: &'a Lessons,
    pub(super) companions: &'a Companions,
}

impl Ties<'_> {
    pub(super) fn surge(&self, a: &Anomaly, b: &Anomaly) -> bool {
        a.opened_ms == b.opened_ms && self.surges.contains(a.opened_ms)
    }
}

/// How the entity of one anomaly is related to that of another, in words.
pub(super) fn relation(from: &Anomaly, to: &Anomaly, ties: Ties<'_>) -> Option<String> {
    let graph = ties.graph;
    let along = |caller: &Entity, callee: &Entity| {
        graph.path(caller, callee).map(|between| match between.first() {
            None => format!("{caller} calls {callee}"),
            Some(middle) => format!("{caller} calls {callee} through {middle}"),
        })
    };
    if from.entity.is(&to.entity) {
        return Some(format!("{} itself", from.entity));
    }
    if from.kind == AnomalyKind::Absence && to.kind == AnomalyKind::Absence {
        return Some(format!("{} and {} fell silent together", from.entity, to.entity));
    }
    let by_calls = along(&from.entity, &to.entity).or_else(|| along(&to.entity, &from.entity));
    let by_callee = || {
        let callee = from.callee().filter(|callee| to.callee().is_some_and(|other| other.is(callee)))?;
        Some(format!("{} and {} call {callee}", from.entity, to.entity))
    };
    let by_host = || on_host(from, to, graph).or_else(|| on_host(to, from, graph));
    let by_word = || {
        let are_told = ties.lessons.together(&from.entity, &to.entity);
        are_told.then(|| format!("{} and {} belong together, people say", from.entity, to.entity))
    };
    let by_past = || {
        let (times, all) = ties.companions.times(&from.entity, &to.entity)?;
        Some(format!(
            "{} and {} were in trouble together in {times} of {all} incidents",
            from.entity, to.entity
        ))
    };
    let by_text = || {
        alike::are_alike(from, to).then(|| format!("{} and {} log about the same", from.entity, to.entity))
    };
    let together = || format!("{} and {} began in the same tick as many others", from.entity, to.entity);
    by_calls
        .or_else(by_callee)
        .or_else(by_host)
        .or_else(by_word)
        .or_else(by_past)
        .or_else(by_text)
        .or_else(|| ties.surge(from, to).then(together))
}

/// A host in trouble is related to what runs on it, a workload or service to what is part of it; one that only has more to do is not.
fn on_host(runs: &Anomaly, host: &Anomaly, graph: &Graph) -> Option<String> {
    let is_on_it = is_trouble(host) && graph.runs_on(&runs.entity, &host.entity);
    let how = if host.entity.kind == EntityKind::Host { "runs on" } else { "is part of" };
    is_on_it.then(|| format!("{} {how} {}", runs.entity, host.entity))
}

/// Whether an anomaly is more than traffic.
pub(super) fn is_trouble(anomaly: &Anomaly) -> bool {
    symptom::of(anomaly) > Symptom::Traffic
}

fn is_near(a: &Anomaly, onset_ms: i64, opened_ms: i64, window_ms: i64) -> bool {
    (a.onset_ms - onset_ms).abs() <= window_ms || (a.opened_ms - opened_ms).abs() <= window_ms
}

/// Why this anomaly joins the incident, or `None`.
pub(super) fn joins(
    incident: &Incident,
    anomaly: &Anomaly,
    ties: Ties<'_>,
    window_ms: i64,
) -> Option<String> {
    let only_traffic = symptom::of(anomaly) == Symptom::Traffic;
    incident.members.iter().filter(|member| member.anomaly.active).find_map(|member| {
        let near = is_near(anomaly, member.anomaly.onset_ms, member.anomaly.opened_ms, window_ms);
        let same = member.anomaly.entity.is(&anomaly.entity);
        if same || near && !only_traffic { relation(anomaly, &member.anomaly, ties) } else { None }
    })
}

/// The waiting anomalies by connected groups: near in time, and the same entity or at most two calls apart. What has not
/// lasted yet is a group of its own, but for surges.
pub(super) fn groups(waiting: &BTreeMap<Id, Anomaly>, ties: Ties<'_>, window_ms: i64) -> Vec<Vec<Anomaly>> {
    let mut ordered: Vec<&Anomaly> = waiting.values().collect();
    ordered.sort_by_key(|anomaly| (anomaly.onset_ms, anomaly.id));
    connect::components(&ordered, ties, window_ms)
        .into_iter()
        .map(|group| group.into_iter().map(|at| ordered[at].clone()).collect())
        .collect()
}

/// The anomalies of a group that open its incident: those that have lasted, or all when none has; and, of these, the weakest,
/// for which an incident has no room.
pub(super) fn founders(mut group: Vec<Anomaly>, most: usize) -> (Vec<Anomaly>, Vec<Anomaly>) {
    if group.iter().any(lasts) {
        group.retain(lasts);
    }
    let strongest = |a: &Anomaly, b: &Anomaly| strength(b).total_cmp(&strength(a)).then(a.id.cmp(&b.id));
    group.sort_by(strongest);
    let beyond = group.split_off(most.min(group.len()));
    (group, beyond)
}

/// The anomaly that opened first; `None` for no group at all.
pub(super) fn first<'a>(group: impl IntoIterator<Item = &'a Anomaly>) -> Option<Id> {
    group.into_iter().min_by_key(|anomaly| (anomaly.opened_ms, anomaly.id)).map(|anomaly| anomaly.id)
}

/// How much speaks for a group, see [`evidence_of`].
pub(super) fn evidence(group: &[Anomaly]) -> f64 {
    evidence_of(|| group.iter())
}

/// How much speaks for these anomalies together: of each symptom of each entity in trouble the strongest sign, added up over those
/// that have lasted; at least the strongest of all. What an entity says of itself and what its callers say of it are the same requests:
/// the stronger counts. Traffic that moves without any symptom is no evidence at all.
pub(super) fn evidence_of<'a, I: Iterator<Item = &'a Anomaly>>(group: impl Fn() -> I) -> f64 {
    evidence_amid(group(), group())
}

/// The same for some of the anomalies of a story, seen against all of it: what more traffic explains there, it explains in a part.
pub(super) fn evidence_amid<'a>(
    part: impl Iterator<Item = &'a Anomaly>,
    all: impl Iterator<Item = &'a Anomaly>,
) -> f64 {
    let background = Background::of(all);
    // By who is in trouble, then by who says so.
    let mut symptoms: BTreeMap<(Entity, Symptom, AnomalyKind), BTreeMap<&Entity, f64>> = BTreeMap::new();
    let mut strongest: f64 = 0.0;
    for anomaly in part {
        let symptom = symptom::of(anomaly);
        if symptom > Symptom::Traffic && !background.explains(anomaly) {
            let strength = strength(anomaly) * background.certainty(anomaly);
            strongest = strongest.max(strength);
            if lasts(anomaly) {
                let signs = symptoms.entry((symptom::whose(anomaly), symptom, anomaly.kind)).or_default();
                let sign = signs.entry(&anomaly.entity).or_insert(0.0);
                *sign = sign.max(strength);
            }
        }
    }
    let told = symptoms.iter().map(|((whose, ..), signs)| {
        let (own, others): (Vec<_>, Vec<_>) = signs.iter().partition(|(says, _)| says.is(whose));
        let sum = |signs: Vec<(&&Entity, &f64)>| signs.iter().map(|(_, strength)| **strength).sum::<f64>();
        sum(own).max(sum(others))
    });
    told.sum::<f64>().max(strongest)
}

/// What the anomalies of a group are seen against.
#[derive(Default)]
struct Background<'a> {
    /// How many times as much traffic came in as expected, by the entity's name, and at most.
    traffic: BTreeMap<&'a str, f64>,
    most_traffic: f64,
    /// Silent series by entity.
    silent: BTreeMap<&'a Entity, i32>,
}

impl<'a> Background<'a> {
    fn of(group: impl Iterator<Item = &'a Anomaly>) -> Background<'a> {
        let mut background = Background::default();
        for anomaly in group {
            // Calls that it makes itself are not what comes in: it may be trying again and again.
            let comes_in = anomaly.measure.ends_with(":rate") && !anomaly.measure.starts_with(EDGE);
            if comes_in && symptom::of(anomaly) == Symptom::Traffic {
                let most = background.traffic.entry(&anomaly.entity.name).or_insert(0.0);
                *most = most.max(rise(anomaly));
                background.most_traffic = background.most_traffic.max(rise(anomaly));
            }
            if anomaly.kind == AnomalyKind::Absence {
                *background.silent.entry(&anomaly.entity).or_insert(0) += 1;
            }
        }
        background
    }

    /// How many times as much as expected comes in, to an entity or to the one that it calls.
    fn traffic(&self, anomaly: &Anomaly) -> f64 {
        let of = |entity: &Entity| self.traffic.get(entity.name.as_str()).copied().unwrap_or(0.0);
        of(&anomaly.entity).max(of(&symptom::whose(anomaly)))
    }

    /// Whether an anomaly of errors or times is no more than what traffic brings with it; a cache's misses, which hurt nobody by
    /// themselves, may follow the traffic of anybody in the group.
    fn explains(&self, anomaly: &Anomaly) -> bool {
        let own = self.traffic(anomaly);
        if symptom::of(anomaly) == Symptom::Slow {
            let follows = if own > 1.0 { FOLLOWS * own.sqrt() } else { FOLLOWS.sqrt() };
            return self.most_traffic > 1.0 && rise(anomaly) <= follows;
        }
        let is_of_cache = ["misses", "evict"].iter().any(|word| anomaly.measure.contains(word));
        let most = if is_of_cache { self.most_traffic } else { own };
        if !anomaly.measure.ends_with(":rate") || most <= 1.0 {
            return false;
        }
        // What is counted scatters by the root of how much there is of it.
        let scatter = STRONGEST * (anomaly.upper - anomaly.expected).max(0.0) * most.sqrt();
        anomaly.value <= FOLLOWS * most * anomaly.expected + scatter
    }

    /// How sure it is that a silence is more than one measure that is gone.
    fn certainty(&self, anomaly: &Anomaly) -> f64 {
        if anomaly.kind != AnomalyKind::Absence {
            return 1.0;
        }
        1.0 - SILENT.powi(self.silent.get(&anomaly.entity).copied().unwrap_or(0))
    }
}

/// How many times as much came as was expected.
fn rise(anomaly: &Anomaly) -> f64 {
    anomaly.value / anomaly.expected.max(f64::MIN_POSITIVE)
}

/// Why each anomaly of a new group is in it.
pub(super) fn reasons(group: &[Anomaly], ties: Ties<'_>) -> Vec<String> {
    let Some(first) = group.iter().min_by_key(|anomaly| (anomaly.onset_ms, anomaly.id)) else {
        return Vec::new();
    };
    let reason = |anomaly: &Anomaly| match relation(anomaly, first, ties) {
        _ if anomaly.id == first.id => "began first".to_string(),
        Some(words) => words,
        None => "near in time to a related one".to_string(),
    };
    group.iter().map(reason).collect()
}
