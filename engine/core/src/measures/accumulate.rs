//! Rows of batches as partials: what a source contributes to every shard, and to every partition of traces, in one tick.
//!
//! Rows come in the order of the records. What a stream has come to already is found by the stream's number in the
//! source's table, so that a sample costs no search.

use std::{ops::RangeInclusive, sync::Arc};

use arrow::{
    array::{
        Array, AsArray, BooleanArray, FixedSizeBinaryArray, Int32Array, ListArray, RecordBatch, StringArray,
    },
    datatypes::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, UInt8Type, UInt32Type, UInt64Type},
};
use hashbrown::HashMap;

use super::{FoldConfig, Latency, templates::Patterns};
use crate::types::{
    Batch, BatchSignal, GravestLine, HistogramPoint, LogLines, NumberPoint, Partial, Requests, SpanSample,
    StreamDef, StreamKind, TraceSpans, stable_hash,
};

/// OTLP severities of warnings, and from which on a line is an error.
const WARNINGS: RangeInclusive<u8> = 13..=16;
const ERROR: u8 = 17;

/// No place.
const NOWHERE: u32 = u32::MAX;

/// What one source contributes in one tick.
#[derive(Debug, Default)]
pub struct Accumulator {
    /// By shard.
    pub shards: Vec<Partial>,
    /// By partition of traces.
    pub traces: Vec<TraceSpans>,
    /// Where each stream's entry stands in its partial, by the number of the stream.
    places: Vec<u32>,
    /// Where each pattern of each stream stands.
    patterns: HashMap<(u32, u64), u32>,
}

/// Where the samples of a source go, and how.
#[derive(Debug)]
pub struct Routes {
    shards: usize,
    traces: usize,
    latencies: Vec<Latency>,
    patterns: Patterns,
    /// By the number of the stream.
    streams: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    def: Arc<StreamDef>,
    shard: usize,
    /// The earliest tick in which the shard was told what the stream is, and each partition of traces.
    told: i64,
    told_traces: Vec<i64>,
    /// What is asked of its entity's answers, nanoseconds, each once.
    latencies: Vec<u64>,
}

impl Routes {
    /// Routes to so many shards and partitions of traces.
    pub fn new(shards: usize, traces: usize, config: &FoldConfig) -> Routes {
        let patterns = Patterns::new(config.templates);
        Routes { shards, traces, latencies: config.latencies.clone(), patterns, streams: Vec::new() }
    }

    /// Takes note of the streams of a batch that are new. Gives whether the table began anew: then its numbers mean other
    /// streams than before.
    #[must_use]
    pub fn learn(&mut self, batch: &Batch) -> bool {
        let defs = &batch.streams.defs;
        let anew = defs.len() < self.streams.len();
        if anew {
            self.streams.clear();
        }
        for def in &defs[self.streams.len()..] {
            let mut latencies = Vec::new();
            let is_span = matches!(def.kind, StreamKind::Spans { .. });
            for asked in self.latencies.iter().filter(|asked| is_span && asked.entity.is(&def.series.entity))
            {
                // Several may ask the same.
                if !latencies.contains(&asked.latency_ns) {
                    latencies.push(asked.latency_ns);
                }
            }
            self.streams.push(Route {
                def: Arc::clone(def),
                shard: shard_of(def.series.entity_key, self.shards),
                told: i64::MAX,
                told_traces: if is_span { vec![i64::MAX; self.traces] } else { Vec::new() },
                latencies,
            });
        }
        anew
    }
}

/// The shard of an entity, by its key.
pub fn shard_of(entity_key: u64, shards: usize) -> usize {
    (entity_key % shards as u64) as usize
}

/// The columns of a batch.
#[derive(Debug)]
pub struct Columns<'a> {
    offsets: &'a [i64],
    times: &'a [i64],
    streams: &'a [u32],
    own: Own<'a>,
}

#[derive(Debug)]
enum Own<'a> {
    Numbers { starts: &'a [i64], values: &'a [f64] },
    Histograms(Histograms<'a>),
    Logs { severities: &'a [u8], bodies: &'a StringArray },
    Spans(Spans<'a>),
}

#[derive(Debug)]
struct Histograms<'a> {
    starts: &'a [i64],
    scales: &'a Int32Array,
    firsts: &'a [i32],
    zeros: &'a [u64],
    bounds: &'a ListArray,
    counts: &'a ListArray,
}

#[derive(Debug)]
struct Spans<'a> {
    durations: &'a [u64],
    errors: &'a BooleanArray,
    traces: &'a FixedSizeBinaryArray,
    ids: &'a [u64],
    parents: &'a [u64],
}

