//! The shell around the pipeline: threads, Kafka, disk and network.
//!
//! ```text
//! kafka thread ─ bounded channel ─ core thread (Pipeline) ─ outputs ─ Kafka
//!                                   ↑ commands   ↓ snapshots ─ disk
//!                        servers (tokio): http, grpc
//! ```
//!
//! * `kafka`: records in · `outputs`: topics out · `shorten`: what is too large for them · `pending`: what is under way there · `decisions`: what is written down before it takes effect
//! * `journals`: read at the start, cleared behind the snapshots · `skips`: records that are left out
//! * `core`: the engine's thread · `commands`: what is said to it · `saving`, `snapshots`: state on disk
//! * `measuring`: SQL measures at work
//! * `auditing`: what goes into the audit log
//! * `publish`: what the engine shows of itself · `metrics`: every name

mod auditing;
mod cdevents;
mod commands;
mod core;
mod decisions;
mod journals;
mod kafka;
mod measuring;
mod metrics;
mod outputs;
mod pending;
mod publish;
mod saving;
mod shorten;
mod skips;
mod snapshots;

use core::{Core, Reads};
pub use core::{Observation, Report};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use foreshock_core::{
    bus,
    config::{Config, ConfigError, KafkaHistory},
    pipeline::{Counts, Pipeline, PipelineConfig, SnapshotError},
    score::History,
    types::{Id, RemediationSignal, RowMeasures, RowMeasuresError, Section, Source},
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::watch;

use crate::{
    api::{Api, HistoryStatus},
    connect::{ConnectError, Connection},
    history, measures,
    serve::{
        self, Guard, ListenError, Pulse,
        access::Access,
        http,
        listen::{self, Listening},
        webhooks::Webhooks,
    },
    sinks::{SinkError, Sinks},
};
use auditing::Auditing;
use decisions::{Decision, Included};
use journals::Clearing;
use kafka::{ConsumeOptions, Consumer, Lag};
use measuring::Measuring;
use metrics::Metrics;
pub use metrics::markdown as metrics_markdown;
use outputs::Outputs;
use publish::Publishing;
use skips::Skips;
use snapshots::Store;

/// How an engine is run, beside its configuration.
#[derive(Debug, Default)]
pub struct RunOptions {
    /// End once everything that is in the topics was read and every tick is closed.
    pub until_end: bool,
    /// Is told of everything. A full channel holds the engine back.
    pub observer: Option<Sender<Observation>>,
}

/// Why an engine cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A measure is wrong.
    #[error(transparent)]
    Measures(#[from] RowMeasuresError),
    /// The policies are wrong.
    #[error("remediation: {0}")]
    Policies(#[from] bus::ConfigError),
    /// Kafka refused something.
    #[error("cannot {doing}: {source}; is the broker up, and have we the right to?")]
    Kafka {
        /// What was tried.
        doing: &'static str,
        /// What the client said.
        source: KafkaError,
    },
    /// An output topic cannot be made.
    #[error(
        "cannot create topic {topic:?}: {code}; create it, or give the right to, or set outputs.create: false"
    )]
    Topic {
        /// The topic.
        topic: String,
        /// What the broker said.
        code: RDKafkaErrorCode,
    },
    /// Kafka cannot be reached, or does not want us.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Output topics are missing, and cannot be made with a token.
    #[error(
        "topics {topics} are missing, and the client cannot create topics with a token: create them (docs/topics.md says how they are kept)"
    )]
    NoAdmin {
        /// The topics.
        topics: String,
    },
    /// The broker refuses us for good.
    #[error(
        "kafka refuses to be read: {problem}; give this user the rights Describe and Read on {topics}, and Read on group {group:?}"
    )]
    Unreadable {
        /// What it said.
        problem: String,
        /// The topics that are read.
        topics: String,
        /// The group.
        group: String,
    },
    /// A journal may not be read.
    #[error("kafka refuses {topic:?}: {source}; give this user the rights Describe, Read and Write on it")]
    Refused {
        /// The topic.
        topic: String,
        /// What it said.
        source: KafkaError,
    },
    /// A stop was asked for while Kafka could not be written to.
    #[error(
        "kafka is away, and outputs.flush_within is over: what was not written is made again after the next start; nothing was committed that depends on it"
    )]
    Away,
    /// Records could not be written, so that no snapshot may be taken.
    #[error(
        "{0} records could not be written: see the log; nothing was committed since, so a restart writes them again"
    )]
    Lost(u64),
    /// The folder of snapshots cannot be used.
    #[error("snapshots.folder {folder}: {problem}")]
    Snapshots {
        /// The folder.
        folder: String,
        /// What is wrong.
        problem: String,
    },
    /// A snapshot cannot be taken or restored.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A journal holds what no engine wrote.
    #[error("{topic}@{offset} was written by no engine of this version: {source}")]
    Journal {
        /// The topic.
        topic: String,
        /// The record.
        offset: i64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A journal could not be read to its end.
    #[error("{0} gives no record though it has some")]
    JournalSilent(String),
    /// A value could not be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(serde_json::Error),
    /// The audit log cannot be written.
    #[error("the audit log in {folder}: {source}; nothing is remediated that is not written down")]
    Audit {
        /// The folder.
        folder: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread or the runtime could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A sink cannot start.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A server cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The engine's thread broke off; its panic was printed.
    #[error("the engine broke off: this is a bug")]
    Broken,
}

/// A running engine.
pub struct Engine {
    api: Api,
    stop: Sender<()>,
    thread: JoinHandle<Result<Report, RunError>>,
    /// Who is told of incidents.
    sinks: Sinks,
    /// Ends the servers when it is dropped.
    servers: watch::Sender<()>,
    runtime: tokio::runtime::Runtime,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Engine {
    /// Starts an engine: takes its state from the newest snapshot, joins its group, and serves.
    pub fn start(config: &Config, options: RunOptions) -> Result<Engine, RunError> {
        let runtime = runtime()?;
        let access = Arc::new(Access::new(&config.access)?);
        let http = Listening::open(&runtime, "http", config)?;
        let grpc = Listening::open(&runtime, "grpc", config)?;
        let mut store = Store::open(&config.snapshots, runtime.handle().clone())?;
        let connection = Connection::new(&config.kafka)?;
        let there = connection.reach()?;
        let metrics = Metrics { kafka_away: connection.link().gauge(), ..Metrics::default() };
        let (stop, stopped) = bounded(1);
        let outputs = Outputs::connect(config, &connection, &metrics, stopped.clone())?;
        runtime.block_on(outputs::create_topics(config, &connection, &there))?;
        let webhooks = Webhooks::connect(config, &connection)?;
        let sinks = Sinks::start(config, &connection, |name| metrics.sink(name))?;
        let past = history::load(&config.history);
        past.problems.iter().for_each(|problem| tracing::warn!("{problem}"));
        metrics.history_problems.inc_by(past.problems.len() as u64);
        let history = HistoryStatus { series: past.history.len() as u64, problems: past.problems };
        let auditing = Auditing::open(config, metrics.audit_failures.clone())?;
        let measures = measures::planned(config)?;
        let Restored { pipeline, resume, signals, decisions, recalled } =
            restore(config, &connection, &*measures, Arc::new(past.history), &mut store)?;

        let (input_sender, inputs) = bounded(config.ingest.queue_batches);
        let (command_sender, commands) = unbounded();
        let link = connection.link().clone();
        let (api, publisher) = Api::new(command_sender, link.gauge());
        let registry = metrics.register();
        let metrics_of_servers = metrics.clone();
        let past = config.history.kafka.as_ref().map(KafkaHistory::range_ms).transpose()?;
        let past_ms = past.map(|(from_ms, _)| from_ms);
        let consume = ConsumeOptions { resume, past_ms, until_end: options.until_end };
        let consumer = Consumer::start(config, &connection, consume, input_sender)?;
        let mut core = Core {
            pipeline,
            measuring: Measuring::new(measures, &metrics),
            outputs,
            store,
            consumer,
            auditing,
            link,
            inputs,
            commands,
            stop: stopped,
            api: api.clone(),
            publishing: Publishing::new(publisher),
            metrics,
            observer: options.observer,
            every: config.snapshots.every.std(),
            recalled,
            skips: Skips::default(),
            engine: config.kafka.instance.clone(),
            reads: Reads::of(config),
            journaled: signals,
            decisions,
            clearing_signals: Clearing::new(config.snapshots.keep),
            clearing_decisions: Clearing::new(config.snapshots.keep),
            lag: Lag::default(),
            catching_up: true,
            standing: Vec::new(),
            history,
            counted: Counts::default(),
            rejected: 0,
            outboxes: HashMap::new(),
            undurable: false,
            to_tell: VecDeque::new(),
        };
        core.publish();
        let thread = std::thread::Builder::new()
            .name("engine".to_string())
            .spawn(move || core.run())
            .map_err(RunError::Thread)?;
        let (servers, ended) = watch::channel(());
        let addresses = (http.address, grpc.address);
        let all_tls = [&http, &grpc].into_iter().filter_map(|server| server.tls.clone()).collect();
        runtime.spawn(listen::reload(access.clone(), all_tls, metrics_of_servers.reload_failures.clone()));
        let max_body = usize::try_from(config.webhooks.max_body.0).unwrap_or(usize::MAX);
        let guard = |server| Guard::new(access.clone(), metrics_of_servers.denied(server), api.clone());
        let pulse = Pulse::new();
        let served =
            http::Served { api: api.clone(), pulse, registry, webhooks, guard: guard("http"), max_body };
        let http = http.limited(metrics_of_servers.tally("http"));
        runtime.spawn(http::serve(http, served, until_dropped(ended.clone())));
        let grpc = grpc.limited(metrics_of_servers.tally("grpc"));
        runtime.spawn(serve::grpc::serve(grpc, api.clone(), guard("grpc"), until_dropped(ended)));
        Ok(Engine { api, stop, thread, sinks, servers, runtime, http: addresses.0, grpc: addresses.1 })
    }

    /// How to reach it from inside the process.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where gRPC is served.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Something that asks the engine to stop, also from another thread.
    pub fn stopper(&self) -> impl Fn() + Send + 'static {
        let stop = self.stop.clone();
        move || {
            // It is full when a stop was asked for before, and disconnected when it has stopped.
            stop.try_send(()).ok();
        }
    }

    /// Waits until it has ended: by a stop, at the end of the topics, or by an error.
    pub fn join(self) -> Result<Report, RunError> {
        let ended = self.thread.join().unwrap_or(Err(RunError::Broken));
        drop(self.sinks);
        drop(self.servers);
        self.runtime.shutdown_timeout(std::time::Duration::from_secs(2));
        ended
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("serve")
        .enable_all()
        .build()
        .map_err(RunError::Thread)
}

async fn until_dropped(mut servers: watch::Receiver<()>) {
    // An error is what is waited for: the sender is gone.
    drop(servers.changed().await);
}

/// What an engine begins with.
struct Restored {
    pipeline: Pipeline,
    /// Where the partitions begin.
    resume: HashMap<Source, i64>,
    /// Signals of the journal.
    signals: BTreeSet<Id>,
    /// Our decisions of the journal, by key.
    decisions: BTreeMap<String, Decision>,
    /// Decisions whose effect the state does not have.
    recalled: Vec<Decision>,
}

/// The state of the newest snapshot, or a cold start, and what the journals have beyond it.
fn restore(
    config: &Config,
    connection: &Connection,
    measures: &dyn RowMeasures,
    history: Arc<History>,
    store: &mut Store,
) -> Result<Restored, RunError> {
    let mut settings = PipelineConfig { queried: measures.signals(), ..config.pipeline() };
    settings.score.history = history;
    let mut included = Included::default();
    let mut pipeline = match store.newest()? {
        None => Pipeline::new(settings)?,
        Some(sections) => {
            let sections = sections.map(|section| {
                let section = section?;
                included.load(&section).map_err(SnapshotError::from)?;
                Ok::<Section, RunError>(section)
            });
            let pipeline = Pipeline::load_each(settings, sections)?;
            (included.resume, included.closed_ms) = (pipeline.resume(), pipeline.closed_ms());
            pipeline
        }
    };
    let mut signals = BTreeSet::new();
    for (_, signal) in journals::read::<RemediationSignal>(config, connection, &config.outputs.journal)? {
        signals.insert(signal.id);
        pipeline.recover(signal);
    }
    let all = journals::read::<Decision>(config, connection, &config.outputs.decisions)?;
    let lacked = all.iter().filter(|(key, decision)| included.lacks(key, decision));
    let recalled = lacked.map(|(_, decision)| decision.clone()).collect();
    let ours = all.into_iter().filter(|(key, _)| decisions::is_ours(key, &config.kafka.instance));
    let resume = included.resume.iter().map(|resume| (resume.source.clone(), resume.offset)).collect();
    Ok(Restored { pipeline, resume, signals, decisions: ours.collect(), recalled })
}

/// A channel for an [`RunOptions::observer`]: holds the engine back when `room` is used up.
pub fn observer(room: usize) -> (Sender<Observation>, Receiver<Observation>) {
    bounded(room)
}
