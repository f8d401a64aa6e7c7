//! The traced requests of a tick and its log lines as OTLP: one message of each per service, in it
//! one resource per pod.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan, Status};
use prost::Message;

use super::fleet::Fleet;
use super::logs::Line;
use super::otlp::{integer, nanos, pod_resource, scope, text, value};
use super::topology::{DATABASE, NAMESPACE, Operation, QUEUE, QUEUE_NAME, SERVICES, Severity, Trigger};
use super::walk::{Failure, Place, Span, Work};

/// One message per service that has spans. `spans` are sorted by place; `now` is the tick's start.
pub(super) fn encode_spans(spans: &[Span], fleet: &Fleet, now: i64) -> Vec<(usize, Vec<u8>)> {
    let services = spans.chunk_by(|a, b| a.place.service == b.place.service);
    let message = |of_service: &[Span]| {
        let pods = of_service.chunk_by(|a, b| a.place == b.place);
        let resource_spans = pods.map(|of_pod| resource_spans(of_pod, fleet, now)).collect();
        (of_service[0].place.service, ExportTraceServiceRequest { resource_spans }.encode_to_vec())
    };
    services.map(message).collect()
}

/// One message per service that has lines. `lines` are sorted by place; `now` is the tick's start.
pub(super) fn encode_lines(lines: &[Line], fleet: &Fleet, now: i64) -> Vec<(usize, Vec<u8>)> {
    let services = lines.chunk_by(|a, b| a.place.service == b.place.service);
    let message = |of_service: &[Line]| {
        let pods = of_service.chunk_by(|a, b| a.place == b.place);
        let resource_logs = pods.map(|of_pod| resource_logs(of_pod, fleet, now)).collect();
        (of_service[0].place.service, ExportLogsServiceRequest { resource_logs }.encode_to_vec())
    };
    services.map(message).collect()
}

fn resource_spans(spans: &[Span], fleet: &Fleet, now: i64) -> ResourceSpans {
    let Place { service, pod } = spans[0].place;
    let spans = spans.iter().map(|span| otlp_span(span, now)).collect();
    let scope_spans = vec![ScopeSpans { scope: scope("shop.server"), spans, ..ScopeSpans::default() }];
    let resource = pod_resource(&SERVICES[service], &fleet.pods[service][pod]);
    ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }
}

fn otlp_span(span: &Span, now: i64) -> OtlpSpan {
    let (kind, name, attributes) = match span.work {
        Work::Serve(operation) => served(operation, span.failure),
        Work::Call(callee) => called(callee, span.failure),
        Work::Query(query) => {
            let summary = format!("{} {}", query.verb, query.table);
            let attributes = vec![
                text("db.system.name", "postgresql"),
                text("db.namespace", NAMESPACE),
                text("db.operation.name", query.verb),
                text("db.collection.name", query.table),
                text("server.address", DATABASE),
                integer("server.port", 5_432),
                text("peer.service", DATABASE),
            ];
            (SpanKind::Client, summary, attributes)
        }
        Work::Publish => (SpanKind::Producer, format!("send {QUEUE_NAME}"), queue_attributes("send")),
    };
    let code = if span.failure.is_some() { StatusCode::Error } else { StatusCode::Unset };
    OtlpSpan {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        flags: 1,
        name,
        kind: kind as i32,
        start_time_unix_nano: nanos(now, span.start_ms),
        end_time_unix_nano: nanos(now, span.end_ms),
        attributes,
        status: Some(Status { message: String::new(), code: code as i32 }),
        ..OtlpSpan::default()
    }
}

fn served(operation: &Operation, failure: Option<Failure>) -> (SpanKind, String, Vec<KeyValue>) {
    match operation.trigger {
        Trigger::Http(method) => {
            let mut attributes = vec![
                text("http.request.method", method),
                text("http.route", operation.route),
                text("url.scheme", "http"),
            ];
            attributes.extend(status(failure));
            (SpanKind::Server, format!("{method} {}", operation.route), attributes)
        }
        Trigger::Message => {
            let mut attributes = queue_attributes("process");
            attributes.extend(failure.map(|_| text("error.type", "smtp")));
            (SpanKind::Consumer, format!("process {}", operation.route), attributes)
        }
    }
}

fn called(callee: &Operation, failure: Option<Failure>) -> (SpanKind, String, Vec<KeyValue>) {
    let method = match callee.trigger {
        Trigger::Http(method) => method,
        Trigger::Message => "POST",
    };
    // As instrumentation does: the address it calls, which is not the callee's name. That comes from the callee's span.
    let address = format!("{}.{NAMESPACE}.svc.cluster.local", SERVICES[callee.service].name);
    let mut attributes = vec![
        text("http.request.method", method),
        text("url.template", callee.route),
        text("server.address", address),
        integer("server.port", 8_080),
    ];
    attributes.extend(status(failure));
    (SpanKind::Client, format!("{method} {}", callee.route), attributes)
}

fn status(failure: Option<Failure>) -> Vec<KeyValue> {
    let status = Failure::status(failure);
    let mut attributes = vec![integer("http.response.status_code", i64::from(status))];
    attributes.extend(failure.map(|_| text("error.type", status.to_string())));
    attributes
}

fn queue_attributes(operation: &str) -> Vec<KeyValue> {
    vec![
        text("messaging.system", QUEUE),
        text("messaging.destination.name", QUEUE_NAME),
        text("messaging.operation.type", operation),
        text("server.address", QUEUE),
        text("peer.service", QUEUE),
    ]
}

fn resource_logs(lines: &[Line], fleet: &Fleet, now: i64) -> ResourceLogs {
    let Place { service, pod } = lines[0].place;
    let log_records = lines.iter().map(|line| log_record(line, now)).collect();
    let scope_logs = vec![ScopeLogs { scope: scope("shop.log"), log_records, ..ScopeLogs::default() }];
    let resource = pod_resource(&SERVICES[service], &fleet.pods[service][pod]);
    ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }
}

fn log_record(line: &Line, now: i64) -> LogRecord {
    let (number, name) = match line.severity {
        Severity::Info => (SeverityNumber::Info, "INFO"),
        Severity::Warn => (SeverityNumber::Warn, "WARN"),
        Severity::Error => (SeverityNumber::Error, "ERROR"),
    };
    let time = nanos(now, line.at_ms);
    let (trace_id, span_id) =
        line.trace.map(|(trace, span)| (trace.to_vec(), span.to_vec())).unwrap_or_default();
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: number as i32,
        severity_text: name.to_owned(),
        body: Some(value(line.body.as_str())),
        flags: u32::from(line.trace.is_some()),
        trace_id,
        span_id,
        ..LogRecord::default()
    }
}
