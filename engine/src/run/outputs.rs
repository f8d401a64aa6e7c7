//! Kafka out: anomalies, incidents, signals, decisions and dead letters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use serde::Serialize;

use prometheus_client::metrics::counter::Counter;

use super::{
    RunError,
    metrics::{Metrics, Stage},
};
use crate::{
    config::{Config, OutputTopics},
    types::{Anomaly, Id, Incident, Record, Reject, RemediationSignal, Source},
};

/// Writes the engine's topics.
pub(super) struct Outputs {
    producer: ThreadedProducer<Deliveries>,
    lost: Arc<AtomicU64>,
    topics: OutputTopics,
    /// Seconds spent waiting for Kafka.
    blocked: Counter<f64, AtomicU64>,
}

/// Counts what could not be delivered: a snapshot may only be taken when that is nothing.
struct Deliveries {
    lost: Arc<AtomicU64>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, topic = message.topic(), "a record could not be written");
        }
    }
}

impl Outputs {
    /// Connects. Nothing is written yet.
    pub(super) fn connect(config: &Config, metrics: &Metrics) -> Result<Outputs, RunError> {
        let mut client = ClientConfig::new();
        for (key, value) in [
            ("enable.idempotence", "true"),
            ("linger.ms", "5"),
            ("compression.type", "zstd"),
            ("message.timeout.ms", "0"),
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", "65536"),
        ] {
            client.set(key, value);
        }
        for (key, value) in config.kafka.connection()? {
            client.set(key, value);
        }
        let lost = Arc::new(AtomicU64::new(0));
        let producer = client
            .create_with_context(Deliveries { lost: lost.clone() })
            .map_err(|source| RunError::Kafka { doing: "make a producer", source })?;
        let blocked = metrics.blocked.get_or_create(&Stage { stage: "output" }).clone();
        Ok(Outputs { producer, lost, topics: config.outputs.clone(), blocked })
    }

    pub(super) fn anomaly(&self, anomaly: &Anomaly) -> Result<(), RunError> {
        self.keyed(&self.topics.anomalies, anomaly.id, anomaly)
    }

    pub(super) fn incident(&self, incident: &Incident) -> Result<(), RunError> {
        self.keyed(&self.topics.incidents, incident.id, incident)
    }

    pub(super) fn signal(&self, signal: &RemediationSignal) -> Result<(), RunError> {
        self.keyed(&self.topics.journal, signal.id, signal)?;
        self.keyed(&self.topics.signals, signal.id, signal)
    }

    /// Writes a decision; it is durable when this returns.
    pub(super) fn decision(&self, decision: &super::decisions::Decision) -> Result<(), RunError> {
        let payload = to_json(decision)?;
        self.send(BaseRecord::to(&self.topics.decisions).key("decision").payload(payload.as_slice()))?;
        self.flush()
    }

    /// Keeps a refused record, cut where it is too long, with where it came from and why.
    pub(super) fn dead_letter(
        &self,
        source: &Source,
        reject: &Reject,
        record: Option<&Record>,
    ) -> Result<(), RunError> {
        let payload = record.map_or(&[][..], |record| &record.payload);
        let limit = usize::try_from(self.topics.dead_letter_max.0).unwrap_or(usize::MAX);
        let kept = &payload[..payload.len().min(limit)];
        let (partition, offset) = (source.partition.to_string(), reject.offset.to_string());
        let length = payload.len().to_string();
        let headers = [
            ("foreshock.topic", &*source.topic),
            ("foreshock.partition", &partition),
            ("foreshock.offset", &offset),
            ("foreshock.reason", reject.reason.name()),
            ("foreshock.detail", &reject.detail),
            ("foreshock.length", &length),
        ];
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(*value) })
        });
        let key = format!("{source}@{offset}");
        self.send(BaseRecord::to(&self.topics.dead_letter).key(key.as_str()).payload(kept).headers(headers))
    }

    fn keyed(&self, topic: &str, id: Id, value: &impl Serialize) -> Result<(), RunError> {
        let (key, payload) = (id.to_string(), to_json(value)?);
        self.send(BaseRecord::to(topic).key(key.as_str()).payload(payload.as_slice()))
    }

    /// Hands a record to librdkafka; waits while its queue is full.
    fn send(&self, record: BaseRecord<'_, str, [u8]>) -> Result<(), RunError> {
        let mut record = record;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    let waiting = Instant::now();
                    self.producer.poll(Duration::from_millis(50));
                    self.blocked.inc_by(waiting.elapsed().as_secs_f64());
                }
                Err((source, _)) => return Err(RunError::Kafka { doing: "write a record", source }),
            }
        }
    }

    /// Waits until everything is written, or says that it is not.
    pub(super) fn flush(&self) -> Result<(), RunError> {
        let waiting = Instant::now();
        let flushed = self.producer.flush(self.topics.flush_within.std());
        self.blocked.inc_by(waiting.elapsed().as_secs_f64());
        flushed.map_err(|source| RunError::Kafka { doing: "finish writing", source })?;
        match self.lost.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => Err(RunError::Lost(lost)),
        }
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, RunError> {
    serde_json::to_vec(value).map_err(RunError::Json)
}

/// Longest wait for the broker that creates topics.
const WAIT: Duration = Duration::from_secs(20);

/// Makes the output topics that are missing.
pub(super) async fn create_topics(config: &Config) -> Result<(), RunError> {
    let outputs = &config.outputs;
    if !outputs.create {
        return Ok(());
    }
    let mut client = ClientConfig::new();
    for (key, value) in config.kafka.connection()? {
        client.set(key, value);
    }
    let admin: AdminClient<DefaultClientContext> =
        client.create().map_err(|source| RunError::Kafka { doing: "make an admin client", source })?;
    let topic = |name, partitions, key, value| {
        NewTopic::new(name, partitions, TopicReplication::Fixed(outputs.replication)).set(key, value)
    };
    let public = [&outputs.anomalies, &outputs.incidents, &outputs.signals, &outputs.dead_letter];
    let public = public.map(|name| topic(name, outputs.partitions, "compression.type", "producer"));
    let journal = topic(&outputs.journal, 1, "cleanup.policy", "compact");
    let decisions = topic(&outputs.decisions, 1, "retention.ms", "-1");
    let wanted: Vec<NewTopic<'_>> = public.into_iter().chain([journal, decisions]).collect();
    let options = AdminOptions::new().request_timeout(Some(WAIT)).operation_timeout(Some(WAIT));
    let made = admin
        .create_topics(&wanted, &options)
        .await
        .map_err(|source| RunError::Kafka { doing: "create the output topics", source })?;
    for result in made {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(RunError::Topic { topic, code }),
        }
    }
    Ok(())
}
