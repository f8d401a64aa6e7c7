//! Groups of waiting anomalies become incidents once their evidence is enough.

use std::collections::BTreeSet;

use super::{
    Correlator, Effect, State,
    evidence::Evidence,
    group, lessons,
    story::{Story, onset},
    trifles::is_trifle,
};
use crate::types::{Anomaly, AnomalyKind, Id, Incident, IncidentEvent, IncidentState, Member};

/// An anomaly waits for others of its kind this many windows long.
pub(super) const PATIENCE: i64 = 6;

impl Correlator {
    /// Evidence at which an incident opens: chance alone is not to open more than the budget allows.
    pub(super) fn opens_at(&self) -> f64 {
        self.state.budget.opens_at(self.state.warm_series, self.config.false_alarms_per_day)
    }

    /// The same for these anomalies: what people said of their like counts too.
    fn opens_at_for<'a>(&self, anomalies: impl Iterator<Item = &'a Anomaly>) -> f64 {
        let more = lessons::sign(anomalies).map_or(0.0, |sign| self.state.lessons.evidence(&sign));
        self.opens_at() + more
    }

    /// Opens an incident for every group of waiting anomalies whose evidence is enough.
    pub(super) fn open_incidents(&mut self, effects: &mut Vec<Effect>) {
        let time_ms = self.state.time_ms;
        let stale = |anomaly: &&Anomaly| time_ms - anomaly.opened_ms > PATIENCE * self.config.window_ms;
        let over: Vec<Id> = self.state.waiting.values().filter(stale).map(|a| a.id).collect();
        for id in over {
            let why = "alone, and too weak to open an incident by itself".to_string();
            self.leave_out(id, why, effects);
        }
        let groups = group::groups(&self.state.waiting, self.state.ties(), self.config.window_ms);
        self.count_episodes(&groups);
        for found in groups {
            let matters = found.iter().filter(|anomaly| !is_trifle(anomaly, &self.state.users));
            let evidence = Evidence::amid(matters, found.iter(), self.state.load);
            let opens_at = self.opens_at_for(found.iter());
            if evidence.total < opens_at || evidence.total <= 0.0 {
                continue;
            }
            let (found, beyond) = group::founders(found, self.config.max_members);
            for anomaly in beyond {
                let why = "the incident that it belongs to is full".to_string();
                self.leave_out(anomaly.id, why, effects);
            }
            if self.state.open.len() >= self.config.max_open {
                for anomaly in &found {
                    let why = format!("{} incidents are open, the limit", self.config.max_open);
                    self.leave_out(anomaly.id, why, effects);
                }
                continue;
            }
            found.iter().for_each(|anomaly| drop(self.state.waiting.remove(&anomaly.id)));
            self.open_story(found, &evidence, opens_at);
        }
    }

    /// Tells the budget of what waits and of what is open. Alerts of others are no work of chance.
    fn count_episodes(&mut self, groups: &[Vec<Anomaly>]) {
        let State { open, budget, load, .. } = &mut self.state;
        let is_alert = |anomaly: &Anomaly| anomaly.kind == AnomalyKind::Alert;
        let waiting = groups
            .iter()
            .filter(|group| !group.iter().any(is_alert))
            .filter_map(|group| Some((group::first(group)?, Evidence::of(group.iter(), *load).total)));
        let ours = open.values().filter(|story| !story.anomalies().any(is_alert));
        let told = ours.map(|story| (story.first, story.evidence));
        budget.episodes(waiting.chain(told));
    }

    fn open_story(&mut self, found: Vec<Anomaly>, evidence: &Evidence, opens_at: f64) {
        if let Some(mut story) = self.reopened(&found) {
            for anomaly in found {
                story.add(anomaly, "the incident flares up again".to_string(), self.config.window_ms);
            }
            self.state.open.insert(story.incident.id, story);
            return;
        }
        let because = group::reasons(&found, self.state.ties());
        let members = found.into_iter().zip(because).map(|(anomaly, because)| Member { anomaly, because });
        let why = format!(
            "evidence {}, opens at {opens_at:.1}: {} series, {} false alarms per day",
            evidence.words(),
            self.state.warm_series,
            self.config.false_alarms_per_day
        );
        self.begin(members.collect(), evidence.total, why, self.state.time_ms, None);
    }

    /// A new story of these members; when people are called for it, now or in the past for the incident that it was a part of.
    pub(super) fn begin(
        &mut self,
        members: Vec<Member>,
        evidence: f64,
        why: String,
        paged_ms: i64,
        split_from: Option<Id>,
    ) {
        let (time_ms, window_ms) = (self.state.time_ms, self.config.window_ms);
        let anomalies = || members.iter().map(|member| &member.anomaly);
        let Some(beginning) = group::first(anomalies()) else { return };
        let started_ms = anomalies().map(|anomaly| onset(anomaly, window_ms)).min().unwrap_or(time_ms);
        let first = anomalies().map(|anomaly| anomaly.series.as_str()).min().unwrap_or_default();
        let incident = Incident {
            id: Id::of(&["incident", first, &time_ms.to_string()]),
            revision: 0,
            event: IncidentEvent::Opened,
            state: IncidentState::Open,
            title: String::new(),
            started_ms,
            opened_ms: time_ms,
            updated_ms: time_ms,
            resolved_ms: None,
            severity: 0.0,
            harm: None,
            members,
            suspects: Vec::new(),
            changes: Vec::new(),
            reopened: 0,
            merged_into: None,
            split_from,
            acknowledged_by: None,
            remediation: None,
            page: false,
            why,
        };
        let story = Story {
            incident,
            first: beginning,
            evidence,
            last_active_ms: time_ms,
            paged_ms,
            changed: true,
            event: IncidentEvent::Opened,
        };
        self.state.open.insert(story.incident.id, story);
    }

    /// A resolved incident of the same entities that is recent enough to go on.
    fn reopened(&mut self, found: &[Anomaly]) -> Option<Story> {
        let (time_ms, within) = (self.state.time_ms, self.config.reopen_within_ms);
        let speaks: BTreeSet<_> = found.iter().map(|anomaly| &anomaly.entity).collect();
        let position = self.state.resolved.iter().rposition(|story| {
            let recent = story.incident.resolved_ms.is_some_and(|resolved| time_ms - resolved <= within);
            let goes_on = recent && story.incident.merged_into.is_none();
            goes_on && story.incident.suspects.first().is_some_and(|first| speaks.contains(&first.entity))
        })?;
        let mut story = self.state.resolved.remove(position)?;
        story.incident.state = IncidentState::Open;
        story.incident.resolved_ms = None;
        story.incident.reopened += 1;
        story.event = IncidentEvent::Reopened;
        Some(story)
    }
}
