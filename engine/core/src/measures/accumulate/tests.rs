//! Rows by hand, and the partials that they come to.

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, UInt8Array, UInt32Array, UInt64Array};

use super::*;
use crate::measures::{Fold, FoldOutput};
use crate::types::{
    Entity, EntityKind, Measured, SeriesDef, Traffic,
    batch::{LOGS, METRICS, SPANS, StreamTable},
};

fn stream(key: u64, name: &str, measure: &str, kind: StreamKind) -> Arc<StreamDef> {
    let entity = Arc::new(Entity::new(EntityKind::Service, name));
    Arc::new(StreamDef { key, series: Arc::new(SeriesDef::new(entity, measure, Vec::new())), kind })
}

/// A batch of rows of these streams: (stream, own columns).
fn batch(signal: BatchSignal, defs: &[Arc<StreamDef>], streams: &[u32], own: Vec<ArrayRef>) -> Batch {
    let rows = streams.len();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|row| 1_000 + row))),
        Arc::new(UInt32Array::from(streams.to_vec())),
    ];
    columns.extend(own);
    let schema = match signal {
        BatchSignal::Metrics => &METRICS,
        BatchSignal::Logs => &LOGS,
        _ => &SPANS,
    };
    let rows = RecordBatch::try_new((*schema).clone(), columns).expect("the columns of the schema");
    Batch { signal, rows, streams: Arc::new(StreamTable { defs: defs.to_vec() }) }
}

/// The partials of a batch, all of whose rows are of one tick.
fn accumulated(routes: &mut Routes, tick: i64, batch: &Batch) -> Accumulator {
    let mut accumulator = Accumulator::default();
    assert!(!routes.learn(batch));
    let columns = Columns::of(batch);
    for row in 0..batch.rows.num_rows() {
        accumulator.add(tick, &columns, row, routes);
    }
    accumulator
}

fn numbers(defs: &[Arc<StreamDef>], rows: &[(u32, f64)]) -> Batch {
    let streams: Vec<u32> = rows.iter().map(|(stream, _)| *stream).collect();
    let own: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![7; rows.len()])),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|(_, value)| *value))),
    ];
    batch(BatchSignal::Metrics, defs, &streams, own)
}

#[test]
fn gauges_keep_the_last_increments_their_sum_and_the_rest_every_point() {
    let defs = [
        stream(1, "cart", "gauge", StreamKind::Gauge),
        stream(2, "cart", "delta", StreamKind::DeltaCounter),
        stream(3, "cart", "total", StreamKind::CumulativeCounter),
        stream(4, "cart", "seen", StreamKind::Observations),
    ];
    let mut routes = Routes::new(1, 1, &FoldConfig::default());
    let rows = [(0, 5.0), (1, 2.0), (2, 10.0), (3, 0.5), (0, 6.0), (1, 3.0), (2, 11.0), (3, 0.5)];
    let partials = accumulated(&mut routes, 9, &numbers(&defs, &rows));
    let partial = &partials.shards[0];
    let points: Vec<_> =
        partial.numbers.iter().map(|point| (point.stream, point.time_ns, point.value)).collect();
    let expected = [
        (1, 1_004, 6.0),
        (2, 1_005, 5.0),
        (3, 1_002, 10.0),
        (4, 1_003, 0.5),
        (3, 1_006, 11.0),
        (4, 1_007, 0.5),
    ];
    assert_eq!(points, expected);
    assert_eq!((partial.samples, partial.defs.len()), (8, 4));
}

#[test]
fn a_shard_is_told_of_a_stream_once_or_earlier_where_an_earlier_tick_comes_later() {
    let defs = [stream(1, "cart", "gauge", StreamKind::Gauge)];
    let mut routes = Routes::new(1, 1, &FoldConfig::default());
    let one = numbers(&defs, &[(0, 5.0)]);
    let told = [9, 10, 8, 9].map(|tick| accumulated(&mut routes, tick, &one).shards[0].defs.len());
    assert_eq!(told, [1, 0, 1, 0]);
}

