//! The configuration: one YAML file, read strictly. The doc comments here are the reference: schema and docs are
//! made from them, and `default.yaml` holds every default.
//!
//! * `access`: who may do what, and TLS of the servers
//! * `units`: durations and sizes as people write them
//! * `kafka`: brokers, rights and topics
//! * `measures`: operators' own measures
//! * `listen`: where the servers listen
//! * `engine`: time, series, spans, detectors, incidents
//! * `history`: where the past of series comes from
//! * `forecasts`: resources that will be used up
//! * `remediation`: policies, leases, verification
//! * `services`: objectives and dependences
//! * `sinks`: who is told of incidents
//! * `windows`: maintenance windows and freezes
//! * `webhooks`: what is taken in over HTTP
//! * `yaml`: how long and how deep a text may be
//! * `reference`: the reference of it all, as Markdown
//!
//! Controllers have a configuration of their own, beside what they do.

mod access;
mod engine;
mod forecasts;
mod history;
mod kafka;
mod listen;
mod measures;
mod reference;
mod remediation;
mod services;
mod sinks;
#[cfg(test)]
mod tests;
mod units;
mod webhooks;
mod windows;
mod yaml;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use access::{AccessConfig, CertificateConfig, JwtConfig, ServerTls, TokenConfig};
pub use engine::{DetectConfig, IncidentsConfig, IngestConfig, SeriesConfig, SpansConfig, TimeConfig};
pub use forecasts::{ForecastsConfig, LimitConfig, LimitSide};
pub use history::{HistoryConfig, KafkaHistory, PrometheusHistory};
pub use kafka::{KafkaConfig, Oidc, OutputTopics, Sasl, SaslMechanism, Security, Start, Tls, Topic};
pub use listen::Listen;
pub use measures::Measure;
pub use reference::{describe, markdown};
pub use remediation::RemediationConfig;
pub use services::{DependsConfig, SloConfig};
pub use sinks::{AlertmanagerSink, GrafanaSink, PagerDutySink, SinksConfig, SlackSink, Target, WebhookSink};
pub use units::{Bytes, Duration};
pub use units::{first_line, is_plain_loopback};
pub use webhooks::{Receiver, WebhookKind, WebhooksConfig};
pub use windows::{Day, WindowConfig};
pub use yaml::from_yaml;

/// Every default, as YAML.
pub const DEFAULTS: &str = include_str!("default.yaml");

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Brokers, consumer group, TLS and SASL.
    pub kafka: KafkaConfig,
    /// Topics that are read.
    pub topics: Vec<Topic>,
    /// Topics that are written.
    pub outputs: OutputTopics,
    /// Deploys and alerts of others, over HTTP.
    pub webhooks: WebhooksConfig,
    /// Decoding.
    pub ingest: IngestConfig,
    /// Ticks and lateness.
    pub time: TimeConfig,
    /// Threads that close the shards of a tick; 0: one per core. What comes out does not depend on it.
    pub threads: usize,
    /// Limits of series and templates.
    pub series: SeriesConfig,
    /// The window that gathers the spans of a trace.
    pub spans: SpansConfig,
    /// Operators' own measures, in SQL.
    pub measures: Vec<Measure>,
    /// When an anomaly opens and closes.
    pub detect: DetectConfig,
    /// Resources that will be used up.
    pub forecasts: ForecastsConfig,
    /// The past of series, so that they start with their seasons known.
    pub history: HistoryConfig,
    /// When incidents open, resolve and reopen.
    pub incidents: IncidentsConfig,
    /// What services promise: error budgets.
    pub slos: Vec<SloConfig>,
    /// Who needs whom, beside what spans show.
    pub depends: Vec<DependsConfig>,
    /// Maintenance windows: what their matchers mean opens no incident and teaches no model.
    pub silences: Vec<WindowConfig>,
    /// Who is told of incidents, beside Kafka and gRPC.
    pub sinks: SinksConfig,
    /// Policies, leases and verification.
    pub remediation: RemediationConfig,
    /// State that survives a restart.
    pub snapshots: Snapshots,
    /// Who may do what.
    pub access: AccessConfig,
    /// gRPC: incidents and the remediation bus.
    #[serde(deserialize_with = "listen::grpc")]
    pub grpc: Listen,
    /// HTTP: `/metrics`, `/livez`, `/readyz`, `/status`, `/topology`, `/webhooks/…`.
    #[serde(deserialize_with = "listen::http")]
    pub http: Listen,
    /// Our own log, on stderr.
    pub log: Log,
}

/// State that survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshots {
    /// Folder for the snapshots; one engine per folder.
    pub folder: PathBuf,
    /// Time between snapshots, at least 1 s. After a crash, at most this much is read again.
    pub every: Duration,
    /// Snapshots that are kept, at least 1.
    pub keep: usize,
}

