//! Rows of a batch as samples, in record order.

use arrow::{
    array::{Array, AsArray, ListArray, RecordBatch},
    datatypes::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, UInt8Type, UInt32Type, UInt64Type},
};

use crate::types::{Batch, BatchSignal, HistogramSample, LogSample, NumberSample, Samples, SpanSample};

fn column<T: ArrowPrimitiveType>(rows: &RecordBatch, index: usize) -> &[T::Native] {
    rows.column(index).as_primitive::<T>().values()
}

/// Appends the rows of a batch to `out`. `known` counts the streams of the batch's table that were announced
/// before; new ones are announced in `out.defs`.
pub fn extract(batch: &Batch, out: &mut Samples, known: &mut usize) {
    let defs = &batch.streams.defs;
    out.defs.extend(defs.iter().skip(*known).cloned());
    *known = defs.len();
    match batch.signal {
        BatchSignal::Metrics => numbers(batch, out),
        BatchSignal::Histograms => histograms(batch, out),
        BatchSignal::Logs => logs(batch, out),
        BatchSignal::Spans => spans(batch, out),
    }
}

/// Offsets, times and stream keys: the first three columns of every schema.
fn heads(batch: &Batch) -> impl Iterator<Item = (i64, i64, u64)> {
    let offsets = column::<Int64Type>(&batch.rows, 0);
    let times = column::<Int64Type>(&batch.rows, 1);
    let streams = column::<UInt32Type>(&batch.rows, 2);
    let keyed = streams.iter().map(|&stream| batch.streams.defs[stream as usize].key);
    offsets.iter().zip(times).zip(keyed).map(|((&offset, &time_ns), stream)| (offset, time_ns, stream))
}

fn numbers(batch: &Batch, out: &mut Samples) {
    let starts = column::<Int64Type>(&batch.rows, 3);
    let values = column::<Float64Type>(&batch.rows, 4);
    let rest = starts.iter().zip(values);
    out.numbers.extend(heads(batch).zip(rest).map(|((offset, time_ns, stream), (&start_ns, &value))| {
        NumberSample { stream, offset, time_ns, start_ns, value }
    }));
}

fn items<T: ArrowPrimitiveType>(lists: &ListArray, row: usize) -> &[T::Native] {
    let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
    &lists.values().as_primitive::<T>().values()[from..to]
}

fn histograms(batch: &Batch, out: &mut Samples) {
    let rows = &batch.rows;
    let starts = column::<Int64Type>(rows, 3);
    let (counts, sums) = (column::<UInt64Type>(rows, 4), column::<Float64Type>(rows, 5));
    let scales = rows.column(6).as_primitive::<Int32Type>();
    let (firsts, zeros) = (column::<Int32Type>(rows, 7), column::<UInt64Type>(rows, 8));
    let (bounds, buckets) = (rows.column(9).as_list::<i32>(), rows.column(10).as_list::<i32>());
    for (row, (offset, time_ns, stream)) in heads(batch).enumerate() {
        let (bounds_start, counts_start) = (out.bounds.len(), out.counts.len());
        out.bounds.extend_from_slice(items::<Float64Type>(bounds, row));
        out.counts.extend_from_slice(items::<UInt64Type>(buckets, row));
        out.histograms.push(HistogramSample {
            stream,
            offset,
            time_ns,
            start_ns: starts[row],
            count: counts[row],
            sum: sums[row],
            scale: scales.is_valid(row).then(|| scales.value(row)),
            first: firsts[row],
            zero_count: zeros[row],
            bounds: bounds_start..out.bounds.len(),
            counts: counts_start..out.counts.len(),
        });
    }
}

fn logs(batch: &Batch, out: &mut Samples) {
    let severities = column::<UInt8Type>(&batch.rows, 3);
    let bodies = batch.rows.column(4).as_string::<i32>();
    for (row, (offset, time_ns, stream)) in heads(batch).enumerate() {
        let start = out.text.len();
        out.text.push_str(bodies.value(row));
        let body = start..out.text.len();
        out.logs.push(LogSample { stream, offset, time_ns, severity: severities[row], body });
    }
}

fn spans(batch: &Batch, out: &mut Samples) {
    let rows = &batch.rows;
    let durations = column::<UInt64Type>(rows, 3);
    let errors = rows.column(4).as_boolean();
    let traces = rows.column(5).as_fixed_size_binary();
    let (ids, parents) = (column::<UInt64Type>(rows, 6), column::<UInt64Type>(rows, 7));
    out.spans.extend(heads(batch).enumerate().map(|(row, (offset, time_ns, stream))| SpanSample {
        stream,
        offset,
        time_ns,
        duration_ns: durations[row],
        error: errors.value(row),
        trace: traces.value(row).try_into().expect("16 bytes wide"),
        span: ids[row],
        parent: parents[row],
    }));
}
