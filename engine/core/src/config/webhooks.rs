//! Webhooks that are taken in: deploys, registries and other people's alerts.

use std::{collections::BTreeSet, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, ConfigError, Topic, engine::refuse_unless, units::is_name};
use crate::intake::Encoding;

/// What `POST /webhooks/<name>` takes. A body is written to `topic` as it came before it is answered, and read from there like everything
/// else: it counts once Kafka has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Topic that bodies are written to; it must be among `topics`, with encoding `auto`.
    pub topic: String,
    /// Largest body; larger ones are answered with 413.
    pub max_body: Bytes,
    /// Who may send.
    pub receivers: Vec<Receiver>,
}

/// One sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// The last part of its path.
    pub name: String,
    /// What it sends.
    pub kind: WebhookKind,
    /// File whose first line is the secret: the key of the signature (`github`, `mlflow`), the token (`gitlab`), for all others a
    /// bearer token. Those three must have one; the others are open to everybody who reaches the port without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

/// What a webhook sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookKind {
    /// Alertmanager's webhook receiver: alerts.
    Alertmanager,
    /// Grafana's webhook contact point: alerts.
    Grafana,
    /// GitHub's events `deployment` and `deployment_status`.
    Github,
    /// GitLab's Deployment Hook.
    Gitlab,
    /// An Application of Argo CD or a Rollout of Argo Rollouts, whole.
    Argo,
    /// Jenkins' Notification plugin.
    Jenkins,
    /// MLflow's model registry.
    Mlflow,
    /// A CloudEvent over HTTP, structured or binary; a CDEvent is one.
    CloudEvents,
    /// `{"service": …, "version": …, "id": …}`.
    Generic,
}

impl WebhookKind {
    /// Its name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            WebhookKind::Alertmanager => "alertmanager",
            WebhookKind::Grafana => "grafana",
            WebhookKind::Github => "github",
            WebhookKind::Gitlab => "gitlab",
            WebhookKind::Argo => "argo",
            WebhookKind::Jenkins => "jenkins",
            WebhookKind::Mlflow => "mlflow",
            WebhookKind::CloudEvents => "cloud_events",
            WebhookKind::Generic => "generic",
        }
    }
}

impl Default for WebhooksConfig {
    fn default() -> WebhooksConfig {
        WebhooksConfig { topic: "changes".to_string(), max_body: Bytes(900 << 10), receivers: Vec::new() }
    }
}

impl WebhooksConfig {
    pub(super) fn check(&self, topics: &[Topic]) -> Result<(), ConfigError> {
        if self.receivers.is_empty() {
            return Ok(());
        }
        let is_read = topics.iter().any(|topic| topic.name == self.topic && topic.encoding == Encoding::Auto);
        refuse_unless(
            is_read,
            "webhooks.topic",
            "is not among topics with encoding auto: nobody would read it",
        )?;
        refuse_unless(self.max_body.0 > 0, "webhooks.max_body", "is 0: nothing could be taken")?;
        let mut known = BTreeSet::new();
        for receiver in &self.receivers {
            let is_name = is_name(&receiver.name);
            refuse_unless(is_name, "webhooks.receivers.name", "is no name: use a-z, 0-9, - _ .")?;
            refuse_unless(known.insert(&receiver.name), "webhooks.receivers.name", "is given twice")?;
            let signs =
                matches!(receiver.kind, WebhookKind::Github | WebhookKind::Gitlab | WebhookKind::Mlflow);
            refuse_unless(
                !signs || receiver.secret_file.is_some(),
                "webhooks.receivers.secret_file",
                "is missing: github, gitlab and mlflow sign what they send",
            )?;
        }
        Ok(())
    }
}
