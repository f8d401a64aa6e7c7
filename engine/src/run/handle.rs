//! What the servers ask of the engine, and how they reach it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::Sender;
use foreshock_core::{
    bus,
    types::{Adjustment, Entity, Id, Incident, RemediationSignal, Silence, Suppressed, Word},
};
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, oneshot};

/// What the servers ask of the engine. A reply whose asker went away is dropped.
#[derive(Debug)]
pub enum Command {
    /// Every incident that is known, newest first.
    Incidents(oneshot::Sender<Vec<Incident>>),
    /// One incident, or `None`.
    Incident(Id, oneshot::Sender<Option<Incident>>),
    /// What a person says of incidents and silences; answered once that is durable. The error says why it had no effect.
    Say {
        /// What.
        word: Word,
        /// Whether it took effect.
        reply: oneshot::Sender<Result<(), Unheard>>,
    },
    /// The latest anomalies that opened no incident, newest first.
    Suppressed(oneshot::Sender<Vec<Suppressed>>),
    /// What judgements changed, oldest first.
    Adjustments(oneshot::Sender<Vec<Adjustment>>),
    /// What is silenced, by its beginning.
    Silences(oneshot::Sender<Vec<Silence>>),
    /// Every signal that is known, newest first.
    Signals(oneshot::Sender<Vec<RemediationSignal>>),
    /// One signal and what became of it, or `None`.
    Signal(Id, oneshot::Sender<Option<(RemediationSignal, Vec<bus::Step>)>>),
    /// The policies with what became of them, and who threw the kill switch.
    Policies(oneshot::Sender<(Vec<bus::PolicyStatus>, Option<bus::Halted>)>),
    /// Whether something speaks against changing an entity now.
    Gate(Entity, oneshot::Sender<Vec<Against>>),
    /// What a person says of a signal: `Decide`, `Propose` or `Withdraw`; answered once that is durable.
    OfSignal {
        /// The signal.
        id: Id,
        /// What.
        event: bus::Event,
        /// The signal afterwards, or why it had no effect.
        reply: oneshot::Sender<Result<RemediationSignal, NoEffect>>,
    },
    /// A controller opened its stream.
    Connect {
        /// Its stream, from [`Handle::session`].
        session: bus::Session,
        /// What it can do.
        hello: bus::Hello,
        /// Takes `Welcome`, `Grant`, `Cancel` and `Fault` for it. When it is full the controller is too slow and is
        /// disconnected; it is dropped at the end of the subscription.
        outbox: mpsc::Sender<bus::Effect>,
    },
    /// `Ack`, `Progress`, `Nack`, `Outcome` or `Disconnect` of a connected controller.
    Controller(bus::Event),
    /// Somebody was refused.
    Denied {
        /// Who, as far as that is known.
        who: String,
        /// The method or path.
        what: String,
        /// Why.
        why: String,
        /// How many were refused since the one before and are not told.
        untold: u64,
    },
    /// What the engine sees and how warm it is.
    Status(oneshot::Sender<Status>),
    /// Who calls whom.
    Topology(oneshot::Sender<Topology>),
}

/// Something that speaks against changing an entity now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// What, for people.
    pub why: String,
    /// Whether it is an open incident that the entity is blamed for.
    pub blamed: bool,
}

/// Why what a person says of a signal has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEffect {
    /// There is no such signal.
    #[error("there is no signal {0}")]
    Unknown(Id),
    /// It cannot be.
    #[error("{0}")]
    Refused(String),
}

/// Why a word has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// It is about something that is not known.
    #[error("there is no {what} {id}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its id.
        id: Id,
    },
    /// There is no room for more.
    #[error("{most} silences are kept, the limit: end some")]
    Full {
        /// How many there may be.
        most: usize,
    },
}

/// What is known of who needs whom, for `foreshock topology`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// The calls that spans have shown, by caller and callee.
    pub calls: Vec<Call>,
    /// What runs on which host, or is part of which workload or service, as resources say.
    #[serde(default)]
    pub runs_on: Vec<(String, String)>,
    /// Whose trouble comes together as a rule, as past incidents have shown.
    #[serde(default)]
    pub together: Vec<(String, String)>,
    /// Who depends on whom by declaration.
    #[serde(default)]
    pub declared: Vec<(String, String)>,
}

/// An entity calls another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Kind and name: `service/cart`.
    pub caller: String,
    /// The same of the one that is called.
    pub callee: String,
    /// About how many calls there were lately: a count halves in 347 ticks, and is forgotten below 0.05.
    pub calls: f64,
}

