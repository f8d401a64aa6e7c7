//! The Arrow batches that decoders give, with their schemas.
//!
//! The column `series` is at once a key into the batch's [`StreamTable`] and the key column of every label
//! that is asked for (`DictionaryArray` over the table's values): labels cost nothing until SQL wants them.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::series::StreamDef;

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Gauges and counters: [`METRICS`].
    Metrics,
    /// Histograms of both forms: [`HISTOGRAMS`].
    Histograms,
    /// Log lines: [`LOGS`].
    Logs,
    /// Spans: [`SPANS`].
    Spans,
}

/// Decoded records of one partition, in the order of their offsets.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it holds, and so which schema its rows have.
    pub signal: Signal,
    /// The rows.
    pub rows: RecordBatch,
    /// What the column `stream` points into.
    pub streams: Arc<StreamTable>,
}

/// The streams of a partition, in the order in which they were first seen. Grows; a batch's keys stay valid in
/// every later table of the same partition.
#[derive(Clone, Debug, Default)]
pub struct StreamTable {
    /// Definitions, by the value of the column `stream`.
    pub defs: Vec<Arc<StreamDef>>,
}

fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn list(name: &str, kind: DataType) -> Field {
    field(name, DataType::List(Arc::new(Field::new("item", kind, false))))
}

fn schema(own: Vec<Field>) -> SchemaRef {
    let mut fields = vec![
        field("offset", DataType::Int64),
        field("time", DataType::Int64),
        field("stream", DataType::UInt32),
    ];
    fields.extend(own);
    Arc::new(Schema::new(fields))
}

/// Gauges and counters: `offset`, `time` (unix ns), `stream`, `start` (unix ns, 0: none), `value`.
pub static METRICS: LazyLock<SchemaRef> =
    LazyLock::new(|| schema(vec![field("start", DataType::Int64), field("value", DataType::Float64)]));

/// Histograms: the first three of every schema, then `start`, `count`, `sum` (NaN: none), `scale` (null:
/// explicit), `first` (index of the first exponential bucket), `zero_count`, `bounds`, `counts`.
pub static HISTOGRAMS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(vec![
        field("start", DataType::Int64),
        field("count", DataType::UInt64),
        field("sum", DataType::Float64),
        Field::new("scale", DataType::Int32, true),
        field("first", DataType::Int32),
        field("zero_count", DataType::UInt64),
        list("bounds", DataType::Float64),
        list("counts", DataType::UInt64),
    ])
});

/// Log lines: the first three, then `severity` (OTLP number, 0: none) and `body` (redacted).
pub static LOGS: LazyLock<SchemaRef> =
    LazyLock::new(|| schema(vec![field("severity", DataType::UInt8), field("body", DataType::Utf8)]));

/// Spans: the first three (`time` is the end), then `duration` (ns), `error`, `trace`, `span`, `parent`.
pub static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(vec![
        field("duration", DataType::UInt64),
        field("error", DataType::Boolean),
        field("trace", DataType::FixedSizeBinary(16)),
        field("span", DataType::UInt64),
        field("parent", DataType::UInt64),
    ])
});
