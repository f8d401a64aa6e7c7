//! From encoded OTLP spans in memory to calls, self times and anomalies, on one thread; beside a peer.
//!
//! Shapes: 2,000 traces of nine spans per tick of 10 s, over four services in a chain with a fork and a database below
//! two of them, as a page that waits for two calls has them; messages of one service and at most 100 spans, as a
//! Collector's batch has them, whole traces within a tick. The window holds 60,000 to 80,000 spans.
//! Peer: prost decoding, and a hash map from span id to service with a count per pair: what is written first.

use std::{collections::HashMap, hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use foreshock_core::{
    pipeline::{Event, Pipeline, PipelineConfig},
    types::{Record, Source},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind},
};
use prost::Message;

const TRACES: u64 = 2000;
const START: u64 = 1_772_409_600;

/// Service, kind, parent's place, start and end in ms.
const SHAPE: [(&str, SpanKind, Option<u64>, u64, u64); 9] = [
    ("frontend", SpanKind::Server, None, 0, 60),
    ("frontend", SpanKind::Client, Some(0), 5, 55),
    ("checkout", SpanKind::Server, Some(1), 6, 54),
    ("checkout", SpanKind::Client, Some(2), 8, 28),
    ("payment", SpanKind::Server, Some(3), 9, 27),
    ("payment", SpanKind::Client, Some(4), 12, 25),
    ("checkout", SpanKind::Client, Some(2), 30, 50),
    ("cart", SpanKind::Server, Some(6), 31, 49),
    ("cart", SpanKind::Client, Some(7), 33, 47),
];

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_string())) });
    KeyValue { key: key.to_string(), value, ..KeyValue::default() }
}

/// Ids that look random.
fn mixed(number: u64) -> [u8; 8] {
    number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).to_be_bytes()
}

fn span(trace: u64, place: u64, tick: u64) -> Span {
    let (_, kind, parent, start_ms, end_ms) = SHAPE[place as usize];
    let begin = (START + tick * 10) * 1_000_000_000 + trace % TRACES * 4_500_000;
    let id = |place: u64| mixed(trace * SHAPE.len() as u64 + place).to_vec();
    let is_query = kind == SpanKind::Client && matches!(place, 5 | 8);
    let attributes = match (kind, is_query) {
        (SpanKind::Client, true) => {
            vec![attribute("db.system.name", "postgresql"), attribute("server.address", "db")]
        }
        (SpanKind::Client, false) => vec![attribute("server.address", "svc.cluster.local")],
        _ => vec![attribute("http.route", "/items/{id}")],
    };
    Span {
        trace_id: [mixed(trace), mixed(!trace)].concat(),
        span_id: id(place),
        parent_span_id: parent.map(id).unwrap_or_default(),
        name: "GET".to_string(),
        kind: kind as i32,
        start_time_unix_nano: begin + start_ms * 1_000_000,
        end_time_unix_nano: begin + (end_ms + trace % 7) * 1_000_000,
        attributes,
        ..Span::default()
    }
}

/// The messages of one tick.
fn tick(tick: u64) -> Vec<Record> {
    let mut payloads = Vec::new();
    for service in ["cart", "checkout", "frontend", "payment"] {
        let places = (0..SHAPE.len() as u64).filter(|place| SHAPE[*place as usize].0 == service);
        let traces = tick * TRACES..(tick + 1) * TRACES;
        let spans: Vec<Span> =
            places.flat_map(|place| traces.clone().map(move |trace| span(trace, place, tick))).collect();
        for spans in spans.chunks(100) {
            let scope_spans = vec![ScopeSpans { spans: spans.to_vec(), ..ScopeSpans::default() }];
            let attributes = vec![attribute("service.name", service)];
            let resource = Some(Resource { attributes, ..Resource::default() });
            let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
            payloads.push(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        }
    }
    let count = payloads.len() as u64;
    let record = |(index, payload): (u64, Vec<u8>)| Record {
        offset: (tick * count + index) as i64,
        time_ms: ((START + tick * 10 + 10) * 1000) as i64,
        payload: Bytes::from(payload),
        ..Record::default()
    };
    (0..).zip(payloads).map(record).collect()
}

/// Calls per pair of services, of one tick.
fn naive(records: &[Record]) -> HashMap<(String, String), u64> {
    let mut spans: HashMap<Vec<u8>, (String, Vec<u8>)> = HashMap::new();
    for record in records {
        let request = ExportTraceServiceRequest::decode(record.payload.as_ref()).expect("OTLP");
        for group in request.resource_spans {
            let name =
                group.resource.and_then(|resource| resource.attributes.into_iter().next()?.value?.value);
            let Some(Value::StringValue(service)) = name else { continue };
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.insert(span.span_id, (service.clone(), span.parent_span_id));
            }
        }
    }
    let mut calls = HashMap::new();
    for (service, parent) in spans.values() {
        if let Some((caller, _)) = spans.get(parent).filter(|(caller, _)| caller != service) {
            *calls.entry((caller.clone(), service.clone())).or_insert(0) += 1;
        }
    }
    calls
}

fn traces(c: &mut Criterion) {
    let mut group = c.benchmark_group("OTLP spans to calls and anomalies, per span");
    group.throughput(Throughput::Elements(TRACES * SHAPE.len() as u64)).sample_size(10);
    let source = Source { topic: Arc::from("otlp_spans"), partition: 0 };
    let mut pipeline = Pipeline::new(PipelineConfig::default()).expect("pipeline");
    let mut now = 0;
    group.bench_function("foreshock", |b| {
        b.iter_custom(|rounds| {
            let ready: Vec<Vec<Record>> = (0..rounds).map(|round| tick(now + round)).collect();
            now += rounds;
            let began = std::time::Instant::now();
            for records in &ready {
                black_box(pipeline.on_event(Event::Records { source: &source, records }));
            }
            began.elapsed()
        });
    });
    println!("{} series, {} spans wait, {:?}", pipeline.series(), pipeline.spans(), pipeline.counts());
    let records = tick(0);
    println!("peer: {:?}", naive(&records).len());
    group.bench_function("peer: prost and a hash map", |b| b.iter(|| black_box(naive(&records))));
    group.finish();
}

criterion_group!(benches, traces);
criterion_main!(benches);
