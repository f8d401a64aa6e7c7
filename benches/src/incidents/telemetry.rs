//! What an estate tells of itself: OTLP as OpenTelemetry's SDKs and receivers write it, and change events.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{
        Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        metric::Data, number_data_point,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use prost::Message;

use super::{
    estate::{Estate, Role},
    flow::{PATIENCE_MS, State, per_request},
    story::Trouble,
};
use crate::generated::random::Random;

const CUMULATIVE: i32 = 2;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;
/// Bounds of durations, seconds, as the semantic conventions advise.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// What a model is given, and its mean; one value scatters by [`INPUT_SPREAD`].
const FEATURES: [(&str, f64); 4] = [("age", 10.0), ("distance", 20.0), ("price", 30.0), ("stock", 40.0)];
const INPUT_SPREAD: f64 = 2.0;
/// What it answers, and how that scatters.
const SCORE: f64 = 0.7;
const SCORE_SPREAD: f64 = 0.1;
/// Bounds of a model's histograms: so many on either side of the mean, half a spread apart.
const SIDE: i32 = 6;
/// Lines of a service in a tick at most.
const MOST_LINES: f64 = 12.0;
/// Spread of durations, of the logarithm.
const SPREAD: f64 = 0.35;

/// Counters of a service, since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// By outcome: fine, failed.
    durations: [[u64; BOUNDS.len() + 1]; 2],
    sums: [f64; 2],
    done: f64,
    hits: f64,
    misses: f64,
    /// Of a model: its inputs and its answer.
    values: [Values; FEATURES.len() + 1],
}

/// Values of a model, since the start.
#[derive(Clone, Debug, Default)]
struct Values {
    counts: [u64; 2 * SIDE as usize + 2],
    sum: f64,
}

/// A tick as it is told.
pub(super) struct Moment<'a> {
    pub estate: &'a Estate,
    pub troubles: &'a [Trouble],
    pub states: &'a [State],
    pub versions: &'a [String],
    pub starts_s: &'a [i64],
    pub now_s: i64,
    pub tick_s: f64,
}

fn text(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// What was counted from the start to a time.
fn counted(
    [start, time]: [u64; 2],
    attributes: Vec<KeyValue>,
    counts: &[u64],
    sum: f64,
    explicit_bounds: Vec<f64>,
) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: counts.iter().sum(),
        sum: Some(sum),
        bucket_counts: counts.to_vec(),
        explicit_bounds,
        ..HistogramDataPoint::default()
    }
}

