//! Kafka in: a consumer on its own thread, batches of records out of it, through a bounded channel.
//!
//! When the channel is full the partitions are paused and the thread goes on polling, so that the group keeps
//! this member. Knows neither ticks nor snapshots; where a partition begins is given to it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Sender, TrySendError};
use rdkafka::{
    ClientContext, Message, Offset, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};

use super::RunError;
use crate::{
    config::{Config, Start},
    connect::{Batch, Connection, Link, close, is_refusal},
    types::{Record, Source},
};

/// What the consumer tells the engine.
#[derive(Debug)]
pub(super) enum Input {
    /// These partitions are read from now on.
    Assigned(Vec<Source>),
    /// These are not.
    Revoked(Vec<Source>),
    /// Records of a partition, in order.
    Records(Source, Vec<Record>),
    /// How far behind the ends of the partitions we are.
    Lag(Lag),
    /// The partitions that stand still, with the record that each waits for: told when they are others than before.
    Standing(Vec<(Source, i64)>),
    /// A partition at its end was silent for `time.idle_after`.
    Silent(Source),
    /// Every assigned partition was read to its end; only when asked for.
    Ended,
    /// The broker refuses us for good.
    Failed(String),
}

/// How far behind the ends of the partitions we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lag {
    /// Records not yet taken, over all partitions.
    pub(super) records: i64,
    /// Whether every partition was read to its end at least once.
    pub(super) caught_up: bool,
}

/// The consumer, as the engine holds it.
pub(super) struct Consumer {
    client: Arc<BaseConsumer<Context>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// How the consumer behaves.
#[derive(Clone, Debug)]
pub(super) struct ConsumeOptions {
    /// Where partitions begin that a snapshot knows.
    pub(super) resume: HashMap<Source, i64>,
    /// Time of Kafka's records, unix milliseconds, from which partitions are read that neither a snapshot nor a committed offset
    /// knows; `None`: as `kafka.start` says.
    pub(super) past_ms: Option<i64>,
    /// Say [`Input::Ended`] once everything was read.
    pub(super) until_end: bool,
}

/// Bytes of records from which a batch is handed over, however few they are.
const BATCH_BYTES: usize = 1 << 20;
/// Largest answer of a broker, and most that a batch of zstd is unpacked to (other codecs: `connect/unpack.c`).
const MOST_BYTES: usize = 64 << 20;
/// Time between two looks at the lag.
const STATISTICS: Duration = Duration::from_millis(500);
/// Longest wait for a record.
const POLL: Duration = Duration::from_millis(20);

impl Consumer {
    /// Joins the group and begins to read.
    pub(super) fn start(
        config: &Config,
        connection: &Connection,
        options: ConsumeOptions,
        inputs: Sender<Input>,
    ) -> Result<Consumer, RunError> {
        let own = defaults(config);
        let own: Vec<(&str, &str)> = own.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let link = connection.link().clone();
        let ConsumeOptions { resume, past_ms, until_end } = options;
        let context = Context { resume, past_ms, shared: Mutex::default(), link };
        let client: BaseConsumer<Context> = connection.client(&own, context)?;
        let topics: Vec<&str> = config.topics.iter().map(|topic| topic.name.as_str()).collect();
        client.subscribe(&topics).map_err(|source| RunError::Kafka { doing: "subscribe", source })?;
        let (client, stop) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
        let reader = Reader {
            client: client.clone(),
            stop: stop.clone(),
            inputs,
            batch_records: config.ingest.batch_records,
            idle_after: config.time.idle_after.std(),
            until_end,
            pending: VecDeque::new(),
            partitions: BTreeMap::new(),
            caught_up: false,
            ended: false,
            paused: false,
            standing: Vec::new(),
            looked: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka".to_string())
            .spawn(move || reader.run())
            .map_err(RunError::Thread)?;
        Ok(Consumer { client, stop, thread })
    }

    /// Begins to commit where each partition resumes. The broker's refusal, as of partitions that are no longer ours, is logged.
    pub(super) fn commit(&self, resume: impl Iterator<Item = (Source, i64)>) -> Result<(), KafkaError> {
        let mut offsets = TopicPartitionList::new();
        for (source, offset) in resume {
            offsets.add_partition_offset(&source.topic, source.partition, Offset::Offset(offset))?;
        }
        if offsets.count() == 0 {
            return Ok(());
        }
        self.client.commit(&offsets, CommitMode::Async)
    }

    /// Stops reading, and leaves the group once the broker has what was committed.
    pub(super) fn leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the reader was reported when it happened; there is nothing left to stop.
        drop(self.thread.join());
        close(self.client);
    }
}

fn defaults(config: &Config) -> Vec<(&'static str, String)> {
    let start = match config.kafka.start {
        Start::Earliest => "earliest",
        Start::Latest => "latest",
    };
    let mut options = vec![
        ("group.id", config.kafka.group.clone()),
        ("auto.offset.reset", start.to_string()),
        ("enable.auto.commit", "false".to_string()),
        ("enable.auto.offset.store", "false".to_string()),
        ("enable.partition.eof", "true".to_string()),
        ("partition.assignment.strategy", "cooperative-sticky".to_string()),
        ("statistics.interval.ms", STATISTICS.as_millis().to_string()),
        ("queued.min.messages", "10000".to_string()),
        ("queued.max.messages.kbytes", "32768".to_string()),
        ("fetch.message.max.bytes", (1_u32 << 20).to_string()),
        ("receive.message.max.bytes", MOST_BYTES.to_string()),
        ("topic.metadata.refresh.interval.ms", "30000".to_string()),
        ("allow.auto.create.topics", "false".to_string()),
    ];
    if !config.kafka.instance.is_empty() {
        options.push(("group.instance.id", config.kafka.instance.clone()));
    }
    options
}

/// What librdkafka's callbacks leave for the reader; they run on its thread, inside `poll`.
#[derive(Debug, Default)]
struct Shared {
    rebalances: Vec<Rebalanced>,
    /// Why partitions that are ours cannot be begun.
    failed: Option<String>,
    ends: Option<BTreeMap<Source, End>>,
}

#[derive(Debug)]
enum Rebalanced {
    Assigned(Vec<(Source, i64)>),
    Revoked(Vec<Source>),
}

/// The end of a partition, as the broker said it last.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Offset at which the end was met; negative before.
    eof: i64,
    /// Offset of the first record; negative when unknown.
    low: i64,
    /// Offset after the last record; negative when unknown.
    high: i64,
    /// Offset after the last record that no open transaction holds back; negative when unknown.
    stable: i64,
    /// Records after the committed offset; negative when unknown.
    uncommitted: i64,
}

