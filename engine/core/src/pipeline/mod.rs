//! The pipeline: the one place that names every stage and what goes between them.
//!
//! ```text
//! Records ─ Partition(Intake → Accumulator) ─ Partial by tick and shard ───┐
//!                                  └─ TraceSpans ─ Traces ─ Partial ───────┤
//!            (Query → Measured, where somebody outside measures rows) ─────┤
//!   every partition past a tick ───────────────────── Shard(Fold → Scorer) ┴─ ShardClosed
//!                                                       ↑ Control                  │
//!     every shard past it ───────────────────────────── Decide(Correlator ⇄ Bus) ──┴─ incidents, signals
//! ```
//!
//! Synchronous and pure: events in, effects out; no clock, no I/O. `run` and `replay` are the shells around it. What goes between
//! the stages can be written and read ([`crate::types::Handed`]); in one process it is handed over in memory.

mod decide;
mod due;
mod events;
pub mod file;
mod partition;
mod places;
mod rows;
mod scores;
mod shard;
mod shards;
mod sightings;
mod snapshot;
mod threads;

use std::collections::BTreeMap;

use crate::{
    bus::{self, Bus, BusConfig},
    correlator::{Correlator, CorrelatorConfig},
    intake::IntakeConfig,
    measures::{FoldConfig, Routes, TraceConfig, TraceCounts, Traces},
    score::ScoreConfig,
    silences::Silences,
    types::{BatchSignal, Measured, Partial, Record, RemediationSignal, Schedule, Source, TickRows},
};

use decide::Decide;
pub use events::{Effect, Event};
pub use partition::{Clock, Idle, Progress, Resume};
use partition::{Frames, Partition};
pub use scores::SeriesScore;
use shard::Shard;
use shards::Shards;
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
    threads: Threads,
    traces: Vec<Traces>,
    shards: Shards,
    decide: Decide,
    closed: i64,
    awaited: Option<Awaited>,
    shows_scores: bool,
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
        Ok(Pipeline {
            partitions: BTreeMap::new(),
            threads: Threads::new(config.threads),
            traces: (0..config.traces.partitions).map(|_| Traces::new(config.traces)).collect(),
            shards: Shards::new(&config),
            decide: Decide::new(&config)?,
            closed: i64::MIN,
            awaited: None,
            shows_scores: false,
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
            Event::Word { word, after_ms } => self.decide.word(word, after_ms, &mut effects),
            Event::Backlog(catching_up) => self.decide.backlog(catching_up, &mut effects),
            Event::Bus(event) => self.decide.tell_bus(event, &mut effects),
        }
        self.hand_control();
        effects
    }

    /// From now on every tick gives its scores.
    pub fn show_scores(&mut self) {
        self.shows_scores = true;
    }

    /// From now on everything that the correlator is told is given too: another one can be told the same.
    pub fn show_told(&mut self) {
        self.decide.shows_told = true;
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
        &self.decide.correlator
    }

    /// What is silenced, to look at.
    pub fn silences(&self) -> &Silences {
        &self.decide.silences
    }

    /// The bus, to look at.
    pub fn bus(&self) -> &Bus {
        &self.decide.bus
    }

    /// Takes a revision of a signal from the journal, after [`Pipeline::load`] and before the first event.
    pub fn recover(&mut self, signal: RemediationSignal) {
        self.decide.bus.recover(signal);
    }

    /// End of the latest closed tick, unix milliseconds; `None` before the first.
    pub fn closed_ms(&self) -> Option<i64> {
        self.decide.closed_ms
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
        Counts { traces: self.traces.iter().map(Traces::counts).sum(), ..self.counts }
    }

    /// Number of spans that wait for the rest of their trace.
    pub fn spans(&self) -> usize {
        self.traces.iter().map(Traces::spans).sum()
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
            let routes = Routes::new(config.clock.shards, config.traces.partitions, &config.fold);
            Partition::new(source.clone(), intake, routes, quiet, config.queried.clone())
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
        for reject in taken.rejects {
            effects.push(Effect::DeadLetter { source: source.clone(), reject });
        }
        self.decide.take(taken.changes, taken.alerts, taken.sightings);
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
        let time_ms = tick * self.config.clock.tick_ns / 1_000_000;
        let taken: Vec<(u32, Frames)> = (0..)
            .zip(self.partitions.values_mut())
            .filter_map(|(order, partition)| Some((order, partition.close(tick)?)))
            .collect();
        let samples = taken.iter().map(|(_, frames)| frames.partials.samples()).sum();
        let shards = self.config.clock.shards;
        let traced = self.threads.each(&mut self.traces, samples, |index, traces| {
            let spans = taken.iter().filter_map(|(_, frames)| frames.partials.traces.get(index));
            traces.close(tick, spans, shards)
        });
        let measured = self.by_shard(measured);
        let closed = self.shards.close(&self.threads, tick, time_ms, samples, |shard| {
            let sources = taken.iter().filter_map(|(_, frames)| frames.partials.shards.get(shard));
            let outside = traced.iter().chain([&measured]).filter_map(|by_shard| by_shard.get(&shard));
            sources.chain(outside).filter(|partial| !partial.is_empty()).collect()
        });
        if self.shows_scores {
            effects.push(Effect::Scores { time_ms, series: self.shards.scores() });
        }
        let mut taken = taken.into_iter().peekable();
        for (order, partition) in (0..).zip(self.partitions.values_mut()) {
            if let Some((_, frames)) = taken.next_if(|(source, _)| *source == order) {
                partition.recycle(frames);
            }
        }
        for shard in &closed {
            self.counts.scored += shard.scored;
            self.counts.refused += shard.refused;
        }
        self.decide.tick(tick, time_ms, closed, effects);
        self.hand_control();
    }

    /// Hands the shards what they obey from the next tick on, where it is something else than before.
    fn hand_control(&mut self) {
        if let Some(control) = self.decide.speak(self.closed.saturating_add(1)) {
            self.shards.obey(&control);
        }
    }

    /// Values that were made outside, by the shard of their entity.
    fn by_shard(&self, measured: &[Measured]) -> BTreeMap<usize, Partial> {
        let mut by_shard: BTreeMap<usize, Partial> = BTreeMap::new();
        for value in measured {
            let partial = by_shard.entry(self.config.clock.shard(&value.series)).or_default();
            partial.values.push(value.clone());
            partial.samples += 1;
        }
        by_shard
    }
}

#[cfg(test)]
mod tests;