#[test]
fn a_table_that_begins_anew_means_other_streams() {
    let defs = ["a", "b"].map(|name| stream(stable_hash(name.as_bytes()), name, "gauge", StreamKind::Gauge));
    let mut routes = Routes::new(1, 1, &FoldConfig::default());
    let mut partials = accumulated(&mut routes, 9, &numbers(&defs, &[(0, 1.0), (1, 2.0)]));
    let anew = numbers(&[defs[1].clone()], &[(0, 3.0)]);
    assert!(routes.learn(&anew));
    partials.forget_streams();
    partials.add(9, &Columns::of(&anew), 0, &mut routes);
    let mut fold = Fold::new(FoldConfig::default());
    let mut out = FoldOutput::default();
    fold.fold(9, &[&partials.shards[0]], &mut out);
    let value = |(series, value): (&Option<Arc<SeriesDef>>, &f64)| {
        Some(Measured { series: series.clone()?, value: *value })
    };
    let values: Vec<_> = fold.slots().iter().zip(&out.values).filter_map(value).collect();
    let of = |name: &str| values.iter().find(|one| one.series.entity.name == name).map(|one| one.value);
    assert_eq!((of("a"), of("b")), (Some(1.0), Some(3.0)));
}

#[test]
fn lines_of_one_pattern_are_counted_and_the_first_and_the_gravest_kept() {
    let defs = [stream(1, "cart", "log", StreamKind::Logs)];
    let lines = [
        (9, "took 5 ms"),
        (17, "disk sda1 is full"),
        (13, "took 700 ms"),
        (21, "took 9000 ms"),
        (17, "disk sdb2 is full"),
        (21, "took 9999 ms"),
    ];
    let own: Vec<ArrayRef> = vec![
        Arc::new(UInt8Array::from_iter_values(lines.map(|(severity, _)| severity))),
        Arc::new(StringArray::from_iter_values(lines.map(|(_, body)| body))),
    ];
    let mut routes = Routes::new(1, 1, &FoldConfig::default());
    let partials = accumulated(&mut routes, 9, &batch(BatchSignal::Logs, &defs, &[0; 6], own));
    let partial = &partials.shards[0];
    let text = |range: &std::ops::Range<usize>| &partial.text[range.clone()];
    let kept: Vec<_> = partial
        .lines
        .iter()
        .map(|lines| {
            let gravest = lines.gravest.as_ref().map(|gravest| (gravest.place, text(&gravest.line)));
            (lines.lines, lines.warnings, lines.errors, lines.severity, text(&lines.first), gravest)
        })
        .collect();
    let expected = [
        (4, 1, 2, 9, "took 5 ms", Some((3, "took 9000 ms"))),
        (2, 0, 2, 17, "disk sda1 is full", Some((1, "disk sda1 is full"))),
    ];
    assert_eq!(kept, expected);
}

#[test]
fn requests_are_counted_by_whether_they_were_answered_in_time() {
    let latency =
        |name: &str, latency_ns| Latency { entity: Entity::new(EntityKind::Service, name), latency_ns };
    let latencies =
        vec![latency("shop/cart", 300), latency("cart", 100), latency("cart", 300), latency("other", 1)];
    let config = FoldConfig { latencies, ..FoldConfig::default() };
    let defs = [
        stream(7, "shop/cart", "span", StreamKind::Spans { inbound: true, peer: None }),
        stream(8, "shop/cart", "span", StreamKind::Spans { inbound: false, peer: None }),
    ];
    // (duration, failed): in time is what takes no longer. The last one is a call, which nobody answers here.
    let spans =
        [(100, false), (101, false), (300, false), (301, false), (50, true), (900, true), (900, true)];
    let ids = UInt64Array::from_iter_values(1..=7);
    let traces = FixedSizeBinaryArray::try_from_iter([[1_u8; 16]; 7].into_iter()).expect("16 bytes each");
    let own: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(spans.map(|(duration_ns, _)| duration_ns))),
        Arc::new(spans.map(|(_, failed)| Some(failed)).into_iter().collect::<BooleanArray>()),
        Arc::new(traces),
        Arc::new(ids.clone()),
        Arc::new(ids),
    ];
    let mut routes = Routes::new(1, 3, &config);
    let streams = [0, 0, 0, 0, 0, 0, 1];
    let partials = accumulated(&mut routes, 10, &batch(BatchSignal::Spans, &defs, &streams, own));
    let spans: Vec<(usize, usize)> =
        partials.traces.iter().map(|traces| (traces.defs.len(), traces.spans.len())).collect();
    assert!(spans.contains(&(2, 7)), "one trace is in one place, with what its streams are: {spans:?}");
    let entity = defs[0].series.entity.as_ref();
    let answered = |latency_ns, errors| Traffic { entity: entity.clone(), latency_ns, requests: 6, errors };
    let (mut fold, mut out) = (Fold::new(config), FoldOutput::default());
    for tick in 10..12 {
        fold.fold(tick, &[&partials.shards[0]], &mut out);
        assert_eq!(out.traffic, [answered(None, 2), answered(Some(300), 3), answered(Some(100), 5)]);
    }
    fold.fold(12, &[], &mut out);
    assert!(out.traffic.is_empty(), "{:?}", out.traffic);
}
