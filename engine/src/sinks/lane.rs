//! One sink's way through the topic of incidents: in order, tried until it is taken, committed once it was.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use foreshock_core::{
    bus::Backoff,
    types::{Id, Incident},
};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
};

use super::{Failure, Sink};
use crate::connect::{ConnectError, Connection, Plain, close, is_refusal, watermarks};

/// Longest wait for the broker.
const WAIT: Duration = Duration::from_secs(20);
/// Longest wait for a record, and steps in which a pause is waited for.
const POLL: Duration = Duration::from_millis(200);
/// Pauses after a failure: the first, and the longest; a longer one that the sink asks for is cut.
const BACKOFF: Backoff = Backoff { first_ms: 1000, max_ms: 60_000 };
/// Time between two counts of what waits, and two calls of [`Sink::again`].
const LOOK: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);
/// Time between two commits of a position that stands still: brokers forget one after a week by default.
const KEEP: Duration = Duration::from_secs(3600);
/// Records before the committed one that are read again at the start, to know what was told.
const LOOK_BACK: i64 = 20_000;
/// Incidents whose latest revision is remembered.
const REMEMBERED: usize = 50_000;

/// Why a lane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The client cannot be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Kafka refused something.
    #[error(
        "sink {sink:?} cannot {doing}: {source}; has this user the right to read outputs.incidents as its group?"
    )]
    Kafka {
        /// Whose.
        sink: String,
        /// What was tried.
        doing: &'static str,
        /// What the client said.
        source: KafkaError,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// What is counted of a sink.
#[derive(Clone, Debug)]
pub(crate) struct LaneMetrics {
    /// Incidents told.
    pub(crate) told: Counter<u64, AtomicU64>,
    /// Attempts that failed and are made again.
    pub(crate) failures: Counter<u64, AtomicU64>,
    /// Incidents that were refused for good, and left.
    pub(crate) refused: Counter<u64, AtomicU64>,
    /// Records of the topic that wait.
    pub(crate) waiting: Gauge<i64, AtomicI64>,
    /// 1 while the latest attempt failed.
    pub(crate) failing: Gauge<i64, AtomicI64>,
}

/// Where a lane reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbox<'a> {
    pub(super) connection: &'a Connection,
    /// The topic of incidents.
    pub(super) topic: &'a str,
    /// The engine's consumer group.
    pub(super) group: &'a str,
}

/// The consumer group of a sink.
pub(crate) fn group_of(group: &str, name: &str) -> String {
    format!("{group}-sink-{name}")
}

/// Finds where a sink stands and begins there; a new one begins at the topic's end. The thread ends after `stop` is set; what was not
/// told by then is told after the next start.
pub(super) fn start(
    name: String,
    sink: Box<dyn Sink>,
    outbox: Outbox<'_>,
    metrics: LaneMetrics,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, LaneError> {
    let Outbox { connection, topic, group } = outbox;
    let group = group_of(group, &name);
    let own = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
        ("fetch.wait.max.ms", "100"),
    ];
    let consumer = connection.consumer(&own)?;
    let began = Instant::now();
    let next = loop {
        match position(&consumer, topic) {
            Ok(next) => break next,
            // A topic that was made a moment ago is not known everywhere yet.
            Err((_, source)) if !is_refusal(&source) && began.elapsed() < WAIT => std::thread::sleep(POLL),
            Err((doing, source)) => return Err(LaneError::Kafka { sink: name, doing, source }),
        }
    };
    let worker = Worker {
        name: name.clone(),
        consumer,
        sink,
        metrics,
        stop,
        topic: topic.to_string(),
        next,
        revisions: HashMap::new(),
        looked: None,
        kept: Instant::now(),
        again_at: Instant::now(),
    };
    std::thread::Builder::new()
        .name(format!("sink-{name}"))
        .spawn(move || worker.run())
        .map_err(LaneError::Thread)
}

/// Where each partition goes on; reading begins [`LOOK_BACK`] before.
fn position(
    consumer: &BaseConsumer<Plain>,
    topic: &str,
) -> Result<HashMap<i32, i64>, (&'static str, KafkaError)> {
    let failed = |doing| move |source| (doing, source);
    let metadata = consumer.fetch_metadata(Some(topic), WAIT).map_err(failed("look at the topic"))?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut all = TopicPartitionList::new();
    for partition in partitions {
        all.add_partition(topic, partition.id());
    }
    if all.count() == 0 {
        return Err(("find the topic", KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)));
    }
    let committed = consumer.committed_offsets(all, WAIT).map_err(failed("ask where it stands"))?;
    let (mut next, mut from, mut new) =
        (HashMap::new(), TopicPartitionList::new(), TopicPartitionList::new());
    for element in committed.elements() {
        let partition = element.partition();
        let (low, high) = watermarks(consumer, topic, partition).map_err(failed("look at the topic"))?;
        let known = match element.offset() {
            Offset::Offset(offset) => offset.clamp(low, high),
            _ => {
                new.add_partition_offset(topic, partition, Offset::Offset(high)).map_err(failed("begin"))?;
                high
            }
        };
        next.insert(partition, known);
        let back = Offset::Offset((known - LOOK_BACK).max(low));
        from.add_partition_offset(topic, partition, back).map_err(failed("begin"))?;
    }
    if new.count() > 0 {
        // Written down at once: what comes while we are away is to be told.
        consumer.commit(&new, CommitMode::Sync).map_err(failed("write down where it begins"))?;
    }
    consumer.assign(&from).map_err(failed("begin"))?;
    Ok(next)
}

