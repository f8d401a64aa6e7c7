//! OTLP JSON lines into a case: points by service, log lines, spans.

use std::path::Path;

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::any_value::Value,
    metrics::v1::{NumberDataPoint, metric::Data, number_data_point},
    resource::v1::Resource,
};

use super::{
    logs::Line,
    read::{ReadError, Reader},
    traces::Span,
};
use crate::replay::{Input, InputError, Lines};

/// Reads every line; what is no OTLP request is counted.
pub(super) fn read(input: Input, path: &Path, into: &mut Reader) -> Result<(), ReadError> {
    let shown = path.display().to_string();
    let mut lines = Lines::new(input.reader);
    loop {
        let line = lines.next().map_err(|source| InputError::Read { path: shown.clone(), source })?;
        let Some((number, line)) = line else { return Ok(()) };
        if let Err(error) = take(line, into) {
            into.refused.add(&shown, format!("line {number}"), error);
        }
    }
}

fn take(line: &[u8], into: &mut Reader) -> serde_json::Result<()> {
    let value: serde_json::Value = serde_json::from_slice(line)?;
    if value.get("resourceMetrics").is_some() {
        metrics(serde_json::from_value(value)?, into);
    } else if value.get("resourceLogs").is_some() {
        logs(serde_json::from_value(value)?, into);
    } else {
        spans(serde_json::from_value(value)?, into);
    }
    Ok(())
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    let name = attributes.iter().find(|attribute| attribute.key == "service.name");
    match name.and_then(|name| name.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => "unknown_service".to_owned(),
    }
}

fn metrics(request: ExportMetricsServiceRequest, into: &mut Reader) {
    for of_resource in request.resource_metrics {
        let entity = service(of_resource.resource.as_ref());
        for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let mut push = |name: &str, nanos: u64, value: f64| {
                let points = into.points.entry((entity.clone(), name.to_owned())).or_default();
                points.push(((nanos / 1_000_000) as i64, value));
            };
            match metric.data {
                Some(Data::Gauge(gauge)) => {
                    gauge
                        .data_points
                        .iter()
                        .for_each(|point| push(&metric.name, point.time_unix_nano, number(point)));
                }
                Some(Data::Sum(sum)) => {
                    // A counter's level says nothing; its growth since the point before does, see `growth`.
                    let name = if sum.is_monotonic && sum.aggregation_temporality == 2 {
                        format!("{}{GROWTH}", metric.name)
                    } else {
                        metric.name
                    };
                    sum.data_points.iter().for_each(|point| push(&name, point.time_unix_nano, number(point)));
                }
                Some(Data::Histogram(histogram)) => {
                    for point in histogram.data_points.iter().filter(|point| point.count > 0) {
                        let mean = point.sum.unwrap_or(f64::NAN) / point.count as f64;
                        push(&format!("{} (mean)", metric.name), point.time_unix_nano, mean);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Ends the name of a counter.
pub(super) const GROWTH: &str = " (growth)";

/// A counter's growth from point to point; after a reset it is what has come since.
pub(super) fn growth(points: &mut Vec<(i64, f64)>) {
    points.sort_by_key(|(time, _)| *time);
    let pairs = points.windows(2).map(|pair| {
        let grown = pair[1].1 - pair[0].1;
        (pair[1].0, if grown < 0.0 { pair[1].1 } else { grown })
    });
    *points = pairs.collect();
}

fn number(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => f64::NAN,
    }
}

fn logs(request: ExportLogsServiceRequest, into: &mut Reader) {
    for of_resource in request.resource_logs {
        let entity = service(of_resource.resource.as_ref());
        for record in of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            let nanos = if record.time_unix_nano > 0 {
                record.time_unix_nano
            } else {
                record.observed_time_unix_nano
            };
            if let Some(Value::StringValue(text)) = record.body.and_then(|body| body.value) {
                into.lines.push(Line { time_ms: (nanos / 1_000_000) as i64, entity: entity.clone(), text });
            }
        }
    }
}

fn spans(request: ExportTraceServiceRequest, into: &mut Reader) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for of_resource in request.resource_spans {
        let entity = service(of_resource.resource.as_ref());
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            into.spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                entity: entity.clone(),
                start_us: span.start_time_unix_nano as f64 / 1000.0,
                duration_us: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as f64
                    / 1000.0,
                is_error: span.status.is_some_and(|status| status.code == 2),
            });
        }
    }
}
