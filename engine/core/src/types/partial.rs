//! Partials: what one source contributes to one shard in one tick.
//!
//! A partial needs no earlier tick. What needs memory (rates, templates, novelty, drift) is the shard's, which folds the
//! partials of a tick in the order of their sources. Every measure is made of a part of it, and of a merge in
//! [`crate::measures::Fold`]: folding two partials one after the other is folding both as one.
//!
//! Columns of plain structs, used again from tick to tick: adding a sample allocates nothing once warm.

use std::{ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Durations, Entity, Handed, Measured, SeriesDef, StreamDef};

/// What one source contributes to one shard in one tick.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Partial {
    /// Streams that the shard has not heard of from this source in a tick up to this one.
    pub defs: Vec<Arc<StreamDef>>,
    /// Gauges, counters and observations.
    pub numbers: Vec<NumberPoint>,
    /// Histograms.
    pub histograms: Vec<HistogramPoint>,
    /// Log lines.
    pub lines: Vec<LogLines>,
    /// Requests that entities answered: inbound spans.
    pub requests: Vec<Requests>,
    /// Calls, by who calls whom.
    pub calls: Vec<Calls>,
    /// Times in which entities work themselves, by operation.
    pub self_times: Vec<SelfTimes>,
    /// Requests to look at, by who answered them.
    pub examples: Vec<(Arc<Entity>, RequestExamples)>,
    /// Values that were made outside.
    pub values: Vec<Measured>,
    /// Bounds of the histograms.
    pub bounds: Vec<f64>,
    /// Counts of the histograms.
    pub counts: Vec<u64>,
    /// The log lines that are kept, redacted.
    pub text: String,
    /// Samples that went into it.
    pub samples: usize,
    /// Memory of the durations of earlier ticks.
    #[serde(skip)]
    pub(crate) spare: Vec<Durations>,
}

impl Partial {
    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        let Partial {
            defs,
            numbers,
            histograms,
            lines,
            requests,
            calls,
            self_times,
            examples,
            values,
            bounds,
            counts,
            text,
            samples,
            spare,
        } = self;
        defs.clear();
        numbers.clear();
        histograms.clear();
        lines.clear();
        spare.extend(requests.drain(..).map(|requests| requests.timings.durations.emptied()));
        calls.clear();
        self_times.clear();
        examples.clear();
        values.clear();
        bounds.clear();
        counts.clear();
        text.clear();
        *samples = 0;
    }

    /// Timings without any, in memory that is used again.
    pub fn timings(&mut self) -> Timings {
        Timings { durations: self.spare.pop().unwrap_or_default(), ..Timings::default() }
    }

    /// Whether nothing went into it.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }
}

impl Handed for Partial {
    const VERSION: u8 = 1;

    fn is_sound(&self) -> bool {
        let is_text = |range: &Range<usize>| self.text.get(range.clone()).is_some();
        let lines = self
            .lines
            .iter()
            .all(|lines| is_text(&lines.first) && lines.gravest.iter().all(|gravest| is_text(&gravest.line)));
        lines
            && self.histograms.iter().all(|point| {
                self.bounds.get(point.bounds.clone()).is_some()
                    && self.counts.get(point.counts.clone()).is_some()
            })
    }
}

/// A value of a gauge (the last of the tick), a sum of increments, or one point of what is cumulative or observed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberPoint {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// Event time, unix nanoseconds.
    pub time_ns: i64,
    /// Start of the interval, unix nanoseconds; 0 when not given.
    pub start_ns: i64,
    /// The value.
    pub value: f64,
}

/// One point of a cumulative histogram, or the sum of those of increments with equal buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistogramPoint {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// Event time, unix nanoseconds.
    pub time_ns: i64,
    /// Start of the interval, unix nanoseconds; 0 when not given.
    pub start_ns: i64,
    /// Resolution of an exponential histogram, -10..=20; `None` for one with explicit bounds. Bucket `i` of an
    /// exponential one holds `(base^(first+i), base^(first+i+1)]` with `base = 2^(2^-scale)`.
    pub scale: Option<i32>,
    /// Index of the first exponential bucket.
    pub first: i32,
    /// Observations near zero of an exponential histogram; negative ones are counted here too.
    pub zero_count: u64,
    /// Where its explicit upper bounds stand in [`Partial::bounds`], rising; there is one count more.
    pub bounds: Range<usize>,
    /// Where its counts per bucket stand in [`Partial::counts`].
    pub counts: Range<usize>,
}

