//! A simulated shop: ten services, a database and a queue, whose customers' requests are walked one
//! by one, and which tells of them in OTLP and CDEvents as a real one would. It is pure: no clock,
//! no I/O, and one seed gives the same bytes every time. It knows nothing of the engine.
//!
//! - `topology`, `operations`: the services and what they call, as data
//! - `noise`: the seeded generator
//! - `fleet`: pods and their counters · `model`: the recommendation model's telemetry
//! - `walk`: one request's way · `logs`: lines and their holes
//! - `scenario`: the plan and the ground truth · `story`: the plan as it unfolds
//! - `otlp`, `metrics`, `records`, `changes`: what leaves the shop

mod changes;
mod fleet;
mod logs;
mod metrics;
mod model;
mod noise;
mod operations;
mod otlp;
mod records;
mod scenario;
mod story;
#[cfg(test)]
mod tests;
mod topology;
mod walk;

pub use scenario::{Action, Fault, FaultKind, Plan, Scenario};

use fleet::Fleet;
use logs::Lines;
use metrics::{Moment, Peers};
use model::Predictions;
use noise::{Noise, wave};
use otlp::nanos;
use story::Story;
use topology::{ENTRIES, RECOMMENDATION, SERVICES};
use walk::{PeerLoad, Span, Walk};

/// Topic of the metrics.
pub const METRICS_TOPIC: &str = "otlp_metrics";
/// Topic of the logs.
pub const LOGS_TOPIC: &str = "otlp_logs";
/// Topic of the spans.
pub const SPANS_TOPIC: &str = "otlp_spans";
/// Topic of the change events.
pub const CHANGES_TOPIC: &str = "changes";
/// The model in the `recommendation` service.
pub const MODEL: &str = "recommender";
/// The version of `payment` before the bad deploy: what a rollback goes back to.
pub const GOOD_VERSION: &str = "1.9.4";
/// The version of `payment` that does harm.
pub const BAD_VERSION: &str = "2.0.0";
/// The version of `user` that does none.
pub const HARMLESS_VERSION: &str = "3.5.0";

/// Requests per second at an average time of day, before growth.
const REQUESTS_PER_SECOND: f64 = 60.0;
/// How much more traffic there is at the end of a run than at its start.
const GROWTH: f64 = 0.05;

/// What a run of the shop depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct ShopConfig {
    /// Seed of the noise; the scenario's times do not depend on it.
    pub seed: u64,
    /// Unix seconds of the first tick's start.
    pub start: i64,
    /// Seconds per tick; at least 1.
    pub tick_seconds: u32,
    /// Seconds from one morning to the next: short days let a demo see several.
    pub day_seconds: u32,
    /// Ticks of ordinary traffic before the scenario.
    pub warmup_ticks: u32,
    /// Factor on the number of customers; the number of traced requests stays as it is.
    pub traffic_scale: f64,
    /// What happens after the warm-up.
    pub scenario: Scenario,
}

impl Default for ShopConfig {
    /// Ten-second ticks from Monday, 2 March 2026; three days of one hour to warm up; then the full
    /// scenario: 2,180 ticks.
    fn default() -> ShopConfig {
        ShopConfig {
            seed: 1,
            start: 1_772_409_600,
            tick_seconds: 10,
            day_seconds: 3_600,
            warmup_ticks: 1_080,
            traffic_scale: 1.0,
            scenario: Scenario::full(),
        }
    }
}

/// A message for Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// One of the four topics.
    pub topic: &'static str,
    /// The service's name.
    pub key: Option<Vec<u8>>,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// An OTLP protobuf request, or a CloudEvent in JSON.
    pub payload: Vec<u8>,
    /// The record's timestamp in unix milliseconds; lies in the tick.
    pub time_ms: i64,
}

/// The shop.
#[derive(Clone, Debug)]
pub struct Shop {
    config: ShopConfig,
    now: i64,
    noise: Noise,
    fleet: Fleet,
    story: Story,
    peers: Peers,
    /// Slow wandering of the number of customers around what the time of day says.
    mood: f64,
    /// Per entry: the part of a trace that is due.
    trace_credit: [f64; ENTRIES.len()],
}

impl Shop {
    /// A shop before its first tick.
    pub fn new(config: ShopConfig) -> Shop {
        let mut noise = Noise::new(config.seed);
        let fleet = Fleet::new(config.start, &mut noise);
        let tick = i64::from(config.tick_seconds.max(1));
        let story = Story::new(&config.scenario, config.start + i64::from(config.warmup_ticks) * tick);
        let (now, peers) = (config.start, Peers::default());
        Shop { config, now, noise, fleet, story, peers, mood: 0.0, trace_credit: [0.0; ENTRIES.len()] }
    }

    /// Start of the next tick in unix seconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Whether the scenario is over. The shop can go on nevertheless.
    pub fn finished(&self) -> bool {
        self.now >= self.story.finish()
    }

    /// The number of ticks from the start to the end of the scenario.
    pub fn total_ticks(&self) -> u64 {
        let seconds = (self.story.finish() - self.config.start).max(0);
        (seconds as u64).div_ceil(self.tick() as u64)
    }

    /// The ground truth: every fault of the scenario, those to come included.
    pub fn truth(&self) -> &[Fault] {
        &self.story.faults
    }

    /// Has the shop do something at event time `at` (unix seconds); what lies in the past is done in
    /// the next tick. Actions on services, versions or models that do not exist do nothing.
    pub fn apply(&mut self, action: Action, at: i64) {
        self.story.plan_action(action, at);
    }