impl End {
    /// Records behind the end, when this is the next one. Before the first record only the broker knows.
    fn behind(self, next: i64) -> i64 {
        let behind = if next >= 0 && self.high >= 0 { self.high - next } else { self.uncommitted };
        behind.max(0)
    }

    /// Whether the broker has records for us that were not given, when this is the next one. Its own marks of transactions are none.
    fn has_more(self, next: i64) -> bool {
        let from = if next < 0 && self.eof < 0 { self.low } else { next.max(self.eof) };
        self.stable > from.max(0)
    }
}

struct Context {
    resume: HashMap<Source, i64>,
    past_ms: Option<i64>,
    shared: Mutex<Shared>,
    link: Arc<Link>,
}

impl Context {
    fn with<T>(&self, take: impl FnOnce(&mut Shared) -> T) -> T {
        take(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How often, how long and with which pause the broker is asked where the past begins.
const ATTEMPTS: u32 = 5;
const WAIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

impl Context {
    /// Where each assigned partition begins: as its snapshot says, which the committed offset can only be behind; else at the
    /// committed offset, else in the past that is to be learnt. What is not here begins as the client has it.
    fn begins(
        &self,
        consumer: &BaseConsumer<Context>,
        assigned: &[Source],
    ) -> Result<HashMap<Source, i64>, KafkaError> {
        let known = assigned.iter().filter_map(|source| Some((source.clone(), *self.resume.get(source)?)));
        let mut begins: HashMap<Source, i64> = known.collect();
        let Some(past_ms) = self.past_ms.filter(|_| begins.len() < assigned.len()) else { return Ok(begins) };
        let mut unknown = TopicPartitionList::new();
        for source in assigned.iter().filter(|source| !begins.contains_key(source)) {
            unknown.add_partition(&source.topic, source.partition);
        }
        let committed = consumer.committed_offsets(unknown, WAIT)?;
        let mut new = TopicPartitionList::new();
        for element in committed.elements() {
            element.error()?;
            if !matches!(element.offset(), Offset::Offset(_)) {
                // Times are asked for in the place of offsets.
                new.add_partition_offset(element.topic(), element.partition(), Offset::Offset(past_ms))?;
            }
        }
        if new.count() > 0 {
            let found = consumer.offsets_for_times(new, WAIT)?;
            for element in found.elements() {
                element.error()?;
                let source = Source { topic: Arc::from(element.topic()), partition: element.partition() };
                // A partition without a record since then begins with its next one.
                if let Offset::Offset(offset) = element.offset() {
                    begins.insert(source, offset);
                }
            }
        }
        Ok(begins)
    }

    /// As [`Context::begins`], asked again a few times.
    fn patiently_begins(
        &self,
        consumer: &BaseConsumer<Context>,
        assigned: &[Source],
    ) -> Result<HashMap<Source, i64>, KafkaError> {
        for _ in 1..ATTEMPTS {
            match self.begins(consumer, assigned) {
                Err(error) if !is_refusal(&error) => {
                    tracing::warn!(%error, "kafka does not say yet where history.kafka begins");
                    std::thread::sleep(PAUSE);
                }
                answer => return answer,
            }
        }
        self.begins(consumer, assigned)
    }
}

fn sources(list: &TopicPartitionList) -> Vec<Source> {
    let source = |topic: &str, partition| Source { topic: Arc::from(topic), partition };
    list.elements().iter().map(|element| source(element.topic(), element.partition())).collect()
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Where the partitions end, and whether a broker answers: this client always has something to ask.
    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP") {
            self.link.found();
        }
        let mut ends = BTreeMap::new();
        for (topic, state) in statistics.topics {
            let topic: Arc<str> = Arc::from(topic);
            for (partition, state) in state.partitions {
                let end = End {
                    eof: state.eof_offset,
                    low: state.lo_offset,
                    high: state.hi_offset,
                    stable: state.ls_offset,
                    uncommitted: state.consumer_lag,
                };
                ends.insert(Source { topic: topic.clone(), partition }, end);
            }
        }
        self.with(|shared| shared.ends = Some(ends));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.link.error(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.link.lost();
        }
    }

    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        self.link.log(level, message);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.link.renew()
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, committed: Result<(), KafkaError>, _: &TopicPartitionList) {
        if let Err(error) = committed {
            tracing::warn!(%error, "offsets not committed; the snapshot has them");
        }
    }

