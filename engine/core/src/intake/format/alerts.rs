//! Alertmanager's webhook, version 4, which Grafana's contact points speak too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Refusal, malformed, redact::Redactor};
use crate::types::{Alert, Entity, EntityKind, alert::AlertSeverity};

/// Labels that say what an alert is about, most telling first.
const ABOUT: [(&str, EntityKind); 13] = [
    ("service", EntityKind::Service),
    ("service_name", EntityKind::Service),
    ("app", EntityKind::Service),
    ("app_kubernetes_io_name", EntityKind::Service),
    ("model", EntityKind::Model),
    ("deployment", EntityKind::Workload),
    ("statefulset", EntityKind::Workload),
    ("daemonset", EntityKind::Workload),
    ("queue", EntityKind::Queue),
    ("job", EntityKind::Service),
    ("node", EntityKind::Host),
    ("host", EntityKind::Host),
    ("instance", EntityKind::Host),
];
/// Our own alerts carry this label: they come back to us where Alertmanager sends everything.
const OURS: &str = "foreshock_incident";
/// Longest summary that is kept, characters.
const SUMMARY: usize = 500;

#[derive(Deserialize)]
struct Message {
    alerts: Vec<Wire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    status: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    #[serde(default)]
    ends_at: String,
    #[serde(default)]
    fingerprint: String,
}

pub(super) fn read(body: &Value, receiver: &str, redactor: &mut Redactor) -> Result<Vec<Alert>, Refusal> {
    let message = Message::deserialize(body).map_err(malformed)?;
    let theirs = message.alerts.into_iter().filter(|wire| !wire.labels.contains_key(OURS));
    theirs.map(|wire| alert(wire, receiver, redactor)).collect()
}

fn alert(wire: Wire, receiver: &str, redactor: &mut Redactor) -> Result<Alert, Refusal> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
    let started_ms = time(&wire.starts_at).map_err(malformed)?;
    let firing = wire.status == "firing";
    let ended_ms = if firing { None } else { time(&wire.ends_at).ok() };
    let label = |name: &str| wire.labels.get(name).map(String::as_str).unwrap_or_default();
    let name = if label("alertname").is_empty() { "alert" } else { label("alertname") };
    let about = ABOUT.iter().find(|(name, _)| !label(name).is_empty());
    let entity = match about {
        Some((name, kind)) => Entity::new(*kind, label(name)),
        None => Entity::new(EntityKind::Other, name),
    };
    let severity = match label("severity").to_lowercase().as_str() {
        "critical" | "page" | "error" | "high" | "p1" | "fatal" | "emergency" => AlertSeverity::Critical,
        "info" | "none" | "low" | "debug" => AlertSeverity::Info,
        _ => AlertSeverity::Warning,
    };
    let annotation = |name: &str| wire.annotations.get(name).map(String::as_str);
    let said = annotation("summary").or_else(|| annotation("description")).or_else(|| annotation("message"));
    let summary: String = said.unwrap_or(name).chars().take(SUMMARY).collect();
    let labels =
        || wire.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
    Ok(Alert {
        time_ms: ended_ms.unwrap_or(started_ms),
        fingerprint: if wire.fingerprint.is_empty() { labels() } else { wire.fingerprint.clone() },
        started_ms,
        firing,
        name: name.to_string(),
        entity,
        severity,
        summary: redactor.redact(&summary).to_string(),
        source: receiver.to_string(),
    })
}
