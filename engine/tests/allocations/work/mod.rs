//! What one record costs is bounded by its size: in every decoder and every fold, whatever is long, deep or many in it.
//!
//! Counted are the bytes that are allocated, which are the same in every run, and the nanoseconds of this thread on a processor. Both are
//! taken of one record (and its repeat in the next tick) on its way through the whole pipeline, until every tick is closed. Records are made
//! from seeds: a budget of bytes goes to a few of the places where a producer can write something long, and to how often it is repeated.
//! Not proven: what many records cost together.

mod otlp;
mod text;

use std::sync::Arc;

use bytes::Bytes;
use foreshock_core::{
    pipeline::{Event, Pipeline, PipelineConfig},
    types::{Record, Source},
};

/// Seeds for each kind of record.
const SEEDS: u64 = 50;
/// Bytes that a record has at most, about; and that the same one has when it is made smaller.
const BUDGETS: (usize, usize) = (120_000, 30_000);
/// Bytes allocated per byte of a record, and beside it: a tick of 64 shards, and the first series of a model. A new series takes thousands.
const ALLOCATED: (u64, u64) = (1_000, 8 << 20);
/// Nanoseconds per byte of a record in an unoptimized build, and beside it.
const NANOSECONDS: (u64, u64) = (15_000, 400_000_000);
/// How many times as much time the larger record may take for each byte as the smaller one, and nanoseconds beside it: the larger one may
/// have what the smaller one has no room for, such as more models, each of which takes milliseconds.
const GROWS: (u64, u64) = (2, 200_000_000);
/// Times that a measurement is made again before it counts: others use the machine too.
const TRIES: usize = 4;
/// Ticks of 10 s since 1970 at which records begin.
const START: u64 = 177_240_960;
const TICK: u64 = 10_000_000_000;

/// A generator of numbers; a seed gives the same ones for ever (xorshift).
pub struct Random {
    pub state: u64,
    /// Bytes that a record may have.
    pub budget: usize,
}

impl Random {
    fn new(seed: u64, budget: usize) -> Random {
        Random { state: (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15), budget }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A length or a count: mostly small, at times as much as the budget allows.
    pub fn size(&mut self, most: usize) -> usize {
        self.pick(&[1, 1, 2, 10, 100, most / 100, most / 10, most]).clamp(1, most.max(1))
    }

    /// A text of so many bytes, of one kind of characters.
    pub fn text(&mut self, length: usize) -> String {
        let alphabet =
            self.pick(&["a", "ab ", "/", "a/", "0123456789", "é", ".-_", "a.b@c ", "=,{}", "<*> x"]);
        alphabet.chars().cycle().take(length).collect()
    }
}

/// One kind of record.
struct Kind {
    name: &'static str,
    topic: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// The payload at a time (nanoseconds).
    make: fn(&mut Random, u64) -> Vec<u8>,
}

fn kinds() -> Vec<Kind> {
    let webhook = |name, kind: &'static [(&'static str, &'static str)], make| Kind {
        name,
        topic: "changes",
        headers: kind,
        make,
    };
    vec![
        Kind { name: "metrics", topic: "otlp_metrics", headers: &[], make: otlp::metrics },
        Kind { name: "logs", topic: "otlp_logs", headers: &[], make: otlp::logs },
        Kind { name: "spans", topic: "otlp_spans", headers: &[], make: otlp::spans },
        Kind { name: "metrics as JSON", topic: "any", headers: &[], make: otlp::metrics_json },
        Kind { name: "prometheus", topic: "any", headers: &[], make: text::prometheus },
        Kind { name: "JSON lines", topic: "any", headers: &[], make: text::json_line },
        Kind { name: "inferences", topic: "any", headers: &[], make: text::inference },
        webhook("CloudEvents", &[], text::cloud_event),
        webhook("alertmanager", &[("foreshock.webhook", "alertmanager")], text::alerts),
        webhook("generic", &[("foreshock.webhook", "generic")], text::generic),
    ]
}

/// What a record cost: bytes allocated, nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Cost {
    bytes: u64,
    nanoseconds: u64,
}

fn cost(kind: &Kind, seed: u64, budget: usize) -> (usize, Cost) {
    let record = |tick: u64| {
        let headers =
            kind.headers.iter().map(|(key, value)| (key.to_string(), Bytes::from_static(value.as_bytes())));
        let payload = (kind.make)(&mut Random::new(seed, budget), (START + tick) * TICK);
        let time_ms = ((START + tick) * TICK / 1_000_000) as i64;
        Record {
            offset: tick as i64,
            time_ms,
            headers: headers.collect(),
            payload: payload.into(),
            ..Record::default()
        }
    };
    let records = [record(0), record(1)];
    let size = records.iter().map(|record| record.payload.len()).sum();
    let source = Source { topic: Arc::from(kind.topic), partition: 0 };
    let mut pipeline = Pipeline::new(PipelineConfig::default()).expect("pipeline");
    pipeline.on_event(Event::Assign(source.clone()));
    let began = on_processor();
    let counted = allocation_counter::measure(|| {
        for record in &records {
            pipeline.on_event(Event::Records { source: &source, records: std::slice::from_ref(record) });
        }
        pipeline.on_event(Event::Flush);
    });
    (size, Cost { bytes: counted.bytes_total, nanoseconds: on_processor() - began })
}

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("nanoseconds")
}

/// The shares of what is allowed that a record takes: of bytes, of time, and of time compared with the same record made smaller.
fn shares(kind: &Kind, seed: u64) -> (f64, f64, f64) {
    let (size, large) = cost(kind, seed, BUDGETS.0);
    let (less, small) = cost(kind, seed, BUDGETS.1);
    let share = |spent: u64, (each, beside): (u64, u64)| spent as f64 / (beside + each * size as u64) as f64;
    let times = (size as u64).div_ceil(less as u64).max(1);
    let grown = large.nanoseconds as f64 / (GROWS.1 + GROWS.0 * times * small.nanoseconds) as f64;
    (share(large.bytes, ALLOCATED), share(large.nanoseconds, NANOSECONDS), grown)
}

#[test]
fn what_a_record_costs_is_bounded_by_its_size() {
    for kind in kinds() {
        let mut worst = (0.0_f64, 0.0_f64, 0.0_f64);
        for seed in 0..SEEDS {
            let mut found = shares(&kind, seed);
            for _ in 1..TRIES {
                if found.1 < 1.0 && found.2 < 1.0 {
                    break;
                }
                let again = shares(&kind, seed);
                found = (found.0, found.1.min(again.1), found.2.min(again.2));
            }
            assert!(
                found.0 < 1.0 && found.1 < 1.0 && found.2 < 1.0,
                "{} of seed {seed}: {found:?}",
                kind.name
            );
            worst = (worst.0.max(found.0), worst.1.max(found.1), worst.2.max(found.2));
        }
        let (bytes, time, grown) = worst;
        println!(
            "{}: at most {bytes:.2} of the bytes, {time:.2} of the time and {grown:.2} of the growth that are allowed",
            kind.name
        );
    }
}
