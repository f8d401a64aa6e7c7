//! The metrics of a tick as OTLP: one message per pod, one for the database and one for the queue.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::MODEL;
use super::fleet::{BOUNDS, Counters, Pod};
use super::model::{FEATURES, Predictions};
use super::noise::Noise;
use super::otlp::{peer_resource, pod_resource, scope, text};
use super::topology::{DATABASE, Operation, QUEUE, QUEUE_NAME, SERVICES, Service, Trigger};
use super::walk::PeerLoad;

const MIB: f64 = 1_048_576.0;
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// When the points of a message were taken, and since when its counters count; unix nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// Everything that one pod reports at the end of a tick.
pub(super) fn of_pod(
    service: &Service,
    pod: &Pod,
    predictions: Option<&Predictions>,
    moment: Moment,
    tick_ms: f64,
    noise: &mut Noise,
) -> Vec<u8> {
    let mut scopes = vec![served(service, pod, moment), process(service, pod, moment, tick_ms, noise)];
    scopes.extend(predictions.map(|predictions| model(predictions, moment)));
    encode(pod_resource(service, pod), scopes)
}

fn served(service: &Service, pod: &Pod, moment: Moment) -> ScopeMetrics {
    let (mut requests, mut errors, mut durations) = (Vec::new(), Vec::new(), Vec::new());
    for (operation, counters) in service.operations.iter().zip(&pod.counters) {
        let attributes = labels(operation);
        requests.push(count(attributes.clone(), counters.requests, moment));
        errors.push(count(attributes.clone(), counters.errors, moment));
        durations.push(distribution(attributes, counters, moment));
    }
    let http = matches!(service.operations[0].trigger, Trigger::Http(_));
    let names = if http {
        ["http.server.request.count", "http.server.request.errors", "http.server.request.duration"]
    } else {
        ["messaging.process.count", "messaging.process.errors", "messaging.process.duration"]
    };
    let histogram = Histogram { data_points: durations, aggregation_temporality: CUMULATIVE };
    let metrics = vec![
        counter(names[0], "{request}", requests),
        counter(names[1], "{request}", errors),
        metric(names[2], "s", Data::Histogram(histogram)),
    ];
    ScopeMetrics { scope: scope("shop.server"), metrics, ..ScopeMetrics::default() }
}

fn process(service: &Service, pod: &Pod, moment: Moment, tick_ms: f64, noise: &mut Noise) -> ScopeMetrics {
    let cpu = 0.04 + 0.6 * pod.tick.busy_ms / tick_ms + 0.003 * noise.normal();
    let memory = (pod.memory_mib(service) * MIB).round();
    let mut metrics = vec![
        gauge("process.memory.usage", "By", vec![reading(Vec::new(), memory, moment)]),
        gauge("process.cpu.utilization", "1", vec![reading(Vec::new(), cpu.clamp(0.0, 1.0), moment)]),
    ];
    if service.uses_database {
        let used = noise.count(2.0 + 4.0 * pod.tick.query_ms / tick_ms).min(20);
        let attributes = vec![text("db.client.connection.pool.name", DATABASE)];
        let labelled =
            |state: &str| [attributes.as_slice(), &[text("db.client.connection.state", state)]].concat();
        let points = vec![
            reading(labelled("used"), f64::from(used), moment),
            reading(labelled("idle"), f64::from(20 - used), moment),
        ];
        metrics.push(gauge("db.client.connection.count", "{connection}", points));
    }
    ScopeMetrics { scope: scope("shop.process"), metrics, ..ScopeMetrics::default() }
}

fn model(predictions: &Predictions, moment: Moment) -> ScopeMetrics {
    let name = || text("model.name", MODEL);
    let inputs = FEATURES
        .iter()
        .zip(predictions.inputs)
        .map(|(feature, mean)| reading(vec![name(), text("model.feature", feature.name)], mean, moment));
    let metrics = vec![
        gauge("model.input.mean", "1", inputs.collect()),
        gauge("model.prediction.score", "1", vec![reading(vec![name()], predictions.mean_score, moment)]),
        gauge("model.prediction.spread", "1", vec![reading(vec![name()], predictions.score_spread, moment)]),
    ];
    ScopeMetrics { scope: scope("shop.model"), metrics, ..ScopeMetrics::default() }
}

