//! OTLP spans into rows (opentelemetry-proto `trace/v1`), straight from the bytes.

use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};

use super::{
    Destination, Format, Refusal, Told,
    identity::{Owner, Streams},
    malformed,
    protobuf::{Fields, WireError, message, messages},
    rows::SpanRow,
};
use crate::types::{Entity, EntityKind, Record, RejectReason, SeriesDef, StreamKind};

/// An `ExportTraceServiceRequest`.
pub(super) struct OtlpSpans;

impl Format for OtlpSpans {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        push(&record.payload, to).map(|()| Told::default())
    }
}

/// Takes a request.
pub(super) fn push(request: &[u8], to: &mut Destination<'_>) -> Result<(), Refusal> {
    for group in messages(request, 1) {
        let group = group.map_err(malformed)?;
        let mut owner = Owner::of(message(group, 1).map_err(malformed)?);
        for scope in messages(group, 2) {
            for span in messages(scope.map_err(malformed)?, 2) {
                let span = Span::read(span.map_err(malformed)?).map_err(malformed)?;
                to.rows.span(row(&span, &mut owner, to.streams)?);
            }
        }
    }
    Ok(())
}

/// What is read of a `Span`.
#[derive(Default)]
struct Span<'a> {
    trace: &'a [u8],
    id: &'a [u8],
    parent: &'a [u8],
    name: &'a str,
    kind: i32,
    start: u64,
    end: u64,
    error: bool,
    attributes: Attributes<'a>,
}

impl<'a> Span<'a> {
    fn read(bytes: &'a [u8]) -> Result<Span<'a>, WireError> {
        let mut span = Span::default();
        for field in Fields::of(bytes) {
            let field = field?;
            match field.number {
                1 => span.trace = field.bytes()?,
                2 => span.id = field.bytes()?,
                4 => span.parent = field.bytes()?,
                5 => span.name = field.text()?,
                6 => span.kind = field.int32()?,
                7 => span.start = field.fixed64()?,
                8 => span.end = field.fixed64()?,
                9 => span.attributes.see(field.bytes()?)?,
                15 => span.error = status(field.bytes()?)? == StatusCode::Error as i32,
                _ => {}
            }
        }
        Ok(span)
    }
}

fn status(bytes: &[u8]) -> Result<i32, WireError> {
    let mut code = 0;
    for field in Fields::of(bytes) {
        let field = field?;
        if field.number == 3 {
            code = field.int32()?;
        }
    }
    Ok(code)
}

/// The attributes that say what a span does and whom it calls, by the semantic conventions.
const KEYS: [&str; 9] = [
    "http.route",
    "rpc.method",
    "peer.service",
    "service.peer.name",
    "db.system.name",
    "db.system",
    "messaging.system",
    "messaging.destination.name",
    "server.address",
];

/// Texts of the attributes in [`KEYS`]; of several with one key the first counts.
#[derive(Default)]
struct Attributes<'a> {
    texts: [Option<&'a str>; KEYS.len()],
    seen: [bool; KEYS.len()],
}

impl<'a> Attributes<'a> {
    /// Takes a `KeyValue`.
    fn see(&mut self, attribute: &'a [u8]) -> Result<(), WireError> {
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields::of(attribute) {
            let field = field?;
            match field.number {
                1 => key = field.bytes()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        let place = KEYS.iter().position(|known| known.as_bytes() == key);
        if let Some(place) = place.filter(|place| !self.seen[*place]) {
            self.seen[place] = true;
            self.texts[place] = super::identity::text(value)?.filter(|text| !text.is_empty());
        }
        Ok(())
    }

    /// The text of the first of these keys that has one.
    fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.texts[KEYS.iter().position(|known| known == key)?])
    }
}

fn row(span: &Span<'_>, owner: &mut Owner<'_>, streams: &mut Streams) -> Result<SpanRow, Refusal> {
    let end_ns = match i64::try_from(span.end) {
        Ok(end_ns) if end_ns > 0 => end_ns,
        _ => return Err((RejectReason::BadTime, format!("a span ends at {} ns", span.end))),
    };
    Ok(SpanRow {
        end_ns,
        stream: stream(span, owner, streams)?,
        duration_ns: span.end.saturating_sub(span.start),
        error: span.error,
        trace: trace_id(span.trace),
        span: first_bytes(span.id),
        parent: first_bytes(span.parent),
    })
}

fn stream(span: &Span<'_>, owner: &mut Owner<'_>, streams: &mut Streams) -> Result<u32, Refusal> {
    let kind = SpanKind::try_from(span.kind).unwrap_or_default();
    let is_outbound = matches!(kind, SpanKind::Client | SpanKind::Producer);
    let is_inbound = !is_outbound && (kind != SpanKind::Internal || span.parent.is_empty());
    let operation = span.attributes.first(&["http.route", "rpc.method"]).unwrap_or(span.name);
    let called = if is_outbound { peer(&span.attributes) } else { None };
    let direction = if is_inbound { "in" } else { "out" };
    let mut raw = owner.raw().bytes(operation.as_bytes()).bytes(direction.as_bytes());
    if let Some((kind, name)) = called {
        raw = raw.bytes(kind.name().as_bytes()).bytes(name.as_bytes());
    }
    if let Some(stream) = streams.known(raw) {
        return Ok(stream);
    }
    let (owner, identity) = owner.decoded(streams)?;
    let peer = called.map(|(kind, name)| Entity::new(kind, name));
    let identity = identity.text("span").text(operation).text(direction);
    let identity = peer.as_ref().map_or(identity, |peer| identity.text(&peer.to_string()));
    Ok(streams.learn(raw, &identity, || {
        let attributes = vec![("operation".to_string(), operation.to_string())];
        let kind = StreamKind::Spans { inbound: is_inbound, peer: peer.map(Arc::new) };
        (SeriesDef::new(owner.clone(), "span", attributes), kind)
    }))
}

/// Whom an outbound span calls, by the semantic conventions.
fn peer<'a>(attributes: &Attributes<'a>) -> Option<(EntityKind, &'a str)> {
    let database = attributes.first(&["db.system.name", "db.system"]);
    let queue = attributes.first(&["messaging.system"]);
    let address = attributes.first(&["server.address"]);
    if let Some(name) = attributes.first(&["peer.service", "service.peer.name"]) {
        return Some(match (database, queue) {
            (Some(_), _) => (EntityKind::Database, name),
            (_, Some(_)) => (EntityKind::Queue, name),
            _ => (EntityKind::Service, name),
        });
    }
    if let Some(system) = database {
        return Some((EntityKind::Database, address.unwrap_or(system)));
    }
    let destination = attributes.first(&["messaging.destination.name"]).or(queue);
    destination.map(|name| (EntityKind::Queue, name)).or(address.map(|name| (EntityKind::Service, name)))
}

/// A trace id; a shorter one is followed by zeros.
fn trace_id(id: &[u8]) -> [u8; 16] {
    let mut whole = [0; 16];
    whole.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    whole
}

fn first_bytes(id: &[u8]) -> u64 {
    id.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