/// What could be had of the past of series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryStatus {
    /// Series whose past is known.
    pub series: u64,
    /// What could not be had.
    pub problems: Vec<String>,
}

/// What the engine sees and how warm it is, for `foreshock status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// End of the latest closed tick, unix milliseconds; `None` before the first.
    pub tick_ms: Option<i64>,
    /// Records behind the ends of the partitions.
    pub lag_records: i64,
    /// Whether the engine still works through a backlog: it observes only.
    pub catching_up: bool,
    /// Event time, unix milliseconds, until which the engine learns and tells nothing (`history.kafka`); `None`: it tells.
    #[serde(default)]
    pub learns_until_ms: Option<i64>,
    /// Series that have a slot.
    pub series: u64,
    /// Series that have been seen for long enough to be judged.
    pub warm_series: u64,
    /// Series that are modelled in the deep tier too.
    pub deep_series: u64,
    /// Series that would be, were there room.
    pub shallow_series: u64,
    /// What of the past could be had.
    pub history: HistoryStatus,
    /// Series that started with a past, since the start of the process.
    pub with_history: u64,
    /// Series that have not reported for longer than they ever do.
    pub silent_series: u64,
    /// Incidents that are open.
    pub open_incidents: u64,
    /// Controllers that are connected.
    pub controllers: u64,
    /// Who threw the kill switch and why; empty: nobody.
    #[serde(default)]
    pub halted: String,
    /// Counts since the start of the process.
    pub records: u64,
    /// Records that could not be read.
    pub rejected: u64,
    /// Samples that came too late.
    pub late: u64,
    /// The partitions, in order.
    pub partitions: Vec<PartitionStatus>,
}

/// How far a partition was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The next record that is awaited.
    pub next_offset: i64,
    /// Newest event time, unix milliseconds; `None` before the first event.
    pub newest_ms: Option<i64>,
    /// Whether the broker has had records for `time.idle_after` and has given none.
    #[serde(default)]
    pub stands_still: bool,
}

/// Revisions that wait for one who watches, at most.
const WATCHED: usize = 1024;

/// How the servers reach the engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) commands: Sender<Command>,
    pub(super) incidents: broadcast::Sender<Arc<Incident>>,
    pub(super) signals: broadcast::Sender<Arc<RemediationSignal>>,
    pub(super) sessions: Arc<AtomicU64>,
    pub(super) began: Instant,
    /// 1 while Kafka is away.
    pub(super) away: Gauge<i64, AtomicI64>,
}

/// The engine has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Stopped;

impl Handle {
    /// A way to reach the engine that takes these commands; what it is told, it tells those who watch.
    pub fn new(commands: Sender<Command>) -> Handle {
        let sessions = Arc::new(AtomicU64::new(1));
        let (incidents, signals) = (broadcast::Sender::new(WATCHED), broadcast::Sender::new(WATCHED));
        Handle { commands, incidents, signals, sessions, began: Instant::now(), away: Gauge::default() }
    }

    /// Tells those who watch of a revision of an incident. Nobody watching is no failure.
    pub fn tell_incident(&self, incident: Incident) {
        drop(self.incidents.send(Arc::new(incident)));
    }

    /// Tells those who watch of a revision of a signal.
    pub fn tell_signal(&self, signal: RemediationSignal) {
        drop(self.signals.send(Arc::new(signal)));
    }

    /// Sends a command. Never blocks: commands are few, and each asker waits for its answer.
    pub fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).map_err(|_| Stopped)
    }

    /// Sends a command and waits for its answer.
    pub async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.map_err(|_| Stopped)
    }

    /// Every revision of every incident from now on. A receiver that falls behind by 1024 loses the oldest.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Incident>> {
        self.incidents.subscribe()
    }

    /// Every revision of every signal from now on. A receiver that falls behind by 1024 loses the oldest.
    pub fn watch_signals(&self) -> broadcast::Receiver<Arc<RemediationSignal>> {
        self.signals.subscribe()
    }

    /// Whether Kafka is away: then the engine may wait for it, and answer nobody.
    pub fn kafka_is_away(&self) -> bool {
        self.away.get() == 1
    }

    /// A session that was never used before.
    pub fn session(&self) -> bus::Session {
        bus::Session(self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    /// Lease time, for the bus's events: milliseconds that never go back.
    pub fn lease_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
