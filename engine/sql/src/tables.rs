//! The tables that SQL measures read: the rows of a tick, with labels.
//!
//! | table | columns |
//! |---|---|
//! | `metrics` | `time`, `entity`, `metric`, `value` (a cumulative counter's is its count) |
//! | `histograms` | `time`, `entity`, `metric`, `count`, `sum` |
//! | `logs` | `time`, `entity`, `severity` (OTLP number, 0: none), `body` (redacted) |
//! | `spans` | `time` (of the end), `entity`, `operation`, `inbound`, `peer`, `duration_seconds`, `error` |
//!
//! A name in double quotes that is none of these is an attribute: `"http.route"`; null where a row has none.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, StringArray,
        TimestampNanosecondArray, UInt32Array,
    },
    compute::concat_batches,
    datatypes::{
        DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, UInt32Type, UInt64Type,
    },
    error::ArrowError,
    record_batch::RecordBatch,
};
use foreshock_core::types::{Batch, BatchSignal, StreamDef, StreamKind};

/// Rows of a slice, and bytes of log lines in it (a longer line is alone).
pub(super) const SLICE: usize = 1024;
const SLICE_BYTES: usize = 256 << 10;

/// The table of this name.
pub(super) fn named(table: &str) -> Option<BatchSignal> {
    [BatchSignal::Metrics, BatchSignal::Histograms, BatchSignal::Logs, BatchSignal::Spans]
        .into_iter()
        .find(|signal| name(*signal) == table)
}

/// The name of a table.
pub(super) fn name(signal: BatchSignal) -> &'static str {
    match signal {
        BatchSignal::Metrics => "metrics",
        BatchSignal::Histograms => "histograms",
        BatchSignal::Logs => "logs",
        BatchSignal::Spans => "spans",
    }
}

fn label_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8))
}

/// The columns of a table, without attributes.
fn columns(signal: BatchSignal) -> Vec<Field> {
    let some = |name: &str, kind| Field::new(name, kind, false);
    let label = |name: &str| Field::new(name, label_type(), true);
    let time = some("time", DataType::Timestamp(TimeUnit::Nanosecond, None));
    let mut fields = vec![time, label("entity")];
    fields.extend(match signal {
        BatchSignal::Metrics => vec![label("metric"), some("value", DataType::Float64)],
        BatchSignal::Histograms => {
            vec![label("metric"), some("count", DataType::UInt64), Field::new("sum", DataType::Float64, true)]
        }
        BatchSignal::Logs => vec![some("severity", DataType::UInt8), some("body", DataType::Utf8)],
        BatchSignal::Spans => vec![
            label("operation"),
            some("inbound", DataType::Boolean),
            label("peer"),
            some("duration_seconds", DataType::Float64),
            some("error", DataType::Boolean),
        ],
    });
    fields
}

/// The schema of a table with these attributes as columns; those that it has anyway are left out.
pub(super) fn schema(signal: BatchSignal, attributes: &[String]) -> SchemaRef {
    let mut fields = columns(signal);
    for attribute in attributes {
        if fields.iter().all(|field| field.name() != attribute) {
            fields.push(Field::new(attribute, label_type(), true));
        }
    }
    Arc::new(Schema::new(fields))
}

/// The rows of one signal as one batch of a table, in the order in which they come; `None` without rows.
pub(super) fn table(
    signal: BatchSignal,
    schema: &SchemaRef,
    batches: &[Batch],
) -> Result<Option<RecordBatch>, ArrowError> {
    let parts = batches.iter().filter(|batch| batch.signal == signal && batch.rows.num_rows() > 0);
    let parts = parts.map(|batch| part(batch, schema)).collect::<Result<Vec<RecordBatch>, ArrowError>>()?;
    if parts.is_empty() {
        return Ok(None);
    }
    concat_batches(schema, &parts).map(Some)
}

/// A table in slices, so that what is made of its texts is never made of all at once. Equal tables have equal slices.
pub(super) fn slices(table: &RecordBatch) -> Vec<RecordBatch> {
    let bodies = table.column_by_name("body").and_then(|bodies| bodies.as_string_opt::<i32>());
    let bytes_of = |row: usize| bodies.map_or(0, |bodies| bodies.value_length(row) as usize);
    let mut slices = Vec::new();
    let mut begin = 0;
    let mut bytes = 0;
    for row in 0..table.num_rows() {
        bytes += bytes_of(row);
        if row - begin == SLICE || bytes > SLICE_BYTES && row > begin {
            slices.push(table.slice(begin, row - begin));
            (begin, bytes) = (row, bytes_of(row));
        }
    }
    slices.push(table.slice(begin, table.num_rows() - begin));
    slices
}

