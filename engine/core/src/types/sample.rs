//! What measures take out of batches: rows in record order, before they are given to ticks and shards.
//!
//! Columns of plain structs, reused from batch to batch: adding a sample allocates nothing once warm.

use std::{ops::Range, sync::Arc};

use super::series::StreamDef;

/// The samples of one batch, each kind in the order of the records.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Streams that this partition has not spoken of before (or again, after its cache was cleared).
    pub defs: Vec<Arc<StreamDef>>,
    /// Gauges and counters.
    pub numbers: Vec<NumberSample>,
    /// Histograms.
    pub histograms: Vec<HistogramSample>,
    /// Log lines.
    pub logs: Vec<LogSample>,
    /// Spans.
    pub spans: Vec<SpanSample>,
    /// Bounds of the histograms.
    pub bounds: Vec<f64>,
    /// Counts of the histograms.
    pub counts: Vec<u64>,
    /// Bodies of the log lines, redacted; `LogSample::body` points into it.
    pub text: String,
}

impl Samples {
    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.defs.clear();
        self.numbers.clear();
        self.histograms.clear();
        self.logs.clear();
        self.spans.clear();
        self.bounds.clear();
        self.counts.clear();
        self.text.clear();
    }

    /// Adds a histogram whose buckets stand in `from`.
    pub fn push_histogram(&mut self, sample: &HistogramSample, from: &Samples) {
        let (bounds, counts) = (self.bounds.len(), self.counts.len());
        self.bounds.extend_from_slice(&from.bounds[sample.bounds.clone()]);
        self.counts.extend_from_slice(&from.counts[sample.counts.clone()]);
        let (bounds, counts) = (bounds..self.bounds.len(), counts..self.counts.len());
        self.histograms.push(HistogramSample { bounds, counts, ..*sample });
    }

    /// How many samples of every kind together.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.histograms.len() + self.logs.len() + self.spans.len()
    }

    /// Whether there is no sample of any kind.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One value of a gauge or counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberSample {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// Offset of the record.
    pub offset: i64,
    /// Event time, unix nanoseconds.
    pub time_ns: i64,
    /// Start of the interval, unix nanoseconds; 0 when not given.
    pub start_ns: i64,
    /// The value.
    pub value: f64,
}

/// One point of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// Offset of the record.
    pub offset: i64,
    /// Event time, unix nanoseconds.
    pub time_ns: i64,
    /// Start of the interval, unix nanoseconds; 0 when not given.
    pub start_ns: i64,
    /// Number of observations.
    pub count: u64,
    /// Sum of the observations; NaN when not given.
    pub sum: f64,
    /// Resolution of an exponential histogram, -10..=20; `None` for one with explicit bounds. Bucket `i` of an
    /// exponential one holds `(base^(first+i), base^(first+i+1)]` with `base = 2^(2^-scale)`.
    pub scale: Option<i32>,
    /// Index of the first exponential bucket.
    pub first: i32,
    /// Observations near zero of an exponential histogram; negative ones are counted here too.
    pub zero_count: u64,
    /// Where its explicit upper bounds stand in [`Samples::bounds`], rising; there is one count more.
    pub bounds: Range<usize>,
    /// Where its counts per bucket stand in [`Samples::counts`].
    pub counts: Range<usize>,
}

/// One log line.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSample {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// Offset of the record.
    pub offset: i64,
    /// Event time, unix nanoseconds.
    pub time_ns: i64,
    /// OTLP severity number 1..=24; 0 when not given.
    pub severity: u8,
    /// Where its body stands in [`Samples::text`].
    pub body: Range<usize>,
}

/// One span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanSample {
    /// Key of the [`StreamDef`].
    pub stream: u64,
    /// Offset of the record.
    pub offset: i64,
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
