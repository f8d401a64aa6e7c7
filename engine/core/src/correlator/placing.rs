//! Where a revision of an anomaly belongs: into an open incident, among those that wait, or among those left out.

use hashbrown::HashMap;

use super::{
    Correlator, CorrelatorConfig, Effect, State, evidence,
    group::{self, Ties},
    quiet::Hushed,
};
use crate::types::{Anomaly, Id};

impl Correlator {
    /// The open incident of each anomaly that is in one. Members do not change while a tick's anomalies are placed.
    pub(super) fn holders(&self) -> HashMap<Id, Id> {
        let mut holders = HashMap::new();
        for (id, story) in &self.state.open {
            for anomaly in story.anomalies() {
                holders.entry(anomaly.id).or_insert(*id);
            }
        }
        holders
    }

    /// Puts a revision of an anomaly where it belongs: into the incident that has it, or among those that wait.
    pub(super) fn place(&mut self, anomaly: Anomaly, holder: Option<Id>, effects: &mut Vec<Effect>) {
        let State { open, waiting, quiet, time_ms, .. } = &mut self.state;
        if let Some(story) = holder.and_then(|id| open.get_mut(&id)) {
            story.update(anomaly);
            return;
        }
        match quiet.hush(&anomaly) {
            Hushed::Now(why) => {
                waiting.remove(&anomaly.id);
                effects.push(quiet.leave_out(*time_ms, anomaly, why));
            }
            Hushed::Already => drop(waiting.remove(&anomaly.id)),
            Hushed::Not if anomaly.active => drop(waiting.insert(anomaly.id, anomaly)),
            Hushed::Not if waiting.remove(&anomaly.id).is_some() => {
                let why =
                    format!("passed by itself after {} ticks, and nothing related lasted", anomaly.ticks);
                effects.push(quiet.leave_out(*time_ms, anomaly, why));
            }
            Hushed::Not => {}
        }
    }

    /// Takes out of what waits what is silenced from now on.
    pub(super) fn hush(&mut self, effects: &mut Vec<Effect>) {
        let State { waiting, quiet, time_ms, .. } = &mut self.state;
        let hushed = waiting.values().filter_map(|anomaly| match quiet.hush(anomaly) {
            Hushed::Now(why) => Some((anomaly.id, why)),
            Hushed::Already | Hushed::Not => None,
        });
        for (id, why) in hushed.collect::<Vec<_>>() {
            effects.extend(waiting.remove(&id).map(|anomaly| quiet.leave_out(*time_ms, anomaly, why)));
        }
    }

    /// Lets an anomaly that waits open no incident.
    pub(super) fn leave_out(&mut self, id: Id, why: String, effects: &mut Vec<Effect>) {
        let State { waiting, quiet, time_ms, .. } = &mut self.state;
        effects.extend(waiting.remove(&id).map(|anomaly| quiet.leave_out(*time_ms, anomaly, why)));
    }

    /// Adds what waits, and has lasted, to the open incidents that it is related to.
    pub(super) fn join_incidents(&mut self, effects: &mut Vec<Effect>) {
        let CorrelatorConfig { window_ms, max_members, .. } = self.config;
        let lasting = self.state.waiting.values().filter(|a| evidence::lasts(a)).map(|a| a.id);
        for id in lasting.collect::<Vec<Id>>() {
            let State { open, waiting, graph, surges, lessons, companions, .. } = &mut self.state;
            let ties = Ties { graph, surges, lessons, companions };
            let found = open.values_mut().find_map(|story| {
                let because = group::joins(&story.incident, &waiting[&id], ties, window_ms)?;
                Some((story, because))
            });
            let Some((story, because)) = found else { continue };
            if story.incident.members.len() >= max_members {
                let why = format!("incident {} is full", story.incident.id);
                self.leave_out(id, why, effects);
            } else if let Some(anomaly) = waiting.remove(&id) {
                story.add(anomaly, because, window_ms);
            }
        }
    }
}
