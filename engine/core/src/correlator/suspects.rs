//! Who is to blame, and why: who began, whom the others call, how strongly it speaks, what was changed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    evidence,
    examples::Examples,
    graph::Graph,
    lessons::Lessons,
    symptom::{self, Symptom},
};
use crate::types::{
    Anomaly, AnomalyKind, Change, Entity, EntityKind, Example, ExampleKind, Incident, IncidentState, Suspect,
    measure_role::is_span,
};

/// Weights of the reasons, in units of log odds.
const CHANGED: f64 = 2.5;
const CALLED: f64 = 2.0;
const FIRST: f64 = 1.0;
const SYMPTOM: f64 = 0.4;

/// For an entity that only waits for what it calls, passes its failures on, or is called no more: that one is in trouble, and
/// nothing of its own is, nor was it changed.
const EXPLAINED: f64 = -2.0;

/// Against an entity of which only one caller's calls speak: it may be the caller.
const UNCONFIRMED: f64 = -1.0;

/// How the measures of an entity's own work on a request begin.
const SELF_TIME: &str = "span.self";

/// Most suspects that are named.
const NAMED: usize = 5;

/// What is held against an entity: its own series, and the calls of others. Its onset is that of its clearest sign:
/// others may be there by chance.
struct Case {
    entity: Entity,
    onset_ms: i64,
    strongest: f64,
    symptom: Symptom,
    clearest: (Symptom, f64),
    /// The clearest sign in words: the measure, what came and what was expected.
    sign: String,
    is_slow: bool,
    /// Whether its own series speak.
    speaks: bool,
    /// Whether something speaks that no callee brings about: its own time, its memory, its disk.
    has_own: bool,
    /// Whose calls of it are in trouble.
    accusers: BTreeSet<Entity>,
}

/// What is known beside the incident.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) graph: &'a Graph,
    pub(super) lessons: &'a Lessons,
    pub(super) examples: &'a Examples,
}

/// Ranks the entities of an incident.
pub(super) fn rank(incident: &mut Incident, known: Known<'_>, change_before_ms: i64) {
    let mut cases: BTreeMap<Entity, Case> = BTreeMap::new();
    for anomaly in incident.members.iter().map(|member| &member.anomaly) {
        let entity = reporting(symptom::whose(anomaly), incident);
        if !entity.is(&anomaly.entity) {
            // The caller is in it too, if only as the one who suffers.
            cases.entry(anomaly.entity.clone()).or_insert_with(|| Case::of(&anomaly.entity, anomaly));
        }
        cases.entry(entity.clone()).or_insert_with(|| Case::of(&entity, anomaly)).add(anomaly);
    }
    let cases: Vec<Case> = cases.into_values().collect();
    let mut suspects: Vec<(f64, Suspect)> =
        cases.iter().map(|case| judge(case, &cases, incident, known, change_before_ms)).collect();
    let best = suspects.iter().map(|(odds, _)| *odds).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = suspects.iter().map(|(odds, _)| (odds - best).exp()).sum();
    for (odds, suspect) in &mut suspects {
        suspect.weight = (*odds - best).exp() / total;
    }
    suspects.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.entity.cmp(&b.1.entity)));
    incident.suspects = suspects.into_iter().take(NAMED).map(|(_, suspect)| suspect).collect();
}

/// The entity under the name by which its own series are known, where they speak.
fn reporting(entity: Entity, incident: &Incident) -> Entity {
    let own = incident.members.iter().map(|member| &member.anomaly.entity).find(|own| own.is(&entity));
    own.cloned().unwrap_or(entity)
}

impl Case {
    fn of(entity: &Entity, anomaly: &Anomaly) -> Case {
        Case {
            entity: entity.clone(),
            onset_ms: anomaly.onset_ms,
            strongest: 0.0,
            symptom: Symptom::Traffic,
            clearest: (Symptom::Traffic, 0.0),
            sign: String::new(),
            is_slow: false,
            speaks: false,
            has_own: false,
            accusers: BTreeSet::new(),
        }
    }

    fn add(&mut self, anomaly: &Anomaly) {
        let sign = (symptom::of(anomaly), evidence::strength(anomaly));
        if sign > self.clearest {
            self.clearest = sign;
            self.onset_ms = anomaly.onset_ms;
            self.sign = in_short(anomaly).to_string();
        }
        self.is_slow |= sign.0 == Symptom::Slow;
        self.strongest = self.strongest.max(anomaly.score);
        self.symptom = self.symptom.max(sign.0);
        if anomaly.entity.is(&self.entity) {
            self.speaks = true;
            // What reports of itself is gone, not only the requests to it.
            let is_gone = sign.0 == Symptom::Silent && !is_span(&anomaly.measure);
            self.has_own |=
                anomaly.measure.starts_with(SELF_TIME) || sign.0 == Symptom::Saturation || is_gone;
        } else {
            self.accusers.insert(anomaly.entity.clone());
        }
    }

    /// Whether another's trouble would bring this one about.
    fn is_explained_by(&self, other: &Case, graph: &Graph) -> bool {
        if self.has_own || other.symptom < Symptom::Silent {
            return false;
        }
        match self.symptom {
            // Nobody calls it any more.
            Symptom::Silent => graph.calls(&other.entity, &self.entity),
            // What a model is given does not depend on how the service does that asks it.
            Symptom::Drifting if self.entity.kind == EntityKind::Model => false,
            Symptom::Slow | Symptom::Drifting | Symptom::Failing => {
                let is_certain = other.has_own || other.symptom == Symptom::Silent;
                graph.calls(&self.entity, &other.entity)
                    && (is_certain || other.accusers.contains(&self.entity))
                    || graph.runs_on(&self.entity, &other.entity)
            }
            _ => false,
        }
    }

