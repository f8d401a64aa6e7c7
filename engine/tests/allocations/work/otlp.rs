//! OTLP with something long, deep or many in it.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
        NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

use super::Random;

fn text(text: String) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text)) }
}

/// A value: a text, or lists within lists.
fn value(random: &mut Random, most: usize) -> AnyValue {
    let length = random.size(most);
    let mut value = text(random.text(length));
    for _ in 0..random.pick(&[0, 0, 0, 1, 30]) {
        let values = vec![value];
        value = AnyValue {
            value: Some(if random.below(2) == 0 {
                Value::ArrayValue(ArrayValue { values })
            } else {
                let pair =
                    |value| KeyValue { key: "k".to_string(), value: Some(value), ..KeyValue::default() };
                Value::KvlistValue(KeyValueList { values: values.into_iter().map(pair).collect() })
            }),
        };
    }
    value
}

fn attributes(random: &mut Random, most: usize, name: &str) -> Vec<KeyValue> {
    let count = random.size(most / 20);
    let each = most / count;
    let attribute = |random: &mut Random, index: usize| {
        let length = random.size(each / 2);
        let key = if index == 0 { name.to_string() } else { format!("{index}{}", random.text(length)) };
        KeyValue { key, value: Some(value(random, each / 2)), ..KeyValue::default() }
    };
    (0..count).map(|index| attribute(random, index)).collect()
}

fn resource(random: &mut Random) -> Option<Resource> {
    let most = random.size(random.budget / 4);
    Some(Resource { attributes: attributes(random, most, "service.name"), ..Resource::default() })
}

/// How many of something there are, and how many bytes each may have.
fn many(random: &mut Random, least: usize) -> (usize, usize) {
    let count = random.size(random.budget / 2 / least);
    (count, random.budget / 2 / count)
}

