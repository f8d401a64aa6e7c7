//! The reader of the wire format against prost's: random requests of every kind give the rows that a plain reading of
//! prost's structs gives, also with fields in another order and with fields that nobody knows.

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{Float64Type, Int64Type, UInt32Type},
    util::display::array_value_to_string,
};
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
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use proptest::prelude::*;
use prost::Message;

use super::{record, take_by};
use crate::{
    intake::IntakeConfig,
    types::{Batch, Record, Reject, RejectReason, StreamKind},
};

/// A source of choices; equal seeds choose equally.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn times<T>(&mut self, most: u64, mut make: impl FnMut(&mut Dice) -> T) -> Vec<T> {
        (0..self.roll(most + 1)).map(|_| make(self)).collect()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }

    fn number(&mut self) -> f64 {
        self.roll(1000) as f64 / 8.0 - 20.0
    }

    fn time(&mut self) -> u64 {
        1_700_000_000_000_000_000 + self.roll(1_000_000_000)
    }

    fn any(&mut self, depth: u64) -> Option<AnyValue> {
        let value = match self.roll(if depth > 0 { 9 } else { 6 }) {
            0 | 1 => Value::StringValue(self.pick(&["cart", "päy", "", "/add", "mail"]).to_string()),
            2 => Value::IntValue(self.roll(5) as i64 - 2),
            3 => Value::DoubleValue(self.number()),
            4 => Value::BoolValue(self.roll(2) == 1),
            5 => return None,
            6 => Value::ArrayValue(ArrayValue {
                values: self.times(3, |dice| dice.any(depth - 1).unwrap_or_default()),
            }),
            7 => Value::KvlistValue(KeyValueList { values: self.attributes(&["a", "b"], depth - 1) }),
            _ => Value::BytesValue(vec![7, 200]),
        };
        Some(AnyValue { value: Some(value) })
    }

    fn attributes(&mut self, keys: &[&str], depth: u64) -> Vec<KeyValue> {
        self.times(4, |dice| KeyValue {
            key: dice.pick(keys).to_string(),
            value: dice.any(depth),
            ..KeyValue::default()
        })
    }

    fn labels(&mut self) -> Vec<KeyValue> {
        self.attributes(&["http.route", "k8s.pod.name", "model.name", "code", "instance"], 2)
    }

    fn resource(&mut self) -> Option<Resource> {
        let keys = ["service.name", "service.namespace", "host.name", "k8s.pod.name", "db.system.name"];
        (self.roll(5) > 0).then(|| Resource { attributes: self.attributes(&keys, 1), ..Resource::default() })
    }

    fn point(&mut self) -> NumberDataPoint {
        let value = match self.roll(8) {
            0 => None,
            1 => Some(number_data_point::Value::AsDouble(f64::NAN)),
            2..=4 => Some(number_data_point::Value::AsInt(self.roll(100) as i64 - 50)),
            _ => Some(number_data_point::Value::AsDouble(self.number())),
        };
        let flags = u32::from(self.roll(8) == 0);
        let (time_unix_nano, start_time_unix_nano) = (self.time(), self.roll(3));
        let attributes = self.labels();
        NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            flags,
            value,
            ..NumberDataPoint::default()
        }
    }

    fn histogram(&mut self) -> HistogramDataPoint {
        let explicit_bounds: Vec<f64> = (0..self.roll(4)).map(|step| step as f64 + 0.5).collect();
        let bucket_counts = explicit_bounds.iter().map(|_| self.roll(9)).chain([2]).collect();
        HistogramDataPoint {
            attributes: self.labels(),
            time_unix_nano: self.time(),
            count: self.roll(50),
            sum: (self.roll(2) == 0).then(|| self.number()),
            bucket_counts,
            explicit_bounds,
            ..HistogramDataPoint::default()
        }
    }

    fn side(&mut self) -> Option<Buckets> {
        (self.roll(4) > 0).then(|| Buckets {
            offset: self.roll(20) as i32 - 10,
            bucket_counts: self.times(5, |dice| dice.roll(300)),
        })
    }

    fn exponential(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.labels(),
            time_unix_nano: self.time(),
            count: self.roll(50),
            sum: (self.roll(2) == 0).then(|| self.number()),
            scale: self.roll(12) as i32 - 4,
            zero_count: self.roll(5),
            positive: self.side(),
            negative: self.side(),
            ..ExponentialHistogramDataPoint::default()
        }
    }

    fn summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.labels(),
            time_unix_nano: self.time(),
            count: self.roll(50),
            quantile_values: self.times(2, |dice| ValueAtQuantile {
                quantile: dice.roll(4) as f64 / 4.0,
                value: dice.number(),
            }),
            ..SummaryDataPoint::default()
        }
    }

    fn metric(&mut self) -> Metric {
        let aggregation_temporality = self.roll(3) as i32;
        let data = match self.roll(6) {
            0 => None,
            1 => Some(Data::Gauge(Gauge { data_points: self.times(3, Dice::point) })),
            2 => Some(Data::Sum(Sum {
                data_points: self.times(3, Dice::point),
                aggregation_temporality,
                is_monotonic: self.roll(2) == 0,
            })),
            3 => Some(Data::Histogram(Histogram {
                data_points: self.times(3, Dice::histogram),
                aggregation_temporality,
            })),
            4 => Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.times(3, Dice::exponential),
                aggregation_temporality,
            })),
            _ => Some(Data::Summary(Summary { data_points: self.times(2, Dice::summary) })),
        };
        let name = self.pick(&["requests", "model.input", "latenz_µs"]).to_string();
        Metric { name, description: "words".to_string(), data, ..Metric::default() }
    }

    fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.times(3, |dice| ResourceMetrics {
            resource: dice.resource(),
            scope_metrics: dice.times(2, |dice| ScopeMetrics {
                metrics: dice.times(4, Dice::metric),
                ..ScopeMetrics::default()
            }),
            ..ResourceMetrics::default()
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn logs(&mut self) -> ExportLogsServiceRequest {
        let log = |dice: &mut Dice| LogRecord {
            time_unix_nano: if dice.roll(3) == 0 { 0 } else { dice.time() },
            observed_time_unix_nano: dice.time(),
            severity_number: dice.roll(30) as i32 - 2,
            body: dice.any(2),
            attributes: dice.labels(),
            ..LogRecord::default()
        };
        let resource_logs = self.times(3, |dice| ResourceLogs {
            resource: dice.resource(),
            scope_logs: dice
                .times(2, |dice| ScopeLogs { log_records: dice.times(4, log), ..ScopeLogs::default() }),
            ..ResourceLogs::default()
        });
        ExportLogsServiceRequest { resource_logs }
    }

    fn spans(&mut self) -> ExportTraceServiceRequest {
        let keys = [
            "http.route",
            "rpc.method",
            "peer.service",
            "db.system.name",
            "db.system",
            "messaging.system",
            "messaging.destination.name",
            "server.address",
            "url.full",
        ];
        let span = |dice: &mut Dice| Span {
            trace_id: vec![dice.roll(200) as u8; 16],
            span_id: vec![dice.roll(200) as u8; 8],
            parent_span_id: if dice.roll(2) == 0 { Vec::new() } else { vec![3; 8] },
            name: dice.pick(&["GET /", "übergabe", ""]).to_string(),
            kind: dice.roll(7) as i32,
            start_time_unix_nano: dice.time(),
            end_time_unix_nano: dice.time(),
            attributes: dice.attributes(&keys, 1),
            status: (dice.roll(2) == 0).then(|| Status { code: dice.roll(4) as i32, ..Status::default() }),
            ..Span::default()
        };
        let resource_spans = self.times(3, |dice| ResourceSpans {
            resource: dice.resource(),
            scope_spans: dice
                .times(2, |dice| ScopeSpans { spans: dice.times(4, span), ..ScopeSpans::default() }),
            ..ResourceSpans::default()
        });
        ExportTraceServiceRequest { resource_spans }
    }
}

/// Rows as text: time, series, kind and the signal's own columns, in the order of the signals and of the rows.
fn rows(batches: &[Batch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let streams = batch.rows.column(2).as_primitive::<UInt32Type>().values();
        for (row, stream) in streams.iter().enumerate() {
            let def = &batch.streams.defs[*stream as usize];
            let own = (1..batch.rows.num_columns()).filter(|column| *column != 2);
            let own: Vec<String> = own.map(|column| value(batch.rows.column(column), row)).collect();
            lines.push(format!("{} {:?} {}", def.series.name, def.kind, own.join(" ")));
        }
    }
    lines
}

/// A value as text; numbers as Rust writes them.
fn value(column: &ArrayRef, row: usize) -> String {
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        return format!("{:?}", numbers.value(row));
    }
    if let Some(lists) = column.as_list_opt::<i32>()
        && let Some(numbers) = lists.value(row).as_primitive_opt::<Float64Type>()
    {
        return format!("{:?}", &numbers.values()[..]);
    }
    array_value_to_string(column, row).expect("a value")
}