/// Our own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `human` or `json`.
    pub format: LogFormat,
    /// What is logged: `info`, or directives such as `foreshock=debug,warn`.
    pub level: String,
}

/// Form of our own log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            kafka: KafkaConfig::default(),
            topics: Topic::defaults(),
            outputs: OutputTopics::default(),
            webhooks: WebhooksConfig::default(),
            ingest: IngestConfig::default(),
            time: TimeConfig::default(),
            threads: 0,
            series: SeriesConfig::default(),
            spans: SpansConfig::default(),
            measures: Vec::new(),
            detect: DetectConfig::default(),
            forecasts: ForecastsConfig::default(),
            history: HistoryConfig::default(),
            incidents: IncidentsConfig::default(),
            slos: Vec::new(),
            depends: Vec::new(),
            silences: Vec::new(),
            sinks: SinksConfig::default(),
            remediation: RemediationConfig::default(),
            snapshots: Snapshots::default(),
            access: AccessConfig::default(),
            grpc: Listen::grpc(),
            http: Listen::http(),
            log: Log::default(),
        }
    }
}

impl Default for Snapshots {
    fn default() -> Snapshots {
        Snapshots { folder: PathBuf::from("foreshock-state"), every: Duration::from_secs(60), keep: 3 }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Human, level: "info".to_string() }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no such YAML, or a field is unknown or of the wrong type.
    #[error("{path}: {source}")]
    Yaml {
        /// The file.
        path: String,
        /// What is wrong, with field, line and column.
        source: serde_path_to_error::Error<serde_yaml_ng::Error>,
    },
    /// It is too long, too deep, or makes too much of too little.
    #[error("{path}: line {line} column {column}: {problem}")]
    Text {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// A value is out of bounds, or two do not go together.
    #[error("{field}: {problem}")]
    Value {
        /// Path of the field.
        field: &'static str,
        /// What is wrong, and what to write instead.
        problem: String,
    },
}

/// More threads than shards have nothing to do, and each costs memory.
const MOST_THREADS: usize = 256;

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let (name, text) = text_of(path)?;
        Config::parse(&name, &text)
    }

    /// Reads and checks a text; `name` stands in errors.
    pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
        let only_comments = text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
        let is_empty = only_comments && text.len() <= yaml::LONGEST;
        let config: Config = if is_empty { Config::default() } else { from_yaml(name, text)? };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, problem: &str| Err(ConfigError::Value { field, problem: problem.to_string() });
        if self.kafka.brokers.is_empty() {
            return refuse("kafka.brokers", "names no broker: give at least one host:port");
        }
        if self.topics.is_empty() {
            return refuse("topics", "names no topic: give at least one to read");
        }
        if self.snapshots.every < Duration::from_secs(1) {
            return refuse("snapshots.every", "is below 1 s");
        }
        if self.snapshots.keep == 0 {
            return refuse("snapshots.keep", "is 0: keep at least 1");
        }
        for (field, server) in [("grpc.listen", &self.grpc), ("http.listen", &self.http)] {
            server.address(&self.access).map_err(|problem| ConfigError::Value { field, problem })?;
        }
        let vouches = |server: &Listen| server.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        self.access.check(vouches(&self.grpc) || vouches(&self.http))?;
        for (field, server) in [("grpc.max_connections", &self.grpc), ("http.max_connections", &self.http)] {
            if server.max_connections == 0 {
                return refuse(field, "is 0: nobody could ask anything");
            }
        }
        self.outputs.check(&self.topics)?;
        self.webhooks.check(&self.topics)?;
        self.slos.iter().try_for_each(|slo| slo.objective().map(drop))?;
        self.depends.iter().try_for_each(|depends| depends.dependence().map(drop))?;
        self.silences.iter().try_for_each(|silence| silence.schedule("silences").map(drop))?;
        self.sinks.check()?;
        self.remediation.check()?;
        self.kafka.check()?;
        self.ingest.check()?;
        self.time.check()?;
        self.series.check()?;
        if self.threads > MOST_THREADS {
            return refuse("threads", "is above 256");
        }
        self.spans.check()?;
        measures::check(&self.measures)?;
        self.detect.check()?;
        self.forecasts.check()?;
        self.history.check()?;
        self.incidents.check()
    }
}

/// A file's name as errors show it, and what it holds; of what is longer than is read anyway, one byte more.
pub fn text_of(path: &Path) -> Result<(String, String), ConfigError> {
    let name = path.display().to_string();
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(yaml::LONGEST as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(_) => Ok((name, text)),
        Err(source) => Err(ConfigError::Read { path: name, source }),
    }
}

/// JSON Schema of the configuration.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}
