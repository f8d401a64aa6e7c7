//! Correlator: anomalies become incidents with ranked suspects.
//!
//! * `alerts`: somebody else's alerts as anomalies
//! * `symptom`: which measures hurt somebody, and which only follow traffic
//! * `graph`: who calls whom, forgetting slowly
//! * `group`: anomalies that belong together, and why
//! * `connect`: who hangs together, in a storm too
//! * `budget`: what the false-alarm budget buys on this fleet
//! * `surge`: ticks in which far more opens than chance brings
//! * `suspects`: who is to blame, and why
//! * `words`: titles
//!
//! Takes closed ticks and changes in the order of event time; knows neither series values nor controllers.

mod alerts;
mod budget;
mod connect;
mod graph;
mod group;
mod surge;
mod suspects;
mod symptom;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::{
    Alert, Anomaly, AnomalyKind, Change, Entity, Id, Incident, IncidentEvent, IncidentState, Member, Section,
    TickClosed, section::SectionError,
};

use alerts::Alerts;
use budget::Budget;
use graph::Graph;
use group::Ties;
use surge::Surges;

/// Settings of the correlator. Times are event time, milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelatorConfig {
    /// Anomalies whose onsets are this near can belong together.
    pub window_ms: i64,
    /// Quiet time after which an incident is resolved.
    pub resolve_after_ms: i64,
    /// A resolved incident whose entities speak again within this time is reopened.
    pub reopen_within_ms: i64,
    /// How long before an onset a change can be its cause.
    pub change_before_ms: i64,
    /// Incidents per day, over the whole fleet, that chance alone may open.
    pub false_alarms_per_day: f64,
    /// −ln p at which anomalies open: how often chance alone opens one, until this fleet is known.
    pub open: f64,
    /// Most open incidents; beyond it anomalies are suppressed, with the reason.
    pub max_open: usize,
    /// Most members of an incident.
    pub max_members: usize,
    /// Resolved incidents that are kept for `List` and `Get`.
    pub keep_resolved: usize,
}

impl Default for CorrelatorConfig {
    fn default() -> CorrelatorConfig {
        CorrelatorConfig {
            window_ms: 300_000,
            resolve_after_ms: 120_000,
            reopen_within_ms: 900_000,
            change_before_ms: 1_800_000,
            false_alarms_per_day: 1.0,
            open: 6.95,
            max_open: 1000,
            max_members: 200,
            keep_resolved: 1000,
        }
    }
}

/// What the correlator is told.
#[derive(Clone, Debug)]
pub enum Event {
    /// A tick is closed everywhere.
    Tick(TickClosed),
    /// Something was changed on purpose.
    Change(Change),
    /// Somebody else's alert.
    Alert(Alert),
    /// Somebody looks after an incident.
    Acknowledge {
        /// Which one.
        id: Id,
        /// Who.
        by: String,
    },
    /// What came of remediation.
    Remediation {
        /// Which incident.
        incident: Id,
        /// Whether its series recovered.
        verified: bool,
    },
}

/// What the correlator gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A new revision of an incident.
    Incident(Incident),
    /// An anomaly that opens no incident, and why; said once.
    Suppressed {
        /// The anomaly.
        anomaly: Id,
        /// Why, in words.
        why: String,
    },
}

/// Groups anomalies into incidents.
#[derive(Debug)]
pub struct Correlator {
    config: CorrelatorConfig,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    time_ms: i64,
    warm_series: u64,
    budget: Budget,
    surges: Surges,
    graph: Graph,
    changes: VecDeque<Change>,
    /// Alerts of others that fire.
    alerts: Alerts,
    /// Anomalies without an incident, by id.
    waiting: BTreeMap<Id, Anomaly>,
    open: BTreeMap<Id, Story>,
    /// Resolved incidents, oldest first.
    resolved: VecDeque<Story>,
}

/// An incident and what its next revision depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Story {
    incident: Incident,
    /// The anomaly that began it, and the most evidence so far: an episode of the budget.
    first: Id,
    evidence: f64,
    /// Event time at which a member was last active.
    last_active_ms: i64,
    /// Whether it has a next revision, and what that will say happened.
    changed: bool,
    event: IncidentEvent,
}

const VERSION: u32 = 3;

/// An anomaly waits for others of its kind this many windows long.
const PATIENCE: i64 = 6;

impl State {
    fn ties(&self) -> Ties<'_> {
        Ties { graph: &self.graph, surges: &self.surges }
    }

    fn new(config: &CorrelatorConfig) -> State {
        State {
            time_ms: 0,
            warm_series: 0,
            budget: Budget::new(config.open),
            surges: Surges::default(),
            graph: Graph::default(),
            changes: VecDeque::new(),
            alerts: Alerts::default(),
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            resolved: VecDeque::new(),
        }
    }
}