    fn rebalance(
        &self,
        consumer: &BaseConsumer<Context>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let done = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                let assigned = sources(list);
                let begins = match self.patiently_begins(consumer, &assigned) {
                    Ok(begins) => begins,
                    Err(error) => {
                        let failed = format!("kafka does not say where history.kafka begins: {error}");
                        self.with(|shared| shared.failed = Some(failed));
                        return;
                    }
                };
                let placed: Result<(), KafkaError> = begins.iter().try_for_each(|(source, offset)| {
                    list.set_partition_offset(&source.topic, source.partition, Offset::Offset(*offset))
                });
                let assigned = assigned.into_iter().map(|source| {
                    let offset = begins.get(&source).copied().unwrap_or(-1);
                    (source, offset)
                });
                let assigned = assigned.collect();
                self.with(|shared| shared.rebalances.push(Rebalanced::Assigned(assigned)));
                placed.and_then(|()| consumer.incremental_assign(list))
            }
            _ => {
                self.with(|shared| shared.rebalances.push(Rebalanced::Revoked(sources(list))));
                consumer.incremental_unassign(list)
            }
        };
        if let Err(error) = done {
            self.error(error, "rebalance");
        }
    }
}

/// What the reader knows of a partition.
struct Reading {
    source: Source,
    /// The next record; negative before the first when no snapshot knows it.
    next: i64,
    heard: Instant,
    /// Whether its silence was told since its last record.
    told: bool,
    /// How long it has had records and given none; the time in which nobody could hear it or asked does not count.
    stood: Duration,
    batch: Batch,
}

struct Reader {
    client: Arc<BaseConsumer<Context>>,
    stop: Arc<AtomicBool>,
    inputs: Sender<Input>,
    batch_records: usize,
    idle_after: Duration,
    until_end: bool,
    /// What the full channel did not take, oldest first.
    pending: VecDeque<Input>,
    /// By topic and partition, so that one is found by borrowed names.
    partitions: BTreeMap<String, BTreeMap<i32, Reading>>,
    caught_up: bool,
    ended: bool,
    paused: bool,
    /// The partitions that stand still, and when that was looked at last.
    standing: Vec<(Source, i64)>,
    looked: Instant,
}

