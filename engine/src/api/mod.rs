//! What can be asked of an engine and said to it. gRPC and HTTP are skins over it: they turn messages into these calls and back, and
//! decide nothing.
//!
//! * `method`: every query and command, with the right that it needs
//! * `view`: what is asked: an immutable [`View`] that all who read share · `status`, `gate`: parts of it
//! * `command`: what is said: written down, applied, answered
//!
//! Who reads waits for nobody, also while Kafka is away. A new revision is in the view before those who watch are told of it, and what
//! somebody said is in it before they are answered.

mod command;
mod gate;
mod method;
mod status;
mod view;

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
    types::{Id, Incident, RemediationSignal},
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{broadcast, watch};

pub(crate) use command::bounded;
pub use command::{Command, Reply};
pub use gate::Against;
pub use method::Method;
pub use status::{Call, HistoryStatus, PartitionStatus, Status, Topology};
pub use view::{Tracked, View, shared};

/// Why something is not answered, or has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be meant.
    #[error("{0}")]
    Invalid(String),
    /// It is about something that is not known.
    #[error("there is no {what} {id}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its id.
        id: Id,
    },
    /// Not by this caller.
    #[error("{0}")]
    Forbidden(String),
    /// Not as things are.
    #[error("{0}")]
    NotNow(String),
    /// There is no room for more.
    #[error("{0}")]
    Full(String),
    /// The engine has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The engine has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Stopped;

/// Revisions that wait for one who watches, at most.
const WATCHED: usize = 1024;

/// How skins reach an engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    commands: Sender<Command>,
    view: watch::Receiver<Arc<View>>,
    incidents: broadcast::Sender<Arc<Incident>>,
    signals: broadcast::Sender<Arc<RemediationSignal>>,
    sessions: Arc<AtomicU64>,
    began: Instant,
    /// 1 while Kafka is away.
    away: Gauge<i64, AtomicI64>,
}

/// The engine's end: it shows itself, and tells of what is new.
#[derive(Debug)]
pub struct Publisher {
    view: watch::Sender<Arc<View>>,
    incidents: broadcast::Sender<Arc<Incident>>,
    signals: broadcast::Sender<Arc<RemediationSignal>>,
}

impl Api {
    /// Both ends. The engine takes these commands; `away` is 1 while Kafka is.
    pub fn new(commands: Sender<Command>, away: Gauge<i64, AtomicI64>) -> (Api, Publisher) {
        let (sender, view) = watch::channel(Arc::default());
        let (incidents, signals) = (broadcast::Sender::new(WATCHED), broadcast::Sender::new(WATCHED));
        let publisher = Publisher { view: sender, incidents: incidents.clone(), signals: signals.clone() };
        let sessions = Arc::new(AtomicU64::new(1));
        (Api { commands, view, incidents, signals, sessions, began: Instant::now(), away }, publisher)
    }

    /// The engine as it is.
    pub fn view(&self) -> Result<Arc<View>, Stopped> {
        // Its sender is the engine's.
        self.view.has_changed().map_err(|_| Stopped)?;
        Ok(self.view.borrow().clone())
    }

    /// Every revision of every incident from now on. A receiver that falls behind by 1024 loses the oldest. Whoever looks at the view
    /// after this misses nothing.
    pub fn watch_incidents(&self) -> broadcast::Receiver<Arc<Incident>> {
        self.incidents.subscribe()
    }

    /// The same of signals.
    pub fn watch_signals(&self) -> broadcast::Receiver<Arc<RemediationSignal>> {
        self.signals.subscribe()
    }

    /// Whether Kafka is away: then the engine may wait for it, and take no command.
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

    /// The moment of a lease time.
    pub(crate) fn lease_instant(&self, lease_ms: u64) -> Instant {
        self.began + std::time::Duration::from_millis(lease_ms)
    }
}

impl Publisher {
    /// What is shown now.
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Shows a new view, then tells those who watch of what is new in it. Nobody watching is no failure.
    pub fn publish(
        &self,
        view: View,
        incidents: impl IntoIterator<Item = Incident>,
        signals: impl IntoIterator<Item = RemediationSignal>,
    ) {
        self.view.send_replace(Arc::new(view));
        incidents.into_iter().for_each(|incident| drop(self.incidents.send(Arc::new(incident))));
        signals.into_iter().for_each(|signal| drop(self.signals.send(Arc::new(signal))));
    }
}
