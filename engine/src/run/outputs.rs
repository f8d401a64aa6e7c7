//! Kafka out: anomalies, incidents, signals, decisions, the audit log and dead letters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::Receiver;
use foreshock_core::{
    config::{Config, OutputTopics},
    types::{Anomaly, Id, Incident, Record, Reject, RemediationSignal, Source},
};
use prometheus_client::metrics::counter::Counter;
use rdkafka::{
    ClientContext, Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    metadata::Metadata,
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};
use serde::Serialize;

use super::{
    RunError, cdevents,
    metrics::{Count, Metrics, Stage, Topic},
    pending::Pending,
    shorten::{Shorten, fitting},
};
use crate::{
    audit::Entry,
    connect::{Connection, Link, Plain},
};

/// Writes the engine's topics.
pub(super) struct Outputs {
    producer: ThreadedProducer<Deliveries>,
    pending: Arc<Pending>,
    lost: Arc<AtomicU64>,
    /// Records that were made shorter or left out.
    cut: Count<Topic>,
    topics: OutputTopics,
    /// Who speaks, in CDEvents.
    source: String,
    /// Holds something once a stop is asked for; looked at, never taken from.
    stop: Receiver<()>,
    /// Seconds spent waiting for Kafka.
    blocked: Counter<f64, AtomicU64>,
}

/// Counts what could not be delivered: a snapshot may only be taken when that is nothing. What is too large for a topic of others would be
/// so after a restart too: it is left out.
struct Deliveries {
    pending: Arc<Pending>,
    lost: Arc<AtomicU64>,
    cut: Count<Topic>,
    /// Topics without whose records the engine cannot go on.
    own: [String; 3],
    link: Arc<Link>,
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn error(&self, error: KafkaError, reason: &str) {
        self.link.error(&error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        self.link.log(level, message);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.link.renew()
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let topic = message.topic();
            if is_too_large(error) && !self.own.iter().any(|own| own == topic) {
                left_out(&self.cut, topic);
            } else {
                self.lost.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, topic, "a record could not be written");
            }
        }
        self.pending.end();
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

fn left_out(cut: &Count<Topic>, topic: &str) {
    cut.get_or_create(&Topic { topic: topic.to_string() }).inc();
    tracing::error!(
        topic,
        "a record is larger than its topic takes: left out; set outputs.max_record to no more than max.message.bytes of the topic"
    );
}

/// Bytes of a record beside its value: key, headers, and what Kafka adds.
const BESIDE: u64 = 64 << 10;

impl Outputs {
    /// Connects. Nothing is written yet.
    pub(super) fn connect(
        config: &Config,
        connection: &Connection,
        metrics: &Metrics,
        stop: Receiver<()>,
    ) -> Result<Outputs, RunError> {
        let topics = &config.outputs;
        let largest = (topics.max_record.0.max(topics.dead_letter_max.0) + BESIDE).to_string();
        let own = [
            ("message.max.bytes", largest.as_str()),
            ("enable.idempotence", "true"),
            // What comes while a request is under way goes together anyhow, and people wait for it.
            ("linger.ms", "0"),
            ("compression.type", "zstd"),
            ("message.timeout.ms", "0"),
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", "65536"),
        ];
        let (pending, lost) = (Arc::<Pending>::default(), Arc::<AtomicU64>::default());
        let link = connection.link().clone();
        let cut = metrics.cut.clone();
        let deliveries = Deliveries {
            pending: pending.clone(),
            lost: lost.clone(),
            cut: cut.clone(),
            own: [topics.journal.clone(), topics.decisions.clone(), topics.audit.clone()],
            link,
        };
        let producer = connection.client(&own, deliveries)?;
        let blocked = metrics.blocked.get_or_create(&Stage { stage: "output" }).clone();
        let source = format!("/foreshock/{}", config.kafka.group);
        Ok(Outputs { producer, pending, lost, cut, topics: topics.clone(), source, stop, blocked })
    }

    pub(super) fn anomaly(&self, anomaly: &Anomaly) -> Result<(), RunError> {
        self.short(&self.topics.anomalies, anomaly.id, anomaly)
    }

    pub(super) fn incident(&self, incident: &Incident) -> Result<(), RunError> {
        self.short(&self.topics.incidents, incident.id, incident)?;
        let OutputTopics { cdevents: topic, environment, .. } = &self.topics;
        let event = cdevents::event(incident, &self.source, environment).filter(|_| !topic.is_empty());
        let Some(event) = event else { return Ok(()) };
        let (key, payload) = (incident.id.to_string(), to_json(&event)?);
        let content = Header { key: "content-type", value: Some(cdevents::CONTENT_TYPE) };
        let headers = OwnedHeaders::new().insert(content);
        self.send(BaseRecord::to(topic).key(key.as_str()).payload(payload.as_slice()).headers(headers))
    }

    pub(super) fn signal(&self, signal: &RemediationSignal) -> Result<(), RunError> {
        self.keyed(&self.topics.journal, signal.id, signal)?;
        self.keyed(&self.topics.signals, signal.id, signal)
    }

    pub(super) fn audit(&self, entry: &Entry) -> Result<(), RunError> {
        let payload = to_json(entry)?;
        self.send(BaseRecord::to(&self.topics.audit).key(entry.engine.as_str()).payload(payload.as_slice()))
    }