/// Every message with its fields in falling order of their numbers, and one that nobody knows. Repeated fields keep
/// their order, and so do the rows.
///
/// `inner` holds, level by level, the fields that are turned within.
fn turned(message: &[u8], inner: &[&[u32]]) -> Vec<u8> {
    let (messages, deeper) = inner.split_first().map_or((&[][..], &[][..]), |(first, rest)| (first, rest));
    let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let whole = rest;
        let (number, kind) = prost::encoding::decode_key(&mut rest).expect("key");
        let mut bytes = Vec::new();
        if kind == prost::encoding::WireType::LengthDelimited {
            let length = prost::encoding::decode_varint(&mut rest).expect("length") as usize;
            let (value, after) = rest.split_at(length);
            rest = after;
            let is_message = messages.contains(&number);
            let value = if is_message { turned(value, deeper) } else { value.to_vec() };
            prost::encoding::encode_key(number, kind, &mut bytes);
            prost::encoding::encode_varint(value.len() as u64, &mut bytes);
            bytes.extend(value);
        } else {
            let context = prost::encoding::DecodeContext::default();
            prost::encoding::skip_field(kind, number, &mut rest, context).expect("field");
            bytes.extend(&whole[..whole.len() - rest.len()]);
        }
        fields.push((number, bytes));
    }
    fields.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let mut turned = vec![0xc8, 0x3e, 0x05];
    fields.into_iter().for_each(|(_, bytes)| turned.extend(bytes));
    turned
}

