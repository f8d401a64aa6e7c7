//! The pipeline: the one place that names every stage and what goes between them.
//!
//! ```text
//! Records ─ Partition(Intake → measures::extract) ─ frames by tick and shard
//!   every partition past a tick ─ Traces ─ edges, values ─┐
//!                                 Shard(Fold → Scorer) ───┴ anomalies
//!     (before that: Query → Measured, when somebody outside measures rows of the tick)
//!     (what a silence means is judged and not learnt, and opens no incident)
//!     every shard past it ─ Correlator ─ incidents ─ Bus ─ signals
//!                               ↑────── verified ──────┘
//! ```
//!
//! Synchronous and pure: events in, effects out; no clock, no I/O. `run` and `demo` are the shells around it.

mod due;
mod events;
pub mod file;
mod partition;
mod rows;
mod scores;
mod shard;
mod sightings;
mod snapshot;
mod threads;

use std::collections::BTreeMap;

use crate::{
    bus::{self, Bus, BusConfig},
    correlator::{self, Correlator, CorrelatorConfig},
    intake::IntakeConfig,
    measures::{FoldConfig, FrameInput, TraceConfig, TraceCounts, Traces},
    score::ScoreConfig,
    silences::Silences,
    types::{
        BatchSignal, Measured, Record, RemediationSignal, Samples, Schedule, Source, TickClosed, TickRows,
        Word,
    },
};

use due::Due;
pub use events::{Effect, Event};
pub use partition::{Clock, Idle, Progress, Resume};
use partition::{Frames, Partition};
pub use scores::SeriesScore;
use shard::{Closed, Shard, ShardTick};
use sightings::Sightings;
pub use snapshot::SnapshotError;
use threads::Threads;
pub use threads::ThreadsConfig;

/// Settings of every stage.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Ticks, lateness and shards.
    pub clock: Clock,
    /// Threads that close shards.
    pub threads: ThreadsConfig,
    /// Decoding.
    pub intake: IntakeConfig,
    /// Encodings by topic, where the configuration names them.
    pub encodings: BTreeMap<String, crate::intake::Encoding>,
    /// Topics that never hold the watermark: changes are rare.
    pub quiet_topics: Vec<String>,
    /// Signals whose rows somebody outside measures before a tick closes.
    pub queried: Vec<BatchSignal>,
    /// Measures.
    pub fold: FoldConfig,
    /// Spans of one trace together.
    pub traces: TraceConfig,
    /// Detectors.
    pub score: ScoreConfig,
    /// Most series of the engine in the deep tier.
    pub deep_series: usize,
    /// Incidents.
    pub correlator: CorrelatorConfig,
    /// Windows in which nothing is learnt and nothing opens.
    pub silences: Vec<Schedule>,
    /// Policies and leases.
    pub bus: BusConfig,
}

impl Default for PipelineConfig {
    fn default() -> PipelineConfig {
        let fold = FoldConfig::default();
        PipelineConfig {
            clock: Clock { tick_ns: fold.tick_ns, lateness_ns: 2 * fold.tick_ns, shards: 64 },
            threads: ThreadsConfig::default(),
            intake: IntakeConfig::default(),
            encodings: BTreeMap::new(),
            quiet_topics: vec!["changes".to_string()],
            queried: Vec::new(),
            traces: TraceConfig { tick_ns: fold.tick_ns, ..TraceConfig::default() },
            fold,
            score: ScoreConfig::default(),
            deep_series: 2048,
            correlator: CorrelatorConfig::default(),
            silences: Vec::new(),
            bus: BusConfig::default(),
        }
    }
}

/// Counts since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records taken.
    pub records: u64,
    /// Samples found in them.
    pub samples: u64,
    /// Samples that came too late for their tick.
    pub late: u64,
    /// Values that were scored.
    pub scored: u64,
    /// Values of series that had no room.
    pub refused: u64,
    /// Ticks closed.
    pub ticks: u64,
    /// Spans of one trace together.
    pub traces: TraceCounts,
}