/// The lines of one stream that are the same but for what is certainly variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLines {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// How many.
    pub lines: u64,
    /// Those of OTLP severity 13 to 16.
    pub warnings: u64,
    /// Those of OTLP severity 17 and more.
    pub errors: u64,
    /// OTLP severity number of the first, 1..=24; 0 when not given.
    pub severity: u8,
    /// Where the first stands in [`Partial::text`].
    pub first: Range<usize>,
    /// The gravest of the errors, the first of these.
    pub gravest: Option<GravestLine>,
}

/// An error line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GravestLine {
    /// OTLP severity number.
    pub severity: u8,
    /// How many samples of the partial came before it.
    pub place: usize,
    /// Where it stands in [`Partial::text`].
    pub line: Range<usize>,
}

/// Inbound spans of one stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requests {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// How long they took, and how many failed.
    pub timings: Timings,
    /// How many failed or took longer than somebody asks of their entity: (nanoseconds, requests).
    pub late: Vec<(u64, u64)>,
}

/// Calls of one entity by another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calls {
    /// Who calls.
    pub caller: Arc<Entity>,
    /// Who is called.
    pub callee: Arc<Entity>,
    /// How long the caller waited, and how often it failed.
    pub timings: Timings,
}

/// Self times of one operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelfTimes {
    /// The operation.
    pub operation: Arc<SeriesDef>,
    /// How long its own entity worked.
    pub timings: Timings,
}

/// How long something took, how often, and how often it failed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Timings {
    /// How often.
    pub count: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How long.
    pub durations: Durations,
}

impl Timings {
    /// Adds one.
    pub fn add(&mut self, duration_ns: u64, error: bool) {
        self.count += 1;
        self.errors += u64::from(error);
        self.durations.add(duration_ns);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Timings) {
        self.count += other.count;
        self.errors += other.errors;
        self.durations.merge(&other.durations);
    }

    /// None, in the memory of these.
    #[must_use]
    pub fn emptied(mut self) -> Timings {
        self.clear();
        self
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.errors = 0;
        self.durations.clear();
    }
}

/// Requests that somebody may want to look at, each with how long it took, nanoseconds, and its trace; the longest of each
/// sort. Zeros: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestExamples {
    /// Of all.
    pub slowest: (u64, [u8; 16]),
    /// Of those that failed.
    pub failed: (u64, [u8; 16]),
}

impl RequestExamples {
    /// Adds a request.
    pub fn add(&mut self, duration_ns: u64, error: bool, trace: [u8; 16]) {
        self.slowest = self.slowest.max((duration_ns, trace));
        if error {
            self.failed = self.failed.max((duration_ns, trace));
        }
    }

    /// Those of both.
    #[must_use]
    pub fn merged(self, other: RequestExamples) -> RequestExamples {
        let (slowest, failed) = (self.slowest.max(other.slowest), self.failed.max(other.failed));
        RequestExamples { slowest, failed }
    }
}

/// What one source contributes to one partition of traces in one tick.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TraceSpans {
    /// Streams that the partition has not heard of from this source in a tick up to this one.
    pub defs: Vec<Arc<StreamDef>>,
    /// The spans, in the order of the records.
    pub spans: Vec<SpanSample>,
}

impl TraceSpans {
    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.defs.clear();
        self.spans.clear();
    }
}

impl Handed for TraceSpans {
    const VERSION: u8 = 1;
}

/// One span.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanSample {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// End of the span, unix nanoseconds.
    pub time_ns: i64,
    /// How long it took, nanoseconds.
    pub duration_ns: u64,
    /// Whether its status is error.
    pub error: bool,
    /// The trace id.
    pub trace: [u8; 16],
    /// Span id.
    pub span: u64,
    /// Span id of the parent; 0 for a root.
    pub parent: u64,
}