impl Correlator {
    /// A correlator that knows nothing yet.
    pub fn new(config: CorrelatorConfig) -> Correlator {
        let state = State::new(&config);
        Correlator { config, state }
    }

    /// Takes an event and gives what follows from it.
    pub fn on_event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Tick(tick) => self.tick(tick),
            Event::Change(change) => {
                self.change(change);
                Vec::new()
            }
            Event::Alert(alert) => {
                let mut effects = Vec::new();
                if let Some(anomaly) = self.state.alerts.take(alert, self.state.time_ms) {
                    self.place(anomaly, &mut effects);
                }
                effects
            }
            Event::Acknowledge { id, by } => self.revise(id, IncidentEvent::Acknowledged, |incident| {
                incident.acknowledged_by = Some(by);
            }),
            Event::Remediation { incident, verified } => {
                let word = if verified { "verified" } else { "not recovered" };
                self.revise(incident, IncidentEvent::Updated, |incident| {
                    incident.remediation = Some(word.to_string());
                })
            }
        }
    }

    /// The incident of this id, open or resolved.
    pub fn get(&self, id: Id) -> Option<&Incident> {
        let resolved = || self.state.resolved.iter().find(|story| story.incident.id == id);
        self.state.open.get(&id).or_else(resolved).map(|story| &story.incident)
    }

    /// Every incident that is known, newest first.
    pub fn list(&self) -> Vec<&Incident> {
        let stories = self.state.open.values().chain(&self.state.resolved);
        let mut incidents: Vec<&Incident> = stories.map(|story| &story.incident).collect();
        incidents.sort_by_key(|incident| (std::cmp::Reverse(incident.opened_ms), incident.id));
        incidents
    }

    /// Who calls whom, in order, with about how many calls there were in the last two hours, later ones weighing more.
    pub fn topology(&self) -> impl Iterator<Item = (&Entity, &Entity, f64)> {
        self.state.graph.edges()
    }

    /// Saves all state.
    pub fn save(&self, name: &str) -> Result<Section, SectionError> {
        Section::save(name, VERSION, &self.state)
    }

    /// Restores what [`Correlator::save`] gave; a section of another version gives a cold correlator.
    pub fn load(config: CorrelatorConfig, section: &Section) -> Result<Correlator, SectionError> {
        let state = section.load(VERSION)?.unwrap_or_else(|| State::new(&config));
        Ok(Correlator { config, state })
    }

    fn revise(&mut self, id: Id, event: IncidentEvent, with: impl FnOnce(&mut Incident)) -> Vec<Effect> {
        let State { open, resolved, .. } = &mut self.state;
        let story = open.get_mut(&id).or_else(|| resolved.iter_mut().find(|story| story.incident.id == id));
        let Some(story) = story else { return Vec::new() };
        with(&mut story.incident);
        story.incident.event = event;
        story.incident.revision += 1;
        story.incident.page = false;
        vec![Effect::Incident(story.incident.clone())]
    }

    fn change(&mut self, change: Change) {
        let changes = &mut self.state.changes;
        if changes.iter().all(|known| known.id != change.id) {
            changes.push_back(change);
        }
    }

    fn tick(&mut self, tick: TickClosed) -> Vec<Effect> {
        self.state.time_ms = tick.time_ms;
        self.state.warm_series = tick.warm_series;
        self.state.budget.tick(tick.time_ms, tick.warm_series);
        self.state.graph.tick(&tick.edges);
        let opened = tick.anomalies.iter().filter(|anomaly| anomaly.revision == 1).count();
        let oldest_ms = tick.time_ms - PATIENCE * self.config.window_ms;
        self.state.surges.tick(tick.time_ms, opened, oldest_ms);
        self.forget_changes();
        let mut effects = Vec::new();
        for anomaly in tick.anomalies {
            self.place(anomaly, &mut effects);
        }
        self.join_incidents(&mut effects);
        self.open_incidents(&mut effects);
        self.settle(&mut effects);
        effects
    }

    fn forget_changes(&mut self) {
        let oldest = self.state.time_ms - 2 * self.config.change_before_ms;
        self.state.changes.retain(|change| change.time_ms >= oldest);
    }

    /// Evidence at which an incident opens: chance alone is not to open more than the budget allows.
    fn opens_at(&self) -> f64 {
        self.state.budget.opens_at(self.state.warm_series, self.config.false_alarms_per_day)
    }

    /// Puts a revision of an anomaly where it belongs: into the incident that has it, or among those that wait.
    fn place(&mut self, anomaly: Anomaly, effects: &mut Vec<Effect>) {
        let State { open, waiting, .. } = &mut self.state;
        let holder = open.values_mut().find(|story| story.has(anomaly.id));
        if let Some(story) = holder {
            story.update(anomaly);
            return;
        }
        if anomaly.active {
            waiting.insert(anomaly.id, anomaly);
        } else if waiting.remove(&anomaly.id).is_some() {
            let why = format!("passed by itself after {} ticks, and nothing related lasted", anomaly.ticks);
            effects.push(Effect::Suppressed { anomaly: anomaly.id, why });
        }
    }

    /// Adds what waits, and has lasted, to the open incidents that it is related to.
    fn join_incidents(&mut self, effects: &mut Vec<Effect>) {
        let State { open, waiting, graph, surges, .. } = &mut self.state;
        let ties = Ties { graph, surges };
        let CorrelatorConfig { window_ms, max_members, .. } = self.config;
        let lasting: Vec<Id> = waiting.values().filter(|a| group::lasts(a)).map(|a| a.id).collect();
        for id in lasting {
            let found = open.values_mut().find_map(|story| {
                let because = group::joins(&story.incident, &waiting[&id], ties, window_ms)?;
                Some((story, because))
            });
            let Some((story, because)) = found else { continue };
            let Some(anomaly) = waiting.remove(&id) else { continue };
            if story.incident.members.len() < max_members {
                story.add(anomaly, because, window_ms);
            } else {
                let why = format!("incident {} is full", story.incident.id);
                effects.push(Effect::Suppressed { anomaly: id, why });
            }
        }
    }

    /// Opens an incident for every group of waiting anomalies whose evidence is enough.
    fn open_incidents(&mut self, effects: &mut Vec<Effect>) {
        let time_ms = self.state.time_ms;
        let stale = |anomaly: &Anomaly| time_ms - anomaly.opened_ms > PATIENCE * self.config.window_ms;
        let over: Vec<Id> = self.state.waiting.values().filter(|a| stale(a)).map(|a| a.id).collect();
        for id in over {
            self.state.waiting.remove(&id);
            let why = "alone, and too weak to open an incident by itself".to_string();
            effects.push(Effect::Suppressed { anomaly: id, why });
        }
        let opens_at = self.opens_at();
        let groups = group::groups(&self.state.waiting, self.state.ties(), self.config.window_ms);
        self.count_episodes(&groups);
        for found in groups {
            let evidence = group::evidence(&found);
            if evidence < opens_at || evidence <= 0.0 {
                continue;
            }
            let (found, beyond) = group::founders(found, self.config.max_members);
            for anomaly in beyond {
                self.state.waiting.remove(&anomaly.id);
                let why = "the incident that it belongs to is full".to_string();
                effects.push(Effect::Suppressed { anomaly: anomaly.id, why });
            }
            if self.state.open.len() >= self.config.max_open {
                for anomaly in &found {
                    self.state.waiting.remove(&anomaly.id);
                    let why = format!("{} incidents are open, the limit", self.config.max_open);
                    effects.push(Effect::Suppressed { anomaly: anomaly.id, why });
                }
                continue;
            }
            found.iter().for_each(|anomaly| {
                self.state.waiting.remove(&anomaly.id);
            });
            self.open_story(found, evidence);
        }
    }

    /// Tells the budget of what waits and of what is open. Alerts of others are no work of chance.
    fn count_episodes(&mut self, groups: &[Vec<Anomaly>]) {
        let State { open, budget, .. } = &mut self.state;
        let is_alert = |anomaly: &Anomaly| anomaly.kind == AnomalyKind::Alert;
        let waiting = groups
            .iter()
            .filter(|group| !group.iter().any(is_alert))
            .filter_map(|group| Some((group::first(group)?, group::evidence(group))));
        let ours = open
            .values()
            .filter(|story| !story.incident.members.iter().any(|member| is_alert(&member.anomaly)));
        let told = ours.map(|story| (story.first, story.evidence));
        budget.episodes(waiting.chain(told));
    }

    fn open_story(&mut self, found: Vec<Anomaly>, evidence: f64) {
        let time_ms = self.state.time_ms;
        if let Some(mut story) = self.reopened(&found) {
            for anomaly in found {
                story.add(anomaly, "the incident flares up again".to_string(), self.config.window_ms);
            }
            self.state.open.insert(story.incident.id, story);
            return;
        }
        let Some(beginning) = group::first(&found) else { return };
        let because = group::reasons(&found, self.state.ties());
        let members: Vec<Member> =
            found.into_iter().zip(because).map(|(anomaly, because)| Member { anomaly, because }).collect();
        let window_ms = self.config.window_ms;
        let started_ms =
            members.iter().map(|member| onset(&member.anomaly, window_ms)).min().unwrap_or(time_ms);
        let first = members.iter().map(|member| member.anomaly.series.as_str()).min().unwrap_or_default();
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
            members,
            suspects: Vec::new(),
            changes: Vec::new(),
            reopened: 0,
            acknowledged_by: None,
            remediation: None,
            page: false,
            why: format!(
                "evidence {evidence:.1}, opens at {:.1}: {} series, {} false alarms per day",
                self.opens_at(),
                self.state.warm_series,
                self.config.false_alarms_per_day
            ),
        };
        let story = Story {
            incident,
            first: beginning,
            evidence,
            last_active_ms: time_ms,
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
            recent && story.incident.suspects.first().is_some_and(|first| speaks.contains(&first.entity))
        })?;
        let mut story = self.state.resolved.remove(position)?;
        story.incident.state = IncidentState::Open;
        story.incident.resolved_ms = None;
        story.incident.reopened += 1;
        story.event = IncidentEvent::Reopened;
        Some(story)
    }

    /// Ranks, resolves and gives the revisions of this tick.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let Correlator { config, state } = self;
        let time_ms = state.time_ms;
        let mut over = Vec::new();
        for (id, story) in &mut state.open {
            if story.incident.members.iter().any(|member| member.anomaly.active) {
                story.last_active_ms = time_ms;
            } else if time_ms - story.last_active_ms >= config.resolve_after_ms {
                story.incident.state = IncidentState::Resolved;
                story.incident.resolved_ms = Some(time_ms);
                story.event = IncidentEvent::Resolved;
                story.changed = true;
                over.push(*id);
            }
            story.attach(&state.changes, config.change_before_ms);
            if std::mem::take(&mut story.changed) {
                let members = || story.incident.members.iter().map(|member| &member.anomaly);
                story.evidence = story.evidence.max(group::evidence_of(members));
                suspects::rank(&mut story.incident, &state.graph, config.change_before_ms);
                effects.push(Effect::Incident(story.revise(time_ms)));
            }
        }
        for id in over {
            state.resolved.extend(state.open.remove(&id));
        }
        while state.resolved.len() > config.keep_resolved {
            state.resolved.pop_front();
        }
    }
}