/// How prost's structs are read, one row per line, as [`rows`] writes them.
mod plain {
    use super::*;
    use crate::types::{Entity, EntityKind, SeriesDef};
    use std::sync::Arc;

    fn text(value: Option<&AnyValue>) -> String {
        value.map_or_else(String::new, crate::intake::identity::text_of)
    }

    /// The text of the first attribute with this key, where it is a text and not empty.
    fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
        match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn owner(resource: Option<&Resource>) -> Entity {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        if let Some(name) = find(attributes, "service.name") {
            let space =
                find(attributes, "service.namespace").map_or(String::new(), |space| format!("{space}/"));
            Entity::new(EntityKind::Service, format!("{space}{name}"))
        } else if let Some(name) = find(attributes, "host.name") {
            Entity::new(EntityKind::Host, name)
        } else if let Some(name) = find(attributes, "db.system.name") {
            Entity::new(EntityKind::Database, name)
        } else {
            Entity::new(EntityKind::Other, "default")
        }
    }

    fn line(owner: &Entity, measure: String, labels: Vec<(String, String)>, rest: String) -> String {
        format!("{} {rest}", SeriesDef::new(Arc::new(owner.clone()), measure, labels).name)
    }

    fn labels(attributes: &[KeyValue]) -> Vec<(String, String)> {
        let kept = attributes.iter().filter(|it| it.key != "instance" && !it.key.starts_with("k8s.pod."));
        kept.map(|it| (it.key.clone(), text(it.value.as_ref()))).collect()
    }

    fn list<T: ToString>(items: &[T]) -> String {
        format!("[{}]", items.iter().map(T::to_string).collect::<Vec<_>>().join(", "))
    }

