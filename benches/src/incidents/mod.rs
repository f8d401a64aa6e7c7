//! Incidents of generated estates with known truth: how many each fault makes, how soon, and whether the cause comes first.
//!
//! * `estate`: services and who calls whom · `story`: what goes wrong and when
//! * `flow`: how the estate does in a tick · `telemetry`: what it tells of itself, as bytes
//! * `judge`: what was found beside what was wrong
//! * `kept`: what the correlator was told, in a file
//!
//! The engine gets records as from Kafka, and the shipped default configuration. An estate's shape, its story and its noise
//! depend on the seed. A tick is 10 s; a day is an hour long, so that three of them can be seen before the story begins.

mod estate;
mod flow;
mod judge;
mod kept;
mod story;
mod telemetry;

use std::{convert::Infallible, path::Path, sync::Arc};

use bytes::Bytes;
use foreshock_core::{
    config::Config,
    correlator::{self, Correlator},
    pipeline::{Effect, Event, Pipeline, PipelineConfig, ThreadsConfig},
    types::{Record, Source},
};

use crate::generated::random::Random;
use estate::{Estate, Role};
use judge::Judge;
pub use judge::{Outcome, Report, Verdict};
pub use kept::KeepError;
use kept::Kept;
use story::Fault;
pub use story::Kind;
use telemetry::{Counters, Moment};

const TICK_S: i64 = 10;
const DAY_S: i64 = 3_600;
const WARM_UP_S: i64 = 3 * DAY_S;
/// Monday, 2 March 2026.
const START_S: i64 = 1_772_409_600;
const TOPICS: [&str; 4] = ["changes", "otlp_metrics", "otlp_logs", "otlp_spans"];

/// The records of a tick, by topic.
pub type Told = [Vec<Vec<u8>>; 4];

/// An estate and what happens to it.
#[derive(Debug)]
pub struct World {
    estate: Estate,
    faults: Vec<Fault>,
    random: Random,
    now_s: i64,
    end_s: i64,
    counters: Vec<Counters>,
    versions: Vec<String>,
    /// When each service started, unix seconds.
    starts_s: Vec<i64>,
    depths: Vec<f64>,
    mood: f64,
}

impl World {
    /// An estate of so many services before its first tick.
    pub fn new(services: usize, seed: u64) -> World {
        let mut random = Random::new(seed.wrapping_mul(1_000).wrapping_add(services as u64));
        let estate = Estate::new(services, &mut random);
        let faults = story::plan(&estate, START_S + WARM_UP_S, &mut random);
        let end_s = faults.iter().map(|fault| fault.end_s).max().unwrap_or(START_S) / TICK_S * TICK_S + 1_200;
        World {
            faults,
            random,
            now_s: START_S,
            end_s,
            counters: vec![Counters::default(); services],
            versions: (0..services).map(|at| format!("1.{}.0", at % 7)).collect(),
            starts_s: vec![START_S; services],
            depths: vec![0.0; services],
            mood: 0.0,
            estate,
        }
    }

    /// What is told in the next tick, and its start in unix seconds; `None` when the story is over.
    pub fn step(&mut self) -> Option<(i64, Told)> {
        if self.now_s >= self.end_s {
            return None;
        }
        let changes = self.turn();
        let troubles = story::troubles(&self.estate, &self.faults, self.now_s);
        let customers = self.customers();
        let World { estate, random, depths, .. } = self;
        let states = flow::flow(estate, &troubles, customers, depths, TICK_S as f64, random);
        let World { estate, random, counters, versions, starts_s, now_s, .. } = self;
        let now_s = *now_s;
        let services = estate.services.len();
        let moment = Moment {
            estate,
            troubles: &troubles,
            states: &states,
            versions,
            starts_s,
            now_s,
            tick_s: TICK_S as f64,
        };
        let told = [
            changes,
            moment.metrics(counters, random),
            moment.logs(random),
            moment.spans(10 + services / 5, random),
        ];
        self.now_s += TICK_S;
        Some((now_s, told))
    }

    /// Begins and ends what is due: versions change, pods start anew; gives the changes that are announced.
    fn turn(&mut self) -> Vec<Vec<u8>> {
        let mut changes = Vec::new();
        let due = |time_s: i64| (self.now_s..self.now_s + TICK_S).contains(&time_s);
        for fault in &self.faults {
            let name = &self.estate.services[fault.at].name;
            let begins = due(fault.start_s);
            let (kind, version) = match fault.kind {
                Kind::BadDeploy if begins => ("dev.cdevents.service.upgraded.0.2.0", "2.0.0"),
                Kind::BadDeploy => ("dev.cdevents.service.rolledback.0.2.0", "1.0.0"),
                Kind::HarmlessDeploy if begins => ("dev.cdevents.service.upgraded.0.2.0", "1.9.0"),
                Kind::ConfigError if begins => ("com.example.config.changed", "r41"),
                Kind::ConfigError => ("com.example.config.rolledback", "r40"),
                _ => ("", ""),
            };
            let is_announced = begins || due(fault.end_s) && fault.kind != Kind::HarmlessDeploy;
            if is_announced && !kind.is_empty() {
                changes.push(telemetry::change(name, kind, version, self.now_s));
            }
            let starts_anew = match fault.kind {
                Kind::BadDeploy => begins || due(fault.end_s),
                Kind::HarmlessDeploy => begins,
                Kind::MemoryLeak | Kind::LostDependency => due(fault.end_s),
                _ => false,
            };
            if starts_anew {
                self.counters[fault.at] = Counters::default();
                self.starts_s[fault.at] = self.now_s;
            }
            if starts_anew && !version.is_empty() {
                self.versions[fault.at] = version.to_owned();
            }
        }
        changes
    }

