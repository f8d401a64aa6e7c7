//! In steady state neither ingest nor scoring allocates per record: twice the records, or twice the series, cost no more
//! allocations than the same number of batches and ticks does anyway.
//!
//! Counted is what the pipeline does between Kafka's bytes and scores; of log lines, what intake does, redaction
//! included. Not proven: that the Kafka client copies nothing, nor anything about the learning of templates.

mod work;

use std::sync::Arc;

use bytes::Bytes;
use foreshock_core::{
    intake::{self, Intake, IntakeConfig},
    pipeline::{Effect, Event, Pipeline, PipelineConfig},
    types::{Record, Source},
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
        NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exponential_histogram_data_point::Buckets,
        metric::Data, number_data_point,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

const START: u64 = 1_772_409_600;
/// Ticks after which every buffer has its size.
const WARM: u64 = 150;
const CUMULATIVE: i32 = 2;

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_string(), value, ..KeyValue::default() }
}

fn resource(index: usize) -> Option<Resource> {
    let attributes = vec![
        attribute("service.name", format!("service-{}", index % 8)),
        attribute("k8s.pod.name", format!("pod-{index}")),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

/// A number that moves a little.
fn noise(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f64 / 16_777_216.0
}

/// Gauges, counters and both kinds of histograms of one pod at one time.
fn metrics(pod: usize, time_unix_nano: u64) -> Vec<u8> {
    let seconds = time_unix_nano / 1_000_000_000;
    let count = (seconds - START) * 10;
    let (attributes, start_time_unix_nano) = (vec![attribute("http.route", "/r".to_string())], START);
    let number = |value| NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano,
        time_unix_nano,
        value: Some(value),
        ..NumberDataPoint::default()
    };
    let gauge = number(number_data_point::Value::AsDouble(20.0 + noise(seconds + pod as u64)));
    let sum = number(number_data_point::Value::AsInt(count as i64));
    let explicit = HistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano,
        time_unix_nano,
        count: 3 * count,
        bucket_counts: vec![count, count, count],
        explicit_bounds: vec![0.1, 0.5],
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano,
        time_unix_nano,
        count: 2 * count,
        scale: 3,
        positive: Some(Buckets { offset: 4, bucket_counts: vec![count, count] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let metric = |name: &str, data| Metric { name: name.to_string(), data: Some(data), ..Metric::default() };
    let metrics = vec![
        metric("queue.depth", Data::Gauge(Gauge { data_points: vec![gauge] })),
        metric(
            "requests",
            Data::Sum(Sum {
                data_points: vec![sum],
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
        ),
        metric(
            "duration",
            Data::Histogram(Histogram { data_points: vec![explicit], aggregation_temporality: CUMULATIVE }),
        ),
        metric(
            "size",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: CUMULATIVE,
            }),
        ),
    ];
    let group = ResourceMetrics {
        resource: resource(pod),
        scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec()
}

/// Spans of one pod at one time; enough of each operation for a percentile, whichever the number of pods.
fn spans(pod: usize, time_unix_nano: u64) -> Vec<u8> {
    let span = |index: u64| Span {
        trace_id: vec![index as u8 + 1; 16],
        span_id: (time_unix_nano + index * 1000 + pod as u64).to_le_bytes().to_vec(),
        name: format!("GET /{}", index % 2),
        kind: 2,
        start_time_unix_nano: time_unix_nano - 20_000_000 - (noise(time_unix_nano + index) * 1e6) as u64,
        end_time_unix_nano: time_unix_nano,
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (0..48).map(span).collect(), ..ScopeSpans::default() };
    let group =
        ResourceSpans { resource: resource(pod), scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

/// Allocations of one tick in steady state, when `pods` pods report `times` times per tick.
fn allocations(topic: &str, message: fn(usize, u64) -> Vec<u8>, pods: usize, times: u64) -> u64 {
    let source = Source { topic: Arc::from(topic), partition: 0 };
    let mut pipeline = Pipeline::new(PipelineConfig::default()).expect("pipeline");
    pipeline.on_event(Event::Assign(source.clone()));
    let mut offset = 0;
    let mut counted = Vec::new();
    for tick in 0..WARM + 8 {
        let mut records = Vec::new();
        for time in 0..times {
            let nanos = (START + tick * 10) * 1_000_000_000 + (time + 1) * 1_000_000_000;
            for pod in 0..pods {
                let payload = Bytes::from(message(pod, nanos));
                records.push(Record {
                    offset,
                    time_ms: (nanos / 1_000_000) as i64,
                    payload,
                    ..Record::default()
                });
                offset += 1;
            }
        }
        let mut effects = Vec::new();
        let measured = allocation_counter::measure(|| {
            effects = pipeline.on_event(Event::Records { source: &source, records: &records });
        });
        let is_quiet = effects.iter().all(|effect| matches!(effect, Effect::TickClosed { .. }));
        if tick >= WARM && is_quiet {
            counted.push(measured.count_total);
        }
    }
    assert!(pipeline.counts().scored > 0 && pipeline.counts().late == 0);
    *counted.iter().min().expect("a tick without an anomaly")
}

#[test]
fn nothing_is_allocated_per_record() {
    for (topic, message) in [("otlp_metrics", metrics as fn(usize, u64) -> Vec<u8>), ("otlp_spans", spans)] {
        let once = allocations(topic, message, 16, 1);
        let more_records = allocations(topic, message, 16, 8);
        let more_pods = allocations(topic, message, 128, 1);
        println!("{topic}: {once} for 16 records, {more_records} for 128, {more_pods} for 128 of other pods");
        // Columns that grow by doubling may do so three times more often.
        assert!(
            more_records < once + 100,
            "{topic}: {once} became {more_records} with eight times the records"
        );
        assert!(more_pods < once + 100, "{topic}: {once} became {more_pods} with eight times the pods");
    }
}

/// Log lines of one pod at one time: plain, and with what is redacted.
fn logs(pod: usize, time_unix_nano: u64) -> Vec<u8> {
    let line = |text: String| LogRecord {
        time_unix_nano,
        body: Some(AnyValue { value: Some(Value::StringValue(text)) }),
        ..LogRecord::default()
    };
    let log_records = vec![
        line(format!("order {pod} took {} ms", time_unix_nano % 97)),
        line(format!("login of user{pod}@example.org from 10.0.0.{pod}, password=hunter{pod}")),
    ];
    let scope = ScopeLogs { log_records, ..ScopeLogs::default() };
    let group = ResourceLogs { resource: resource(pod), scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![group] }.encode_to_vec()
}

#[test]
fn nothing_is_allocated_per_log_line() {
    let allocations = |records: usize| {
        let mut intake = Intake::new("otlp_logs", IntakeConfig::default());
        let records: Vec<Record> = (0..records)
            .map(|index| Record {
                offset: index as i64,
                time_ms: ((START + index as u64) * 1000) as i64,
                payload: Bytes::from(logs(index % 16, (START + index as u64) * 1_000_000_000)),
                ..Record::default()
            })
            .collect();
        let mut take = || intake.on_event(intake::Event::Records(&records)).len();
        assert_eq!(take(), 1, "one batch and no reject");
        allocation_counter::measure(|| {
            take();
        })
        .count_total
    };
    let (once, more) = (allocations(16), allocations(128));
    println!("otlp_logs: {once} for 16 records, {more} for 128");
    assert!(more < once + 50, "{once} became {more} with eight times the records");
}