fn histogram(name: String, unit: &str, data_points: Vec<HistogramDataPoint>) -> Metric {
    let data = Data::Histogram(Histogram { data_points, aggregation_temporality: CUMULATIVE });
    Metric { name, unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

impl Moment<'_> {
    fn nanos(&self, offset_ms: f64) -> u64 {
        self.now_s as u64 * 1_000_000_000 + (offset_ms * 1e6) as u64
    }

    fn resource(&self, at: usize) -> Option<Resource> {
        let service = &self.estate.services[at];
        let attributes = vec![
            text("service.name", &service.name),
            text("service.version", &self.versions[at]),
            text("k8s.namespace.name", "production"),
            text("k8s.deployment.name", &service.name),
            text("k8s.pod.name", &format!("{}-{}-0", service.name, self.versions[at])),
        ];
        Some(Resource { attributes, ..Resource::default() })
    }

    fn is_heard(&self, at: usize) -> bool {
        !self.troubles[at].is_gone
    }

    /// The metrics of every service that is there.
    pub(super) fn metrics(&self, counters: &mut [Counters], random: &mut Random) -> Vec<Vec<u8>> {
        let heard = (0..self.estate.services.len()).filter(|at| self.is_heard(*at));
        heard.map(|at| self.of_service(at, &mut counters[at], random)).collect()
    }

    fn of_service(&self, at: usize, counters: &mut Counters, random: &mut Random) -> Vec<u8> {
        let (service, state, trouble) = (&self.estate.services[at], &self.states[at], &self.troubles[at]);
        let time = self.nanos(9_000.0 + 0.8 * at as f64);
        let start = self.starts_s[at] as u64 * 1_000_000_000;
        let point = |value: f64, attributes: Vec<KeyValue>| NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        };
        let metric =
            |name: &str, data: Data| Metric { name: name.to_owned(), data: Some(data), ..Metric::default() };
        let gauge = |name: &str, data_points| metric(name, Data::Gauge(Gauge { data_points }));
        let counter = |name: &str, value: f64| {
            let data_points = vec![point(value, Vec::new())];
            metric(
                name,
                Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true }),
            )
        };
        let memory = service.memory_mib * (1.0 + trouble.memory + 0.01 * random.normal()) * 1_048_576.0;
        let mut metrics = vec![
            gauge("process.memory.usage", vec![point(memory, Vec::new())]),
            gauge("process.cpu.utilization", vec![point(state.busy, Vec::new())]),
        ];
        let done = random.poisson(state.rate * self.tick_s);
        counters.done += done;
        match service.role {
            Role::Database => {
                metrics.push(counter("postgresql.commits", counters.done));
                let used = (2.0 + state.rate * state.wait_ms / 1000.0 + 0.5 * random.normal()).max(0.0);
                metrics.push(gauge("postgresql.backends", vec![point(used.round(), Vec::new())]));
                let disk = trouble.disk + 0.0005 * random.normal();
                metrics.push(gauge("system.filesystem.utilization", vec![point(disk, Vec::new())]));
            }
            Role::Cache => {
                let hits = random.poisson(done * trouble.hits).min(done);
                counters.hits += hits;
                counters.misses += done - hits;
                metrics.push(counter("redis.keyspace.hits", counters.hits));
                metrics.push(counter("redis.keyspace.misses", counters.misses));
            }
            Role::Queue => {
                metrics.push(counter("rabbitmq.message.published", counters.done));
                let waiting = state.depth + random.poisson(2.0);
                metrics.push(gauge("rabbitmq.message.current", vec![point(waiting, Vec::new())]));
            }
            _ => metrics.push(self.durations(at, done, counters, [start, time], random)),
        }
        if service.role == Role::Model {
            metrics.extend(self.values(at, done, counters, [start, time], random));
        }
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let of_resource =
            ResourceMetrics { resource: self.resource(at), scope_metrics, ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }.encode_to_vec()
    }

    /// What a model was given and what it answered, each as a histogram.
    fn values(
        &self,
        at: usize,
        done: f64,
        counters: &mut Counters,
        times: [u64; 2],
        random: &mut Random,
    ) -> Vec<Metric> {
        let drift = self.troubles[at].drift;
        let inputs = FEATURES.iter().enumerate().map(|(index, (feature, mean))| {
            let moved = if index < 2 { 1.5 * drift } else { 0.0 };
            (format!("model.input.{feature}"), *mean, moved, INPUT_SPREAD)
        });
        let answer = ("model.prediction.score".to_owned(), SCORE, -0.12 * drift, SCORE_SPREAD);
        let told = inputs.chain([answer]).zip(&mut counters.values);
        let told = told.map(|((name, mean, moved, spread), values)| {
            let bounds: Vec<f64> = (-SIDE..=SIDE).map(|step| mean + 0.5 * spread * f64::from(step)).collect();
            for _ in 0..done as u64 {
                let value = mean + moved + spread * random.normal();
                values.counts[bounds.partition_point(|bound| *bound < value)] += 1;
                values.sum += value;
            }
            let attributes = vec![text("model.name", &self.estate.services[at].name)];
            let point = counted(times, attributes, &values.counts, values.sum, bounds);
            histogram(name, "", vec![point])
        });
        told.collect()
    }

    /// `http.server.request.duration`, by outcome.
    fn durations(
        &self,
        at: usize,
        done: f64,
        counters: &mut Counters,
        times: [u64; 2],
        random: &mut Random,
    ) -> Metric {
        let (service, state) = (&self.estate.services[at], &self.states[at]);
        let failed = random.poisson(done * state.failing).min(done);
        let (share, factor) = self.troubles[at].tail;
        for (outcome, count) in [done - failed, failed].into_iter().enumerate() {
            let median_ms = state.wait_ms / (1.0 + share * (factor - 1.0));
            for _ in 0..count as u64 {
                let tail = if random.unit() < share { factor } else { 1.0 };
                let seconds = median_ms * tail * (SPREAD * random.normal()).exp() / 1000.0;
                let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
                counters.durations[outcome][bucket] += 1;
                counters.sums[outcome] += seconds;
            }
        }
        let is_http = service.role != Role::Worker;
        let data_points = (0..2).filter(|outcome| counters.sums[*outcome] > 0.0).map(|outcome| {
            let mut attributes = vec![text("http.request.method", "GET"), text("http.route", &service.route)];
            if !is_http {
                attributes = vec![text("messaging.operation.name", "process")];
            }
            let status = AnyValue { value: Some(Value::IntValue(if outcome == 0 { 200 } else { 500 })) };
            if is_http {
                let key = "http.response.status_code".to_owned();
                attributes.push(KeyValue { key, value: Some(status), ..KeyValue::default() });
            }
            if outcome == 1 {
                attributes.push(text("error.type", "500"));
            }
            let (counts, sum) = (&counters.durations[outcome], counters.sums[outcome]);
            counted(times, attributes, counts, sum, BOUNDS.to_vec())
        });
        let name = if is_http { "http.server.request.duration" } else { "messaging.process.duration" };
        histogram(name.to_owned(), "s", data_points.collect())
    }

    /// The lines of every service that is there.
    pub(super) fn logs(&self, random: &mut Random) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        for (at, service) in self.estate.services.iter().enumerate().filter(|(at, _)| self.is_heard(*at)) {
            let state = &self.states[at];
            let mut lines: Vec<(i32, String)> = Vec::new();
            for line in service.lines {
                let count = random.poisson((0.05 * state.rate * self.tick_s).min(MOST_LINES / 6.0));
                lines.extend((0..count as usize).map(|_| (9, fill(line, "", random))));
            }
            let passed_on = state.failed_by.map(|by| self.estate.services[by].name.as_str());
            let is_app = matches!(service.role, Role::Gateway | Role::App | Role::Model | Role::Worker);
            if is_app {
                let failed = random.poisson((state.rate * self.tick_s * state.failing).min(MOST_LINES / 2.0));
                let (line, peer) = match passed_on {
                    Some(peer) => ("call of {peer} failed after {ms} ms: unavailable", peer),
                    None => ("request {id} failed: internal error", ""),
                };
                lines.extend((0..failed as usize).map(|_| (17, fill(line, peer, random))));
            }
            for (severity, line, per_tick) in &self.troubles[at].lines {
                let count = random.poisson(*per_tick) as usize;
                lines.extend((0..count).map(|_| (*severity, fill(line, "", random))));
            }
            if lines.is_empty() {
                continue;
            }
            let records = lines.into_iter().map(|(severity_number, line)| LogRecord {
                time_unix_nano: self.nanos(random.between(0.0, 9_900.0)),
                severity_number,
                body: Some(AnyValue { value: Some(Value::StringValue(line)) }),
                ..LogRecord::default()
            });
            let scope_logs = vec![ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() }];
            let of_resource =
                ResourceLogs { resource: self.resource(at), scope_logs, ..ResourceLogs::default() };
            messages.push(ExportLogsServiceRequest { resource_logs: vec![of_resource] }.encode_to_vec());
        }
        messages
    }

    /// The spans of the requests that were traced.
    pub(super) fn spans(&self, traces: usize, random: &mut Random) -> Vec<Vec<u8>> {
        let mut spans: Vec<Vec<Span>> = vec![Vec::new(); self.estate.services.len()];
        let gateways: Vec<usize> = self.estate.of_role(Role::Gateway).collect();
        for number in 0..traces {
            let trace = id(random, 16);
            let at = gateways[number % gateways.len()];
            self.serve(at, SERVER, &trace, &[], random.between(0.0, 6_000.0), &mut spans, random);
        }
        for at in self.estate.of_role(Role::Worker) {
            for _ in 0..(traces / 8).min((self.states[at].rate * self.tick_s) as usize) {
                let trace = id(random, 16);
                self.serve(at, CONSUMER, &trace, &[], random.between(0.0, 6_000.0), &mut spans, random);
            }
        }
        let with_spans = spans.into_iter().enumerate().filter(|(_, spans)| !spans.is_empty());
        with_spans
            .map(|(at, spans)| {
                let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
                let of_resource =
                    ResourceSpans { resource: self.resource(at), scope_spans, ..ResourceSpans::default() };
                ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec()
            })
            .collect()
    }

    /// One request to a service, with all below it: how long it took, and whether it failed.
    #[expect(clippy::too_many_arguments, reason = "a span has that many parts")]
    fn serve(
        &self,
        at: usize,
        kind: i32,
        trace: &[u8],
        parent: &[u8],
        start_ms: f64,
        spans: &mut [Vec<Span>],
        random: &mut Random,
    ) -> (f64, bool) {
        let (service, trouble) = (&self.estate.services[at], &self.troubles[at]);
        if trouble.is_gone {
            return (1.0, true);
        }
        let own = id(random, 8);
        let mut took_ms = self.work_ms(at, random);
        let mut failed = random.unit() < trouble.failing;
        for call in &service.calls {
            let mut left = per_request(self.estate, at, call, self.troubles);
            while random.unit() < left {
                left -= 1.0;
                let callee = &self.estate.services[call.to];
                let (call_id, began_ms) = (id(random, 8), start_ms + took_ms);
                let (inner_ms, inner_failed) = match callee.role {
                    Role::Database | Role::Cache | Role::Queue => self.plain(call.to, random),
                    _ => {
                        let half = self.troubles[call.to].way_ms / 2.0;
                        self.serve(call.to, SERVER, trace, &call_id, began_ms + half, spans, random)
                    }
                };
                let call_ms = (inner_ms + self.troubles[call.to].way_ms + 0.3).min(PATIENCE_MS);
                let (kind, name, attributes) = outbound(callee.role, &callee.name, &callee.route);
                let call_failed = inner_failed || inner_ms > PATIENCE_MS;
                let timing = [began_ms, began_ms + call_ms];
                spans[at].push(self.span(trace, &call_id, &own, kind, name, timing, call_failed, attributes));
                took_ms += call_ms;
                failed |= call.required && call_failed;
            }
        }
        let (name, attributes) = match kind {
            CONSUMER => ("process".to_owned(), vec![text("messaging.system", "rabbitmq")]),
            _ => {
                let attributes = vec![text("http.request.method", "GET"), text("http.route", &service.route)];
                (format!("GET {}", service.route), attributes)
            }
        };
        let timing = [start_ms, start_ms + took_ms];
        spans[at].push(self.span(trace, &own, parent, kind, name, timing, failed, attributes));
        (took_ms, failed)
    }

    /// Own work on one request, milliseconds.
    fn work_ms(&self, at: usize, random: &mut Random) -> f64 {
        let (share, factor) = self.troubles[at].tail;
        let tail = if random.unit() < share { factor } else { 1.0 };
        self.states[at].work_ms * tail * (SPREAD * random.normal()).exp()
    }

    /// One statement, look-up or message.
    fn plain(&self, at: usize, random: &mut Random) -> (f64, bool) {
        let trouble = &self.troubles[at];
        if trouble.is_gone {
            return (1.0, true);
        }
        let took_ms = self.work_ms(at, random);
        (took_ms, random.unit() < trouble.failing)
    }

    #[expect(clippy::too_many_arguments, reason = "a span has that many parts")]
    fn span(
        &self,
        trace: &[u8],
        own: &[u8],
        parent: &[u8],
        kind: i32,
        name: String,
        [start_ms, end_ms]: [f64; 2],
        failed: bool,
        attributes: Vec<KeyValue>,
    ) -> Span {
        let code = if failed { 2 } else { 0 };
        Span {
            trace_id: trace.to_vec(),
            span_id: own.to_vec(),
            parent_span_id: parent.to_vec(),
            name,
            kind,
            start_time_unix_nano: self.nanos(start_ms),
            end_time_unix_nano: self.nanos(end_ms),
            attributes,
            status: Some(Status { code, message: String::new() }),
            ..Span::default()
        }
    }
}

