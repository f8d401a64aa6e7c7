//! What becomes of open incidents at the end of a tick: they merge, split, are ranked, told and resolved.

use super::{Correlator, CorrelatorConfig, Effect, State, evidence::Evidence, family, suspects};
use crate::types::{Anomaly, Id, IncidentEvent, IncidentState, Member};

impl Correlator {
    /// Makes one of incidents that are one story, and two of one that is two.
    pub(super) fn merge_and_split(&mut self) {
        let CorrelatorConfig { window_ms, max_members, max_open, .. } = self.config;
        for (older, younger) in family::same(&self.state.open, self.state.ties(), window_ms) {
            let Some(mut merged) = self.state.open.remove(&younger) else { continue };
            if let Some(into) = self.state.open.get_mut(&older) {
                family::merge(into, &mut merged, self.state.time_ms, max_members, window_ms);
            }
            self.state.open.insert(younger, merged);
        }
        let terms = family::Terms { opens_at: self.opens_at(), load: self.state.load, window_ms };
        let changed =
            self.state.open.values().filter(|story| story.changed && story.incident.resolved_ms.is_none());
        let parts = changed.flat_map(|story| {
            let parts = family::parts(story, self.state.ties(), terms);
            parts.into_iter().map(move |part| (story.incident.id, part))
        });
        for (from, part) in parts.collect::<Vec<_>>() {
            if self.state.open.len() >= max_open {
                return;
            }
            self.split(from, &part);
        }
    }

    fn split(&mut self, from: Id, part: &[Anomaly]) {
        let Some(story) = self.state.open.get_mut(&from) else { return };
        let is_part = |member: &mut Member| part.iter().any(|anomaly| anomaly.id == member.anomaly.id);
        let members: Vec<Member> = story.incident.members.extract_if(.., is_part).collect();
        story.changed = true;
        let (now_ms, window_ms) = (self.state.time_ms, self.config.window_ms);
        let has_news = part.iter().any(|anomaly| now_ms - anomaly.updated_ms <= window_ms);
        let paged_ms = if has_news { now_ms } else { story.paged_ms };
        let why = format!("was part of incident {from}: nothing ties them together any more");
        self.begin(members, Evidence::of(part.iter(), self.state.load).total, why, paged_ms, Some(from));
    }

    /// Ranks, resolves and gives the revisions of this tick.
    pub(super) fn settle(&mut self, effects: &mut Vec<Effect>) {
        let Correlator { config, state } = self;
        let State {
            time_ms, load, users, graph, lessons, companions, examples, changes, open, resolved, ..
        } = state;
        let time_ms = *time_ms;
        let facing = users.facing(graph);
        let known = suspects::Known { graph, lessons, examples };
        let mut over = Vec::new();
        for (id, story) in &mut *open {
            if story.incident.merged_into.is_some() {
                over.push(*id);
            } else if story.goes_on() {
                story.last_active_ms = time_ms;
            } else if time_ms - story.last_active_ms >= config.resolve_after_ms {
                story.incident.state = IncidentState::Resolved;
                story.incident.resolved_ms = Some(time_ms);
                story.event = IncidentEvent::Resolved;
                story.changed = true;
                over.push(*id);
            }
            story.attach(changes, config.change_before_ms, config.max_changes);
            story.hurts(facing.harm(&story.incident, &config.objectives));
            if story.changed {
                story.weigh(*load);
                suspects::rank(&mut story.incident, known, config.change_before_ms);
                effects.push(Effect::Incident(story.revise(time_ms, config.reopen_within_ms)));
            }
        }
        for id in over {
            let Some(story) = open.remove(&id) else { continue };
            if story.incident.merged_into.is_none() {
                let before = resolved.iter().map(|story| &story.incident);
                let before = before.filter(|incident| incident.merged_into.is_none());
                companions.learn(&story.incident, before, config.window_ms);
            }
            resolved.push_back(story);
        }
        while resolved.len() > config.keep_resolved {
            resolved.pop_front();
        }
    }
}