/// What the thread owns.
struct Worker {
    name: String,
    consumer: BaseConsumer<Plain>,
    sink: Box<dyn Sink>,
    metrics: LaneMetrics,
    stop: Arc<AtomicBool>,
    topic: String,
    /// First record of each partition that is still to be told.
    next: HashMap<i32, i64>,
    /// Latest revision of each incident that was told.
    revisions: HashMap<Id, u64>,
    looked: Option<Instant>,
    /// When every position was last committed.
    kept: Instant,
    again_at: Instant,
}

impl Worker {
    fn run(mut self) {
        while !self.stopping() {
            match self.consumer.poll(POLL).map(|polled| polled.map(|message| message.detach())) {
                Some(Ok(message)) => self.take(&message),
                // The client tries again by itself.
                Some(Err(error)) => tracing::debug!(sink = self.name, %error, "waits for kafka"),
                None => {}
            }
            self.again();
            self.look();
            self.keep();
        }
        close(self.consumer);
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn take(&mut self, message: &OwnedMessage) {
        let (partition, offset) = (message.partition(), message.offset());
        let is_new = self.next.get(&partition).is_none_or(|next| offset >= *next);
        let incident = match serde_json::from_slice::<Incident>(message.payload().unwrap_or_default()) {
            Ok(incident) => incident,
            Err(error) => {
                tracing::error!(sink = self.name, partition, offset, %error, "no incident: somebody else writes to the topic");
                self.metrics.refused.inc_by(u64::from(is_new));
                return;
            }
        };
        let is_repeat = self.revisions.get(&incident.id).is_some_and(|known| *known >= incident.revision);
        if !is_new {
            self.sink.recall(&incident);
        } else if !is_repeat && self.sink.wants(incident.event) && !self.tell(&incident) {
            return;
        }
        if self.revisions.len() >= REMEMBERED {
            self.revisions.clear();
        }
        let known = self.revisions.entry(incident.id).or_default();
        *known = incident.revision.max(*known);
        if is_new {
            self.next.insert(partition, offset + 1);
            self.commit();
        }
    }

    /// Tells of an incident until it is taken or refused; `false` when a stop comes first.
    fn tell(&mut self, incident: &Incident) -> bool {
        let mut failures = 0;
        loop {
            match self.sink.tell(incident, now_ms()) {
                Ok(()) => {
                    self.metrics.told.inc();
                    self.metrics.failing.set(0);
                    return true;
                }
                Err(Failure::Never(why)) => {
                    tracing::error!(sink = self.name, incident = %incident.id, revision = incident.revision, why, "refused: left");
                    self.metrics.refused.inc();
                    self.metrics.failing.set(0);
                    return true;
                }
                Err(Failure::Later { why, after }) => {
                    self.failed(&why);
                    failures += 1;
                    let wanted_ms =
                        after.map_or(BACKOFF.after(failures), |seconds| seconds.saturating_mul(1000));
                    self.wait(Duration::from_millis(wanted_ms.min(BACKOFF.max_ms)));
                }
            }
            if self.stopping() {
                return false;
            }
        }
    }

    /// Counts a failed attempt; the log has the first of a row.
    fn failed(&mut self, why: &str) {
        self.metrics.failures.inc();
        if self.metrics.failing.set(1) == 0 {
            tracing::warn!(sink = self.name, why, "not told: tried again, nothing is lost");
        }
    }

    /// Waits; counts meanwhile what else waits.
    fn wait(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.stopping() && Instant::now() < until {
            self.look();
            std::thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn again(&mut self) {
        if Instant::now() < self.again_at {
            return;
        }
        self.again_at = Instant::now() + AGAIN;
        match self.sink.again(now_ms()) {
            Ok(()) => {}
            Err(Failure::Never(why) | Failure::Later { why, .. }) => self.failed(&why),
        }
    }

    /// Writes down where the sink stands.
    fn commit(&mut self) {
        self.kept = Instant::now();
        let mut position = TopicPartitionList::new();
        let committed = self
            .next
            .iter()
            .try_for_each(|(partition, next)| {
                position.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))
            })
            .and_then(|()| self.consumer.commit(&position, CommitMode::Async));
        if let Err(error) = committed {
            tracing::warn!(sink = self.name, %error, "not written down: told again after a restart");
        }
    }

    fn keep(&mut self) {
        if self.kept.elapsed() >= KEEP {
            self.commit();
        }
    }

    /// Counts what waits, every now and then.
    fn look(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let Ok(at) = self.consumer.position() else { return };
        let elements = at.elements();
        let waiting = elements.iter().filter_map(|element| {
            let watermarks = self.consumer.fetch_watermarks(element.topic(), element.partition(), POLL);
            let (_, high) = watermarks.ok()?;
            let Offset::Offset(next) = element.offset() else { return None };
            Some((high - next).max(0))
        });
        self.metrics.waiting.set(waiting.sum());
    }
}

/// The clock, unix milliseconds.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