/// The state of everything between records and incidents.
#[derive(Debug)]
pub struct Pipeline {
    config: PipelineConfig,
    partitions: BTreeMap<Source, Partition>,
    traces: Traces,
    threads: Threads,
    shards: Vec<Shard>,
    silences: Silences,
    correlator: Correlator,
    bus: Bus,
    /// What waits for its tick.
    due: Due,
    /// Words that wait for theirs. Not part of a snapshot: the journal has them.
    words: Vec<(i64, Word)>,
    /// How entities were seen to run.
    sightings: Sightings,
    closed: i64,
    awaited: Option<Awaited>,
    catching_up: bool,
    shows_scores: bool,
    shows_told: bool,
    counts: Counts,
}

/// A tick that waits for its measures. Not part of a snapshot: its records are read again and the query is made again.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    tick: i64,
    /// Whether every later tick is to close too.
    all: bool,
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    pub fn new(config: PipelineConfig) -> Result<Pipeline, bus::ConfigError> {
        let shard = |index| Shard::new(index, config.fold.clone(), config.score.clone());
        Ok(Pipeline {
            partitions: BTreeMap::new(),
            traces: Traces::new(config.traces),
            threads: Threads::new(config.threads),
            shards: (0..config.clock.shards).map(shard).collect(),
            silences: Silences::new(config.silences.clone()),
            correlator: Correlator::new(config.correlator.clone()),
            bus: Bus::new(config.bus.clone())?,
            due: Due::default(),
            words: Vec::new(),
            sightings: Sightings::default(),
            closed: i64::MIN,
            awaited: None,
            catching_up: true,
            shows_scores: false,
            shows_told: false,
            counts: Counts::default(),
            config,
        })
    }

    /// Takes an event and gives what follows from it.
    pub fn on_event(&mut self, event: Event<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Assign(source) => {
                self.partition(&source);
            }
            Event::Records { source, records } => {
                self.records(source, records, &mut effects);
                self.close_ticks(false, &mut effects);
            }
            Event::Revoke(source) => {
                self.partitions.remove(source);
                self.close_ticks(false, &mut effects);
            }
            Event::Idle(idle) => {
                self.partition(&idle.source).idle(idle);
                self.close_ticks(false, &mut effects);
            }
            Event::Flush => self.close_ticks(true, &mut effects),
            Event::Measured { tick, values } => self.measured(tick, &values, &mut effects),
            Event::Word { word, after_ms } => {
                self.words.push((after_ms, word));
                self.hear(&mut effects);
            }
            // Event time may stand still: the bus must not wait for the next tick to know.
            Event::Backlog(catching_up) if catching_up != self.catching_up => {
                self.catching_up = catching_up;
                let time_ms = self.closed_ms().unwrap_or(0);
                self.tell_bus(bus::Event::Tick { time_ms, catching_up }, &mut effects);
            }
            Event::Backlog(_) => {}
            Event::Bus(event) => self.tell_bus(event, &mut effects),
        }
        effects
    }

    /// From now on every tick gives its scores.
    pub fn show_scores(&mut self) {
        self.shows_scores = true;
    }

    /// From now on everything that the correlator is told is given too: another one can be told the same.
    pub fn show_told(&mut self) {
        self.shows_told = true;
    }

    /// Takes an event and lets `measure` answer every query that comes of it.
    pub fn on_event_measured(
        &mut self,
        event: Event<'_>,
        mut measure: impl FnMut(&TickRows) -> Vec<Measured>,
    ) -> Vec<Effect> {
        let mut effects = self.on_event(event);
        while let Some(Effect::Query(rows)) = effects.pop_if(|last| matches!(last, Effect::Query(_))) {
            let values = measure(&rows);
            effects.extend(self.on_event(Event::Measured { tick: rows.tick, values }));
        }
        effects
    }

    /// The correlator, to look at.
    pub fn correlator(&self) -> &Correlator {
        &self.correlator
    }

    /// What is silenced, to look at.
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// The bus, to look at.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Takes a revision of a signal from the journal, after [`Pipeline::load`] and before the first event.
    pub fn recover(&mut self, signal: RemediationSignal) {
        self.bus.recover(signal);
    }

    /// End of the latest closed tick, unix milliseconds; `None` before the first.
    pub fn closed_ms(&self) -> Option<i64> {
        (self.closed > i64::MIN).then(|| (self.closed + 1) * self.config.clock.tick_ns / 1_000_000)
    }

    /// Event time, unix milliseconds, until which it learns and tells nothing; `None` once that is over.
    pub fn learns_until_ms(&self) -> Option<i64> {
        let until_ms = self.config.score.learn_until_ms;
        (until_ms > self.closed_ms().unwrap_or(i64::MIN)).then_some(until_ms)
    }

    /// Number of series that have been seen for long enough to be judged.
    pub fn warm_series(&self) -> u64 {
        self.shards.iter().map(Shard::warm).sum()
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        Counts { traces: self.traces.counts(), ..self.counts }
    }

    /// Number of spans that wait for the rest of their trace.
    pub fn spans(&self) -> usize {
        self.traces.spans()
    }

    /// Number of series that have a slot.
    pub fn series(&self) -> usize {
        self.shards.iter().map(Shard::series).sum()
    }

    /// Series in the deep tier, and that wait for room in it.
    pub fn deep_series(&self) -> (usize, usize) {
        self.shards.iter().map(Shard::deep).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Resources whose end is forecast.
    pub fn forecast_series(&self) -> usize {
        self.shards.iter().map(Shard::forecasts).sum()
    }

    /// Series that started with a past, since the start of the process.
    pub fn with_history(&self) -> u64 {
        self.shards.iter().map(Shard::with_history).sum()
    }

    /// Series that have been silent for longer than they ever are.
    pub fn silent_series(&self) -> usize {
        self.shards.iter().map(Shard::silent).sum()
    }

    /// How far each partition was read.
    pub fn progress(&self) -> impl Iterator<Item = Progress<'_>> {
        self.partitions.values().map(Partition::progress)
    }

    /// The decision that ends the wait for a partition that is silent, if the others wait for it.
    pub fn silence(&self, source: &Source) -> Option<Idle> {
        let silent = self.partitions.get(source).filter(|partition| !partition.quiet)?.progress();
        let newest_ns =
            self.partitions.values().filter_map(|partition| partition.progress().newest_ns).max()?;
        let waits = silent.newest_ns.is_none_or(|own_ns| own_ns < newest_ns);
        waits.then(|| Idle { source: source.clone(), offset: silent.next_offset, newest_ns })
    }

    fn partition(&mut self, source: &Source) -> &mut Partition {
        let config = &self.config;
        self.partitions.entry(source.clone()).or_insert_with(|| {
            let encoding = config.encodings.get(&*source.topic).copied().unwrap_or(config.intake.encoding);
            let quiet = config.quiet_topics.iter().any(|topic| **topic == *source.topic);
            let intake = IntakeConfig { encoding, ..config.intake.clone() };
            Partition::new(source.clone(), intake, quiet, config.queried.clone())
        })
    }

    /// Takes records; a silence that was decided at an offset between them takes effect there.
    fn records(&mut self, source: &Source, mut records: &[Record], effects: &mut Vec<Effect>) {
        while !records.is_empty() {
            let now = self.partition(source).until_idle(records);
            let (now, later) = records.split_at(now);
            self.take(source, now, effects);
            records = later;
        }
    }

    fn take(&mut self, source: &Source, records: &[Record], effects: &mut Vec<Effect>) {
        let (clock, closed) = (self.config.clock, self.closed);
        let taken = self.partition(source).take(records, &clock, closed);
        self.counts.records += records.len() as u64;
        self.counts.samples += taken.samples;
        self.counts.late += taken.late;
        for (shard, def) in taken.defs {
            self.traces.define(&def);
            self.shards[shard].define(def);
        }
        for reject in taken.rejects {
            effects.push(Effect::DeadLetter { source: source.clone(), reject });
        }
        self.due.changes.extend(taken.changes);
        self.due.alerts.extend(taken.alerts);
        self.due.sightings.extend(taken.sightings);
    }

    /// Closes every tick that no partition holds open any more, oldest first, up to one that waits for its measures.
    fn close_ticks(&mut self, all: bool, effects: &mut Vec<Effect>) {
        let clock = self.config.clock;
        let holding = self.partitions.values().filter(|partition| !partition.quiet);
        let first_open = holding.map(|partition| partition.first_open(&clock).unwrap_or(i64::MIN)).min();
        let limit = if all { i64::MAX } else { first_open.unwrap_or(i64::MIN) };
        while self.awaited.is_none()
            && let Some(tick) = self.partitions.values().filter_map(Partition::oldest).min()
            && tick < limit
        {
            let batches: Vec<_> =
                self.partitions.values().flat_map(|partition| partition.rows(tick)).cloned().collect();
            if batches.is_empty() {
                self.close(tick, &[], effects);
            } else {
                self.awaited = Some(Awaited { tick, all });
                effects.push(Effect::Query(TickRows { tick, batches }));
            }
        }
    }

    fn measured(&mut self, tick: i64, values: &[Measured], effects: &mut Vec<Effect>) {
        if let Some(awaited) = self.awaited.take_if(|awaited| awaited.tick == tick) {
            self.close(tick, values, effects);
            self.close_ticks(awaited.all, effects);
        }
    }

    fn close(&mut self, tick: i64, measured: &[Measured], effects: &mut Vec<Effect>) {
        self.closed = tick;
        self.counts.ticks += 1;
        let start_ms = tick * self.config.clock.tick_ns / 1_000_000;
        let taken: Vec<(u32, Frames)> = (0..)
            .zip(self.partitions.values_mut())
            .filter_map(|(order, partition)| Some((order, partition.close(tick)?)))
            .collect();
        let traced = self.traces.close(tick, taken.iter().map(|(_, frames)| frames.shards.as_slice()));
        let measured_by_shard = self.by_shard(&[&traced.values, measured].concat());
        let silences = self.silences.hold(start_ms);
        let mut told = TickClosed {
            time_ms: start_ms,
            edges: traced.edges,
            examples: traced.examples,
            silences,
            ..TickClosed::default()
        };
        let samples = taken.iter().flat_map(|(_, frames)| &frames.shards).map(Samples::len).sum();
        let shows_scores = self.shows_scores;
        let rooms = self.deep_rooms();
        let silences = &told.silences;
        let closed = self.threads.each(&mut self.shards, samples, |index, shard| {
            let inputs: Vec<FrameInput<'_>> = taken
                .iter()
                .map(|(source, frames)| FrameInput { source: *source, samples: &frames.shards[index] })
                .filter(|input| !input.samples.is_empty())
                .collect();
            let measured = measured_by_shard.get(index).map_or(&[][..], Vec::as_slice);
            let is_idle = inputs.is_empty() && measured.is_empty() && shard.series() == 0;
            if is_idle {
                return Closed::default();
            }
            shard.close(&ShardTick {
                tick,
                time_ms: start_ms,
                inputs: &inputs,
                measured,
                deep_room: rooms[index],
                silences,
                shows_scores,
            })
        });
        let mut scores = Vec::new();
        for closed in closed {
            self.counts.scored += closed.scored;
            self.counts.refused += closed.refused;
            told.anomalies.extend(closed.anomalies);
            told.traffic.extend(closed.traffic);
            told.examples.extend(closed.examples);
            scores.extend(closed.scores);
        }
        if shows_scores {
            scores.sort_by(|a, b| a.series.name.cmp(&b.series.name));
            effects.push(Effect::Scores { time_ms: start_ms, series: scores });
        }
        told.warm_series = self.shards.iter().map(Shard::warm).sum();
        let mut taken = taken.into_iter().peekable();
        for (order, partition) in (0..).zip(self.partitions.values_mut()) {
            if let Some((_, frames)) = taken.next_if(|(source, _)| *source == order) {
                partition.recycle(frames);
            }
        }
        self.correlate(told, effects);
    }

    /// How many series each shard may let into the deep tier: what is free goes to those who wait, in the order of shards.
    fn deep_rooms(&self) -> Vec<usize> {
        let mut free = self.config.deep_series.saturating_sub(self.deep_series().0);
        let rooms = self.shards.iter().map(|shard| {
            let room = shard.deep().1.min(free);
            free -= room;
            room
        });
        rooms.collect()
    }

    /// Measured values by the shard of their entity; nothing when there are none.
    fn by_shard(&self, measured: &[Measured]) -> Vec<Vec<Measured>> {
        let shards = if measured.is_empty() { 0 } else { self.shards.len() };
        let mut by_shard = vec![Vec::new(); shards];
        for value in measured {
            by_shard[self.config.clock.shard(&value.series)].push(value.clone());
        }
        by_shard
    }

    fn correlate(&mut self, mut told: TickClosed, effects: &mut Vec<Effect>) {
        let time_ms = told.time_ms;
        told.anomalies.sort_by(|a, b| a.series.cmp(&b.series).then(a.id.cmp(&b.id)));
        effects.extend(told.anomalies.iter().cloned().map(Effect::Anomaly));
        let end_ms = time_ms + self.config.clock.tick_ns / 1_000_000;
        let mut due = self.due.until(end_ms);
        told.placements = sightings::placements(&mut due.sightings);
        due.changes.iter().for_each(|change| self.sightings.told(change));
        due.changes.extend(due.sightings.into_iter().filter_map(|seen| self.sightings.take(seen)));
        for change in due.changes {
            effects.push(Effect::Change(change.clone()));
            self.tell_bus(bus::Event::Change(change.clone()), effects);
            self.tell_correlator(correlator::Event::Change(change), effects);
        }
        // What others alerted of in a stretch that is not told of is over, or alerted of again.
        let tells = time_ms >= self.config.score.learn_until_ms;
        for alert in due.alerts.into_iter().filter(|_| tells) {
            self.tell_correlator(correlator::Event::Alert(alert), effects);
        }
        let catching_up = self.catching_up;
        self.tell_bus(bus::Event::Tick { time_ms: end_ms, catching_up }, effects);
        self.tell_correlator(correlator::Event::Tick(told), effects);
        effects.push(Effect::TickClosed { time_ms: end_ms });
        self.hear(effects);
    }

    /// Lets words take effect whose tick is closed.
    fn hear(&mut self, effects: &mut Vec<Effect>) {
        let closed_ms = self.closed_ms().unwrap_or(i64::MIN);
        let due: Vec<_> = self.words.extract_if(.., |(after_ms, _)| *after_ms <= closed_ms).collect();
        for (_, word) in due {
            match word {
                Word::Silence(silence) => self.silences.take(silence),
                Word::EndSilence { silence, .. } => self.silences.end(silence, closed_ms),
                Word::Halt { halt, by, comment } => {
                    self.tell_bus(bus::Event::Halt { halt, by, comment }, effects);
                }
                word => self.tell_correlator(correlator::Event::Word(word), effects),
            }
        }
    }

    /// Tells the correlator, and the bus what came of it.
    fn tell_correlator(&mut self, event: correlator::Event, effects: &mut Vec<Effect>) {
        if self.shows_told {
            effects.push(Effect::Told(Box::new(event.clone())));
        }
        for effect in self.correlator.on_event(event) {
            match effect {
                correlator::Effect::Incident(incident) => {
                    effects.push(Effect::Incident(incident.clone()));
                    self.tell_bus(bus::Event::Incident(incident), effects);
                }
                correlator::Effect::Suppressed(suppressed) => effects.push(Effect::Suppressed(suppressed)),
            }
        }
    }

    /// Tells the bus, and the correlator what came of remediation.
    fn tell_bus(&mut self, event: bus::Event, effects: &mut Vec<Effect>) {
        for effect in self.bus.on_event(event) {
            match effect {
                bus::Effect::Remediation { incident, recovery } => {
                    self.tell_correlator(correlator::Event::Remediation { incident, recovery }, effects);
                }
                other => effects.push(Effect::Bus(other)),
            }
        }
    }
}
