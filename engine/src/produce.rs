//! Files into Kafka as OTLP: what `foreshock produce` does. The opposite of intake, for backtests and trials.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, Producer as _, ThreadedProducer},
};

use crate::{
    config::KafkaConfig,
    connect::{ConnectError, Connection, Plain},
    replay::{Table, TableError, TableOptions},
};

/// Why a file could not be produced.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// Kafka cannot be reached, or does not want us.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Kafka refused.
    #[error("cannot write to {topic:?}: {source}; is the broker up, and may we write there?")]
    Kafka {
        /// The topic.
        topic: String,
        /// What the client said.
        source: KafkaError,
    },
    /// The CSV file is no table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is no OTLP JSON.
    #[error("{path}, line {line}: {problem}; give one OTLP JSON request per line")]
    Line {
        /// The file.
        path: String,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// Writes files to Kafka.
pub struct FileProducer {
    producer: ThreadedProducer<Plain>,
    /// Event seconds per second; `None`: as fast as it goes.
    speed: Option<f64>,
    /// Event time of the first record and when it was sent.
    began: Option<(i64, Instant)>,
}

/// A record on its way to a topic.
struct Outgoing<'a> {
    topic: &'a str,
    key: &'a str,
    payload: Vec<u8>,
    /// Event time, unix milliseconds; -1 when not known.
    time_ms: i64,
}

impl FileProducer {
    /// Connects.
    pub fn connect(kafka: &KafkaConfig, speed: Option<f64>) -> Result<FileProducer, ProduceError> {
        let connection = Connection::new(kafka)?;
        connection.reach()?;
        let own = [("linger.ms", "20"), ("compression.type", "zstd"), ("enable.idempotence", "true")];
        let producer = connection.client(&own, connection.plain())?;
        Ok(FileProducer { producer, speed, began: None })
    }

    /// Writes a CSV file: one record per row, each column a gauge of the service that is named like the file.
    /// Gives the number of records.
    pub fn csv(&mut self, path: &Path, options: &TableOptions, topic: &str) -> Result<usize, ProduceError> {
        let table = Table::read(path, options)?;
        for row in 0..table.rows() {
            let time_ms = table.times_ms[row];
            let payload = row_request(&table, row).encode_to_vec();
            self.send(&Outgoing { topic, key: &table.name, payload, time_ms })?;
        }
        self.flush(topic)?;
        Ok(table.rows())
    }

    /// Writes a file of OTLP JSON requests, one per line, each to the topic of its signal as it is. Gives the
    /// number of records.
    pub fn otlp_json(&mut self, path: &Path) -> Result<usize, ProduceError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ProduceError::Read { path: shown.clone(), source })?;
        let mut written = 0;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let refuse =
                |problem: String| ProduceError::Line { path: shown.clone(), line: index + 1, problem };
            let value: serde_json::Value =
                serde_json::from_str(line).map_err(|error| refuse(error.to_string()))?;
            let topic = [
                ("resourceMetrics", "otlp_metrics"),
                ("resourceLogs", "otlp_logs"),
                ("resourceSpans", "otlp_spans"),
            ]
            .into_iter()
            .find_map(|(key, topic)| value.get(key).map(|_| topic))
            .ok_or_else(|| {
                refuse("has none of resourceMetrics, resourceLogs and resourceSpans".to_string())
            })?;
            let outgoing =
                Outgoing { topic, key: "", payload: line.as_bytes().to_vec(), time_ms: newest_ms(&value) };
            self.send(&outgoing)?;
            written += 1;
        }
        self.flush("otlp")?;
        Ok(written)
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> Result<(), ProduceError> {
        self.keep_pace(outgoing.time_ms);
        let mut record =
            BaseRecord::to(outgoing.topic).key(outgoing.key).payload(outgoing.payload.as_slice());
        if outgoing.time_ms >= 0 {
            record = record.timestamp(outgoing.time_ms);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err((source, _)) => {
                    return Err(ProduceError::Kafka { topic: outgoing.topic.to_string(), source });
                }
            }
        }
    }

    /// Waits until this event time is due.
    fn keep_pace(&mut self, time_ms: i64) {
        let (Some(speed), true) = (self.speed, time_ms >= 0) else { return };
        let (first_ms, began) = *self.began.get_or_insert((time_ms, Instant::now()));
        let due = Duration::from_secs_f64(((time_ms - first_ms).max(0) as f64 / 1000.0 / speed).min(1e9));
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }

    fn flush(&self, topic: &str) -> Result<(), ProduceError> {
        let failed = |source| ProduceError::Kafka { topic: topic.to_string(), source };
        self.producer.flush(Duration::from_secs(60)).map_err(failed)
    }
}

/// One row as an OTLP request; missing values are left out.
fn row_request(table: &Table, row: usize) -> ExportMetricsServiceRequest {
    let time_unix_nano = u64::try_from(table.times_ms[row]).unwrap_or(0) * 1_000_000;
    let values = table.series.iter().zip(table.row(row)).filter(|(_, value)| value.is_finite());
    let metrics = values.map(|(name, value)| {
        let value = Some(number_data_point::Value::AsDouble(*value));
        let point = NumberDataPoint { time_unix_nano, value, ..NumberDataPoint::default() };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: name.clone(), data, ..Metric::default() }
    });
    let name = AnyValue { value: Some(Value::StringValue(table.name.clone())) };
    let name = KeyValue { key: "service.name".to_string(), value: Some(name), ..KeyValue::default() };
    let resource = Resource { attributes: vec![name], ..Resource::default() };
    let scope = ScopeMetrics {
        scope: Some(InstrumentationScope::default()),
        metrics: metrics.collect(),
        ..ScopeMetrics::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

/// The newest time in a request, unix milliseconds; -1 when there is none.
fn newest_ms(value: &serde_json::Value) -> i64 {
    let nanos = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.parse::<i64>().ok(),
        serde_json::Value::Number(number) => number.as_i64(),
        _ => None,
    };
    match value {
        serde_json::Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match key.as_str() {
                "timeUnixNano" | "endTimeUnixNano" => nanos(value).map_or(-1, |nanos| nanos / 1_000_000),
                _ => newest_ms(value),
            })
            .max()
            .unwrap_or(-1),
        serde_json::Value::Array(items) => items.iter().map(newest_ms).max().unwrap_or(-1),
        _ => -1,
    }
}