    pub(super) fn metrics(request: &ExportMetricsServiceRequest) -> Vec<String> {
        let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
        for group in &request.resource_metrics {
            for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                let subject = |attributes: &[KeyValue]| match find(attributes, "model.name") {
                    Some(model) if metric.name.starts_with("model.") => Entity::new(EntityKind::Model, model),
                    _ => owner(group.resource.as_ref()),
                };
                let mut number =
                    |attributes: &[KeyValue], suffix: &str, kind: StreamKind, time, start, value: f64| {
                        let measure = format!("{}{suffix}", metric.name);
                        let start = i64::try_from(start).unwrap_or(0);
                        let rest = format!("{kind:?} {time} {start} {value:?}");
                        numbers.push(line(&subject(attributes), measure, labels(attributes), rest));
                    };
                let histogram_kind = |temporality| match temporality {
                    1 => StreamKind::DeltaHistogram,
                    _ => StreamKind::CumulativeHistogram,
                };
                let mut points = |points: &[NumberDataPoint], suffix: &str, kind: StreamKind| {
                    for point in points.iter().filter(|point| point.flags & 1 == 0) {
                        let value = match point.value {
                            Some(number_data_point::Value::AsDouble(value)) if value.is_finite() => value,
                            Some(number_data_point::Value::AsInt(value)) => value as f64,
                            _ => continue,
                        };
                        let (time, start) = (point.time_unix_nano, point.start_time_unix_nano);
                        number(&point.attributes, suffix, kind.clone(), time, start, value);
                    }
                };
                match &metric.data {
                    None => {}
                    Some(Data::Gauge(gauge)) => points(&gauge.data_points, "", StreamKind::Gauge),
                    Some(Data::Sum(sum)) => match (sum.aggregation_temporality, sum.is_monotonic) {
                        (1, _) => points(&sum.data_points, ":rate", StreamKind::DeltaCounter),
                        (_, true) => points(&sum.data_points, ":rate", StreamKind::CumulativeCounter),
                        (_, false) => points(&sum.data_points, "", StreamKind::Gauge),
                    },
                    Some(Data::Summary(summary)) => {
                        for point in &summary.data_points {
                            let time = point.time_unix_nano;
                            for at in &point.quantile_values {
                                let suffix = format!(":p{}", at.quantile * 100.0);
                                number(&point.attributes, &suffix, StreamKind::Gauge, time, 0, at.value);
                            }
                            let kind = StreamKind::CumulativeCounter;
                            number(&point.attributes, ":rate", kind, time, 0, point.count as f64);
                        }
                    }
                    Some(Data::Histogram(histogram)) => {
                        let kind = histogram_kind(histogram.aggregation_temporality);
                        for point in &histogram.data_points {
                            let rest = format!(
                                "{kind:?} {} 0 {} {:?}  0 0 {:?} {}",
                                point.time_unix_nano,
                                point.count,
                                point.sum.unwrap_or(f64::NAN),
                                point.explicit_bounds,
                                list(&point.bucket_counts)
                            );
                            let name = metric.name.clone();
                            histograms.push(line(
                                &subject(&point.attributes),
                                name,
                                labels(&point.attributes),
                                rest,
                            ));
                        }
                    }
                    Some(Data::ExponentialHistogram(histogram)) => {
                        let kind = histogram_kind(histogram.aggregation_temporality);
                        for point in &histogram.data_points {
                            let positive = point.positive.clone().unwrap_or_default();
                            let below =
                                point.negative.iter().flat_map(|side| &side.bucket_counts).sum::<u64>();
                            let rest = format!(
                                "{kind:?} {} 0 {} {:?} {} {} {} [] {}",
                                point.time_unix_nano,
                                point.count,
                                point.sum.unwrap_or(f64::NAN),
                                point.scale,
                                positive.offset,
                                point.zero_count + below,
                                list(&positive.bucket_counts)
                            );
                            let name = metric.name.clone();
                            histograms.push(line(
                                &subject(&point.attributes),
                                name,
                                labels(&point.attributes),
                                rest,
                            ));
                        }
                    }
                }
            }
        }
        numbers.extend(histograms);
        numbers
    }

    pub(super) fn logs(request: &ExportLogsServiceRequest) -> Vec<String> {
        let mut lines = Vec::new();
        for group in &request.resource_logs {
            for log in group.scope_logs.iter().flat_map(|scope| &scope.log_records) {
                let time =
                    if log.time_unix_nano > 0 { log.time_unix_nano } else { log.observed_time_unix_nano };
                let severity = log.severity_number.clamp(0, 24);
                let rest = format!("Logs {time} {severity} {}", text(log.body.as_ref()));
                lines.push(line(&owner(group.resource.as_ref()), "log".to_string(), Vec::new(), rest));
            }
        }
        lines
    }

    pub(super) fn spans(request: &ExportTraceServiceRequest) -> Vec<String> {
        let mut lines = Vec::new();
        for group in &request.resource_spans {
            for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let find = |keys: &[&str]| keys.iter().find_map(|key| find(&span.attributes, key));
                let is_outbound = span.kind == 3 || span.kind == 4;
                let database = find(&["db.system.name", "db.system"]);
                let queue = find(&["messaging.system"]);
                let address = find(&["server.address"]);
                let peer = match (find(&["peer.service"]), database, queue) {
                    _ if !is_outbound => None,
                    (Some(name), Some(_), _) => Some(Entity::new(EntityKind::Database, name)),
                    (Some(name), None, Some(_)) => Some(Entity::new(EntityKind::Queue, name)),
                    (Some(name), None, None) => Some(Entity::new(EntityKind::Service, name)),
                    (None, Some(system), _) => {
                        Some(Entity::new(EntityKind::Database, address.unwrap_or(system)))
                    }
                    (None, None, _) => match (find(&["messaging.destination.name"]).or(queue), address) {
                        (Some(name), _) => Some(Entity::new(EntityKind::Queue, name)),
                        (None, address) => address.map(|name| Entity::new(EntityKind::Service, name)),
                    },
                };
                let inbound = !is_outbound && (span.kind != 1 || span.parent_span_id.is_empty());
                let kind = StreamKind::Spans { inbound, peer: peer.map(Arc::new) };
                let operation = find(&["http.route", "rpc.method"]).unwrap_or(&span.name).to_string();
                let trace: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
                let eight = |id: &[u8]| id.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                let rest = format!(
                    "{kind:?} {} {} {} {trace} {} {}",
                    span.end_time_unix_nano,
                    span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
                    span.status.as_ref().is_some_and(|status| status.code == 2),
                    eight(&span.span_id),
                    eight(&span.parent_span_id)
                );
                let labels = vec![("operation".to_string(), operation)];
                lines.push(line(&owner(group.resource.as_ref()), "span".to_string(), labels, rest));
            }
        }
        lines
    }
}

