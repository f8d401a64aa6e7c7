//! The formats of records, one file each: bytes into rows, changes and alerts. [`of`] is the list of them; which one a record gets is
//! found out by `sniff`.
//!
//! * `otlp_metrics`, `otlp_logs`, `otlp_spans`: OTLP in protobuf · `otlp_json`: any of them in JSON
//! * `prometheus`: samples of prometheus-kafka-adapter · `json_lines`, `text`: logs · `inferences`: answers of models
//! * `cloud_events`: CloudEvents and CDEvents · `webhook`, `alerts`: what other systems send over HTTP
//! * `json`, `lines`: what several of them read and write with

mod alerts;
mod cloud_events;
mod inferences;
mod json;
mod json_lines;
mod lines;
mod otlp_json;
mod otlp_logs;
mod otlp_metrics;
mod otlp_spans;
mod prometheus;
mod text;
mod webhook;

use super::{
    Encoding, Refusal,
    identity::{self, Streams},
    malformed, own_time_ns, protobuf,
    redact::{self, Redactor},
    rows::{self, Rows},
};
use crate::types::{Alert, Change, Record};

pub(super) use inferences::is_one as is_inference;
pub(super) use otlp_metrics::Buckets;
pub use webhook::{RECEIVER, WEBHOOK};

/// Reads the records of one format.
pub(super) trait Format: Sync {
    /// Reads a record. Its rows are written; what is no row is given back.
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal>;
}

/// Where rows go, and what is remembered between records.
pub(super) struct Destination<'a> {
    pub(super) topic: &'a str,
    pub(super) streams: &'a mut Streams,
    pub(super) buckets: &'a mut Buckets,
    pub(super) redactor: &'a mut Redactor,
    pub(super) rows: &'a mut Rows,
}

/// What a record tells beside rows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) changes: Vec<Change>,
    pub(super) alerts: Vec<Alert>,
}

/// The format of an encoding; `None` for one that is to be found out.
pub(super) fn of(encoding: Encoding) -> Option<&'static dyn Format> {
    Some(match encoding {
        Encoding::Auto => return None,
        Encoding::OtlpMetrics => &otlp_metrics::OtlpMetrics,
        Encoding::OtlpLogs => &otlp_logs::OtlpLogs,
        Encoding::OtlpSpans => &otlp_spans::OtlpSpans,
        Encoding::OtlpJson => &otlp_json::OtlpJson,
        Encoding::PrometheusJson => &prometheus::PrometheusJson,
        Encoding::JsonLines => &json_lines::JsonLines,
        Encoding::Text => &text::Text,
        Encoding::Inferences => &inferences::Inferences,
        Encoding::CloudEvents => &cloud_events::CloudEvents,
        Encoding::Webhook => &webhook::Webhook,
    })
}
