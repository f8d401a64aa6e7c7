//! From encoded OTLP messages in memory to anomalies, on one thread and on two; and its parts, each beside a peer.
//!
//! Shapes: a message as a Collector's batch has them (one resource, 20 metrics of 5 points); 50 services in 4 pods
//! each, so that pods roll up; 20,000 points per tick of 10 s. Log lines: 2,000 of the simulated shop's own.
//! Peers: prost decoding alone (the floor of any OTLP reader), and per-stream EWMA z-scores in a hash map behind the
//! same decoding (what is written first when a detector is written in a service).

use std::{collections::HashMap, hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use foreshock_core::{
    intake::{self, Intake, IntakeConfig},
    measures::{TemplateConfig, TemplateMiner},
    pipeline::{Event, Pipeline, PipelineConfig, ThreadsConfig},
    types::{Record, Source},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;

const SERVICES: usize = 50;
const PODS: usize = 4;
const METRICS: usize = 20;
const POINTS: usize = 5;
const START: u64 = 1_772_409_600;

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_string(), value, ..KeyValue::default() }
}

/// A cheap hash as noise in 0..1.
fn noise(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f64 / 16_777_216.0
}

/// The messages of one tick.
fn tick(tick: u64) -> Vec<Record> {
    let time_unix_nano = (START + tick * 10 + 5) * 1_000_000_000;
    let message = |index: usize| {
        let (service, pod) = (index / PODS, index % PODS);
        let point = |metric: usize, route: usize| {
            let value = 20.0 + noise((index * 1000 + metric * 10 + route) as u64 + tick * 7919) * 4.0;
            NumberDataPoint {
                time_unix_nano,
                attributes: vec![attribute("http.route", format!("/r{route}"))],
                value: Some(number_data_point::Value::AsDouble(value)),
                ..NumberDataPoint::default()
            }
        };
        let metric = |metric: usize| Metric {
            name: format!("app.metric.{metric}"),
            data: Some(Data::Gauge(Gauge {
                data_points: (0..POINTS).map(|route| point(metric, route)).collect(),
            })),
            ..Metric::default()
        };
        let attributes = vec![
            attribute("service.name", format!("service-{service}")),
            attribute("service.namespace", "bench".to_string()),
            attribute("k8s.pod.name", format!("service-{service}-{pod}")),
        ];
        let scope = ScopeMetrics { metrics: (0..METRICS).map(metric).collect(), ..ScopeMetrics::default() };
        let resource = ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![scope],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }
    };
    let record = |index: usize| Record {
        offset: (tick as usize * SERVICES * PODS + index) as i64,
        time_ms: (time_unix_nano / 1_000_000) as i64,
        payload: Bytes::from(message(index).encode_to_vec()),
        ..Record::default()
    };
    (0..SERVICES * PODS).map(record).collect()
}

fn source() -> Source {
    Source { topic: Arc::from("otlp_metrics"), partition: 0 }
}

/// What is written first: decode, then a mean and a variance per stream in a map, keyed by its labels.
#[derive(Default)]
struct Ewma {
    streams: HashMap<String, (f64, f64)>,
}

impl Ewma {
    fn take(&mut self, records: &[Record]) -> usize {
        let mut alarms = 0;
        for record in records {
            let request = ExportMetricsServiceRequest::decode(record.payload.as_ref()).expect("OTLP");
            for group in &request.resource_metrics {
                let resource =
                    group.resource.as_ref().map_or_else(String::new, |it| format!("{:?}", it.attributes));
                for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                    let Some(Data::Gauge(gauge)) = &metric.data else { continue };
                    for point in &gauge.data_points {
                        let Some(number_data_point::Value::AsDouble(value)) = point.value else { continue };
                        let key = format!("{resource}{}{:?}", metric.name, point.attributes);
                        let (mean, variance) = self.streams.entry(key).or_insert((value, 1.0));
                        let error = value - *mean;
                        alarms += usize::from(error.abs() > 6.0 * variance.sqrt());
                        *mean += 0.05 * error;
                        *variance += 0.05 * (error * error - *variance);
                    }
                }
            }
        }
        alarms
    }
}

fn end_to_end(c: &mut Criterion) {
    let points = (SERVICES * PODS * METRICS * POINTS) as u64;
    let mut group = c.benchmark_group("OTLP metrics to anomalies, per point");
    group.throughput(Throughput::Elements(points)).sample_size(10);
    for count in [1, 2] {
        let threads = ThreadsConfig { count, ..ThreadsConfig::default() };
        let mut pipeline =
            Pipeline::new(PipelineConfig { threads, ..PipelineConfig::default() }).expect("pipeline");
        let mut now = 0;
        let mut ready: Vec<Vec<Record>> = Vec::new();
        group.bench_function(format!("foreshock, threads: {count}"), |b| {
            b.iter_custom(|rounds| {
                ready.clear();
                ready.extend((0..rounds).map(|round| tick(now + round)));
                now += rounds;
                let began = std::time::Instant::now();
                for records in &ready {
                    black_box(pipeline.on_event(Event::Records { source: &source(), records }));
                }
                began.elapsed()
            });
        });
        println!("{} series, {:?}", pipeline.series(), pipeline.counts());
    }
    let records = tick(0);
    let mut ewma = Ewma::default();
    group.bench_function("peer: EWMA z-scores in a hash map", |b| b.iter(|| black_box(ewma.take(&records))));
    group.bench_function("peer: prost decoding alone", |b| {
        b.iter(|| {
            for record in &records {
                black_box(ExportMetricsServiceRequest::decode(record.payload.as_ref()).expect("OTLP"));
            }
        });
    });
    let mut decoder = Intake::new("otlp_metrics", IntakeConfig::default());
    group.bench_function("foreshock: decoding into Arrow alone", |b| {
        b.iter(|| black_box(decoder.on_event(intake::Event::Records(&records))));
    });
    group.finish();
}

/// Lines with numbers, addresses and ids, as services write them.
fn lines() -> Vec<String> {
    let line = |index: u64| match index % 5 {
        0 => format!("GET /products/{} took {} ms", index * 31 % 997, index * 17 % 400),
        1 => format!("user {} logged in from 10.0.{}.{}", index * 7 % 5003, index % 200, index * 3 % 250),
        2 => format!("payment {:016x} accepted, amount {}.{:02}", index * 7919, index % 300, index % 100),
        3 => format!("cache evicted {} entries in shard {}", index * 13 % 1000, index % 16),
        _ => format!("connection to db-{}.internal:5432 closed after {} s", index % 4, index % 600),
    };
    (0..2000).map(line).collect()
}

fn templates(c: &mut Criterion) {
    let lines = lines();
    let mut group = c.benchmark_group("log lines to templates, per line");
    group.throughput(Throughput::Elements(lines.len() as u64));
    let mut miner = TemplateMiner::new(TemplateConfig::default());
    group.bench_function("foreshock", |b| {
        b.iter(|| lines.iter().filter_map(|line| miner.learn(line)).map(|found| found.index).sum::<usize>());
    });
    println!("{} templates", miner.len());
    let numbers = regex::Regex::new(r"[0-9a-fA-F]*[0-9][0-9a-fA-F.:]*").expect("a pattern");
    let mut known: HashMap<String, usize> = HashMap::new();
    group.bench_function("peer: regex masks and a hash map", |b| {
        b.iter(|| {
            let mask = |line: &String| {
                let masked = numbers.replace_all(line, "<*>").into_owned();
                let next = known.len();
                *known.entry(masked).or_insert(next)
            };
            lines.iter().map(mask).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, end_to_end, templates);
criterion_main!(benches);
