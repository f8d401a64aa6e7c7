//! Incidents that turn out to be one story, and those that turn out to be two.
//!
//! Two are one when both blame the same entity, when people said so of the two that they blame, or when all of the younger would have
//! joined the older. One is two when what still goes on of it falls into parts that nothing ties together and that began further apart
//! than the window: what tied them is over.

use std::collections::BTreeMap;

use super::{
    connect,
    evidence::{Evidence, lasts},
    group::{self, Ties},
    load::Load,
    story::{Story, onset},
};
use crate::types::{Anomaly, Entity, Id, IncidentEvent, IncidentState, Member};

/// Ties of any age: members joined one by one.
const WHENEVER_MS: i64 = i64::MAX / 4;

/// The pairs of open incidents that are one story, the older first.
pub(super) fn same(open: &BTreeMap<Id, Story>, ties: Ties<'_>, window_ms: i64) -> Vec<(Id, Id)> {
    let mut by_age: Vec<&Story> = open.values().collect();
    by_age.sort_by_key(|story| (story.incident.opened_ms, story.incident.id));
    let mut same = Vec::new();
    let mut gone = vec![false; by_age.len()];
    for (at, younger) in by_age.iter().enumerate() {
        let found = (0..at).find(|&before| {
            let older = by_age[before];
            !gone[before] && (older.changed || younger.changed) && are_one(older, younger, ties, window_ms)
        });
        if let Some(before) = found {
            gone[at] = true;
            same.push((by_age[before].incident.id, younger.incident.id));
        }
    }
    same
}

fn are_one(older: &Story, younger: &Story, ties: Ties<'_>, window_ms: i64) -> bool {
    let blamed = |story: &Story| story.incident.suspects.first().map(|suspect| suspect.entity.clone());
    let blame_one = |a: &Entity, b: &Entity| a.is(b) || ties.lessons.together(a, b);
    if let (Some(a), Some(b)) = (blamed(older), blamed(younger))
        && blame_one(&a, &b)
    {
        return true;
    }
    let mut lasting = younger.anomalies().filter(|anomaly| anomaly.active && lasts(anomaly)).peekable();
    lasting.peek().is_some()
        && lasting.all(|anomaly| group::joins(&older.incident, anomaly, ties, window_ms).is_some())
}

/// The younger becomes part of the older, as far as there is room.
pub(super) fn merge(older: &mut Story, younger: &mut Story, time_ms: i64, room: usize, window_ms: i64) {
    let (into, from) = (&mut older.incident, &mut younger.incident);
    from.state = IncidentState::Resolved;
    from.resolved_ms = Some(time_ms);
    from.merged_into = Some(into.id);
    (younger.event, younger.changed) = (IncidentEvent::Merged, true);
    let acknowledged = || from.acknowledged_by.clone();
    into.acknowledged_by = into.acknowledged_by.take().or_else(acknowledged);
    let moved: Vec<Member> =
        from.members.iter().filter(|member| !older.has(member.anomaly.id)).cloned().collect();
    let free = room.saturating_sub(older.incident.members.len());
    for member in moved.into_iter().take(free) {
        let because = format!("{} (was incident {})", member.because, younger.incident.id);
        older.add(member.anomaly, because, window_ms);
    }
    older.last_active_ms = older.last_active_ms.max(younger.last_active_ms);
    older.changed = true;
}

/// What a part of an incident must meet to be one of its own.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) opens_at: f64,
    pub(super) load: Load,
    pub(super) window_ms: i64,
}

/// The parts of an incident that have become stories of their own: each has evidence enough by itself.
pub(super) fn parts(story: &Story, ties: Ties<'_>, terms: Terms) -> Vec<Vec<Anomaly>> {
    let Terms { opens_at, load, window_ms } = terms;
    let mut lasting: Vec<&Anomaly> =
        story.anomalies().filter(|anomaly| anomaly.active && lasts(anomaly)).collect();
    if lasting.len() < 2 {
        return Vec::new();
    }
    lasting.sort_by_key(|anomaly| (anomaly.onset_ms, anomaly.id));
    let components = connect::components(&lasting, ties, WHENEVER_MS);
    if components.len() < 2 {
        return Vec::new();
    }
    let began = |component: &[usize]| component.iter().map(|at| onset(lasting[*at], window_ms)).min();
    let blamed = story.incident.suspects.first().map(|suspect| &suspect.entity);
    let is_main = |component: &Vec<usize>| {
        component.iter().any(|at| blamed.is_some_and(|blamed| lasting[*at].entity.is(blamed)))
    };
    let main = components.iter().find(|component| is_main(component)).unwrap_or(&components[0]);
    let main_began = began(main);
    let far = |component: &&Vec<usize>| {
        let apart = began(component).zip(main_began).map_or(0, |(own, main)| (own - main).abs());
        *component != main && apart > window_ms
    };
    let parts = components.iter().filter(far);
    let parts = parts.map(|component| component.iter().map(|at| lasting[*at].clone()).collect::<Vec<_>>());
    parts.filter(|part| Evidence::amid(part.iter(), story.anomalies(), load).total >= opens_at).collect()
}