fn column<T: ArrowPrimitiveType>(rows: &RecordBatch, index: usize) -> &[T::Native] {
    rows.column(index).as_primitive::<T>().values()
}

fn items<T: ArrowPrimitiveType>(lists: &ListArray, row: usize) -> &[T::Native] {
    let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
    &lists.values().as_primitive::<T>().values()[from..to]
}

impl<'a> Columns<'a> {
    /// The columns of a batch.
    pub fn of(batch: &'a Batch) -> Columns<'a> {
        let rows = &batch.rows;
        let own = match batch.signal {
            BatchSignal::Metrics => {
                Own::Numbers { starts: column::<Int64Type>(rows, 3), values: column::<Float64Type>(rows, 4) }
            }
            BatchSignal::Histograms => Own::Histograms(Histograms {
                starts: column::<Int64Type>(rows, 3),
                scales: rows.column(6).as_primitive::<Int32Type>(),
                firsts: column::<Int32Type>(rows, 7),
                zeros: column::<UInt64Type>(rows, 8),
                bounds: rows.column(9).as_list::<i32>(),
                counts: rows.column(10).as_list::<i32>(),
            }),
            BatchSignal::Logs => Own::Logs {
                severities: column::<UInt8Type>(rows, 3),
                bodies: rows.column(4).as_string::<i32>(),
            },
            BatchSignal::Spans => Own::Spans(Spans {
                durations: column::<UInt64Type>(rows, 3),
                errors: rows.column(4).as_boolean(),
                traces: rows.column(5).as_fixed_size_binary(),
                ids: column::<UInt64Type>(rows, 6),
                parents: column::<UInt64Type>(rows, 7),
            }),
        };
        Columns {
            offsets: column::<Int64Type>(rows, 0),
            times: column::<Int64Type>(rows, 1),
            streams: column::<UInt32Type>(rows, 2),
            own,
        }
    }

    /// Offset of its record and event time of each row, in order.
    pub fn rows(&self) -> impl Iterator<Item = (i64, i64)> + use<'a> {
        self.offsets.iter().copied().zip(self.times.iter().copied())
    }
}

impl Accumulator {
    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.shards.iter_mut().for_each(Partial::clear);
        self.traces.iter_mut().for_each(TraceSpans::clear);
        self.places.clear();
        self.patterns.clear();
    }

    /// Samples that went into it.
    pub fn samples(&self) -> usize {
        self.shards.iter().map(|partial| partial.samples).sum()
    }

    /// Forgets which stream has which entry: the numbers of streams mean others from now on.
    pub fn forget_streams(&mut self) {
        self.places.clear();
        self.patterns.clear();
    }

    /// Adds a row of a batch to the tick.
    pub fn add(&mut self, tick: i64, columns: &Columns<'_>, row: usize, routes: &mut Routes) {
        self.shards.resize_with(routes.shards, Partial::default);
        self.traces.resize_with(routes.traces, TraceSpans::default);
        let number = columns.streams[row] as usize;
        if self.places.len() <= number {
            self.places.resize(routes.streams.len(), NOWHERE);
        }
        let Routes { streams, patterns, .. } = routes;
        let route = &mut streams[number];
        let Accumulator { shards, traces, places, patterns: known } = self;
        let partial = &mut shards[route.shard];
        if tick < route.told {
            route.told = tick;
            partial.defs.push(Arc::clone(&route.def));
        }
        let place = &mut places[number];
        let time_ns = columns.times[row];
        match &columns.own {
            Own::Numbers { starts, values } => {
                let (stream, start_ns, value) = (route.def.key, starts[row], values[row]);
                let point = NumberPoint { stream, time_ns, start_ns, value };
                add_number(partial, place, point, &route.def.kind);
            }
            Own::Histograms(histograms) => {
                histograms.add(partial, place, row, time_ns, &route.def);
            }
            Own::Logs { severities, bodies } => {
                let body = bodies.value(row);
                let pattern = patterns.of(body);
                let place = known.entry((number as u32, pattern)).or_insert(NOWHERE);
                add_line(partial, place, route.def.key, severities[row], body);
            }
            Own::Spans(spans) => {
                let sample = spans.sample(row, route.def.key, time_ns);
                add_request(partial, place, &sample, route);
                let to = (stable_hash(&sample.trace) % traces.len() as u64) as usize;
                if tick < route.told_traces[to] {
                    route.told_traces[to] = tick;
                    traces[to].defs.push(Arc::clone(&route.def));
                }
                traces[to].spans.push(sample);
            }
        }
        partial.samples += 1;
    }
}

