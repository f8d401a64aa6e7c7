//! What librdkafka's callbacks do and leave for the reader: where partitions begin, where they end, what is wrong.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foreshock_core::types::Source;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

use crate::connect::{Link, is_refusal};

/// What librdkafka's callbacks leave for the reader; they run on its thread, inside `poll`.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) rebalances: Vec<Rebalanced>,
    /// Why partitions that are ours cannot be begun.
    pub(super) failed: Option<String>,
    pub(super) ends: Option<BTreeMap<Source, End>>,
}

#[derive(Debug)]
pub(super) enum Rebalanced {
    Assigned(Vec<(Source, i64)>),
    Revoked(Vec<Source>),
}

/// The end of a partition, as the broker said it last.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Offset at which the end was met; negative before.
    pub(super) eof: i64,
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
    pub(super) fn behind(self, next: i64) -> i64 {
        let behind = if next >= 0 && self.high >= 0 { self.high - next } else { self.uncommitted };
        behind.max(0)
    }

    /// Whether the broker has records for us that were not given, when this is the next one. Its own marks of transactions are none.
    pub(super) fn has_more(self, next: i64) -> bool {
        let from = if next < 0 && self.eof < 0 { self.low } else { next.max(self.eof) };
        self.stable > from.max(0)
    }
}

/// The consumer's side of the callbacks.
pub(super) struct Context {
    resume: HashMap<Source, i64>,
    past_ms: Option<i64>,
    shared: Mutex<Shared>,
    pub(super) link: Arc<Link>,
}

impl Context {
    /// A context; `resume` and `past_ms` as in [`super::ConsumeOptions`].
    pub(super) fn new(resume: HashMap<Source, i64>, past_ms: Option<i64>, link: Arc<Link>) -> Context {
        Context { resume, past_ms, shared: Mutex::default(), link }
    }

    /// Works on what was left.
    pub(super) fn with<T>(&self, take: impl FnOnce(&mut Shared) -> T) -> T {
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