fn request(random: &mut Random, time_unix_nano: u64) -> ExportMetricsServiceRequest {
    let resource = resource(random);
    let length = random.size(random.budget / 4);
    let name = random.text(length);
    let data = match random.below(5) {
        0 => Data::Gauge(Gauge { data_points: numbers(random, time_unix_nano) }),
        1 => Data::Sum(Sum {
            data_points: numbers(random, time_unix_nano),
            aggregation_temporality: random.pick(&[1, 2]),
            is_monotonic: true,
        }),
        2 => Data::Histogram(Histogram {
            data_points: histograms(random, time_unix_nano),
            aggregation_temporality: random.pick(&[1, 2]),
        }),
        3 => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: exponentials(random, time_unix_nano),
            aggregation_temporality: random.pick(&[1, 2]),
        }),
        _ => Data::Summary(Summary { data_points: summaries(random, time_unix_nano) }),
    };
    let metrics = vec![Metric { name, data: Some(data), ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// Attributes that are the same for all points, or others for each.
fn of_point(random: &mut Random, each: usize, index: usize, is_same: bool) -> Vec<KeyValue> {
    let mut own = attributes(random, each, "k");
    if !is_same {
        own.push(KeyValue {
            key: "i".to_string(),
            value: Some(text(index.to_string())),
            ..KeyValue::default()
        });
    }
    own
}

fn numbers(random: &mut Random, time_unix_nano: u64) -> Vec<NumberDataPoint> {
    let ((count, each), is_same) = (many(random, 12), random.below(2) == 0);
    let point = |index: usize| NumberDataPoint {
        attributes: of_point(random, each / 4, index, is_same),
        time_unix_nano,
        start_time_unix_nano: 1,
        value: Some(number_data_point::Value::AsDouble(random.next() as f64)),
        ..NumberDataPoint::default()
    };
    (0..count).map(point).collect()
}

fn histograms(random: &mut Random, time_unix_nano: u64) -> Vec<HistogramDataPoint> {
    let ((count, each), is_same) = (many(random, 40), random.below(2) == 0);
    let buckets = random.size(each / 16);
    let point = |index: usize| HistogramDataPoint {
        attributes: of_point(random, each / 8, index, is_same),
        time_unix_nano,
        start_time_unix_nano: 1,
        count: buckets as u64,
        bucket_counts: vec![random.next() >> 40; buckets + 1],
        explicit_bounds: (0..buckets).map(|bound| (bound + index % 3) as f64).collect(),
        ..HistogramDataPoint::default()
    };
    (0..count).map(point).collect()
}

fn exponentials(random: &mut Random, time_unix_nano: u64) -> Vec<ExponentialHistogramDataPoint> {
    let ((count, each), is_same) = (many(random, 40), random.below(2) == 0);
    let buckets = random.size(each / 4);
    let point = |index: usize| ExponentialHistogramDataPoint {
        attributes: of_point(random, each / 8, index, is_same),
        time_unix_nano,
        start_time_unix_nano: 1,
        count: buckets as u64,
        // One in some is far beyond what is allowed.
        scale: random.pick(&[-10, -3, 0, 3, 8, 20, 20, i32::MAX, i32::MIN, 21, -11, random.state as i32]),
        positive: Some(Buckets {
            offset: random.pick(&[
                0,
                -500,
                500,
                i32::MIN / 2,
                i32::MAX / 2,
                i32::MAX,
                i32::MIN,
                random.state as i32,
            ]),
            bucket_counts: vec![1; buckets],
        }),
        negative: Some(Buckets { offset: 0, bucket_counts: vec![1; buckets / 2] }),
        zero_count: random.next(),
        ..ExponentialHistogramDataPoint::default()
    };
    let mut points: Vec<ExponentialHistogramDataPoint> = (0..count).map(point).collect();
    // A record is refused whole: most have no such scale.
    if random.below(4) > 0 {
        points.iter_mut().for_each(|point| point.scale = point.scale.clamp(-10, 20));
    }
    points
}

fn summaries(random: &mut Random, time_unix_nano: u64) -> Vec<SummaryDataPoint> {
    let ((count, each), is_same) = (many(random, 40), random.below(2) == 0);
    let quantiles = random.size(each / 20).min(random.pick(&[200, 200, 10_000]));
    let point = |index: usize| SummaryDataPoint {
        attributes: of_point(random, each / 2, index, is_same),
        time_unix_nano,
        start_time_unix_nano: 1,
        count: 3,
        quantile_values: (0..quantiles)
            .map(|at| ValueAtQuantile { quantile: at as f64 / quantiles as f64, value: 1.0 })
            .collect(),
        ..SummaryDataPoint::default()
    };
    (0..count).map(point).collect()
}

pub fn metrics(random: &mut Random, time: u64) -> Vec<u8> {
    request(random, time).encode_to_vec()
}

pub fn metrics_json(random: &mut Random, time: u64) -> Vec<u8> {
    serde_json::to_vec(&request(random, time)).expect("JSON")
}

pub fn logs(random: &mut Random, time_unix_nano: u64) -> Vec<u8> {
    let (count, each) = many(random, 20);
    let line = |_: usize| LogRecord {
        time_unix_nano,
        severity_number: random.pick(&[0, 9, 17, -1, 1000]),
        body: Some(value(random, each / 2)),
        attributes: attributes(random, each / 4, "k"),
        ..LogRecord::default()
    };
    let log_records = (0..count).map(line).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(random), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Spans of one trace or of many; all children of one, a chain, or repeats of one id.
pub fn spans(random: &mut Random, end_time_unix_nano: u64) -> Vec<u8> {
    let (count, each) = many(random, 60);
    let (traces, family) = (random.pick(&[1, 2, usize::MAX]), random.below(4));
    let span = |index: usize| {
        let parent: u64 = match family {
            0 => 1,
            1 => index as u64,
            2 => index as u64 + 1,
            _ => random.next(),
        };
        let length = random.size(each / 4);
        Span {
            trace_id: ((index % traces) as u128).to_be_bytes().to_vec(),
            span_id: if family == 2 { vec![1; 8] } else { (index as u64 + 1).to_be_bytes().to_vec() },
            parent_span_id: parent.to_be_bytes().to_vec(),
            name: random.text(length),
            kind: random.pick(&[0, 1, 2, 3, 4, 5]),
            start_time_unix_nano: end_time_unix_nano
                - random.pick(&[0, 1000, 1_000_000_000, end_time_unix_nano]),
            end_time_unix_nano,
            attributes: attributes(random, each / 4, "peer.service"),
            ..Span::default()
        }
    };
    let spans = (0..count).map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(random), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