    /// What is seen of it, and what that weighs beside its symptom.
    fn seen(&self) -> (String, f64) {
        let entity = &self.entity;
        let names: Vec<&str> = self.accusers.iter().take(3).map(|accuser| accuser.name.as_str()).collect();
        let (word, names) = (self.symptom.word(), names.join(", "));
        let sign = if self.sign.is_empty() { String::new() } else { format!(": {}", self.sign) };
        match (self.speaks, self.accusers.len()) {
            (true, 0) => (format!("{entity} is {word}{sign}"), 0.0),
            (true, _) => (format!("{entity} is {word}, so say the calls of {names}{sign}"), 0.0),
            (false, 0) => (format!("{entity} calls what is in trouble"), 0.0),
            (false, 1) => {
                let seen = format!("{entity} is {word} to {names}, its own series say nothing{sign}");
                (seen, UNCONFIRMED)
            }
            (false, _) => (format!("{entity} is {word} to {names}{sign}"), 0.0),
        }
    }
}

/// What came and what was expected, without which detector spoke and with what probability, and without the names of all series that are
/// unusual together.
fn in_short(anomaly: &Anomaly) -> &str {
    let end = if anomaly.kind == AnomalyKind::Entity { ": " } else { "; " };
    anomaly.explanation.split(end).next().unwrap_or_default()
}

fn judge(
    case: &Case,
    cases: &[Case],
    incident: &Incident,
    known: Known<'_>,
    before_ms: i64,
) -> (f64, Suspect) {
    let graph = known.graph;
    let (seen, weight) = case.seen();
    let mut reasons = vec![seen];
    let mut odds = SYMPTOM * case.symptom.weight() + case.strongest + weight;
    let others = || cases.iter().filter(|other| other.entity != case.entity);
    let calls = |other: &Case| graph.reaches(&other.entity, &case.entity);
    let is_on = |other: &Case| graph.runs_on(&other.entity, &case.entity);
    let needing = others().filter(|other| calls(other) || is_on(other)).count();
    if needing > 0 && case.symptom > Symptom::Traffic {
        odds += CALLED * needing as f64 / others().count() as f64;
        let names = |needs: &dyn Fn(&Case) -> bool| {
            let names = others().filter(|other| needs(other)).take(3).map(|other| other.entity.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let ways = [("called by", names(&calls)), ("below", names(&|other| is_on(other) && !calls(other)))];
        let ways = ways.into_iter().filter(|(_, names)| !names.is_empty());
        reasons.extend(ways.map(|(how, names)| format!("{how} {names}")));
    }
    let blamed = latest_change(case, incident, before_ms);
    let explaining: Vec<&str> = others()
        .filter(|other| case.is_explained_by(other, graph))
        .map(|other| other.entity.name.as_str())
        .collect();
    if !explaining.is_empty() && blamed.is_none() {
        odds += EXPLAINED;
        reasons.push(format!("explained by {}", explaining[..explaining.len().min(3)].join(", ")));
    }
    if others().all(|other| case.onset_ms <= other.onset_ms) && others().count() > 0 {
        odds += FIRST;
        reasons.push("began first".to_string());
    }
    if let Some(change) = blamed {
        odds += CHANGED;
        let seconds = (case.onset_ms - change.time_ms) / 1000;
        let when = if seconds >= 0 { format!("{seconds} s before") } else { "as it began".to_string() };
        reasons.push(format!("{} {} {when}", change.kind, change.version));
    }
    let beside: Vec<&Entity> = others().map(|other| &other.entity).collect();
    let (taught, times) = known.lessons.odds(&case.entity, &beside);
    odds += taught;
    if times > 0 {
        reasons.push(format!("was the cause of {times} incidents like this, people say"));
    }
    let examples = examples(case, incident, known.examples);
    (odds, Suspect { entity: case.entity.clone(), weight: 0.0, reasons, change: blamed.cloned(), examples })
}

/// One example of each kind that shows what is held against it: those that were named before, then the latest.
fn examples(case: &Case, incident: &Incident, known: &Examples) -> Vec<Example> {
    let named = incident.suspects.iter().find(|suspect| suspect.entity == case.entity);
    let named = named.into_iter().flat_map(|suspect| &suspect.examples);
    // When it is over, what comes is no example of it.
    let goes_on = incident.state == IncidentState::Open;
    let fits = |example: &&Example| {
        let is_told = example.kind != ExampleKind::SlowRequest || case.is_slow;
        goes_on && is_told && case.symptom > Symptom::Traffic
    };
    let latest = known.since(&case.entity, case.onset_ms).filter(fits);
    let mut by_kind: BTreeMap<ExampleKind, &Example> = BTreeMap::new();
    for example in named.chain(latest) {
        by_kind.entry(example.kind).or_insert(example);
    }
    by_kind.into_values().cloned().collect()
}

/// An onset is estimated to some ticks: a change this long after it can still be its cause.
const ONSET_ERROR_MS: i64 = 120_000;

/// The latest change of the entity before its onset. Going back to an older version is a cure and no cause.
fn latest_change<'a>(case: &Case, incident: &'a Incident, before_ms: i64) -> Option<&'a Change> {
    let fits = |change: &&Change| {
        let age = case.onset_ms - change.time_ms;
        change.entity.is(&case.entity) && (-ONSET_ERROR_MS..=before_ms).contains(&age)
    };
    incident.changes.iter().filter(fits).rfind(|change| !change.kind.ends_with("rolledback"))
}
