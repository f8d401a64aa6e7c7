//! Correlator: anomalies become incidents with ranked suspects.
//!
//! * `alerts`: somebody else's alerts as anomalies
//! * `symptom`: which measures hurt somebody, and which only follow traffic
//! * `graph`: who calls whom, forgetting slowly
//! * `group`: anomalies that belong together, and why · `evidence`: how much speaks for them
//! * `connect`: who hangs together, in a storm too
//! * `alike`: log templates that say about the same · `companions`: whose trouble came together before
//! * `budget`: what the false-alarm budget buys on this fleet
//! * `surge`: ticks in which far more opens than chance brings · `load`: more traffic everywhere
//! * `story`: an incident, and what its next revision depends on
//! * `family`: incidents that turn out to be one, or two
//! * `suspects`: who is to blame, and why · `examples`: requests and lines that show it
//! * `harm`: what it does to those who use the system
//! * `quiet`: silences, and what was left out
//! * `lessons`: what people's judgements teach
//! * `words`: titles
//!
//! Takes closed ticks and changes in the order of event time; knows neither series values nor controllers.

mod alerts;
mod alike;
mod budget;
mod companions;
mod connect;
mod evidence;
mod examples;
mod family;
mod graph;
mod group;
mod harm;
mod lessons;
mod load;
mod quiet;
mod story;
mod surge;
mod suspects;
mod symptom;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::{
    Adjustment, Alert, Anomaly, AnomalyKind, Change, Entity, Feedback, Id, Incident, IncidentEvent,
    IncidentState, Member, Section, Suppressed, TickClosed, Word, section::SectionError,
};

use alerts::Alerts;
use budget::Budget;
use companions::Companions;
use evidence::Evidence;
use examples::Examples;
use graph::Graph;
use group::Ties;
use harm::Users;
use lessons::Lessons;
use load::Load;
use quiet::{Hushed, Quiet};
use story::{Story, onset};
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
    /// Resolved incidents that are kept for `List` and `Get`, and as many anomalies that opened none.
    pub keep_resolved: usize,
    /// Who depends on whom beside what spans show.
    pub depends: Vec<Dependence>,
    /// Shares of requests that are to succeed.
    pub objectives: Vec<Objective>,
}

/// An entity needs another, as the operator says.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependence {
    /// Who.
    pub from: Entity,
    /// Whom it needs.
    pub on: Entity,
}

/// A share of an entity's requests that is to succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// Whose requests.
    pub entity: Entity,
    /// The share, above 0 and below 1: 0.999.
    pub objective: f64,
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
            depends: Vec::new(),
            objectives: Vec::new(),
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
    /// What a person says of incidents; what they say of silences comes with the tick.
    Word(Word),
    /// What came of remediation.
    Remediation {
        /// Which incident.
        incident: Id,
        /// `recovered`, `improved`, `no effect` or `worse`.
        words: String,
    },
}

/// What the correlator gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A new revision of an incident.
    Incident(Incident),
    /// An anomaly that opens no incident, and why; said once.
    Suppressed(Suppressed),
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
    load: Load,
    graph: Graph,
    users: Users,
    lessons: Lessons,
    companions: Companions,
    examples: Examples,
    quiet: Quiet,
    changes: VecDeque<Change>,
    /// Alerts of others that fire.
    alerts: Alerts,
    /// Anomalies without an incident, by id.
    waiting: BTreeMap<Id, Anomaly>,
    open: BTreeMap<Id, Story>,
    /// Resolved incidents, oldest first.
    resolved: VecDeque<Story>,
}

const VERSION: u32 = 6;

/// An anomaly waits for others of its kind this many windows long.
const PATIENCE: i64 = 6;

