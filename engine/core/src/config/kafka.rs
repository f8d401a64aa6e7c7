//! Brokers, rights and topics.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ConfigError, Duration,
    engine::refuse_unless,
    units::{first_line, is_plain_loopback},
};
use crate::intake::Encoding;

/// Brokers, consumer group, TLS and SASL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to begin with, as host:port.
    pub brokers: Vec<String>,
    /// Consumer group; engines of one group share the partitions (cooperative-sticky).
    pub group: String,
    /// Name of this member, the same after a restart (static membership). Empty: a new member each time.
    pub instance: String,
    /// Where a partition without snapshot and committed offset begins.
    pub start: Start,
    /// TLS and SASL.
    pub security: Security,
    /// Any option of librdkafka, as it is; wins over what is set here.
    pub options: BTreeMap<String, String>,
}

/// Where a partition without snapshot and committed offset begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At its first record.
    Earliest,
    /// After its last record.
    #[default]
    Latest,
}

/// TLS and SASL. Passwords come from files or the environment, never from here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Encrypts; absent: plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Says who we are; absent: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
}

/// TLS to the brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file of the authorities that are trusted; absent: the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of our certificate, for mutual TLS.
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
}

/// SASL at the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// The mechanism.
    pub mechanism: SaslMechanism,
    /// User; not for `oauthbearer`.
    #[serde(default)]
    pub username: String,
    /// File whose first line is the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// For `oauthbearer`: file that holds the token. It is read again at least every five minutes, and before the token ends,
    /// so that whoever renews it (Kubernetes, an agent) need not tell us.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// For `oauthbearer`: an endpoint that gives tokens. They are renewed before they end.
    #[serde(default)]
    pub oidc: Option<Oidc>,
}

/// Tokens by OAuth 2 client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// URL of the token endpoint. Plain `http` only on loopback.
    pub endpoint: String,
    /// Who we are there.
    pub client_id: String,
    /// File whose first line is the client's secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Environment variable that holds the client's secret.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Scopes that are asked for, with spaces between them; empty: what the endpoint gives.
    #[serde(default)]
    pub scope: String,
    /// PEM file of the authorities that are trusted at the endpoint; absent: Mozilla's list.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// SASL mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SaslMechanism {
    /// PLAIN, for use under TLS.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
    /// OAUTHBEARER.
    Oauthbearer,
}

impl SaslMechanism {
    fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            SaslMechanism::Oauthbearer => "OAUTHBEARER",
        }
    }
}

/// A topic that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How its records are encoded.
    #[serde(default)]
    pub encoding: Encoding,
    /// Seldom written to, such as changes: it never holds a tick open.
    #[serde(default)]
    pub quiet: bool,
}

impl Topic {
    /// What an OpenTelemetry Collector writes, and a topic for changes.
    pub(super) fn defaults() -> Vec<Topic> {
        let topic = |name: &str, encoding, quiet| Topic { name: name.to_string(), encoding, quiet };
        vec![
            topic("otlp_metrics", Encoding::Auto, false),
            topic("otlp_logs", Encoding::Auto, false),
            topic("otlp_spans", Encoding::Auto, false),
            topic("changes", Encoding::Auto, true),
        ]
    }
}

/// Topics that are written. They are created when they are missing, if `create` allows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputTopics {
    /// Revisions of anomalies, keyed by id.
    pub anomalies: String,
    /// Revisions of incidents, keyed by id.
    pub incidents: String,
    /// CDEvents `incident.detected` and `incident.resolved`, keyed by the incident's id; empty: none are written. Not a topic that is read.
    pub cdevents: String,
    /// The environment that CDEvents name.
    pub environment: String,
    /// Revisions of remediation signals, keyed by id.
    pub signals: String,
    /// Records that could not be read, with where they came from and why.
    pub dead_letter: String,
    /// The bus's journal of signals, the only truth about them; one partition, compacted.
    pub journal: String,
    /// Decisions that do not come from telemetry; one partition, compacted.
    pub decisions: String,
    /// The audit log: who decided what, why; one partition, kept for ever. The folder of the snapshots has it too.
    pub audit: String,
    /// Whether missing topics are created.
    pub create: bool,
    /// Partitions of the topics that are created.
    pub partitions: i32,
    /// Replicas of the topics that are created; -1 takes the cluster's default.
    pub replication: i32,
    /// Largest payload that is kept on the dead-letter topic; what is longer is cut.
    pub dead_letter_max: super::Bytes,
    /// Largest record that is written, at least 16 KiB. A larger incident or anomaly is made shorter and says so. No larger than the topics take
    /// (`max.message.bytes`, 1 MB unless told otherwise).
    pub max_record: super::Bytes,
    /// How long a stop waits for what is still to be written.
    pub flush_within: Duration,
}

impl Default for KafkaConfig {
    fn default() -> KafkaConfig {
        KafkaConfig {
            brokers: vec!["localhost:9092".to_string()],
            group: "foreshock".to_string(),
            instance: String::new(),
            start: Start::Latest,
            security: Security::default(),
            options: BTreeMap::new(),
        }
    }
}

