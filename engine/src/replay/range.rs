//! Records out of Kafka between two times: the same traffic again, as often as it is wanted.

use std::{
    collections::BTreeMap,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use foreshock_core::{
    config::{KafkaConfig, Topic},
    types::{Record, Source},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::BorrowedMessage,
};

use crate::connect::{Batch, ConnectError, Connection, Plain, watermarks};

/// An interval of the records' own times, unix milliseconds; its end is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from_ms: i64,
    /// Where it ends.
    pub until_ms: i64,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let refused =
            || format!("{text:?} is no range: write it like 2026-12-01T08:00:00Z..2026-12-01T12:00:00Z");
        let (from, until) = text.split_once("..").ok_or_else(refused)?;
        let time = |text: &str| text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
        let (from_ms, until_ms) = (time(from).map_err(|_| refused())?, time(until).map_err(|_| refused())?);
        if from_ms < until_ms {
            Ok(Range { from_ms, until_ms })
        } else {
            Err(format!("{text:?} ends before it begins"))
        }
    }
}

/// Why a range could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// Kafka cannot be reached, or does not want us.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A topic is not there, or we may not read it.
    #[error("topic {0:?} is not to be seen: is it there, and may we read it?")]
    NoTopic(String),
    /// Kafka failed.
    #[error("cannot read topic {topic:?}: {source}")]
    Kafka {
        /// What was read.
        topic: String,
        /// What the client said.
        source: KafkaError,
    },
    /// No record came for long.
    #[error("topic {topic:?}: no record for {} s, and it is not at its end", WAIT.as_secs())]
    Silent {
        /// What was read.
        topic: String,
    },
    /// More than there is memory for.
    #[error("the range holds more than {most} bytes: take a shorter one, or allow more with --max-bytes")]
    TooLarge {
        /// How many there may be.
        most: u64,
    },
}

/// Longest wait for the next record.
const WAIT: Duration = Duration::from_secs(30);

/// Reads what these topics have in a range, by partition; up to so many bytes.
pub fn read_range(
    kafka: &KafkaConfig,
    topics: &[Topic],
    range: Range,
    most: u64,
) -> Result<Vec<(Source, Vec<Record>)>, RangeError> {
    let connection = Connection::new(kafka)?;
    let there = connection.reach()?;
    let group = format!("{}-range", kafka.group);
    let own = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "earliest"),
    ];
    let consumer = connection.consumer(&own)?;
    let mut found = Vec::new();
    let mut free = most;
    for Topic { name, .. } in topics {
        let topic = there.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
        let topic = topic.ok_or_else(|| RangeError::NoTopic(name.clone()))?;
        let partitions: Vec<i32> = topic.partitions().iter().map(|partition| partition.id()).collect();
        let open = Open::of(&consumer, name, &partitions, range)?;
        let read = open.read(&consumer, &mut free).map_err(|error| match error {
            RangeError::TooLarge { .. } => RangeError::TooLarge { most },
            other => other,
        })?;
        found.extend(read);
    }
    Ok(found)
}

/// The partitions of a topic that are being read.
struct Open<'a> {
    topic: &'a str,
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Default)]
struct Partition {
    /// The first offset that is wanted, and the first that is not any more.
    begins: i64,
    end: i64,
    has_ended: bool,
    batch: Batch,
    records: Vec<Record>,
}

/// Bytes that are gathered before they become records.
const PIECE: usize = 1 << 20;

impl<'a> Open<'a> {
    fn of(
        consumer: &BaseConsumer<Plain>,
        topic: &'a str,
        partitions: &[i32],
        range: Range,
    ) -> Result<Open<'a>, RangeError> {
        let failed = |source| RangeError::Kafka { topic: topic.to_string(), source };
        let offsets = |time_ms| {
            let mut times = TopicPartitionList::new();
            for partition in partitions {
                times.add_partition_offset(topic, *partition, Offset::Offset(time_ms)).map_err(failed)?;
            }
            consumer.offsets_for_times(times, WAIT).map_err(failed)
        };
        let (from, until) = (offsets(range.from_ms)?, offsets(range.until_ms)?);
        let mut open = Open { topic, partitions: BTreeMap::new() };
        for partition in partitions {
            let offset = |list: &TopicPartitionList| match list.find_partition(topic, *partition)?.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            // Without an offset nothing is as new as that.
            let Some(begins) = offset(&from) else { continue };
            let high = || watermarks(consumer, topic, *partition).map(|(_, high)| high);
            let end = offset(&until).map_or_else(high, Ok).map_err(failed)?;
            if begins < end {
                open.partitions.insert(*partition, Partition { begins, end, ..Partition::default() });
            }
        }
        Ok(open)
    }

    fn read(
        mut self,
        consumer: &BaseConsumer<Plain>,
        free: &mut u64,
    ) -> Result<Vec<(Source, Vec<Record>)>, RangeError> {
        let topic = self.topic;
        let failed = |source| RangeError::Kafka { topic: topic.to_string(), source };
        let mut assigned = TopicPartitionList::new();
        for (partition, Partition { begins, .. }) in &self.partitions {
            assigned.add_partition_offset(topic, *partition, Offset::Offset(*begins)).map_err(failed)?;
        }
        consumer.assign(&assigned).map_err(failed)?;
        let mut heard = Instant::now();
        while self.partitions.values().any(|partition| !partition.has_ended) {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let bytes = message.payload_len() as u64;
                    *free = free.checked_sub(bytes).ok_or(RangeError::TooLarge { most: 0 })?;
                    if let Some(partition) = self.partitions.get_mut(&message.partition()) {
                        partition.take(&message);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.partitions.entry(partition).or_default().has_ended = true;
                }
                // The client tries again by itself; that it is in vain, the deadline says.
                Some(Err(KafkaError::Global(_))) | None if heard.elapsed() > WAIT => {
                    return Err(RangeError::Silent { topic: topic.to_string() });
                }
                Some(Err(KafkaError::Global(_))) | None => {}
                Some(Err(source)) => return Err(failed(source)),
            }
        }
        let topic: Arc<str> = Arc::from(topic);
        let taken = self.partitions.into_iter().map(|(partition, mut read)| {
            read.records.extend(read.batch.take());
            (Source { topic: topic.clone(), partition }, read.records)
        });
        Ok(taken.collect())
    }
}

impl Partition {
    fn take(&mut self, message: &BorrowedMessage<'_>) {
        self.has_ended |= message.offset() + 1 >= self.end;
        if message.offset() < self.end {
            self.batch.push(message);
            if self.batch.bytes() > PIECE {
                self.records.extend(self.batch.take());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_two_times() {
        let range: Range = "2026-12-01T08:00:00Z..2026-12-01T12:00:00Z".parse().unwrap();
        assert_eq!(range.until_ms - range.from_ms, 4 * 3_600_000);
        for (text, problem) in [
            ("2026-12-01T08:00:00Z", "is no range"),
            ("today..tomorrow", "is no range"),
            ("2026-12-01T08:00:00Z..2026-12-01T08:00:00Z", "ends before it begins"),
        ] {
            let error = text.parse::<Range>().unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
