//! OTLP JSON of every signal.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Destination, Format, Refusal, Told, malformed, otlp_logs, otlp_metrics, otlp_spans};
use crate::types::Record;

/// Any of the three requests in JSON. It is put into protobuf, so that one reader knows what a message means. The outermost keys say which
/// signals are in it.
pub(super) struct OtlpJson;

impl Format for OtlpJson {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        let value: Value = serde_json::from_slice(&record.payload).map_err(malformed)?;
        if value.get("resourceMetrics").is_some() {
            otlp_metrics::push(&encoded::<ExportMetricsServiceRequest>(value)?, to)?;
        } else if value.get("resourceLogs").is_some() {
            otlp_logs::push(&encoded::<ExportLogsServiceRequest>(value)?, to)?;
        } else if value.get("resourceSpans").is_some() {
            otlp_spans::push(&encoded::<ExportTraceServiceRequest>(value)?, to)?;
        } else {
            return Err(malformed("neither resourceMetrics nor resourceLogs nor resourceSpans"));
        }
        Ok(Told::default())
    }
}

fn encoded<T: Message + DeserializeOwned>(value: Value) -> Result<Vec<u8>, Refusal> {
    serde_json::from_value::<T>(value).map(|request| request.encode_to_vec()).map_err(malformed)
}
