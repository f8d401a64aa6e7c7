//! The Arrow builders that decoders write into, with undo for the record at hand.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int32Builder, Int64Builder,
    ListBuilder, RecordBatch, StringBuilder, UInt8Builder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::types::batch::{Batch, HISTOGRAMS, LOGS, METRICS, SPANS, Signal, StreamTable};

/// One histogram point on its way into the builders.
#[derive(Clone, Debug)]
pub(super) struct HistogramRow<'a> {
    pub(super) time_ns: i64,
    pub(super) stream: u32,
    pub(super) start_ns: i64,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) scale: Option<i32>,
    pub(super) first: i32,
    pub(super) zero_count: u64,
    pub(super) bounds: &'a [f64],
    pub(super) counts: &'a [u64],
}

/// One span on its way into the builders.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanRow {
    pub(super) end_ns: i64,
    pub(super) stream: u32,
    pub(super) duration_ns: u64,
    pub(super) error: bool,
    pub(super) trace: [u8; 16],
    pub(super) span: u64,
    pub(super) parent: u64,
}

/// The first three columns of every schema.
#[derive(Debug, Default)]
struct Head {
    offset: Int64Builder,
    time: Int64Builder,
    stream: UInt32Builder,
}

impl Head {
    fn push(&mut self, offset: i64, time_ns: i64, stream: u32) {
        self.offset.append_value(offset);
        self.time.append_value(time_ns);
        self.stream.append_value(stream);
    }

    fn rows(&self) -> usize {
        self.offset.values_slice().len()
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![Arc::new(self.offset.finish()), Arc::new(self.time.finish()), Arc::new(self.stream.finish())]
    }
}

/// Rows of every signal. Undone rows stay in the builders until the batch is made, and are cut out there:
/// bad records are rare.
#[derive(Debug)]
pub(super) struct Rows {
    offset: i64,
    newest_ns: i64,
    metrics: Head,
    start: Int64Builder,
    value: Float64Builder,
    histograms: Head,
    h_start: Int64Builder,
    h_count: UInt64Builder,
    h_sum: Float64Builder,
    h_scale: Int32Builder,
    h_first: Int32Builder,
    h_zero: UInt64Builder,
    h_bounds: ListBuilder<Float64Builder>,
    h_counts: ListBuilder<UInt64Builder>,
    logs: Head,
    severity: UInt8Builder,
    body: StringBuilder,
    spans: Head,
    duration: UInt64Builder,
    error: BooleanBuilder,
    trace: FixedSizeBinaryBuilder,
    span: UInt64Builder,
    parent: UInt64Builder,
    /// Offsets of refused records whose rows must be cut out.
    refused: Vec<i64>,
}

fn list<T: arrow::array::ArrayBuilder>(values: T, kind: DataType) -> ListBuilder<T> {
    ListBuilder::new(values).with_field(Field::new("item", kind, false))
}

impl Default for Rows {
    fn default() -> Rows {
        Rows {
            offset: 0,
            newest_ns: i64::MIN,
            metrics: Head::default(),
            start: Int64Builder::new(),
            value: Float64Builder::new(),
            histograms: Head::default(),
            h_start: Int64Builder::new(),
            h_count: UInt64Builder::new(),
            h_sum: Float64Builder::new(),
            h_scale: Int32Builder::new(),
            h_first: Int32Builder::new(),
            h_zero: UInt64Builder::new(),
            h_bounds: list(Float64Builder::new(), DataType::Float64),
            h_counts: list(UInt64Builder::new(), DataType::UInt64),
            logs: Head::default(),
            severity: UInt8Builder::new(),
            body: StringBuilder::new(),
            spans: Head::default(),
            duration: UInt64Builder::new(),
            error: BooleanBuilder::new(),
            trace: FixedSizeBinaryBuilder::new(16),
            span: UInt64Builder::new(),
            parent: UInt64Builder::new(),
            refused: Vec::new(),
        }
    }
}

impl Rows {
    /// The next rows belong to the record at this offset.
    pub(super) fn begin(&mut self, offset: i64) {
        self.offset = offset;
        self.newest_ns = i64::MIN / 2;
    }

    /// Takes back the rows of the record at hand.
    pub(super) fn undo(&mut self) {
        self.refused.push(self.offset);
    }