/// When an anomaly began, for the beginning of its incident: an estimate from long before belongs to another story.
fn onset(anomaly: &Anomaly, window_ms: i64) -> i64 {
    anomaly.onset_ms.max(anomaly.opened_ms - window_ms)
}

impl Story {
    fn has(&self, anomaly: Id) -> bool {
        self.incident.members.iter().any(|member| member.anomaly.id == anomaly)
    }

    /// Takes a later revision of a member; worth a revision of the incident when it ends or gets clearly worse.
    fn update(&mut self, anomaly: Anomaly) {
        for member in &mut self.incident.members {
            if member.anomaly.id == anomaly.id {
                self.changed |= member.anomaly.active != anomaly.active;
                self.changed |= anomaly.score > member.anomaly.score + 0.05;
                member.anomaly = anomaly;
                return;
            }
        }
    }

    fn add(&mut self, anomaly: Anomaly, because: String, window_ms: i64) {
        self.incident.started_ms = self.incident.started_ms.min(onset(&anomaly, window_ms));
        self.incident.members.push(Member { anomaly, because });
        self.changed = true;
    }

    /// Attaches changes of its entities, and of those whose callers complain, that came shortly before it or since.
    fn attach(&mut self, changes: &VecDeque<Change>, before_ms: i64) {
        let incident = &mut self.incident;
        for change in changes {
            let is_member = incident.members.iter().any(|member| {
                member.anomaly.entity.is(&change.entity) || symptom::whose(&member.anomaly).is(&change.entity)
            });
            let is_near = change.time_ms >= incident.started_ms - before_ms;
            if is_member && is_near && !incident.changes.contains(change) {
                incident.changes.push(change.clone());
                incident.changes.sort();
                self.changed = true;
            }
        }
    }

    fn revise(&mut self, time_ms: i64) -> Incident {
        let incident = &mut self.incident;
        incident.revision += 1;
        incident.updated_ms = time_ms;
        incident.event = std::mem::take(&mut self.event);
        incident.page = incident.revision == 1;
        let strongest = |a: &Member, b: &Member| b.anomaly.score.total_cmp(&a.anomaly.score);
        incident.members.sort_by(|a, b| strongest(a, b).then_with(|| a.anomaly.id.cmp(&b.anomaly.id)));
        incident.severity = incident.members.first().map_or(0.0, |member| member.anomaly.score);
        incident.title = words::title(incident);
        incident.clone()
    }
}

#[cfg(test)]
mod tests;
