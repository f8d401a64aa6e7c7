//! The seam: what stages hand to each other, written, read, split and merged at random, gives what handing it over in memory gives.
//!
//! Does not prove that processes agree on who reads what, and when: that is the business of those who move the bytes.

use std::collections::BTreeMap;

use foreshock_shop::{FaultKind, Scenario, Shop, ShopConfig};
use proptest::prelude::*;

use super::*;
use crate::types::{Anomaly, Control, Handed, Incident, ShardClosed, TraceSpans};

/// Writes and reads it.
fn handed<T: Handed>(it: &T) -> T {
    let bytes = it.write().expect("it can be written");
    T::read(&bytes).expect("what was written can be read")
}

/// Tasks that share nothing: what goes between them is written and read.
struct Apart {
    config: PipelineConfig,
    partitions: BTreeMap<Source, Partition>,
    /// What partitions contributed so far to ticks that are open, piece by piece.
    pieces: BTreeMap<i64, BTreeMap<Source, Vec<Frames>>>,
    traces: Vec<Traces>,
    /// Each closes the shards whose index leaves its own when divided by their number.
    processes: Vec<Shards>,
    decide: Decide,
    random: u64,
    closed: i64,
}

/// What came of a tick, as far as it can be compared to the bit.
type Came = (Vec<Anomaly>, Vec<Incident>, Vec<(String, [u64; 5])>);

impl Apart {
    fn new(config: &PipelineConfig, processes: usize, seed: u64) -> Apart {
        Apart {
            partitions: BTreeMap::new(),
            pieces: BTreeMap::new(),
            traces: (0..config.traces.partitions).map(|_| Traces::new(config.traces)).collect(),
            processes: (0..processes).map(|_| Shards::new(config)).collect(),
            decide: Decide::new(config).expect("a configuration of defaults"),
            random: seed | 1,
            closed: i64::MIN,
            config: config.clone(),
        }
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33).is_multiple_of(times)
    }

    fn records(&mut self, source: &Source, records: &[Record]) -> Vec<Came> {
        let (config, clock) = (&self.config, self.config.clock);
        let partition = self.partitions.entry(source.clone()).or_insert_with(|| {
            let routes = Routes::new(clock.shards, config.traces.partitions, &config.fold);
            let quiet = config.quiet_topics.iter().any(|topic| **topic == *source.topic);
            Partition::new(source.clone(), config.intake.clone(), routes, quiet, Vec::new())
        });
        let taken = partition.take(records, &clock, self.closed);
        self.decide.take(taken.changes, taken.alerts, taken.sightings);
        if self.once_in(3) {
            self.cut(source);
        }
        self.close_ticks()
    }

    /// Takes out what a partition has contributed so far: the rest of its ticks is another piece.
    fn cut(&mut self, source: &Source) {
        let partition = self.partitions.get_mut(source).expect("it has sent records");
        while let Some(tick) = partition.oldest() {
            let frames = partition.close(tick).expect("its oldest tick");
            self.pieces.entry(tick).or_default().entry(source.clone()).or_default().push(frames);
        }
    }

    fn close_ticks(&mut self) -> Vec<Came> {
        let clock = self.config.clock;
        let holding = self.partitions.values().filter(|partition| !partition.quiet);
        let limit = holding.map(|partition| partition.first_open(&clock).unwrap_or(i64::MIN)).min();
        let sources: Vec<Source> = self.partitions.keys().cloned().collect();
        let mut came = Vec::new();
        loop {
            let open = self.partitions.values().filter_map(Partition::oldest);
            let tick = open.chain(self.pieces.keys().next().copied()).min();
            let Some(tick) = tick.filter(|tick| limit.is_some_and(|limit| *tick < limit)) else { break };
            sources.iter().for_each(|source| self.cut(source));
            let pieces = self.pieces.remove(&tick).expect("it was just cut");
            came.push(self.close(tick, &pieces.into_values().flatten().collect::<Vec<_>>()));
        }
        came
    }

    fn close(&mut self, tick: i64, pieces: &[Frames]) -> Came {
        self.closed = tick;
        let shards = self.config.clock.shards;
        let time_ms = tick * self.config.clock.tick_ns / 1_000_000;
        let traced: Vec<BTreeMap<usize, Partial>> = (0..)
            .zip(&mut self.traces)
            .map(|(index, traces): (usize, _)| {
                let spans = pieces.iter().filter_map(|frames| frames.partials.traces.get(index));
                let spans: Vec<TraceSpans> = spans.map(handed).collect();
                traces.close(tick, &spans, shards)
            })
            .collect();
        let sources =
            |shard: usize| pieces.iter().filter_map(move |frames| frames.partials.shards.get(shard));
        let partials: Vec<Vec<Partial>> = (0..shards)
            .map(|shard| {
                let all = sources(shard).chain(traced.iter().filter_map(|traced| traced.get(&shard)));
                all.filter(|partial| !partial.is_empty()).map(handed).collect()
            })
            .collect();
        let threads = Threads::new(ThreadsConfig::default());
        let count = self.processes.len();
        let mut closed: Vec<ShardClosed> = Vec::new();
        for (own, process) in self.processes.iter_mut().enumerate() {
            let of_own = |shard: usize| {
                if shard % count == own { partials[shard].iter().collect() } else { Vec::new() }
            };
            let of_process = process.close(&threads, tick, time_ms, 0, of_own);
            closed.extend(of_process.iter().filter(|closed| closed.shard % count == own).map(handed));
        }
        closed.sort_by_key(|closed| closed.shard);
        let mut effects = Vec::new();
        self.decide.tick(tick, time_ms, closed, &mut effects);
        if let Some(control) = self.decide.speak(tick + 1) {
            let control: Control = handed(&control);
            self.processes.iter_mut().for_each(|process| process.obey(&control));
        }
        let mut scores: Vec<SeriesScore> = self.processes.iter().flat_map(Shards::scores).collect();
        scores.sort_by(|a, b| a.series.name.cmp(&b.series.name));
        effects.insert(0, Effect::Scores { time_ms, series: scores });
        came(effects).remove(0)
    }
}