impl State {
    fn ties(&self) -> Ties<'_> {
        let State { graph, surges, lessons, companions, .. } = self;
        Ties { graph, surges, lessons, companions }
    }

    fn new(config: &CorrelatorConfig) -> State {
        State {
            time_ms: 0,
            warm_series: 0,
            budget: Budget::new(config.open),
            surges: Surges::default(),
            load: Load::default(),
            graph: Graph::default(),
            users: Users::default(),
            lessons: Lessons::default(),
            companions: Companions::default(),
            examples: Examples::default(),
            quiet: Quiet::new(config.keep_resolved),
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
        Correlator::with(config, state)
    }

    fn with(config: CorrelatorConfig, mut state: State) -> Correlator {
        state.graph.declare(&config.depends);
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
            Event::Word(Word::Acknowledge { incident, by }) => {
                self.revise(incident, IncidentEvent::Acknowledged, |incident| {
                    incident.acknowledged_by = Some(by);
                })
            }
            Event::Word(Word::Feedback(feedback)) => {
                self.learn(&feedback);
                Vec::new()
            }
            Event::Word(Word::Undo { adjustment, .. }) => {
                self.state.lessons.undo(adjustment);
                Vec::new()
            }
            Event::Word(Word::Silence(_) | Word::EndSilence { .. } | Word::Halt { .. }) => Vec::new(),
            Event::Remediation { incident, words } => {
                self.revise(incident, IncidentEvent::Updated, |incident| incident.remediation = Some(words))
            }
        }
    }

    /// The incident of this id, open or resolved.
    pub fn get(&self, id: Id) -> Option<&Incident> {
        self.story(id).map(|story| &story.incident)
    }

    fn story(&self, id: Id) -> Option<&Story> {
        let resolved = || self.state.resolved.iter().find(|story| story.incident.id == id);
        self.state.open.get(&id).or_else(resolved)
    }

    /// The latest anomalies that opened no incident, newest first.
    pub fn suppressed(&self) -> impl Iterator<Item = &Suppressed> {
        self.state.quiet.left_out()
    }

    /// What people's judgements changed, oldest first.
    pub fn adjustments(&self) -> &[Adjustment] {
        self.state.lessons.adjustments()
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

    /// What runs on which host, in order.
    pub fn placements(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.state.graph.placements()
    }

    /// Whose trouble comes together as a rule, as past incidents have shown, in order.
    pub fn companions(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.state.companions.pairs()
    }

    /// Who depends on whom by declaration, in order.
    pub fn declared(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.state.graph.declared()
    }

    /// Saves all state.
    pub fn save(&self, name: &str) -> Result<Section, SectionError> {
        Section::save(name, VERSION, &self.state)
    }

    /// Restores what [`Correlator::save`] gave; a section of another version gives a cold correlator.
    pub fn load(config: CorrelatorConfig, section: &Section) -> Result<Correlator, SectionError> {
        let state = section.load(VERSION)?.unwrap_or_else(|| State::new(&config));
        Ok(Correlator::with(config, state))
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

    /// Learns from a person's judgement.
    fn learn(&mut self, feedback: &Feedback) {
        let about = |id: Option<Id>| id.and_then(|id| self.get(id));
        let taught = lessons::taught(feedback, about(feedback.incident), about(feedback.duplicate_of));
        self.state.lessons.note(self.state.time_ms, feedback, taught);
    }

    fn change(&mut self, change: Change) {
        let changes = &mut self.state.changes;
        if changes.iter().all(|known| known.id != change.id) {
            changes.push_back(change);
        }
    }

    fn tick(&mut self, tick: TickClosed) -> Vec<Effect> {
        let state = &mut self.state;
        state.time_ms = tick.time_ms;
        state.warm_series = tick.warm_series;
        state.budget.tick(tick.time_ms, tick.warm_series);
        state.graph.tick(&tick.edges);
        state.graph.place(&tick.placements, tick.time_ms);
        state.users.tick(tick.time_ms, &tick.traffic);
        state.examples.tick(tick.time_ms, tick.examples);
        let opened = tick.anomalies.iter().filter(|anomaly| anomaly.revision == 1).count();
        let oldest_ms = tick.time_ms - PATIENCE * self.config.window_ms;
        state.surges.tick(tick.time_ms, opened, oldest_ms);
        let heard_again = state.quiet.tick(tick.silences);
        self.forget_changes();
        let mut effects = Vec::new();
        for anomaly in heard_again.into_iter().chain(tick.anomalies) {
            self.place(anomaly, &mut effects);
        }
        self.hush(&mut effects);
        let State { load, waiting, open, .. } = &mut self.state;
        let all = waiting.values().chain(open.values().flat_map(Story::anomalies));
        load.tick(all, tick.time_ms, self.config.window_ms);
        self.join_incidents(&mut effects);
        self.open_incidents(&mut effects);
        self.merge_and_split();
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

    /// The same for these anomalies: what people said of their like counts too.
    fn opens_at_for<'a>(&self, anomalies: impl Iterator<Item = &'a Anomaly>) -> f64 {
        let more = lessons::sign(anomalies).map_or(0.0, |sign| self.state.lessons.evidence(&sign));
        self.opens_at() + more
    }

    /// Puts a revision of an anomaly where it belongs: into the incident that has it, or among those that wait.
    fn place(&mut self, anomaly: Anomaly, effects: &mut Vec<Effect>) {
        let State { open, waiting, quiet, time_ms, .. } = &mut self.state;
        let holder = open.values_mut().find(|story| story.has(anomaly.id));
        if let Some(story) = holder {
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
    fn hush(&mut self, effects: &mut Vec<Effect>) {
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
    fn leave_out(&mut self, id: Id, why: String, effects: &mut Vec<Effect>) {
        let State { waiting, quiet, time_ms, .. } = &mut self.state;
        effects.extend(waiting.remove(&id).map(|anomaly| quiet.leave_out(*time_ms, anomaly, why)));
    }

    /// Adds what waits, and has lasted, to the open incidents that it is related to.
    fn join_incidents(&mut self, effects: &mut Vec<Effect>) {
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

    /// Opens an incident for every group of waiting anomalies whose evidence is enough.
    fn open_incidents(&mut self, effects: &mut Vec<Effect>) {
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
            let evidence = Evidence::of(found.iter(), self.state.load);
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
        self.begin(members.collect(), evidence.total, why, None);
    }

    /// A new story of these members.
    fn begin(&mut self, members: Vec<Member>, evidence: f64, why: String, split_from: Option<Id>) {
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

    /// Makes one of incidents that are one story, and two of one that is two.
    fn merge_and_split(&mut self) {
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
        let why = format!("was part of incident {from}: nothing ties them together any more");
        self.begin(members, Evidence::of(part.iter(), self.state.load).total, why, Some(from));
    }

    /// Ranks, resolves and gives the revisions of this tick.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
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
            } else if story.anomalies().any(|anomaly| anomaly.active) {
                story.last_active_ms = time_ms;
            } else if time_ms - story.last_active_ms >= config.resolve_after_ms {
                story.incident.state = IncidentState::Resolved;
                story.incident.resolved_ms = Some(time_ms);
                story.event = IncidentEvent::Resolved;
                story.changed = true;
                over.push(*id);
            }
            story.attach(changes, config.change_before_ms);
            story.hurts(facing.harm(&story.incident, &config.objectives));
            if story.changed {
                story.weigh(*load);
                suspects::rank(&mut story.incident, known, config.change_before_ms);
                effects.push(Effect::Incident(story.revise(time_ms)));
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

#[cfg(test)]
mod tests;