    /// Advances by one tick and gives every message produced in it, in a fixed order: changes,
    /// metrics, logs, spans.
    pub fn step(&mut self) -> Vec<Produced> {
        let tick = self.tick();
        let tick_ms = tick as f64 * 1_000.0;
        self.fleet.begin_tick(&mut self.noise);
        let changes = self.story.advance(self.now, tick, &mut self.fleet, &mut self.noise);
        let mut lines = Lines::new(1.0 / self.config.traffic_scale.max(1.0));
        let (spans, load) = self.trade(&mut lines, tick_ms);
        logs::housekeeping(&mut lines, &self.fleet, self.now, &mut self.noise, tick_ms);
        self.story.complain(&self.fleet, &mut lines, &mut self.noise, tick_ms);

        let mut produced = Vec::with_capacity(64);
        for change in &changes {
            let header = ("content-type".to_owned(), b"application/cloudevents+json; charset=UTF-8".to_vec());
            produced.push(Produced {
                topic: CHANGES_TOPIC,
                key: Some(change.service.into()),
                headers: vec![header],
                payload: changes::encode(change, &mut self.noise),
                time_ms: change.at * 1_000,
            });
        }
        self.report(load, tick_ms, &mut produced);
        let time_ms = (self.now + tick) * 1_000 - 100;
        let mut send = |topic, messages: Vec<(usize, Vec<u8>)>| {
            for (service, payload) in messages {
                let key = Some(SERVICES[service].name.into());
                produced.push(Produced { topic, key, headers: Vec::new(), payload, time_ms });
            }
        };
        send(LOGS_TOPIC, records::encode_lines(&lines.into_sorted(), &self.fleet, self.now));
        send(SPANS_TOPIC, records::encode_spans(&spans, &self.fleet, self.now));
        self.now += tick;
        produced
    }

    fn tick(&self) -> i64 {
        i64::from(self.config.tick_seconds.max(1))
    }

    /// Time of day in turns: whole numbers are midnights.
    fn day(&self) -> f64 {
        (self.now - self.config.start) as f64 / f64::from(self.config.day_seconds.max(1))
    }

    /// Customers' requests per second that the time of day, growth and the story call for.
    fn demand(&self) -> f64 {
        let (since, day) = ((self.now - self.config.start) as f64, self.day());
        let run = (self.story.finish() - self.config.start).max(1) as f64;
        let growth = 1.0 + GROWTH * since / run;
        let rhythm = 1.0 + 0.30 * wave(day - 0.3) + 0.07 * wave(2.0 * day - 0.1);
        let usual = REQUESTS_PER_SECOND * self.config.traffic_scale.max(0.0);
        usual * growth * rhythm * self.story.surge(self.now)
    }

    /// Serves the customers of one tick; gives the spans of those that were traced, sorted by place.
    fn trade(&mut self, lines: &mut Lines, tick_ms: f64) -> (Vec<Span>, PeerLoad) {
        self.mood = 0.95 * self.mood + 0.006 * self.noise.normal();
        let customers = self.demand() * (1.0 + self.mood) * tick_ms / 1_000.0;
        let scale = self.config.traffic_scale.max(1e-9);

        let (mut spans, mut load) = (Vec::new(), PeerLoad::default());
        let mut walk = Walk::new(&mut self.fleet, &mut self.noise, lines, &mut spans, &mut load);
        for (entry, credit) in ENTRIES.iter().zip(&mut self.trace_credit) {
            let traced_share = entry.traced / (10.0 * REQUESTS_PER_SECOND * entry.share * scale);
            for _ in 0..walk.noise.count(customers * entry.share) {
                *credit += traced_share.min(1.0);
                let traced = *credit >= 1.0;
                *credit -= f64::from(u8::from(traced));
                walk.customer(entry.operation, traced, tick_ms);
            }
        }
        spans.sort_by(|a, b| a.place.cmp(&b.place).then(a.start_ms.total_cmp(&b.start_ms)));
        (spans, load)
    }

    /// The metrics of every pod and peer; each reports at its own moment of the tick's last second.
    fn report(&mut self, load: PeerLoad, tick_ms: f64, produced: &mut Vec<Produced>) {
        let mut turn = 0;
        let mut moment = |now: i64, started: i64| {
            turn += 1;
            let offset_ms = tick_ms - 100.0 - f64::from(turn * 37 % 800);
            let time_ms = now * 1_000 + offset_ms as i64;
            (Moment { start: nanos(started, 0.0), now: nanos(now, offset_ms) }, time_ms)
        };
        let mut send = |name: &str, payload, time_ms| {
            let (key, headers) = (Some(name.as_bytes().to_vec()), Vec::new());
            produced.push(Produced { topic: METRICS_TOPIC, key, headers, payload, time_ms });
        };
        let (day, drift) = (self.day(), self.story.drift(self.now));
        for (index, (service, pods)) in SERVICES.iter().zip(&self.fleet.pods).enumerate() {
            for pod in pods {
                let (moment, time_ms) = moment(self.now, pod.started);
                let predictions = (index == RECOMMENDATION)
                    .then(|| Predictions::of(pod, day, drift, &mut self.noise))
                    .flatten();
                let payload =
                    metrics::of_pod(service, pod, predictions.as_ref(), moment, tick_ms, &mut self.noise);
                send(service.name, payload, time_ms);
            }
        }
        let (moment, time_ms) = moment(self.now, self.config.start);
        for (name, payload) in self.peers.report(load, moment, tick_ms, &mut self.noise) {
            send(name, payload, time_ms);
        }
    }
}
