//! Correlator: anomalies become incidents with ranked suspects.
//!
//! * `placing`: where a revision of an anomaly belongs · `opening`: groups become incidents · `settling`: what becomes of them
//! * `alerts`: somebody else's alerts as anomalies
//! * `symptom`: which measures hurt somebody, and which only follow traffic
//! * `graph`: who calls whom, forgetting slowly
//! * `group`: anomalies that belong together, and why · `evidence`: how much speaks for them
//! * `connect`: who hangs together, in a storm too
//! * `alike`: log templates that say about the same · `companions`: whose trouble came together before
//! * `budget`: what the false-alarm budget buys on this fleet
//! * `changes`: what was changed, and what of it an incident shows
//! * `surge`: ticks in which far more opens than chance brings · `load`: more traffic everywhere
//! * `story`: an incident, and what its next revision depends on
//! * `family`: incidents that turn out to be one, or two
//! * `suspects`: who is to blame, and why · `examples`: requests and lines that show it
//! * `harm`: what it does to those who use the system · `trifles`: what is felt by nobody
//! * `quiet`: silences, and what was left out
//! * `lessons`: what people's judgements teach
//! * `words`: titles
//!
//! Takes closed ticks and changes in the order of event time; knows neither series values nor controllers.

mod alerts;
mod alike;
mod budget;
mod changes;
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
mod opening;
mod placing;
mod quiet;
mod settling;
mod story;
mod surge;
mod suspects;
mod symptom;
mod trifles;
mod words;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::{
    Adjustment, Alert, Anomaly, Change, Entity, Feedback, Id, Incident, IncidentEvent, Recovery, Section,
    Suppressed, TickClosed, Word, section::SectionError,
};

use alerts::Alerts;
use budget::Budget;
use changes::Changes;
use companions::Companions;
use examples::Examples;
use graph::Graph;
use group::Ties;
use harm::Users;
use lessons::Lessons;
use load::Load;
use opening::PATIENCE;
use quiet::Quiet;
use story::Story;
use surge::Surges;

/// Settings of the correlator. Times are event time, milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelatorConfig {
    /// Anomalies whose onsets are this near can belong together.
    pub window_ms: i64,
    /// Quiet time after which an incident is resolved.
    pub resolve_after_ms: i64,
    /// A resolved incident whose entities speak again within this time is reopened. It calls people again unless it called them within
    /// this time.
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
    /// Most changes of an incident.
    pub max_changes: usize,
    /// Resolved incidents that are kept for `List` and `Get`, and as many anomalies that opened none.
    pub keep_resolved: usize,
    /// Who depends on whom beside what spans show.
    pub depends: Vec<Dependence>,
    /// Shares of requests that are to be answered well.
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

/// A share of an entity's requests that is to be answered well.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// Whose requests.
    pub entity: Entity,
    /// Longest time that a good answer takes, nanoseconds; `None`: however long it takes.
    pub latency_ns: Option<u64>,
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
            max_changes: 100,
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
        /// What it is like now.
        recovery: Recovery,
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
    changes: Changes,
    /// Alerts of others that fire.
    alerts: Alerts,
    /// Anomalies without an incident, by id.
    waiting: BTreeMap<Id, Anomaly>,
    open: BTreeMap<Id, Story>,
    /// Resolved incidents, oldest first.
    resolved: VecDeque<Story>,
}

const VERSION: u32 = 9;

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
            changes: Changes::default(),
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
                self.state.changes.take(change);
                Vec::new()
            }
            Event::Alert(alert) => {
                let mut effects = Vec::new();
                if let Some(anomaly) = self.state.alerts.take(alert, self.state.time_ms) {
                    let holder = self.state.open.values().find(|story| story.has(anomaly.id));
                    self.place(anomaly, holder.map(|story| story.incident.id), &mut effects);
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
            Event::Remediation { incident, recovery } => {
                self.revise(incident, IncidentEvent::Updated, |incident| {
                    incident.remediation = Some(recovery.words().to_string());
                })
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

    fn tick(&mut self, tick: TickClosed) -> Vec<Effect> {
        let state = &mut self.state;
        state.time_ms = tick.time_ms;
        state.warm_series = tick.warm_series;
        state.budget.tick(tick.time_ms, tick.warm_series);
        state.graph.tick(&tick.edges);
        state.graph.place(&tick.placements, tick.time_ms);
        state.users.tick(tick.time_ms, &tick.traffic, &tick.edges);
        state.examples.tick(tick.time_ms, tick.examples);
        let opened = tick.anomalies.iter().filter(|anomaly| anomaly.revision == 1).count();
        let oldest_ms = tick.time_ms - PATIENCE * self.config.window_ms;
        state.surges.tick(tick.time_ms, opened, oldest_ms);
        let heard_again = state.quiet.tick(tick.silences);
        state.changes.forget_before(tick.time_ms - 2 * self.config.change_before_ms);
        let mut effects = Vec::new();
        let holders = self.holders();
        for anomaly in heard_again.into_iter().chain(tick.anomalies) {
            let holder = holders.get(&anomaly.id).copied();
            self.place(anomaly, holder, &mut effects);
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
}

#[cfg(test)]
mod tests;