fn outbound(role: Role, name: &str, route: &str) -> (i32, String, Vec<KeyValue>) {
    match role {
        Role::Database => {
            let attributes = vec![
                text("db.system.name", "postgresql"),
                text("server.address", name),
                text("db.operation.name", "SELECT"),
            ];
            (CLIENT, "SELECT rows".to_owned(), attributes)
        }
        Role::Cache => {
            (CLIENT, "GET".to_owned(), vec![text("db.system.name", "redis"), text("server.address", name)])
        }
        Role::Queue => {
            let attributes =
                vec![text("messaging.system", "rabbitmq"), text("messaging.destination.name", name)];
            (PRODUCER, format!("send {name}"), attributes)
        }
        _ => {
            let attributes = vec![text("http.request.method", "GET"), text("server.address", name)];
            (CLIENT, format!("GET {route}"), attributes)
        }
    }
}

fn id(random: &mut Random, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| random.whole(1, 256) as u8).collect()
}

/// Fills the holes of a line.
fn fill(line: &str, peer: &str, random: &mut Random) -> String {
    let mut filled = line.replace("{peer}", peer);
    while let Some(start) = filled.find('{') {
        let Some(end) = filled[start..].find('}').map(|end| start + end) else { break };
        let value = match &filled[start + 1..end] {
            "ms" => format!("{}", random.whole(1, 900)),
            "n" => format!("{}", random.whole(1, 5_000)),
            "ip" => format!("10.{}.{}.{}", random.whole(0, 4), random.whole(0, 255), random.whole(1, 255)),
            _ => format!("{:08x}", random.whole(0, 1 << 32)),
        };
        filled.replace_range(start..=end, &value);
    }
    filled
}

/// A change of a service as a CDEvent in a structured CloudEvent.
pub(super) fn change(service: &str, kind: &str, version: &str, at_s: i64) -> Vec<u8> {
    let id = format!("{service}-{version}-{at_s}");
    serde_json::json!({
        "specversion": "1.0", "id": id, "source": "/delivery", "type": kind, "subject": service,
        "data": {
            "context": {"version": "0.4.1", "id": id, "source": "/delivery", "type": kind},
            "subject": {"id": service, "type": "service", "content": {"artifactId": format!("pkg:oci/{service}@{version}")}},
            "customData": {"version": version},
        },
    })
    .to_string()
    .into_bytes()
}