    /// Customers' requests per second.
    fn customers(&mut self) -> f64 {
        let day = (self.now_s - START_S) as f64 / DAY_S as f64;
        let turn = |days: f64| (std::f64::consts::TAU * days).sin();
        let rhythm = 1.0 + 0.3 * turn(day - 0.3) + 0.07 * turn(2.0 * day - 0.1);
        self.mood = 0.95 * self.mood + 0.006 * self.random.normal();
        let surge = self.faults.iter().filter(|fault| fault.kind == Kind::Surge).map(|fault| {
            let part = (self.now_s - fault.start_s) as f64 / (fault.end_s - fault.start_s) as f64;
            0.8 * fault.grade * (4.0 * part.min(1.0 - part)).clamp(0.0, 1.0)
        });
        let usual: f64 = self.estate.of_role(Role::Gateway).map(|at| self.estate.usual[at]).sum();
        usual * rhythm * (1.0 + self.mood) * (1.0 + surge.sum::<f64>())
    }
}

/// Lets an engine live through the story of an estate.
pub fn run(services: usize, seed: u64) -> Outcome {
    let mut world = World::new(services, seed);
    let mut judge = Judge::default();
    let mut pipeline = pipeline();
    live(&mut world, &mut pipeline, |effect| {
        match effect {
            Effect::Incident(incident) => judge.incident(incident),
            Effect::Anomaly(anomaly) => judge.anomaly(&anomaly),
            _ => {}
        }
        Ok::<(), Infallible>(())
    })
    .unwrap_or_else(|never| match never {});
    judge.verdict(&world, pipeline.series())
}

/// The same, from what the correlator is told: it is written down in the folder, unless a run before has done it.
pub fn run_kept(services: usize, seed: u64, folder: &Path) -> Result<Outcome, KeepError> {
    let mut world = World::new(services, seed);
    let path = folder.join(format!("{services}-{seed}.told"));
    if !path.exists() {
        let mut kept = Kept::create(&path)?;
        let mut pipeline = pipeline();
        pipeline.show_told();
        live(&mut world, &mut pipeline, |effect| match effect {
            Effect::Told(event) => kept.event(*event),
            _ => Ok(()),
        })?;
        kept.end(pipeline.series())?;
    }
    let mut judge = Judge::default();
    let mut correlator = Correlator::new(config().correlator);
    let series = kept::events(&path, |event| {
        if let correlator::Event::Tick(tick) = &event {
            tick.anomalies.iter().for_each(|anomaly| judge.anomaly(anomaly));
        }
        for effect in correlator.on_event(event) {
            if let correlator::Effect::Incident(incident) = effect {
                judge.incident(incident);
            }
        }
    })?;
    Ok(judge.verdict(&world, series))
}

/// As shipped, but on one thread and without policies.
fn config() -> PipelineConfig {
    let mut config = Config::default().pipeline();
    config.threads = ThreadsConfig { count: 1, ..config.threads };
    config.bus.policies = Vec::new();
    config
}

fn pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new(config()).expect("the default configuration is valid");
    pipeline.on_event(Event::Backlog(false));
    pipeline
}

/// Gives the pipeline all that a world tells, and `take` what comes of it.
fn live<E>(
    world: &mut World,
    pipeline: &mut Pipeline,
    mut take: impl FnMut(Effect) -> Result<(), E>,
) -> Result<(), E> {
    let mut take = |effects: Vec<Effect>| {
        effects.into_iter().try_for_each(|effect| match effect {
            Effect::DeadLetter { reject, .. } => panic!("the engine refuses a record: {reject:?}"),
            effect => take(effect),
        })
    };
    let sources = TOPICS.map(|topic| Source { topic: Arc::from(topic), partition: 0 });
    for source in &sources[1..] {
        pipeline.on_event(Event::Assign(source.clone()));
    }
    let mut offsets = [0; 4];
    while let Some((now_s, told)) = world.step() {
        for ((source, messages), offset) in sources.iter().zip(told).zip(&mut offsets) {
            let records: Vec<Record> = messages
                .into_iter()
                .map(|payload| {
                    *offset += 1;
                    let is_change = &*source.topic == TOPICS[0];
                    let time_ms = now_s * 1000 + if is_change { 0 } else { 9_900 };
                    let payload = Bytes::from(payload);
                    Record { offset: *offset, time_ms, key: None, headers: Vec::new(), payload }
                })
                .collect();
            take(pipeline.on_event(Event::Records { source, records: &records }))?;
        }
    }
    take(pipeline.on_event(Event::Flush))
}
