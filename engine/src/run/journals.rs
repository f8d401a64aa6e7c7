//! The two journals: read in full at the start, and cleared of what no snapshot needs any more.
//!
//! Both are compacted by key; a record without a value (a tombstone) ends its key. A record may only go once every
//! snapshot that is kept was written without need of it, since any of them may be the one that is restored.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use foreshock_core::config::Config;
use rdkafka::{Message, Offset, TopicPartitionList, consumer::Consumer as _};
use serde::de::DeserializeOwned;

use super::RunError;
use crate::connect::{Connection, is_refusal, watermarks};

/// Longest wait for the next record of a journal.
const WAIT: Duration = Duration::from_secs(20);

/// Reads a journal topic (one partition) from its beginning to its present end: keys and values in order, without those
/// that a tombstone ended. Records that are none of ours are an error: a journal is written by engines alone.
pub(super) fn read<T: DeserializeOwned>(
    config: &Config,
    connection: &Connection,
    topic: &str,
) -> Result<Vec<(String, T)>, RunError> {
    let failed = |doing| {
        move |source| match is_refusal(&source) {
            true => RunError::Refused { topic: topic.to_string(), source },
            false => RunError::Kafka { doing, source },
        }
    };
    let group = format!("{}-journal", config.kafka.group);
    let own = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
        ("enable.partition.eof", "true"),
    ];
    let consumer = connection.consumer(&own)?;
    let (low, high) = watermarks(&consumer, topic, 0).map_err(failed("look at a journal"))?;
    let mut found = Journal::default();
    if low >= high {
        return Ok(found.entries());
    }
    let mut from_start = TopicPartitionList::new();
    from_start.add_partition_offset(topic, 0, Offset::Beginning).map_err(failed("read a journal"))?;
    consumer.assign(&from_start).map_err(failed("read a journal"))?;
    let mut heard = Instant::now();
    while heard.elapsed() < WAIT {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                let value = message.payload().map(serde_json::from_slice).transpose();
                found.take(
                    key,
                    value.map_err(|source| RunError::Journal {
                        topic: topic.to_string(),
                        offset: message.offset(),
                        source,
                    })?,
                );
                if message.offset() + 1 >= high {
                    return Ok(found.entries());
                }
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return Ok(found.entries()),
            // The client tries again by itself; that it is in vain, the deadline says.
            Some(Err(rdkafka::error::KafkaError::Global(_))) | None => {}
            Some(Err(source)) => return Err(failed("read a journal")(source)),
        }
    }
    Err(RunError::JournalSilent(topic.to_string()))
}

/// Records by key, as far as no tombstone ended them.
struct Journal<T> {
    records: Vec<(String, T)>,
    /// Number of records at the latest tombstone of a key.
    ended: HashMap<String, usize>,
}

impl<T> Default for Journal<T> {
    fn default() -> Journal<T> {
        Journal { records: Vec::new(), ended: HashMap::new() }
    }
}

impl<T> Journal<T> {
    fn take(&mut self, key: String, value: Option<T>) {
        match value {
            Some(value) => self.records.push((key, value)),
            None => drop(self.ended.insert(key, self.records.len())),
        }
    }

    fn entries(&mut self) -> Vec<(String, T)> {
        let records = std::mem::take(&mut self.records).into_iter().enumerate();
        let live = records.filter(|(at, (key, _))| self.ended.get(key).is_none_or(|ended| at >= ended));
        live.map(|(_, record)| record).collect()
    }
}

/// What is in a journal, and from which snapshot on it is needed no more.
#[derive(Debug)]
pub(super) struct Clearing {
    /// Snapshots that are kept.
    keep: u64,
    /// Snapshots written by this process.
    written: u64,
    /// Keys that are not needed from the snapshot of this number on, oldest first.
    waiting: VecDeque<(u64, String)>,
    known: BTreeSet<String>,
}

impl Clearing {
    /// Nothing waits yet.
    pub(super) fn new(keep: usize) -> Clearing {
        Clearing { keep: keep as u64, written: 0, waiting: VecDeque::new(), known: BTreeSet::new() }
    }

    /// The snapshot that is about to be written, and every later one, does not need this key.
    pub(super) fn unneeded(&mut self, key: &str) {
        if self.known.insert(key.to_string()) {
            self.waiting.push_back((self.written + 1, key.to_string()));
        }
    }

    /// A snapshot is durable. Gives the keys that no snapshot needs of those that are kept now.
    pub(super) fn snapshot_written(&mut self) -> Vec<String> {
        self.written += 1;
        let oldest_kept = (self.written + 1).saturating_sub(self.keep);
        let mut gone = Vec::new();
        while let Some((_, key)) = self.waiting.pop_front_if(|(since, _)| *since <= oldest_kept) {
            self.known.remove(&key);
            gone.push(key);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_ends_what_was_before_it() {
        let mut journal = Journal::default();
        for (key, value) in
            [("a", Some(1)), ("b", Some(2)), ("a", None), ("c", Some(3)), ("a", Some(4)), ("c", None)]
        {
            journal.take(key.to_string(), value);
        }
        assert_eq!(journal.entries(), [("b".to_string(), 2), ("a".to_string(), 4)]);
    }

    /// Written, snapshot by snapshot: what each one needs is kept for as long as the snapshot itself.
    #[test]
    fn nothing_goes_that_a_kept_snapshot_needs() {
        for keep in 1..5 {
            let mut clearing = Clearing::new(keep);
            // A key is needed by the snapshots before number `key`.
            let mut cleared: Vec<usize> = Vec::new();
            for snapshot in 1..20_usize {
                (1..=snapshot)
                    .filter(|key| !cleared.contains(key))
                    .for_each(|key| clearing.unneeded(&key.to_string()));
                cleared.extend(clearing.snapshot_written().iter().map(|key| key.parse::<usize>().unwrap()));
                let oldest_kept = (snapshot + 1).saturating_sub(keep).max(1);
                assert!(cleared.iter().all(|key| *key <= oldest_kept), "keep {keep}, snapshot {snapshot}");
                assert_eq!(
                    cleared.len(),
                    (snapshot + 1).saturating_sub(keep),
                    "keep {keep}, snapshot {snapshot}"
                );
            }
        }
    }
}