/// What came of each tick, in order.
fn came(effects: Vec<Effect>) -> Vec<Came> {
    let mut ticks: Vec<Came> = Vec::new();
    for effect in effects {
        if let Effect::Scores { series, .. } = effect {
            let bits = |one: SeriesScore| {
                let numbers = [one.value, one.expected, one.lower, one.upper, one.score];
                (one.series.name.clone(), numbers.map(f64::to_bits))
            };
            ticks.push((Vec::new(), Vec::new(), series.into_iter().map(bits).collect()));
            continue;
        }
        let Some(last) = ticks.last_mut() else { continue };
        match effect {
            Effect::Anomaly(anomaly) => last.0.push(anomaly),
            Effect::Incident(incident) => last.1.push(incident),
            _ => {}
        }
    }
    ticks
}

/// An hour of the shop with a bad deploy, by source, in the order in which it was sent. Services are parted among two partitions of each topic.
fn telemetry(seed: u64) -> Vec<(Source, Vec<Record>)> {
    let scenario = Scenario::only(FaultKind::BadDeploy, 1_500);
    let mut shop = Shop::new(ShopConfig { seed, warmup_ticks: 150, scenario, ..ShopConfig::default() });
    let mut offsets: BTreeMap<Source, i64> = BTreeMap::new();
    let mut sent = Vec::new();
    while !shop.finished() {
        let mut by_source: BTreeMap<Source, Vec<Record>> = BTreeMap::new();
        for produced in shop.step() {
            let key = produced.key.clone().unwrap_or_default();
            let partition = i32::from(key.iter().fold(0_u8, |sum, byte| sum ^ byte) & 1);
            let source = Source { topic: produced.topic.into(), partition };
            let offset = offsets.entry(source.clone()).or_insert(0);
            let headers = produced.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
            by_source.entry(source).or_default().push(Record {
                offset: *offset,
                time_ms: produced.time_ms,
                key: produced.key.map(Into::into),
                headers,
                payload: produced.payload.into(),
            });
            *offset += 1;
        }
        sent.extend(by_source);
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn tasks_apart_find_what_one_process_finds(seed in any::<u64>(), processes in 1_usize..4, deep_series in 5_usize..200) {
        let config = PipelineConfig { deep_series, ..PipelineConfig::default() };
        let mut together = Pipeline::new(config.clone()).expect("a configuration of defaults");
        together.show_scores();
        let mut apart = Apart::new(&config, processes, seed);
        let (mut anomalies, mut incidents) = (0, 0);
        for (source, records) in telemetry(seed % 7) {
            let one = came(together.on_event(Event::Records { source: &source, records: &records }));
            let other = apart.records(&source, &records);
            for (one, _) in one.iter().zip(&other) {
                anomalies += one.0.len();
                incidents += one.1.len();
            }
            prop_assert_eq!(one, other);
        }
        prop_assert!(anomalies > 0 && incidents > 0, "{} anomalies, {} incidents", anomalies, incidents);
    }
}

#[test]
fn what_another_engine_wrote_is_refused_and_what_is_damaged_too() {
    let mut partial = Partial { text: "disk is full".to_string(), ..Partial::default() };
    let written = partial.write().unwrap();
    assert!(Partial::read(&written).is_ok());
    assert_eq!(Partial::read(&[]).unwrap_err().to_string(), "it is empty");
    let other = [&[Partial::VERSION + 1], &written[1..]].concat();
    assert_eq!(Partial::read(&other).unwrap_err().to_string(), "it has form 2, this engine knows form 1");
    for end in 1..written.len() {
        assert!(Partial::read(&written[..end]).is_err(), "cut at {end}");
    }
    partial.lines.push(crate::types::LogLines {
        stream: 1,
        lines: 1,
        warnings: 0,
        errors: 0,
        severity: 9,
        first: 0..13,
        gravest: None,
    });
    let unsound = Partial::read(&partial.write().unwrap()).unwrap_err().to_string();
    assert_eq!(unsound, "it is damaged: its parts do not fit together");
}