impl OutputTopics {
    /// Every topic that is written.
    pub fn names(&self) -> Vec<&str> {
        self.public().chain([&self.journal, &self.decisions, &self.audit].map(String::as_str)).collect()
    }

    /// Every topic that is written for others.
    pub fn public(&self) -> impl Iterator<Item = &str> {
        let all = [&self.anomalies, &self.incidents, &self.cdevents, &self.signals, &self.dead_letter];
        all.into_iter().map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(super) fn check(&self, read: &[Topic]) -> Result<(), ConfigError> {
        let is_read = !self.cdevents.is_empty() && read.iter().any(|topic| topic.name == self.cdevents);
        refuse_unless(!is_read, "outputs.cdevents", "is among topics: incidents would be read as changes")?;
        refuse_unless(self.max_record.0 >= 16 << 10, "outputs.max_record", "is below 16KiB")
    }
}

impl Default for OutputTopics {
    fn default() -> OutputTopics {
        OutputTopics {
            anomalies: "foreshock.anomalies".to_string(),
            incidents: "foreshock.incidents".to_string(),
            cdevents: String::new(),
            environment: "default".to_string(),
            signals: "foreshock.signals".to_string(),
            dead_letter: "foreshock.deadletter".to_string(),
            journal: "foreshock.internal.signals".to_string(),
            decisions: "foreshock.internal.decisions".to_string(),
            audit: "foreshock.audit".to_string(),
            create: true,
            partitions: 1,
            replication: -1,
            dead_letter_max: super::Bytes(900 << 10),
            max_record: super::Bytes(900 << 10),
            flush_within: Duration::from_secs(20),
        }
    }
}

impl KafkaConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.group.is_empty() {
            return Err(ConfigError::Value { field: "kafka.group", problem: "is empty".to_string() });
        }
        self.security.sasl.as_ref().map_or(Ok(()), Sasl::check)
    }

    /// What librdkafka is told of brokers and rights, for consumers and producers alike. Reads the password.
    pub fn connection(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut options = BTreeMap::new();
        let mut set = |key: &str, value: String| options.insert(key.to_string(), value);
        set("bootstrap.servers", self.brokers.join(","));
        set("client.id", "foreshock".to_string());
        let Security { tls, sasl } = &self.security;
        let protocol = match (tls.is_some(), sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        set("security.protocol", protocol.to_string());
        let files = tls.iter().flat_map(|tls| {
            [
                ("ssl.ca.location", &tls.ca),
                ("ssl.certificate.location", &tls.certificate),
                ("ssl.key.location", &tls.key),
            ]
        });
        for (key, path) in files {
            if let Some(path) = path {
                set(key, path.display().to_string());
            }
        }
        if let Some(sasl) = sasl {
            set("sasl.mechanism", sasl.mechanism.name().to_string());
            if sasl.mechanism != SaslMechanism::Oauthbearer {
                set("sasl.username", sasl.username.clone());
                set("sasl.password", sasl.password()?);
            }
        }
        options.extend(self.options.clone());
        Ok(options)
    }
}

impl Sasl {
    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, problem: &str| Err(ConfigError::Value { field, problem: problem.to_string() });
        if self.mechanism == SaslMechanism::Oauthbearer {
            return match (&self.token_file, &self.oidc) {
                (Some(_), None) => Ok(()),
                (None, Some(oidc)) => oidc.check(),
                _ => refuse("kafka.security.sasl", "oauthbearer needs either token_file or oidc"),
            };
        }
        if self.username.is_empty() || (self.password_file.is_none() && self.password_env.is_none()) {
            return refuse("kafka.security.sasl", "needs username, and password_file or password_env");
        }
        Ok(())
    }

    fn password(&self) -> Result<String, ConfigError> {
        secret("kafka.security.sasl", self.password_file.as_deref(), self.password_env.as_deref())
    }
}

impl Oidc {
    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, problem: &str| Err(ConfigError::Value { field, problem: problem.to_string() });
        if !(self.endpoint.starts_with("https://") || is_plain_loopback(&self.endpoint)) {
            let problem = "is no https:// URL: the secret would go over the network in plain text";
            return refuse("kafka.security.sasl.oidc.endpoint", problem);
        }
        if self.client_id.is_empty() || (self.secret_file.is_none() && self.secret_env.is_none()) {
            return refuse("kafka.security.sasl.oidc", "needs client_id, and secret_file or secret_env");
        }
        Ok(())
    }

    /// The client's secret.
    pub fn secret(&self) -> Result<String, ConfigError> {
        secret("kafka.security.sasl.oidc", self.secret_file.as_deref(), self.secret_env.as_deref())
    }
}

/// The first line of a file, or a variable of the environment.
pub(super) fn secret(
    field: &'static str,
    file: Option<&Path>,
    env: Option<&str>,
) -> Result<String, ConfigError> {
    let refuse = |problem: String| ConfigError::Value { field, problem };
    if let Some(path) = file {
        return first_line(path).map_err(refuse);
    }
    let name = env.unwrap_or_default();
    std::env::var(name).map_err(|_| refuse(format!("the environment has no {name}")))
}
