//! Anomalies that belong together, why, and how strong a group's evidence is.

use std::collections::BTreeMap;

use super::{
    graph::Graph,
    symptom::{self, Symptom},
};
use crate::types::{Anomaly, Entity, Id, Incident};

/// −ln p from which the core tier calls something news.
const NEWS: f64 = 6.9;

/// Evidence of a first symptom, of each further one on the same entity, and per unit of −ln p above [`NEWS`].
const FIRST: f64 = 5.0;
const FURTHER: f64 = 2.5;

/// An anomaly that lasts gains evidence, up to this much after ten minutes: what passes by itself is no incident.
const LASTING: f64 = 3.0;
const LASTING_MS: f64 = 600_000.0;

/// How one entity is related to another, in words.
fn relation(from: &Entity, to: &Entity, graph: &Graph) -> Option<String> {
    if from == to {
        return Some(format!("{from} itself"));
    }
    let along = |caller: &Entity, callee: &Entity| {
        graph.path(caller, callee).map(|between| match between.first() {
            None => format!("{caller} calls {callee}"),
            Some(middle) => format!("{caller} calls {callee} through {middle}"),
        })
    };
    along(from, to).or_else(|| along(to, from))
}

fn is_near(a: &Anomaly, onset_ms: i64, opened_ms: i64, window_ms: i64) -> bool {
    (a.onset_ms - onset_ms).abs() <= window_ms || (a.opened_ms - opened_ms).abs() <= window_ms
}

/// Why this anomaly joins the incident, or `None`.
pub(super) fn joins(incident: &Incident, anomaly: &Anomaly, graph: &Graph, window_ms: i64) -> Option<String> {
    incident.members.iter().find_map(|member| {
        let near = is_near(anomaly, member.anomaly.onset_ms, member.anomaly.opened_ms, window_ms);
        let same = member.anomaly.active && member.anomaly.entity == anomaly.entity;
        if near || same { relation(&anomaly.entity, &member.anomaly.entity, graph) } else { None }
    })
}

/// The waiting anomalies by connected groups: near in time, and the same entity or at most two calls apart.
pub(super) fn groups(waiting: &BTreeMap<Id, Anomaly>, graph: &Graph, window_ms: i64) -> Vec<Vec<Anomaly>> {
    let mut ordered: Vec<&Anomaly> = waiting.values().collect();
    ordered.sort_by_key(|anomaly| (anomaly.onset_ms, anomaly.id));
    let mut groups: Vec<Vec<Anomaly>> = Vec::new();
    for anomaly in ordered {
        let belongs = |group: &Vec<Anomaly>| {
            group.iter().any(|other| {
                is_near(anomaly, other.onset_ms, other.opened_ms, window_ms)
                    && relation(&anomaly.entity, &other.entity, graph).is_some()
            })
        };
        let (joined, mut apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(belongs);
        let mut merged: Vec<Anomaly> = joined.into_iter().flatten().collect();
        merged.push(anomaly.clone());
        apart.push(merged);
        groups = apart;
    }
    groups
}

/// How much speaks for a group: its symptoms, each measure of an entity once, and how long they last. Traffic
/// that moves without any symptom is no evidence at all.
pub(super) fn evidence(group: &[Anomaly], time_ms: i64) -> f64 {
    let mut symptoms: BTreeMap<(&Entity, Symptom), (f64, i64)> = BTreeMap::new();
    for anomaly in group {
        let symptom = symptom::of(anomaly);
        if symptom == Symptom::Traffic {
            continue;
        }
        let strength = (anomaly.neg_log_p - NEWS).max(0.0);
        let known = symptoms.entry((&anomaly.entity, symptom)).or_insert((0.0, time_ms));
        known.0 = known.0.max(strength);
        known.1 = known.1.min(anomaly.opened_ms);
    }
    let Some(oldest) = symptoms.values().map(|(_, opened_ms)| *opened_ms).min() else { return 0.0 };
    let strengths: f64 = symptoms.values().map(|(strength, _)| strength).sum();
    let further = FURTHER * (symptoms.len() as f64 - 1.0);
    FIRST + further + strengths + LASTING * ((time_ms - oldest) as f64 / LASTING_MS).min(1.0)
}

/// Why each anomaly of a new group is in it.
pub(super) fn reasons(group: &[Anomaly], graph: &Graph) -> Vec<String> {
    let Some(first) = group.iter().min_by_key(|anomaly| (anomaly.onset_ms, anomaly.id)) else {
        return Vec::new();
    };
    let reason = |anomaly: &Anomaly| match relation(&anomaly.entity, &first.entity, graph) {
        _ if anomaly.id == first.id => "began first".to_string(),
        Some(words) => words,
        None => "near in time to a related one".to_string(),
    };
    group.iter().map(reason).collect()
}