/// The last value of a gauge, the sum of increments, every point of what is cumulative or observed.
fn add_number(partial: &mut Partial, place: &mut u32, point: NumberPoint, kind: &StreamKind) {
    let known = partial.numbers.get_mut(*place as usize);
    match (known, kind) {
        (Some(last), StreamKind::Gauge) => *last = point,
        (Some(sum), StreamKind::DeltaCounter) => {
            *sum = NumberPoint { value: sum.value + point.value, ..point };
        }
        _ => {
            *place = partial.numbers.len() as u32;
            partial.numbers.push(point);
        }
    }
}

impl Histograms<'_> {
    /// The sum of increments with equal buckets, every point of what is cumulative.
    fn add(&self, partial: &mut Partial, place: &mut u32, row: usize, time_ns: i64, def: &StreamDef) {
        let scale = self.scales.is_valid(row).then(|| self.scales.value(row));
        let (first, zero_count) = (self.firsts[row], self.zeros[row]);
        let bounds = items::<Float64Type>(self.bounds, row);
        let counts = items::<UInt64Type>(self.counts, row);
        let Partial { histograms, bounds: all_bounds, counts: all_counts, .. } = partial;
        if def.kind == StreamKind::DeltaHistogram
            && let Some(sum) = histograms.get_mut(*place as usize)
            && (sum.scale, sum.first, sum.counts.len()) == (scale, first, counts.len())
            && all_bounds[sum.bounds.clone()] == *bounds
        {
            sum.time_ns = time_ns;
            sum.zero_count = sum.zero_count.saturating_add(zero_count);
            for (sum, count) in all_counts[sum.counts.clone()].iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
            return;
        }
        *place = histograms.len() as u32;
        let (bounds_start, counts_start) = (all_bounds.len(), all_counts.len());
        all_bounds.extend_from_slice(bounds);
        all_counts.extend_from_slice(counts);
        histograms.push(HistogramPoint {
            stream: def.key,
            time_ns,
            start_ns: self.starts[row],
            scale,
            first,
            zero_count,
            bounds: bounds_start..all_bounds.len(),
            counts: counts_start..all_counts.len(),
        });
    }
}

/// How many lines of a pattern, the first and the gravest of them.
fn add_line(partial: &mut Partial, place: &mut u32, stream: u64, severity: u8, body: &str) {
    let Partial { lines, text, samples, .. } = partial;
    let mut keep = |line: &str| {
        let start = text.len();
        text.push_str(line);
        start..text.len()
    };
    let known = if let Some(known) = lines.get_mut(*place as usize) {
        known
    } else {
        *place = lines.len() as u32;
        let first = keep(body);
        lines.push_mut(LogLines { stream, lines: 0, warnings: 0, errors: 0, severity, first, gravest: None })
    };
    known.lines += 1;
    known.warnings += u64::from(WARNINGS.contains(&severity));
    known.errors += u64::from(severity >= ERROR);
    let gravest = known.gravest.as_ref().map_or(ERROR - 1, |gravest| gravest.severity);
    if severity > gravest {
        let line = if known.lines == 1 { known.first.clone() } else { keep(body) };
        known.gravest = Some(GravestLine { severity, place: *samples, line });
    }
}

/// How many requests, how long they took, and how many failed, by what is asked of their entity.
fn add_request(partial: &mut Partial, place: &mut u32, span: &SpanSample, route: &Route) {
    if !matches!(route.def.kind, StreamKind::Spans { inbound: true, .. }) {
        return;
    }
    if *place as usize >= partial.requests.len() {
        *place = partial.requests.len() as u32;
        let late = route.latencies.iter().map(|latency_ns| (*latency_ns, 0)).collect();
        let timings = partial.timings();
        partial.requests.push(Requests { stream: span.stream, timings, late });
    }
    let known = &mut partial.requests[*place as usize];
    known.timings.add(span.duration_ns, span.error);
    for (latency_ns, late) in &mut known.late {
        *late += u64::from(span.error || span.duration_ns > *latency_ns);
    }
}

impl Spans<'_> {
    fn sample(&self, row: usize, stream: u64, time_ns: i64) -> SpanSample {
        SpanSample {
            stream,
            time_ns,
            duration_ns: self.durations[row],
            error: self.errors.value(row),
            trace: self.traces.value(row).try_into().expect("16 bytes wide"),
            span: self.ids[row],
            parent: self.parents[row],
        }
    }
}

#[cfg(test)]
mod tests;
