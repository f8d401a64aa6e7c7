//! OTLP logs into rows.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use prost::Message;

use super::{
    Destination, Format, Refusal, Told,
    identity::{self, Owner, Streams, text_of},
    lines::line,
    malformed,
    protobuf::{Fields, WireError, message, messages},
};
use crate::types::{Record, RejectReason, SeriesDef, StreamKind};

/// An `ExportLogsServiceRequest` (opentelemetry-proto `logs/v1`), straight from the bytes.
pub(super) struct OtlpLogs;

impl Format for OtlpLogs {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        push(&record.payload, to).map(|()| Told::default())
    }
}

/// Takes a request.
pub(super) fn push(request: &[u8], to: &mut Destination<'_>) -> Result<(), Refusal> {
    for group in messages(request, 1) {
        let group = group.map_err(malformed)?;
        let stream = stream(&mut Owner::of(message(group, 1).map_err(malformed)?), to.streams)?;
        for scope in messages(group, 2) {
            for record in messages(scope.map_err(malformed)?, 2) {
                let record = LogRecord::read(record.map_err(malformed)?).map_err(malformed)?;
                let severity = u8::try_from(record.severity.clamp(0, 24)).unwrap_or(0);
                line(to.rows, record.time_ns()?, stream, severity, &record.text()?, to.redactor);
            }
        }
    }
    Ok(())
}

fn stream(owner: &mut Owner<'_>, streams: &mut Streams) -> Result<u32, Refusal> {
    let raw = owner.raw();
    if let Some(stream) = streams.known(raw) {
        return Ok(stream);
    }
    let (owner, identity) = owner.decoded(streams)?;
    Ok(streams.learn(raw, &identity.text("log"), || {
        (SeriesDef::new(owner.clone(), "log", Vec::new()), StreamKind::Logs)
    }))
}

/// What is read of a `LogRecord`.
#[derive(Default)]
struct LogRecord<'a> {
    time: u64,
    observed: u64,
    severity: i32,
    body: &'a [u8],
}

impl<'a> LogRecord<'a> {
    fn read(bytes: &'a [u8]) -> Result<LogRecord<'a>, WireError> {
        let mut record = LogRecord::default();
        for field in Fields::of(bytes) {
            let field = field?;
            match field.number {
                1 => record.time = field.fixed64()?,
                2 => record.severity = field.int32()?,
                5 => record.body = field.bytes()?,
                11 => record.observed = field.fixed64()?,
                _ => {}
            }
        }
        Ok(record)
    }

    fn time_ns(&self) -> Result<i64, Refusal> {
        let nanos = if self.time > 0 { self.time } else { self.observed };
        match i64::try_from(nanos) {
            Ok(time_ns) if time_ns > 0 => Ok(time_ns),
            _ => Err((RejectReason::BadTime, format!("a log record's time is {nanos} ns"))),
        }
    }

    /// The body as text; what is no text (a list, a map) is written as one.
    fn text(&self) -> Result<Cow<'a, str>, Refusal> {
        match identity::text(self.body).map_err(malformed)? {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => {
                let value = AnyValue::decode(self.body).map_err(malformed)?;
                Ok(Cow::Owned(text_of(&value)))
            }
        }
    }
}
