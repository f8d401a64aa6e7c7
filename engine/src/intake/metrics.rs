//! OTLP metrics into rows (opentelemetry-proto `metrics/v1`).

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{AggregationTemporality, Metric, NumberDataPoint, metric::Data, number_data_point},
};

use super::{
    Refusal,
    identity::{Identity, Streams, entity, find, kept},
    rows::{HistogramRow, Rows},
};
use crate::types::{Entity, EntityKind, RejectReason, SeriesDef, StreamKind};

/// Flag of a point that says "no value was recorded".
const NO_RECORDED_VALUE: u32 = 1;

pub(super) fn push(
    request: &ExportMetricsServiceRequest,
    streams: &mut Streams,
    rows: &mut Rows,
) -> Result<(), Refusal> {
    for group in &request.resource_metrics {
        let resource = group.resource.as_ref();
        let (owner, identity) = (entity(resource), Identity::of(resource));
        for scope in &group.scope_metrics {
            for metric in &scope.metrics {
                let identity = identity.text(&metric.name);
                Writer { owner: &owner, identity, metric, streams, rows }.push()?;
            }
        }
    }
    Ok(())
}

struct Writer<'a> {
    owner: &'a Arc<Entity>,
    identity: Identity,
    metric: &'a Metric,
    streams: &'a mut Streams,
    rows: &'a mut Rows,
}

/// A time that is missing or beyond what fits: the record cannot be placed.
fn time(unix_nano: u64) -> Result<i64, Refusal> {
    match i64::try_from(unix_nano) {
        Ok(time_ns) if time_ns > 0 => Ok(time_ns),
        _ => Err((RejectReason::BadTime, format!("a data point's time is {unix_nano} ns"))),
    }
}

fn start(unix_nano: u64) -> i64 {
    i64::try_from(unix_nano).unwrap_or(0)
}

fn is_delta(temporality: i32) -> bool {
    temporality == AggregationTemporality::Delta as i32
}

impl Writer<'_> {
    fn push(&mut self) -> Result<(), Refusal> {
        match &self.metric.data {
            Some(Data::Gauge(gauge)) => self.numbers(&gauge.data_points, &StreamKind::Gauge),
            Some(Data::Sum(sum)) => {
                let kind = match (is_delta(sum.aggregation_temporality), sum.is_monotonic) {
                    (true, _) => StreamKind::DeltaCounter,
                    (false, true) => StreamKind::CumulativeCounter,
                    (false, false) => StreamKind::Gauge,
                };
                self.numbers(&sum.data_points, &kind)
            }
            Some(Data::Histogram(histogram)) => {
                let kind = histogram_kind(histogram.aggregation_temporality);
                for point in &histogram.data_points {
                    let row = HistogramRow {
                        time_ns: time(point.time_unix_nano)?,
                        stream: self.stream(&point.attributes, &kind, ""),
                        start_ns: start(point.start_time_unix_nano),
                        count: point.count,
                        sum: point.sum.unwrap_or(f64::NAN),
                        scale: None,
                        first: 0,
                        zero_count: 0,
                        bounds: &point.explicit_bounds,
                        counts: &point.bucket_counts,
                    };
                    self.rows.histogram(&row);
                }
                Ok(())
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let kind = histogram_kind(histogram.aggregation_temporality);
                for point in &histogram.data_points {
                    let positive = point.positive.as_ref();
                    let negative: u64 = point.negative.iter().flat_map(|side| &side.bucket_counts).sum();
                    let row = HistogramRow {
                        time_ns: time(point.time_unix_nano)?,
                        stream: self.stream(&point.attributes, &kind, ""),
                        start_ns: start(point.start_time_unix_nano),
                        count: point.count,
                        sum: point.sum.unwrap_or(f64::NAN),
                        scale: Some(point.scale),
                        first: positive.map_or(0, |side| side.offset),
                        zero_count: point.zero_count + negative,
                        bounds: &[],
                        counts: positive.map_or(&[], |side| &side.bucket_counts),
                    };
                    self.rows.histogram(&row);
                }
                Ok(())
            }
            Some(Data::Summary(summary)) => {
                for point in &summary.data_points {
                    let time_ns = time(point.time_unix_nano)?;
                    for quantile in &point.quantile_values {
                        let suffix = format!(":p{}", quantile.quantile * 100.0);
                        let stream = self.stream(&point.attributes, &StreamKind::Gauge, &suffix);
                        self.rows.number(time_ns, stream, 0, quantile.value);
                    }
                    let stream = self.stream(&point.attributes, &StreamKind::CumulativeCounter, ":rate");
                    self.rows.number(time_ns, stream, start(point.start_time_unix_nano), point.count as f64);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn numbers(&mut self, points: &[NumberDataPoint], kind: &StreamKind) -> Result<(), Refusal> {
        let suffix = if *kind == StreamKind::Gauge { "" } else { ":rate" };
        for point in points {
            let value = match point.value {
                Some(number_data_point::Value::AsDouble(value)) => value,
                Some(number_data_point::Value::AsInt(value)) => value as f64,
                None => continue,
            };
            if !value.is_finite() || point.flags & NO_RECORDED_VALUE != 0 {
                continue;
            }
            let time_ns = time(point.time_unix_nano)?;
            let stream = self.stream(&point.attributes, kind, suffix);
            self.rows.number(time_ns, stream, start(point.start_time_unix_nano), value);
        }
        Ok(())
    }

    fn stream(&mut self, attributes: &[KeyValue], kind: &StreamKind, suffix: &str) -> u32 {
        let identity = self.identity.text(suffix).attributes(attributes);
        let (owner, metric) = (self.owner, self.metric);
        self.streams.index(&identity, || {
            let measure = format!("{}{suffix}", metric.name);
            (SeriesDef::new(subject(owner, metric, attributes), measure, kept(attributes)), kind.clone())
        })
    }
}

fn histogram_kind(temporality: i32) -> StreamKind {
    if is_delta(temporality) { StreamKind::DeltaHistogram } else { StreamKind::CumulativeHistogram }
}

/// Metrics of a model describe the model, not the service that runs it.
fn subject(owner: &Arc<Entity>, metric: &Metric, attributes: &[KeyValue]) -> Arc<Entity> {
    match find(attributes, &["model.name"]) {
        Some(model) if metric.name.starts_with("model.") => Arc::new(Entity::new(EntityKind::Model, model)),
        _ => owner.clone(),
    }
}