/// As it is on the wire: any number of 16 digits may look like a card's.
fn plain(topic: &str, records: &[Record]) -> (Vec<Batch>, Vec<Reject>) {
    take_by(IntakeConfig { redaction: false, ..IntakeConfig::default() }, topic, records)
}

/// Both orders of fields, twice each, so that what is known by its bytes is met too.
fn check(topic: &str, message: Vec<u8>, expected: &[String]) {
    let inner: &[&[u32]] = match topic {
        "otlp_metrics" => &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]],
        _ => &[&[1], &[2], &[2]],
    };
    let other = turned(&message, inner);
    let records: Vec<_> = (0..)
        .zip([&message, &message, &other, &other])
        .map(|(at, bytes)| record(at, bytes.clone()))
        .collect();
    for one in &records {
        let (batches, rejects) = plain(topic, std::slice::from_ref(one));
        assert!(rejects.is_empty(), "{rejects:?}");
        assert_eq!(rows(&batches), expected);
    }
    let (batches, _) = plain(topic, &records);
    for batch in &batches {
        let offsets = batch.rows.column(0).as_primitive::<Int64Type>().values();
        let of = |offset: i64| {
            let from = offsets.partition_point(|at| *at < offset);
            let to = offsets.partition_point(|at| *at <= offset);
            rows(&[Batch { rows: batch.rows.slice(from, to - from), ..batch.clone() }])
        };
        (1..4).for_each(|offset| assert_eq!(of(offset), of(0)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn metrics_are_what_prost_reads(seed in any::<u64>()) {
        let request = Dice(seed).metrics();
        check("otlp_metrics", request.encode_to_vec(), &plain::metrics(&request));
    }

    #[test]
    fn logs_are_what_prost_reads(seed in any::<u64>()) {
        let request = Dice(seed).logs();
        check("otlp_logs", request.encode_to_vec(), &plain::logs(&request));
    }

    #[test]
    fn spans_are_what_prost_reads(seed in any::<u64>()) {
        let request = Dice(seed).spans();
        check("otlp_spans", request.encode_to_vec(), &plain::spans(&request));
    }

    /// Where a byte is changed or the end is cut off: what prost reads is read the same, the rest does not panic. Times
    /// that became impossible are refused.
    #[test]
    fn damage_is_met_as_prost_meets_it(seed in any::<u64>(), cut in any::<bool>()) {
        let mut dice = Dice(seed);
        let mut message = dice.metrics().encode_to_vec();
        if message.is_empty() {
            return Ok(());
        }
        let at = dice.roll(message.len() as u64) as usize;
        if cut { message.truncate(at) } else { message[at] ^= 1 << dice.roll(8) }
        let (batches, rejects) = plain("otlp_metrics", &[record(0, message.clone())]);
        let refused_time = rejects.iter().any(|reject| reject.reason == RejectReason::BadTime);
        if let Ok(request) = ExportMetricsServiceRequest::decode(&*message)
            && !refused_time
        {
            prop_assert!(rejects.is_empty(), "{rejects:?}");
            prop_assert_eq!(rows(&batches), plain::metrics(&request));
        }
    }
}