    /// Newest event time of the record at hand.
    pub(super) fn newest_ns(&self) -> i64 {
        self.newest_ns
    }

    pub(super) fn number(&mut self, time_ns: i64, stream: u32, start_ns: i64, value: f64) {
        self.newest_ns = self.newest_ns.max(time_ns);
        self.metrics.push(self.offset, time_ns, stream);
        self.start.append_value(start_ns);
        self.value.append_value(value);
    }

    pub(super) fn histogram(&mut self, row: &HistogramRow<'_>) {
        self.newest_ns = self.newest_ns.max(row.time_ns);
        self.histograms.push(self.offset, row.time_ns, row.stream);
        self.h_start.append_value(row.start_ns);
        self.h_count.append_value(row.count);
        self.h_sum.append_value(row.sum);
        self.h_scale.append_option(row.scale);
        self.h_first.append_value(row.first);
        self.h_zero.append_value(row.zero_count);
        self.h_bounds.values().append_slice(row.bounds);
        self.h_bounds.append(true);
        self.h_counts.values().append_slice(row.counts);
        self.h_counts.append(true);
    }

    pub(super) fn log(&mut self, time_ns: i64, stream: u32, severity: u8, body: &str) {
        self.newest_ns = self.newest_ns.max(time_ns);
        self.logs.push(self.offset, time_ns, stream);
        self.severity.append_value(severity);
        self.body.append_value(body);
    }

    pub(super) fn span(&mut self, row: SpanRow) {
        self.newest_ns = self.newest_ns.max(row.end_ns);
        self.spans.push(self.offset, row.end_ns, row.stream);
        self.duration.append_value(row.duration_ns);
        self.error.append_value(row.error);
        self.trace.append_value(row.trace).expect("as wide as the column");
        self.span.append_value(row.span);
        self.parent.append_value(row.parent);
    }

    /// The batches of all rows that were not taken back; the builders are empty afterwards.
    pub(super) fn finish(&mut self, streams: &Arc<StreamTable>) -> Vec<Batch> {
        let metrics: [ArrayRef; 2] = [Arc::new(self.start.finish()), Arc::new(self.value.finish())];
        let histograms: [ArrayRef; 8] = [
            Arc::new(self.h_start.finish()),
            Arc::new(self.h_count.finish()),
            Arc::new(self.h_sum.finish()),
            Arc::new(self.h_scale.finish()),
            Arc::new(self.h_first.finish()),
            Arc::new(self.h_zero.finish()),
            Arc::new(self.h_bounds.finish()),
            Arc::new(self.h_counts.finish()),
        ];
        let logs: [ArrayRef; 2] = [Arc::new(self.severity.finish()), Arc::new(self.body.finish())];
        let spans: [ArrayRef; 5] = [
            Arc::new(self.duration.finish()),
            Arc::new(self.error.finish()),
            Arc::new(self.trace.finish()),
            Arc::new(self.span.finish()),
            Arc::new(self.parent.finish()),
        ];
        let refused = std::mem::take(&mut self.refused);
        let parts: [(Signal, &SchemaRef, &mut Head, &[ArrayRef]); 4] = [
            (Signal::Metrics, &METRICS, &mut self.metrics, &metrics),
            (Signal::Histograms, &HISTOGRAMS, &mut self.histograms, &histograms),
            (Signal::Logs, &LOGS, &mut self.logs, &logs),
            (Signal::Spans, &SPANS, &mut self.spans, &spans),
        ];
        let mut batches = Vec::new();
        for (signal, schema, head, own) in parts {
            if head.rows() == 0 {
                continue;
            }
            let mut columns = head.finish();
            columns.extend(own.iter().cloned());
            let rows = RecordBatch::try_new(schema.clone(), columns)
                .expect("every row fills every column of its schema");
            let rows = without(rows, &refused);
            if rows.num_rows() > 0 {
                batches.push(Batch { signal, rows, streams: streams.clone() });
            }
        }
        batches
    }
}

/// The rows whose offset is not among the refused ones.
fn without(rows: RecordBatch, refused: &[i64]) -> RecordBatch {
    if refused.is_empty() {
        return rows;
    }
    let offsets = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(rows.column(0));
    let keep = offsets.values().iter().map(|offset| Some(!refused.contains(offset))).collect();
    arrow::compute::filter_record_batch(&rows, &keep).expect("the mask is as long as the batch")
}
