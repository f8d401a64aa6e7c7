//! An incident, and what its next revision depends on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    changes::{self, Changes},
    evidence::Evidence,
    group,
    load::Load,
    symptom, words,
};
use crate::types::{Anomaly, Change, Entity, Harm, Id, Incident, IncidentEvent, IncidentState, Member};

/// An incident and what its next revision depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Story {
    pub(super) incident: Incident,
    /// The anomaly that began it, and the most evidence so far: an episode of the budget.
    pub(super) first: Id,
    pub(super) evidence: f64,
    /// Event time at which it last went on.
    pub(super) last_active_ms: i64,
    /// Event time at which it last called people.
    pub(super) paged_ms: i64,
    /// Whether it has a next revision, and what that will say happened.
    pub(super) changed: bool,
    pub(super) event: IncidentEvent,
}

/// When an anomaly began, for the beginning of its incident: an estimate from long before belongs to another story.
pub(super) fn onset(anomaly: &Anomaly, window_ms: i64) -> i64 {
    anomaly.onset_ms.max(anomaly.opened_ms - window_ms)
}

impl Story {
    pub(super) fn has(&self, anomaly: Id) -> bool {
        self.incident.members.iter().any(|member| member.anomaly.id == anomaly)
    }

    /// Takes a later revision of a member; worth a revision of the incident when it ends or gets clearly worse.
    pub(super) fn update(&mut self, anomaly: Anomaly) {
        for member in &mut self.incident.members {
            if member.anomaly.id == anomaly.id {
                self.changed |= member.anomaly.active != anomaly.active;
                self.changed |= anomaly.score > member.anomaly.score + 0.05;
                member.anomaly = anomaly;
                return;
            }
        }
    }

    pub(super) fn add(&mut self, anomaly: Anomaly, because: String, window_ms: i64) {
        self.incident.started_ms = self.incident.started_ms.min(onset(&anomaly, window_ms));
        self.incident.members.push(Member { anomaly, because });
        self.changed = true;
    }

    pub(super) fn anomalies(&self) -> impl Iterator<Item = &Anomaly> + Clone {
        self.incident.members.iter().map(|member| &member.anomaly)
    }

    /// Whether something of it goes on. Where there was trouble, what only got better or busier does not keep it open: when a failure ends,
    /// models that have half got used to it take the usual for a fall.
    pub(super) fn goes_on(&self) -> bool {
        let was_trouble = self.anomalies().any(group::is_trouble);
        self.anomalies().any(|anomaly| anomaly.active && (!was_trouble || group::is_trouble(anomaly)))
    }

    /// Attaches changes of its entities, and of those whose callers complain, that came shortly before it or since.
    pub(super) fn attach(&mut self, changes: &Changes, before_ms: i64, room: usize) {
        let incident = &mut self.incident;
        // Most changes of a burst are of few entities.
        let mut members: BTreeMap<&Entity, bool> = BTreeMap::new();
        let mut found: Vec<&Change> = Vec::new();
        for change in changes.since(incident.started_ms - before_ms) {
            let is_member = members.entry(&change.entity).or_insert_with(|| {
                incident.members.iter().any(|member| {
                    member.anomaly.entity.is(&change.entity)
                        || symptom::whose(&member.anomaly).is(&change.entity)
                })
            });
            if *is_member && !incident.changes.contains(change) {
                found.push(change);
            }
        }
        if found.is_empty() {
            return;
        }
        let mut all = incident.changes.clone();
        all.extend(found.into_iter().cloned());
        changes::fit(&mut all, room);
        self.changed |= all != incident.changes;
        incident.changes = all;
    }

    /// Takes what it does to people. Worth a revision when it is clearly worse than was told; what it did stays with it when it is over.
    pub(super) fn hurts(&mut self, harm: Option<(f64, Harm)>) {
        let Some((severity, harm)) = harm.filter(|_| self.incident.state == IncidentState::Open) else {
            return;
        };
        let incident = &mut self.incident;
        if incident.harm.is_none() || severity > incident.severity {
            self.changed |= incident.harm.is_some();
            (incident.severity, incident.harm) = (severity, Some(harm));
        }
    }

    /// Counts what speaks for it now, under this load.
    pub(super) fn weigh(&mut self, load: Load) {
        let now = Evidence::of(self.anomalies(), load).total;
        self.evidence = self.evidence.max(now);
    }

    /// Its next revision, where it has one. It calls people when it opens, if they were not called for it before, and when it flares up
    /// and has not called them for so long.
    pub(super) fn revise(&mut self, time_ms: i64, again_after_ms: i64) -> Incident {
        self.changed = false;
        let incident = &mut self.incident;
        incident.revision += 1;
        incident.updated_ms = time_ms;
        incident.event = std::mem::take(&mut self.event);
        let calls_again =
            incident.event == IncidentEvent::Reopened && time_ms - self.paged_ms > again_after_ms;
        let opens = incident.revision == 1 && self.paged_ms == time_ms;
        incident.page = opens || calls_again;
        if incident.page {
            self.paged_ms = time_ms;
        }
        let strongest = |a: &Member, b: &Member| b.anomaly.score.total_cmp(&a.anomaly.score);
        incident.members.sort_by(|a, b| strongest(a, b).then_with(|| a.anomaly.id.cmp(&b.anomaly.id)));
        if incident.harm.is_none() {
            incident.severity = incident.members.first().map_or(0.0, |member| member.anomaly.score);
        }
        incident.title = words::title(incident);
        incident.clone()
    }
}
