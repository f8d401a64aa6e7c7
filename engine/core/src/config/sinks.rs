//! Where incidents are told, beside Kafka and gRPC.

use std::{collections::BTreeSet, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ConfigError, Duration,
    engine::refuse_unless,
    units::{check_url, is_name},
};
use crate::types::IncidentEvent;

/// Who is told of incidents. Each sink reads `outputs.incidents` under a consumer group of its own (`<kafka.group>-sink-<name>`), so that
/// what it could not be told waits in that topic, in order, as long as the topic keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SinksConfig {
    /// Alertmanager, API v2; every replica is a sink of its own.
    pub alertmanager: Vec<AlertmanagerSink>,
    /// Slack's incoming webhooks, and what takes the same (Mattermost, Rocket.Chat).
    pub slack: Vec<SlackSink>,
    /// PagerDuty's Events API v2, and what takes the same.
    pub pagerduty: Vec<PagerDutySink>,
    /// Grafana's annotations.
    pub grafana: Vec<GrafanaSink>,
    /// Anything that takes JSON.
    pub webhook: Vec<WebhookSink>,
}

/// An HTTP endpoint and how we are known there. Secrets are read from their files for every request, so that a new one needs no restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// URL; where it is a secret, give `url_file`.
    pub url: String,
    /// File whose first line is the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// File whose first line is a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// User, for basic authentication.
    pub username: String,
    /// File whose first line is that user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// PEM file of the authorities that are trusted; absent: Mozilla's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// Alertmanager: one alert per incident, sent again until it is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerSink {
    /// Name of the sink; replicas get `-0`, `-1`, … appended.
    pub name: String,
    /// The replicas, without `/api/v2`.
    pub replicas: Vec<Target>,
    /// Open incidents are sent again this often; an alert that is not sent for four times as long ends.
    #[serde(default = "resend")]
    pub resend: Duration,
}

/// A channel of Slack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackSink {
    /// Name of the sink.
    pub name: String,
    /// The incoming webhook; its URL is a secret.
    pub to: Target,
    /// What is told.
    #[serde(default = "milestones")]
    pub on: BTreeSet<IncidentEvent>,
    /// The message, a template; absent: title, suspects and changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// A service of PagerDuty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDutySink {
    /// Name of the sink.
    pub name: String,
    /// File whose first line is the integration's routing key.
    pub routing_key_file: PathBuf,
    /// The endpoint; absent: PagerDuty's own.
    #[serde(default = "pagerduty")]
    pub to: Target,
}

/// Grafana: a region from an incident's beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrafanaSink {
    /// Name of the sink.
    pub name: String,
    /// Grafana, without `/api/annotations`; its token needs the right to create, read and write annotations.
    pub to: Target,
}

/// Anything that takes JSON: the incident as it is in the topic, or what a template makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSink {
    /// Name of the sink.
    pub name: String,
    /// Where.
    pub to: Target,
    /// What is told.
    #[serde(default = "everything")]
    pub on: BTreeSet<IncidentEvent>,
    /// The body, a template; absent: the incident's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// File whose first line is the key of the body's HMAC-SHA256, sent as `x-foreshock-signature: sha256=<hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// What people want to read of.
fn milestones() -> BTreeSet<IncidentEvent> {
    use IncidentEvent::{Merged, Opened, Reopened, Resolved};
    BTreeSet::from([Opened, Reopened, Resolved, Merged])
}

fn everything() -> BTreeSet<IncidentEvent> {
    use IncidentEvent::{Acknowledged, Merged, Opened, Reopened, Resolved, Updated};
    BTreeSet::from([Opened, Reopened, Acknowledged, Updated, Resolved, Merged])
}

fn resend() -> Duration {
    Duration::from_secs(60)
}

fn pagerduty() -> Target {
    Target { url: "https://events.pagerduty.com/v2/enqueue".to_string(), ..Target::default() }
}

impl Target {
    /// Whether it says where, and who we are there; `field` is where it stands.
    pub fn check(&self, field: &'static str) -> Result<(), ConfigError> {
        refuse_unless(self.url.is_empty() == self.url_file.is_some(), field, "needs either url or url_file")?;
        if self.url_file.is_none() {
            check_url(field, &self.url, "username and password_file")?;
        }
        refuse_unless(
            self.username.is_empty() == self.password_file.is_none(),
            field,
            "needs both of username and password_file, or neither",
        )?;
        refuse_unless(
            self.token_file.is_none() || self.username.is_empty(),
            field,
            "has a token and a user: give one",
        )
    }
}

impl SinksConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let SinksConfig { alertmanager, slack, pagerduty, grafana, webhook } = self;
        for sink in alertmanager {
            refuse_unless(!sink.replicas.is_empty(), "sinks.alertmanager.replicas", "names no replica")?;
            let often = sink.resend >= Duration::from_secs(1);
            refuse_unless(often, "sinks.alertmanager.resend", "is below 1s")?;
        }
        let replicas = alertmanager.iter().flat_map(|sink| &sink.replicas);
        let others = slack.iter().map(|sink| &sink.to).chain(pagerduty.iter().map(|sink| &sink.to));
        let others =
            others.chain(grafana.iter().map(|sink| &sink.to)).chain(webhook.iter().map(|sink| &sink.to));
        replicas.chain(others).try_for_each(|target| target.check("sinks: to"))?;
        let mut known = BTreeSet::new();
        for name in self.names() {
            refuse_unless(is_name(&name), "sinks: name", "is no name: use a-z, 0-9, - _ .")?;
            refuse_unless(known.insert(name), "sinks: name", "is given to two sinks")?;
        }
        Ok(())
    }

    /// The name of every sink, replicas of Alertmanager one by one.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let replicas = self.alertmanager.iter().flat_map(AlertmanagerSink::names);
        let slack = self.slack.iter().map(|sink| sink.name.clone());
        let pagerduty = self.pagerduty.iter().map(|sink| sink.name.clone());
        let grafana = self.grafana.iter().map(|sink| sink.name.clone());
        let webhook = self.webhook.iter().map(|sink| sink.name.clone());
        replicas.chain(slack).chain(pagerduty).chain(grafana).chain(webhook)
    }
}

impl AlertmanagerSink {
    /// The names of its replicas.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..self.replicas.len()).map(|at| match self.replicas.len() {
            1 => self.name.clone(),
            _ => format!("{}-{at}", self.name),
        })
    }
}
