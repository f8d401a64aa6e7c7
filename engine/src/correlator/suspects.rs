//! Who is to blame, and why: who began, whom the others call, how strongly it speaks, what was changed.

use std::collections::BTreeMap;

use super::{
    graph::Graph,
    group,
    symptom::{self, Symptom},
};
use crate::types::{Anomaly, Change, Entity, Incident, Suspect};

/// Weights of the reasons, in units of log odds.
const CHANGED: f64 = 2.5;
const CALLED: f64 = 2.0;
const FIRST: f64 = 1.0;
const SYMPTOM: f64 = 0.4;

/// Most suspects that are named.
const NAMED: usize = 5;

/// What is held against an entity. Its onset is that of its clearest sign: others may be there by chance.
struct Case<'a> {
    entity: &'a Entity,
    onset_ms: i64,
    strongest: f64,
    symptom: Symptom,
    clearest: (Symptom, f64),
}

/// Ranks the entities of an incident.
pub(super) fn rank(incident: &mut Incident, graph: &Graph, change_before_ms: i64) {
    let mut cases: BTreeMap<&Entity, Case<'_>> = BTreeMap::new();
    for anomaly in incident.members.iter().map(|member| &member.anomaly) {
        let case = cases.entry(&anomaly.entity).or_insert_with(|| Case::of(anomaly));
        let sign = (symptom::of(anomaly), group::strength(anomaly));
        if sign > case.clearest {
            case.clearest = sign;
            case.onset_ms = anomaly.onset_ms;
        }
        case.strongest = case.strongest.max(anomaly.score);
        case.symptom = case.symptom.max(symptom::of(anomaly));
    }
    let cases: Vec<Case<'_>> = cases.into_values().collect();
    let mut suspects: Vec<(f64, Suspect)> =
        cases.iter().map(|case| judge(case, &cases, incident, graph, change_before_ms)).collect();
    let best = suspects.iter().map(|(odds, _)| *odds).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = suspects.iter().map(|(odds, _)| (odds - best).exp()).sum();
    for (odds, suspect) in &mut suspects {
        suspect.weight = (*odds - best).exp() / total;
    }
    suspects.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.entity.cmp(&b.1.entity)));
    incident.suspects = suspects.into_iter().take(NAMED).map(|(_, suspect)| suspect).collect();
}

impl<'a> Case<'a> {
    fn of(anomaly: &'a Anomaly) -> Case<'a> {
        Case {
            entity: &anomaly.entity,
            onset_ms: anomaly.onset_ms,
            strongest: 0.0,
            symptom: Symptom::Traffic,
            clearest: (Symptom::Traffic, 0.0),
        }
    }
}

fn judge(
    case: &Case<'_>,
    cases: &[Case<'_>],
    incident: &Incident,
    graph: &Graph,
    before_ms: i64,
) -> (f64, Suspect) {
    let mut reasons = Vec::new();
    let mut odds = SYMPTOM * case.symptom as u8 as f64 + case.strongest;
    reasons.push(format!("{} is {}", case.entity, case.symptom.word()));
    let others = || cases.iter().filter(|other| other.entity != case.entity);
    let callers: Vec<&Case<'_>> = others().filter(|other| graph.reaches(other.entity, case.entity)).collect();
    if !callers.is_empty() && case.symptom > Symptom::Traffic {
        odds += CALLED * callers.len() as f64 / others().count() as f64;
        let names: Vec<&str> = callers.iter().take(3).map(|caller| caller.entity.name.as_str()).collect();
        reasons.push(format!("called by {}", names.join(", ")));
    }
    if others().all(|other| case.onset_ms <= other.onset_ms) && others().count() > 0 {
        odds += FIRST;
        reasons.push("began first".to_string());
    }
    let blamed = latest_change(case, incident, before_ms);
    if let Some(change) = blamed {
        odds += CHANGED;
        let seconds = (case.onset_ms - change.time_ms) / 1000;
        let when = if seconds >= 0 { format!("{seconds} s before") } else { "as it began".to_string() };
        reasons.push(format!("{} {} {when}", change.kind, change.version));
    }
    (odds, Suspect { entity: case.entity.clone(), weight: 0.0, reasons, change: blamed.cloned() })
}

/// An onset is estimated to some ticks: a change this long after it can still be its cause.
const ONSET_ERROR_MS: i64 = 120_000;

/// The latest change of the entity before its onset. Going back to an older version is a cure and no cause.
fn latest_change<'a>(case: &Case<'_>, incident: &'a Incident, before_ms: i64) -> Option<&'a Change> {
    let fits = |change: &&Change| {
        let age = case.onset_ms - change.time_ms;
        change.entity == *case.entity && (-ONSET_ERROR_MS..=before_ms).contains(&age)
    };
    incident.changes.iter().filter(fits).rfind(|change| !change.kind.ends_with("rolledback"))
}
