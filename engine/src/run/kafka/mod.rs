//! Kafka in: a consumer on its own thread, batches of records out of it, through a bounded channel.
//!
//! When the channel is full the partitions are paused and the thread goes on polling, so that the group keeps
//! this member. Knows neither ticks nor snapshots; where a partition begins is given to it.
//!
//! * `reader`: the thread that polls · `context`: what librdkafka calls meanwhile

mod context;
mod reader;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::Sender;
use foreshock_core::{
    config::{Config, Start},
    types::{Record, Source},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError,
};

use super::RunError;
use crate::connect::{Connection, close};
use context::Context;
use reader::Reader;

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

/// Largest answer of a broker, and most that a batch of zstd is unpacked to (other codecs: `connect/unpack.c`).
const MOST_BYTES: usize = 64 << 20;
/// Time between two looks at the lag.
const STATISTICS: Duration = Duration::from_millis(500);

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
        let context = Context::new(resume, past_ms, link);
        let client: BaseConsumer<Context> = connection.client(&own, context)?;
        let topics: Vec<&str> = config.topics.iter().map(|topic| topic.name.as_str()).collect();
        client.subscribe(&topics).map_err(|source| RunError::Kafka { doing: "subscribe", source })?;
        let (client, stop) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
        let reader = Reader::new(config, client.clone(), stop.clone(), inputs, until_end);
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