fn part(batch: &Batch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let part = Part::new(batch);
    let fields = schema.fields().iter();
    let columns = fields.map(|field| part.column(field.name())).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

/// A batch, and which streams its rows are of.
struct Part<'a> {
    batch: &'a Batch,
    /// Streams that have rows.
    present: Vec<&'a StreamDef>,
    /// For every row, its place among them.
    places: Vec<u32>,
}

impl<'a> Part<'a> {
    fn new(batch: &'a Batch) -> Part<'a> {
        let mut place_of = vec![u32::MAX; batch.streams.defs.len()];
        let mut present = Vec::new();
        let streams = batch.rows.column(2).as_primitive::<UInt32Type>().values();
        let place = |stream: &u32| {
            let place = &mut place_of[*stream as usize];
            if *place == u32::MAX {
                *place = present.len() as u32;
                present.push(&*batch.streams.defs[*stream as usize]);
            }
            *place
        };
        let places = streams.iter().map(place).collect();
        Part { batch, present, places }
    }

    /// A column by its name.
    fn column(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        let rows = &self.batch.rows;
        match (name, self.batch.signal) {
            ("time", _) => {
                let times = rows.column(1).as_primitive::<Int64Type>();
                Ok(Arc::new(TimestampNanosecondArray::new(times.values().clone(), None)))
            }
            ("entity", _) => self.label(|def| Some(def.series.entity.to_string())),
            ("metric", BatchSignal::Metrics | BatchSignal::Histograms) => self.label(|def| Some(metric(def))),
            ("sum", BatchSignal::Histograms) => {
                let sums = rows.column(5).as_primitive::<Float64Type>();
                let known = sums.values().iter().map(|sum| (!sum.is_nan()).then_some(*sum));
                Ok(Arc::new(known.collect::<Float64Array>()))
            }
            ("inbound", BatchSignal::Spans) => Ok(Arc::new(self.inbound())),
            ("peer", BatchSignal::Spans) => self.label(peer),
            ("duration_seconds", BatchSignal::Spans) => {
                let durations = rows.column(3).as_primitive::<UInt64Type>();
                let seconds = durations.values().iter().map(|nanos| *nanos as f64 * 1e-9);
                Ok(Arc::new(Float64Array::from_iter_values(seconds)))
            }
            ("severity", BatchSignal::Logs) => Ok(rows.column(3).clone()),
            ("value", BatchSignal::Metrics)
            | ("count", BatchSignal::Histograms)
            | ("body", BatchSignal::Logs)
            | ("error", BatchSignal::Spans) => Ok(rows.column(4).clone()),
            (attribute, _) => self.label(|def| {
                let mut attributes = def.series.attributes.iter();
                attributes.find(|(key, _)| key == attribute).map(|(_, value)| value.clone())
            }),
        }
    }

    fn inbound(&self) -> BooleanArray {
        let inbound = |def: &&StreamDef| matches!(def.kind, StreamKind::Spans { inbound: true, .. });
        let present: Vec<bool> = self.present.iter().map(inbound).collect();
        self.places.iter().map(|place| Some(present[*place as usize])).collect()
    }

    /// A label of every row: one text per stream, and the rows as keys.
    fn label(&self, of: impl Fn(&StreamDef) -> Option<String>) -> Result<ArrayRef, ArrowError> {
        let texts: Vec<Option<String>> = self.present.iter().map(|def| of(def)).collect();
        let key = |place: &u32| texts[*place as usize].is_some().then_some(*place);
        let keys: UInt32Array = self.places.iter().map(key).collect();
        let values =
            StringArray::from_iter_values(texts.iter().map(|text| text.as_deref().unwrap_or_default()));
        Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, Arc::new(values))?))
    }
}

fn peer(def: &StreamDef) -> Option<String> {
    match &def.kind {
        StreamKind::Spans { peer, .. } => peer.as_ref().map(|peer| peer.to_string()),
        _ => None,
    }
}

/// A metric's name, without what a rate adds to it.
fn metric(def: &StreamDef) -> String {
    let measure = &def.series.measure;
    match def.kind {
        StreamKind::CumulativeCounter | StreamKind::DeltaCounter => {
            measure.strip_suffix(":rate").unwrap_or(measure).to_string()
        }
        _ => measure.clone(),
    }
}