impl Reader {
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let client = self.client.clone();
            match client.poll(POLL) {
                Some(Ok(message)) => self.message(&message),
                Some(Err(KafkaError::PartitionEOF(_))) | None => self.flush_all(),
                Some(Err(error)) => self.error(&error),
            }
            let Shared { rebalances, failed, ends } = client.context().with(std::mem::take);
            self.pending.extend(failed.map(Input::Failed));
            rebalances.into_iter().for_each(|rebalanced| self.rebalanced(rebalanced));
            if let Some(ends) = ends {
                self.ends(&ends);
            }
            if !self.deliver() {
                return;
            }
        }
    }

    fn message(&mut self, message: &BorrowedMessage<'_>) {
        let topic = self.partitions.get_mut(message.topic());
        let Some(reading) = topic.and_then(|partitions| partitions.get_mut(&message.partition())) else {
            return;
        };
        if message.offset() < reading.next {
            return;
        }
        reading.next = message.offset() + 1;
        reading.heard = Instant::now();
        reading.told = false;
        reading.stood = Duration::ZERO;
        reading.batch.push(message);
        if reading.batch.len() >= self.batch_records || reading.batch.bytes() >= BATCH_BYTES {
            self.pending.push_back(Input::Records(reading.source.clone(), reading.batch.take()));
        }
    }

    fn flush_all(&mut self) {
        let partitions = self.partitions.values_mut().flat_map(BTreeMap::values_mut);
        for reading in partitions.filter(|reading| reading.batch.len() > 0) {
            self.pending.push_back(Input::Records(reading.source.clone(), reading.batch.take()));
        }
    }

    fn error(&mut self, error: &KafkaError) {
        if is_refusal(error) || error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.pending.push_back(Input::Failed(error.to_string()));
        } else if !matches!(error, KafkaError::Global(_)) {
            // Global ones were told to the context already.
            self.client.context().link.error(error, "reading");
        }
    }

    fn rebalanced(&mut self, rebalanced: Rebalanced) {
        match rebalanced {
            Rebalanced::Assigned(assigned) => {
                for (source, next) in &assigned {
                    let reading = Reading {
                        source: source.clone(),
                        next: *next,
                        heard: Instant::now(),
                        told: false,
                        stood: Duration::ZERO,
                        batch: Batch::default(),
                    };
                    let topic = self.partitions.entry(source.topic.to_string()).or_default();
                    topic.insert(source.partition, reading);
                }
                self.caught_up &= assigned.is_empty();
                let sources = assigned.into_iter().map(|(source, _)| source).collect();
                self.pending.push_back(Input::Assigned(sources));
            }
            Rebalanced::Revoked(sources) => {
                self.flush_all();
                for source in &sources {
                    if let Some(topic) = self.partitions.get_mut(&*source.topic) {
                        topic.remove(&source.partition);
                    }
                }
                self.pending.push_back(Input::Revoked(sources));
            }
        }
    }

    /// Looks at the ends of the partitions: lag, silence, and whether everything was read.
    fn ends(&mut self, ends: &BTreeMap<Source, End>) {
        // Nobody is silent who cannot be heard.
        let deaf = self.client.context().link.is_away();
        let mut lag = 0;
        let mut at_end = self.partitions.values().any(|partitions| !partitions.is_empty());
        let mut standing = Vec::new();
        let since = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        for reading in self.partitions.values_mut().flat_map(BTreeMap::values_mut) {
            let end = ends.get(&reading.source);
            lag += end.map_or(0, |end| end.behind(reading.next));
            let here = end.is_some_and(|end| end.eof >= 0 && (reading.next < 0 || reading.next >= end.eof));
            at_end &= here;
            reading.stood += if deaf || self.paused { Duration::ZERO } else { since };
            if !end.is_some_and(|end| end.has_more(reading.next)) {
                reading.stood = Duration::ZERO;
            }
            if reading.stood >= self.idle_after {
                standing.push((reading.source.clone(), reading.next));
            }
            if deaf {
                reading.heard = Instant::now();
            } else if here && !reading.told && reading.heard.elapsed() >= self.idle_after {
                reading.told = true;
                reading.heard = Instant::now();
                self.pending.push_back(Input::Silent(reading.source.clone()));
            } else if reading.told && reading.heard.elapsed() >= self.idle_after {
                reading.told = false;
            }
        }
        self.caught_up |= at_end;
        if standing != self.standing {
            self.standing.clone_from(&standing);
            self.pending.push_back(Input::Standing(standing));
        }
        self.pending.push_back(Input::Lag(Lag { records: lag, caught_up: self.caught_up }));
        if at_end && self.until_end && !self.ended {
            self.flush_all();
            self.pending.push_back(Input::Ended);
            self.ended = true;
        }
    }

    /// Hands over what is pending, in order; false once nobody listens.
    fn deliver(&mut self) -> bool {
        while let Some(input) = self.pending.pop_front() {
            match self.inputs.try_send(input) {
                Ok(()) => {}
                Err(TrySendError::Full(input)) => {
                    self.pending.push_front(input);
                    self.pause(true);
                    return true;
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        self.pause(false);
        true
    }

    /// Holds the fetching back, or goes on with it.
    fn pause(&mut self, pause: bool) {
        if self.paused == pause {
            return;
        }
        let Ok(assigned) = self.client.assignment() else { return };
        let done = if pause { self.client.pause(&assigned) } else { self.client.resume(&assigned) };
        match done {
            Ok(()) => self.paused = pause,
            Err(error) => tracing::warn!(%error, pause, "holding kafka back"),
        }
    }
}