/// The database and the queue: what they have done since the start of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers {
    queries: u64,
    published: u64,
}

impl Peers {
    /// The two messages of a tick, each with the name of its peer.
    pub(super) fn report(
        &mut self,
        load: PeerLoad,
        moment: Moment,
        tick_ms: f64,
        noise: &mut Noise,
    ) -> [(&'static str, Vec<u8>); 2] {
        self.queries += load.queries;
        self.published += load.published;
        let database = self.database(load, moment, tick_ms, noise);
        let queue = self.queue(load, moment, tick_ms, noise);
        [(DATABASE, database), (QUEUE, queue)]
    }

    fn database(&self, load: PeerLoad, moment: Moment, tick_ms: f64, noise: &mut Noise) -> Vec<u8> {
        let pools: usize =
            SERVICES.iter().filter(|service| service.uses_database).map(|service| service.pods).sum();
        let backends = 4 * pools as u32 + noise.count(6.0 + 4.0 * load.query_ms / tick_ms);
        let size = 21_000.0 * MIB + 900.0 * self.queries as f64;
        let metrics = vec![
            gauge("postgresql.backends", "1", vec![reading(Vec::new(), f64::from(backends), moment)]),
            gauge("postgresql.db_size", "By", vec![reading(Vec::new(), size, moment)]),
            counter("postgresql.commits", "1", vec![count(Vec::new(), self.queries, moment)]),
        ];
        let scopes = ScopeMetrics { scope: scope("postgresqlreceiver"), metrics, ..ScopeMetrics::default() };
        encode(peer_resource(DATABASE, "17.6"), vec![scopes])
    }

    fn queue(&self, load: PeerLoad, moment: Moment, tick_ms: f64, noise: &mut Noise) -> Vec<u8> {
        let per_second = load.published as f64 * 1_000.0 / tick_ms;
        let waiting = noise.count(1.5 * per_second);
        let name = || text("rabbitmq.queue.name", QUEUE_NAME);
        let depth = reading(vec![name(), text("state", "ready")], f64::from(waiting), moment);
        let metrics = vec![
            gauge("rabbitmq.message.current", "{message}", vec![depth]),
            counter(
                "rabbitmq.message.published",
                "{message}",
                vec![count(vec![name()], self.published, moment)],
            ),
        ];
        let scopes = ScopeMetrics { scope: scope("rabbitmqreceiver"), metrics, ..ScopeMetrics::default() };
        encode(peer_resource(QUEUE, "4.1.3"), vec![scopes])
    }
}

fn encode(resource: Option<Resource>, scope_metrics: Vec<ScopeMetrics>) -> Vec<u8> {
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn labels(operation: &Operation) -> Vec<KeyValue> {
    match operation.trigger {
        Trigger::Http(method) => {
            vec![text("http.request.method", method), text("http.route", operation.route)]
        }
        Trigger::Message => {
            vec![text("messaging.system", QUEUE), text("messaging.destination.name", operation.route)]
        }
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn gauge(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

fn counter(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true };
    metric(name, unit, Data::Sum(sum))
}

fn reading(attributes: Vec<KeyValue>, number: f64, moment: Moment) -> NumberDataPoint {
    let value = Some(Value::AsDouble(number));
    NumberDataPoint { attributes, time_unix_nano: moment.now, value, ..NumberDataPoint::default() }
}

fn count(attributes: Vec<KeyValue>, number: u64, moment: Moment) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.now,
        value: Some(Value::AsInt(i64::try_from(number).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    }
}

fn distribution(attributes: Vec<KeyValue>, counters: &Counters, moment: Moment) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.now,
        count: counters.requests,
        sum: Some(counters.seconds),
        bucket_counts: counters.buckets.to_vec(),
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    }
}
