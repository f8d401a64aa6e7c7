//! Anomalies that belong together, and why.

use std::collections::BTreeMap;

use super::{
    alike,
    companions::Companions,
    connect,
    evidence::{lasts, strength},
    graph::Graph,
    lessons::Lessons,
    surge::Surges,
    symptom::{self, Symptom},
};
use crate::types::{Anomaly, AnomalyKind, Entity, EntityKind, Id, Incident};

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
    let is_on_it = graph.runs_on(&runs.entity, &host.entity) && is_trouble(host);
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