    /// Writes a decision.
    pub(super) fn decision(&self, key: &str, decision: &super::decisions::Decision) -> Result<(), RunError> {
        let payload = to_json(decision)?;
        self.send(BaseRecord::to(&self.topics.decisions).key(key).payload(payload.as_slice()))
    }

    /// Ends keys of the journal of signals.
    pub(super) fn forget_signals(&self, keys: &[String]) -> Result<(), RunError> {
        keys.iter().try_for_each(|key| self.send(BaseRecord::to(&self.topics.journal).key(key.as_str())))
    }

    /// Ends keys of the journal of decisions.
    pub(super) fn forget_decisions(&self, keys: &[String]) -> Result<(), RunError> {
        keys.iter().try_for_each(|key| self.send(BaseRecord::to(&self.topics.decisions).key(key.as_str())))
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

    /// The same of what may be made shorter, or left out.
    fn short(&self, topic: &str, id: Id, value: &impl Shorten) -> Result<(), RunError> {
        let most = usize::try_from(self.topics.max_record.0).unwrap_or(usize::MAX);
        let Some((payload, is_short)) = fitting(value, most).map_err(RunError::Json)? else {
            left_out(&self.cut, topic);
            return Ok(());
        };
        if is_short {
            self.cut.get_or_create(&Topic { topic: topic.to_string() }).inc();
            tracing::warn!(topic, %id, "larger than outputs.max_record: made shorter");
        }
        let key = id.to_string();
        self.send(BaseRecord::to(topic).key(key.as_str()).payload(payload.as_slice()))
    }

    /// Hands a record to librdkafka; waits while its queue is full.
    fn send(&self, record: BaseRecord<'_, str, [u8]>) -> Result<(), RunError> {
        let mut record = record;
        let mut asked = None;
        self.pending.begin();
        let problem = loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    std::thread::sleep(LOOK);
                    self.blocked.inc_by(LOOK.as_secs_f64());
                    if let Err(away) = self.patience(&mut asked) {
                        break away;
                    }
                }
                Err((error, record))
                    if is_too_large(&error) && self.topics.public().any(|name| name == record.topic) =>
                {
                    left_out(&self.cut, record.topic);
                    self.pending.end();
                    return Ok(());
                }
                Err((source, _)) => break RunError::Kafka { doing: "write a record", source },
            }
        };
        self.pending.end();
        Err(problem)
    }

    /// Waits until everything is written, however long Kafka is away.
    pub(super) fn durable(&self) -> Result<(), RunError> {
        let waiting = Instant::now();
        let mut asked = None;
        let mut written = Ok(());
        while written.is_ok() && !self.pending.none_within(LOOK) {
            written = self.patience(&mut asked);
        }
        self.blocked.inc_by(waiting.elapsed().as_secs_f64());
        written.and_then(|()| self.nothing_lost())
    }

    /// After a stop was asked for, what waits for Kafka waits `flush_within` longer. `asked` is when that was seen.
    fn patience(&self, asked: &mut Option<Instant>) -> Result<(), RunError> {
        if self.stop.is_empty()
            || asked.get_or_insert_with(Instant::now).elapsed() < self.topics.flush_within.std()
        {
            return Ok(());
        }
        Err(RunError::Away)
    }

    /// Waits `flush_within` at most until everything is written, or says that it is not.
    pub(super) fn flush(&self) -> Result<(), RunError> {
        let waiting = Instant::now();
        let written = self.pending.none_within(self.topics.flush_within.std());
        self.blocked.inc_by(waiting.elapsed().as_secs_f64());
        if written { self.nothing_lost() } else { Err(RunError::Away) }
    }

    fn nothing_lost(&self) -> Result<(), RunError> {
        match self.lost.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => Err(RunError::Lost(lost)),
        }
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, RunError> {
    serde_json::to_vec(value).map_err(RunError::Json)
}

/// How long to wait before looking whether a stop was asked for.
const LOOK: Duration = Duration::from_millis(10);

/// Longest wait for the broker that creates topics.
const WAIT: Duration = Duration::from_secs(20);

/// Makes the output topics that are missing; `there` are those that exist.
pub(super) async fn create_topics(
    config: &Config,
    connection: &Connection,
    there: &Metadata,
) -> Result<(), RunError> {
    let outputs = &config.outputs;
    if !outputs.create {
        return Ok(());
    }
    let is_there = |name: &str| there.topics().iter().any(|topic| topic.name() == name);
    let missing: Vec<&str> = outputs.names().into_iter().filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if connection.needs_tokens() {
        return Err(RunError::NoAdmin { topics: missing.join(", ") });
    }
    let admin: AdminClient<Plain> = connection.client(&[], connection.plain())?;
    let topic = |name, partitions, key, value| {
        NewTopic::new(name, partitions, TopicReplication::Fixed(outputs.replication)).set(key, value)
    };
    // Small segments, closed soon: the one that is written to is never compacted, and a start reads it all.
    let journal = |name| {
        topic(name, 1, "cleanup.policy", "compact")
            .set("segment.bytes", "16777216")
            .set("segment.ms", "3600000")
            .set("min.cleanable.dirty.ratio", "0.1")
    };
    let public = outputs.public().map(|name| topic(name, outputs.partitions, "compression.type", "producer"));
    let journals = [journal(&outputs.journal), journal(&outputs.decisions)];
    // One partition, whole, for ever.
    let audit = topic(&outputs.audit, 1, "retention.ms", "-1");
    let wanted: Vec<NewTopic<'_>> = public.chain(journals).chain([audit]).collect();
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
