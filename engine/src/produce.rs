//! Files into Kafka as OTLP: what `foreshock produce` does. The opposite of intake, for backtests and trials.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use foreshock_core::config::KafkaConfig;
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
    ClientContext, Message as _,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};

use crate::{
    connect::{ConnectError, Connection, Plain},
    replay::{Input, InputError, Lines, Refused, Table},
};

/// Why a file could not be produced.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// Kafka cannot be reached, or does not want us.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Kafka refused.
    #[error("cannot write to {to}: {source}; is the broker up, and may we write there?")]
    Kafka {
        /// The topic, or the brokers.
        to: String,
        /// What the client said.
        source: KafkaError,
    },
    /// Kafka was given some records and did not keep them.
    #[error("cannot write to {to}: {source}; {lost} records were not written")]
    Lost {
        /// How many.
        lost: u64,
        /// The topic of the first.
        to: String,
        /// What the client said of the first.
        source: KafkaError,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file has lines, and none is a record.
    #[error("{path} has no record that can be read; the first problem: {first}")]
    NoRecords {
        /// The file.
        path: String,
        /// The first problem.
        first: String,
    },
}

/// Where an error belongs to no topic.
const BROKERS: &str = "the brokers";

/// Writes files to Kafka.
pub struct FileProducer {
    producer: ThreadedProducer<Deliveries>,
    /// Event seconds per second; `None`: as fast as it goes.
    speed: Option<f64>,
    /// Event time of the first record and when it was sent.
    began: Option<(i64, Instant)>,
}

/// A record on its way to a topic.
struct Outgoing<'a> {
    topic: &'a str,
    key: &'a str,
    payload: &'a [u8],
    /// Event time, unix milliseconds; -1 when not known.
    time_ms: i64,
}

impl FileProducer {
    /// Connects.
    pub fn connect(kafka: &KafkaConfig, speed: Option<f64>) -> Result<FileProducer, ProduceError> {
        let connection = Connection::new(kafka)?;
        connection.reach()?;
        let own = [("linger.ms", "20"), ("compression.type", "zstd"), ("enable.idempotence", "true")];
        let deliveries = Deliveries { plain: connection.plain(), lost: Mutex::default() };
        let producer = connection.client(&own, deliveries)?;
        Ok(FileProducer { producer, speed, began: None })
    }

    /// Writes a table: one record per row, each column a gauge of the service that is named like the file. Gives the
    /// number of records.
    pub fn table(&mut self, table: &Table, topic: &str) -> Result<u64, ProduceError> {
        for row in 0..table.rows() {
            let time_ms = table.times_ms[row];
            let payload = row_request(table, row).encode_to_vec();
            self.send(&Outgoing { topic, key: &table.name, payload: &payload, time_ms })?;
        }
        Ok(table.rows() as u64)
    }

    /// Writes OTLP JSON requests and CloudEvents, one per line, each to the topic of its signal as it is. Gives the
    /// number of records, and the lines that are none.
    pub fn records(&mut self, path: &Path, input: Input) -> Result<(u64, Refused), ProduceError> {
        let shown = path.display().to_string();
        let mut lines = Lines::new(input.reader);
        let (mut written, mut refused) = (0, Refused::default());
        loop {
            let next = lines.next();
            let next = next.map_err(|source| InputError::Read { path: shown.clone(), source })?;
            let Some((number, line)) = next else { break };
            match addressed(line) {
                Ok((topic, time_ms)) => {
                    self.send(&Outgoing { topic, key: "", payload: line, time_ms })?;
                    written += 1;
                }
                Err(problem) => refused.add(&shown, format_args!("line {number}"), problem),
            }
        }
        match refused.first.first() {
            Some(first) if written == 0 => Err(ProduceError::NoRecords { path: shown, first: first.clone() }),
            _ => Ok((written, refused)),
        }
    }

    /// Waits until Kafka has everything.
    pub fn finish(self) -> Result<(), ProduceError> {
        let failed = |source| ProduceError::Kafka { to: BROKERS.to_string(), source };
        self.producer.flush(Duration::from_secs(60)).map_err(failed)?;
        let mut lost = self.producer.context().lost.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.first.take() {
            None => Ok(()),
            Some((topic, source)) => {
                Err(ProduceError::Lost { lost: lost.records, to: shown_topic(&topic), source })
            }
        }
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> Result<(), ProduceError> {
        self.keep_pace(outgoing.time_ms);
        let mut record = BaseRecord::to(outgoing.topic).key(outgoing.key).payload(outgoing.payload);
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
                    return Err(ProduceError::Kafka { to: shown_topic(outgoing.topic), source });
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
}

fn shown_topic(topic: &str) -> String {
    format!("topic {topic:?}")
}

/// Counts the records that Kafka did not keep.
struct Deliveries {
    plain: Plain,
    lost: Mutex<Lost>,
}

#[derive(Default)]
struct Lost {
    records: u64,
    /// Topic of the first, and what was said of it.
    first: Option<(String, KafkaError)>,
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Plain::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.plain.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.plain.error(error, reason);
    }

    fn generate_oauth_token(&self, options: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.plain.generate_oauth_token(options)
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.records += 1;
            lost.first.get_or_insert_with(|| (message.topic().to_string(), error.clone()));
        }
    }
}

/// The topic of a record and its newest time, unix milliseconds.
fn addressed(line: &[u8]) -> Result<(&'static str, i64), String> {
    const TOPICS: [(&str, &str); 4] = [
        ("resourceMetrics", "otlp_metrics"),
        ("resourceLogs", "otlp_logs"),
        ("resourceSpans", "otlp_spans"),
        ("specversion", "changes"),
    ];
    let value: serde_json::Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let topic = TOPICS.into_iter().find_map(|(key, topic)| value.get(key).map(|_| topic));
    let topic = topic
        .ok_or("it has none of resourceMetrics, resourceLogs, resourceSpans and specversion; one OTLP JSON request per line is read")?;
    let stated = value.get("time").and_then(serde_json::Value::as_str).filter(|_| topic == "changes");
    let time_ms = match stated {
        Some(time) => time.parse::<jiff::Timestamp>().map_or(-1, jiff::Timestamp::as_millisecond),
        None => newest_ms(&value),
    };
    Ok((topic, time_ms))
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
