//! The thread that polls: batches of records, and what is known of each partition's way to its end.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Sender, TrySendError};
use foreshock_core::{config::Config, types::Source};
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use super::{
    Input, Lag,
    context::{Context, End, Rebalanced, Shared},
};
use crate::connect::{Batch, is_refusal};

/// Bytes of records from which a batch is handed over, however few they are.
const BATCH_BYTES: usize = 1 << 20;
/// Longest wait for a record.
const POLL: Duration = Duration::from_millis(20);

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

/// Reads until it is told to stop, or nobody listens.
pub(super) struct Reader {
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
    /// A reader of what `client` is subscribed to; with `until_end` it says when everything was read.
    pub(super) fn new(
        config: &Config,
        client: Arc<BaseConsumer<Context>>,
        stop: Arc<AtomicBool>,
        inputs: Sender<Input>,
        until_end: bool,
    ) -> Reader {
        Reader {
            client,
            stop,
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
        }
    }

    pub(super) fn run(mut self) {
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
