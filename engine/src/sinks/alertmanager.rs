//! Alertmanager, API v2: an incident is an alert, sent again until it is resolved.

use std::collections::BTreeMap;

use foreshock_core::{
    config::{Duration, Target},
    types::{Id, Incident, IncidentEvent, IncidentState},
};
use serde_json::{Value, json};

use super::{
    Failure, Sink,
    endpoint::{self, Endpoint, Method},
    words,
};

/// Open incidents that are sent again, at most; beyond it the oldest end at Alertmanager by themselves.
const MOST: usize = 10_000;
/// An alert that is not sent again for this many times `resend` ends.
const PATIENCE: i64 = 4;

/// One replica.
#[derive(Debug)]
pub(super) struct Alertmanager {
    endpoint: Endpoint,
    resend_ms: i64,
    open: BTreeMap<Id, Alert>,
    /// When open incidents were last sent again, by the clock.
    sent_ms: i64,
}

/// Labels make an alert what it is, so that they stay as they were when it was first told.
#[derive(Debug)]
struct Alert {
    labels: Value,
    incident: Incident,
}

impl Alertmanager {
    pub(super) fn new(replica: &Target, resend: Duration) -> Alertmanager {
        Alertmanager {
            endpoint: Endpoint::new(replica),
            resend_ms: resend.millis(),
            open: BTreeMap::new(),
            sent_ms: i64::MIN,
        }
    }

    fn note(&mut self, incident: &Incident) {
        let alert = self
            .open
            .entry(incident.id)
            .or_insert_with(|| Alert { labels: labels(incident), incident: incident.clone() });
        alert.incident = incident.clone();
        while self.open.len() > MOST {
            let oldest = self.open.iter().min_by_key(|(_, alert)| alert.incident.opened_ms);
            let Some(id) = oldest.map(|(id, _)| *id) else { return };
            self.open.remove(&id);
        }
    }

    fn post(&self, alerts: &[Value]) -> Result<(), Failure> {
        let body = endpoint::json(&Value::from(alerts));
        self.endpoint.send(Method::Post, "/api/v2/alerts", &[], &body).map(drop)
    }
}

impl Alert {
    fn render(&self, now_ms: i64, lasts_ms: i64) -> Value {
        let incident = &self.incident;
        let ends_ms = match incident.state {
            IncidentState::Open => now_ms + lasts_ms,
            IncidentState::Resolved => incident.resolved_ms.unwrap_or(now_ms).min(now_ms),
        };
        json!({
            "labels": self.labels,
            "annotations": {
                "summary": incident.title,
                "description": words::description(incident),
                "why": incident.why,
            },
            "startsAt": words::time(incident.started_ms.min(ends_ms)),
            "endsAt": words::time(ends_ms),
        })
    }
}

fn labels(incident: &Incident) -> Value {
    let suspect = words::first(incident);
    json!({
        "alertname": "ForeshockIncident",
        "foreshock_incident": incident.id.to_string(),
        "severity": words::severity(incident),
        "entity": suspect.map(ToString::to_string).unwrap_or_default(),
        "service": suspect.map(|entity| entity.name.clone()).unwrap_or_default(),
    })
}

impl Sink for Alertmanager {
    fn wants(&self, _: IncidentEvent) -> bool {
        true
    }

    fn tell(&mut self, incident: &Incident, now_ms: i64) -> Result<(), Failure> {
        self.note(incident);
        let Some(alert) = self.open.get(&incident.id) else { return Ok(()) };
        self.post(&[alert.render(now_ms, PATIENCE * self.resend_ms)])?;
        if incident.state == IncidentState::Resolved {
            self.open.remove(&incident.id);
        }
        Ok(())
    }

    fn recall(&mut self, incident: &Incident) {
        match incident.state {
            IncidentState::Open => self.note(incident),
            IncidentState::Resolved => drop(self.open.remove(&incident.id)),
        }
    }

    fn again(&mut self, now_ms: i64) -> Result<(), Failure> {
        if now_ms.saturating_sub(self.sent_ms) < self.resend_ms || self.open.is_empty() {
            return Ok(());
        }
        let alerts: Vec<Value> =
            self.open.values().map(|alert| alert.render(now_ms, PATIENCE * self.resend_ms)).collect();
        self.sent_ms = now_ms;
        self.post(&alerts)
    }
}
