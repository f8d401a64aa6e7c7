//! What does not come from the telemetry, written down before it takes effect, and read again at the start.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::RunError;
use crate::{
    config::Config,
    pipeline::{Idle, Pipeline},
    types::Id,
};

/// One decision. One record of the topic `foreshock.internal.decisions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Decision {
    /// A silent partition holds no tick open.
    Idle(Idle),
    /// Somebody looks after an incident.
    Acknowledge {
        /// Which one.
        incident: Id,
        /// Who.
        by: String,
        /// The tick after whose end it was said, unix milliseconds.
        after_ms: i64,
    },
    /// A person's judgement of an incident.
    Feedback {
        /// Which one.
        incident: Id,
        /// Who.
        by: String,
        /// Whether it was real.
        real: bool,
        /// The cause, if known.
        cause: String,
        /// Anything else.
        comment: String,
        /// The tick after whose end it was said, unix milliseconds.
        after_ms: i64,
    },
}

/// Longest wait for the next record of a journal.
const WAIT: Duration = Duration::from_secs(20);

/// Reads a journal topic (one partition) from its beginning to its present end. Records that are none of ours
/// are an error: a journal is written by engines alone.
pub(super) fn read_all<T: DeserializeOwned>(config: &Config, topic: &str) -> Result<Vec<T>, RunError> {
    let failed = |doing| move |source| RunError::Kafka { doing, source };
    let mut client = ClientConfig::new();
    for (key, value) in config.kafka.connection()? {
        client.set(key, value);
    }
    client.set("group.id", format!("{}-journal", config.kafka.group));
    client.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    client.set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.create().map_err(failed("make a consumer"))?;
    let (low, high) = consumer.fetch_watermarks(topic, 0, WAIT).map_err(failed("look at a journal"))?;
    let mut found = Vec::new();
    if low >= high {
        return Ok(found);
    }
    let mut from_start = TopicPartitionList::new();
    from_start.add_partition_offset(topic, 0, Offset::Beginning).map_err(failed("read a journal"))?;
    consumer.assign(&from_start).map_err(failed("read a journal"))?;
    let mut heard = Instant::now();
    while heard.elapsed() < WAIT {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                if let Some(payload) = message.payload() {
                    let value = serde_json::from_slice(payload).map_err(|source| RunError::Journal {
                        topic: topic.to_string(),
                        offset: message.offset(),
                        source,
                    })?;
                    found.push(value);
                }
                if message.offset() + 1 >= high {
                    return Ok(found);
                }
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return Ok(found),
            Some(Err(source)) => return Err(RunError::Kafka { doing: "read a journal", source }),
            None => {}
        }
    }
    Err(RunError::JournalSilent(topic.to_string()))
}

impl Decision {
    /// The tick after whose end it was made; `None` where an offset says when it takes effect.
    pub(super) fn after_ms(&self) -> Option<i64> {
        match self {
            Decision::Idle(_) => None,
            Decision::Acknowledge { after_ms, .. } | Decision::Feedback { after_ms, .. } => Some(*after_ms),
        }
    }

    /// Whether the restored state does not have its effect yet.
    pub(super) fn is_new(&self, pipeline: &Pipeline) -> bool {
        match self {
            Decision::Idle(idle) => {
                let next = pipeline.progress().find(|progress| *progress.source == idle.source);
                next.is_none_or(|progress| idle.offset >= progress.next_offset)
            }
            Decision::Acknowledge { after_ms, .. } | Decision::Feedback { after_ms, .. } => {
                pipeline.closed_ms().is_none_or(|closed| *after_ms > closed)
            }
        }
    }
}
