//! Reads the shop's messages back as a consumer would: everything the tests assert is taken from the
//! bytes, not from the simulator's state.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::{CHANGES_TOPIC, LOGS_TOPIC, METRICS_TOPIC, Produced, SPANS_TOPIC};

/// What one tick's messages say.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: BTreeMap<String, f64>,
    pub(super) errors: BTreeMap<String, f64>,
    pub(super) seconds: BTreeMap<String, f64>,
    /// Per service and gauge with its last label: the readings of all pods.
    pub(super) gauges: BTreeMap<(String, String), Vec<f64>>,
    /// Service, severity and text.
    pub(super) lines: Vec<(String, String, String)>,
    pub(super) spans: Vec<(String, Span)>,
    pub(super) changes: Vec<serde_json::Value>,
    pub(super) pods: BTreeMap<String, BTreeSet<String>>,
    pub(super) versions: BTreeMap<String, BTreeSet<String>>,
    /// How many counters began anew.
    pub(super) resets: BTreeMap<String, usize>,
    pub(super) points: usize,
    /// Every event time in unix nanoseconds.
    pub(super) times: Vec<u64>,
}

/// Remembers the counters, to take differences; fails the test when one falls without a new start.
#[derive(Debug, Default)]
pub(super) struct Watch {
    counters: BTreeMap<(String, String), (u64, Vec<f64>)>,
}

impl Watch {
    pub(super) fn read(&mut self, messages: &[Produced]) -> Seen {
        let mut seen = Seen::default();
        for message in messages {
            match message.topic {
                METRICS_TOPIC => self.metrics(&message.payload, &mut seen),
                LOGS_TOPIC => logs(&message.payload, &mut seen),
                SPANS_TOPIC => spans(&message.payload, &mut seen),
                CHANGES_TOPIC => seen.changes.push(serde_json::from_slice(&message.payload).unwrap()),
                other => panic!("unknown topic {other}"),
            }
        }
        seen
    }

    fn metrics(&mut self, payload: &[u8], seen: &mut Seen) {
        let request = ExportMetricsServiceRequest::decode(payload).unwrap();
        for of_resource in request.resource_metrics {
            let resource = of_resource.resource.unwrap();
            let service = resource_text(&resource, "service.name");
            let pod = resource_text(&resource, "k8s.pod.name");
            seen.pods.entry(service.clone()).or_default().insert(pod.clone());
            let version = resource_text(&resource, "service.version");
            seen.versions.entry(service.clone()).or_default().insert(version);
            for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                self.metric(&service, &pod, metric, seen);
            }
        }
    }

    fn metric(&mut self, service: &str, pod: &str, metric: Metric, seen: &mut Seen) {
        let name = metric.name.as_str();
        match metric.data.unwrap() {
            Data::Gauge(gauge) => {
                for point in gauge.data_points {
                    seen.points += 1;
                    seen.times.push(point.time_unix_nano);
                    let label = point.attributes.last().map(|last| format!(" {}", any_text(last)));
                    let key = (service.to_owned(), format!("{name}{}", label.unwrap_or_default()));
                    seen.gauges.entry(key).or_default().push(number(&point));
                }
            }
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{name}");
                for point in sum.data_points {
                    seen.points += 1;
                    seen.times.push(point.time_unix_nano);
                    let labels = format!("{name} {}", labels(&point.attributes));
                    let grown = self.grown(
                        service,
                        pod,
                        &labels,
                        point.start_time_unix_nano,
                        vec![number(&point)],
                        seen,
                    );
                    if name.ends_with(".count") {
                        *seen.requests.entry(service.to_owned()).or_default() += grown;
                    } else if name.ends_with(".errors") {
                        *seen.errors.entry(service.to_owned()).or_default() += grown;
                    }
                }
            }
            Data::Histogram(histogram) => {
                for point in histogram.data_points {
                    seen.points += 1;
                    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{name}");
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1, "{name}");
                    let labels = format!("{name} {}", labels(&point.attributes));
                    let mut values: Vec<f64> =
                        point.bucket_counts.iter().map(|count| *count as f64).collect();
                    values.push(point.sum.unwrap());
                    let grown = self.grown(service, pod, &labels, point.start_time_unix_nano, values, seen);
                    *seen.seconds.entry(service.to_owned()).or_default() += grown;
                }
            }
            other => panic!("{name} has an unexpected type: {other:?}"),
        }
    }

    /// Takes a counter's new values (all of a histogram's at once); gives how much the last one grew.
    fn grown(
        &mut self,
        service: &str,
        pod: &str,
        labels: &str,
        start: u64,
        values: Vec<f64>,
        seen: &mut Seen,
    ) -> f64 {
        let last = values[values.len() - 1];
        match self.counters.insert((pod.to_owned(), labels.to_owned()), (start, values.clone())) {
            Some((old_start, old)) if old_start == start => {
                let fell = old.iter().zip(&values).any(|(old, new)| new < old);
                assert!(!fell, "{service} {pod} {labels} fell from {old:?} to {values:?}");
                last - old[old.len() - 1]
            }
            Some(_) => {
                *seen.resets.entry(service.to_owned()).or_default() += 1;
                last
            }
            None => last,
        }
    }
}

fn logs(payload: &[u8], seen: &mut Seen) {
    for of_resource in ExportLogsServiceRequest::decode(payload).unwrap().resource_logs {
        let service = resource_text(&of_resource.resource.unwrap(), "service.name");
        for record in of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            seen.times.push(record.time_unix_nano);
            let body = any(record.body.as_ref());
            seen.lines.push((service.clone(), record.severity_text, body));
        }
    }
}

fn spans(payload: &[u8], seen: &mut Seen) {
    for of_resource in ExportTraceServiceRequest::decode(payload).unwrap().resource_spans {
        let service = resource_text(&of_resource.resource.unwrap(), "service.name");
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            seen.times.extend([span.start_time_unix_nano, span.end_time_unix_nano]);
            seen.spans.push((service.clone(), span));
        }
    }
}

/// The attribute `key` as text; empty when there is none.
pub(super) fn attribute(attributes: &[KeyValue], key: &str) -> String {
    attributes.iter().find(|pair| pair.key == key).map(any_text).unwrap_or_default()
}

fn resource_text(resource: &Resource, key: &str) -> String {
    let content = attribute(&resource.attributes, key);
    assert!(!content.is_empty(), "the resource has no {key}");
    content
}

fn labels(attributes: &[KeyValue]) -> String {
    attributes.iter().map(any_text).collect::<Vec<_>>().join(" ")
}

fn any_text(pair: &KeyValue) -> String {
    any(pair.value.as_ref())
}

fn any(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("unexpected value {other:?}"),
    }
}

fn number(point: &NumberDataPoint) -> f64 {
    match point.value.as_ref().unwrap() {
        number_data_point::Value::AsDouble(number) => *number,
        number_data_point::Value::AsInt(number) => *number as f64,
    }
}
