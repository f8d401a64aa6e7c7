//! OTLP spans into rows (opentelemetry-proto `trace/v1`).

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};

use super::{
    Refusal,
    identity::{Identity, Streams, entity, find},
    rows::{Rows, SpanRow},
};
use crate::types::{Entity, EntityKind, RejectReason, SeriesDef, StreamKind};

pub(super) fn push(
    request: &ExportTraceServiceRequest,
    streams: &mut Streams,
    rows: &mut Rows,
) -> Result<(), Refusal> {
    for group in &request.resource_spans {
        let resource = group.resource.as_ref();
        let (owner, identity) = (entity(resource), Identity::of(resource));
        for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
            rows.span(row(span, &owner, identity, streams)?);
        }
    }
    Ok(())
}

fn row(
    span: &Span,
    owner: &Arc<Entity>,
    identity: Identity,
    streams: &mut Streams,
) -> Result<SpanRow, Refusal> {
    let end_ns = match i64::try_from(span.end_time_unix_nano) {
        Ok(end_ns) if end_ns > 0 => end_ns,
        _ => return Err((RejectReason::BadTime, format!("a span ends at {} ns", span.end_time_unix_nano))),
    };
    let is_outbound = matches!(span.kind(), SpanKind::Client | SpanKind::Producer);
    let is_inbound = !is_outbound && (span.kind() != SpanKind::Internal || span.parent_span_id.is_empty());
    let operation = find(&span.attributes, &["http.route", "rpc.method"]).unwrap_or(&span.name);
    let called = if is_outbound { peer(&span.attributes) } else { None };
    let identity = identity.text("span").text(operation).text(if is_inbound { "in" } else { "out" });
    let identity = called.as_ref().map_or(identity, |peer| identity.text(&peer.to_string()));
    let stream = streams.index(&identity, || {
        let attributes = vec![("operation".to_string(), operation.to_string())];
        let kind = StreamKind::Spans { inbound: is_inbound, peer: called.map(Arc::new) };
        (SeriesDef::new(owner.clone(), "span", attributes), kind)
    });
    Ok(SpanRow {
        end_ns,
        stream,
        duration_ns: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
        error: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        trace: first_bytes(&span.trace_id),
        span: first_bytes(&span.span_id),
        parent: first_bytes(&span.parent_span_id),
    })
}

/// Whom an outbound span calls, by the semantic conventions.
fn peer(attributes: &[KeyValue]) -> Option<Entity> {
    let service = |name: &str| Entity::new(EntityKind::Service, name);
    let has_database = find(attributes, &["db.system.name", "db.system"]);
    let has_queue = find(attributes, &["messaging.system"]);
    if let Some(name) = find(attributes, &["peer.service", "service.peer.name"]) {
        return Some(match (has_database, has_queue) {
            (Some(_), _) => Entity::new(EntityKind::Database, name),
            (_, Some(_)) => Entity::new(EntityKind::Queue, name),
            _ => service(name),
        });
    }
    has_database
        .map(|system| {
            Entity::new(EntityKind::Database, find(attributes, &["server.address"]).unwrap_or(system))
        })
        .or_else(|| {
            find(attributes, &["messaging.destination.name"])
                .or(has_queue)
                .map(|name| Entity::new(EntityKind::Queue, name))
        })
        .or_else(|| find(attributes, &["server.address"]).map(service))
}

fn first_bytes(id: &[u8]) -> u64 {
    id.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
