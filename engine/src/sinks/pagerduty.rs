//! PagerDuty's Events API v2.

use std::path::PathBuf;

use foreshock_core::{
    config::PagerDutySink,
    types::{Incident, IncidentEvent},
};
use serde_json::{Value, json};

use super::{
    Failure, Sink,
    endpoint::{self, Endpoint, Method, secret},
    words,
};

/// Longest summary that is taken, characters.
const SUMMARY: usize = 1024;

/// An integration of a service.
#[derive(Debug)]
pub(super) struct PagerDuty {
    endpoint: Endpoint,
    routing_key_file: PathBuf,
}

impl PagerDuty {
    pub(super) fn new(sink: &PagerDutySink) -> PagerDuty {
        PagerDuty { endpoint: Endpoint::new(&sink.to), routing_key_file: sink.routing_key_file.clone() }
    }
}

/// An event; triggers of one `dedup_key` are one incident there.
fn event(incident: &Incident, routing_key: &str) -> Value {
    let action = match incident.event {
        IncidentEvent::Opened | IncidentEvent::Reopened | IncidentEvent::Updated => "trigger",
        IncidentEvent::Acknowledged => "acknowledge",
        IncidentEvent::Resolved | IncidentEvent::Merged => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": incident.id.to_string(),
    });
    if action == "trigger" {
        let source = words::first(incident).map_or("foreshock".to_string(), ToString::to_string);
        event["client"] = "Foreshock".into();
        event["payload"] = json!({
            "summary": incident.title.chars().take(SUMMARY).collect::<String>(),
            "source": source,
            "severity": words::severity(incident),
            "timestamp": words::time(incident.started_ms),
            "class": "incident",
            "custom_details": { "story": words::lines(incident), "why": incident.why },
        });
    }
    event
}

impl Sink for PagerDuty {
    /// An update would add nothing but an entry to its log.
    fn wants(&self, event: IncidentEvent) -> bool {
        event != IncidentEvent::Updated
    }

    fn tell(&mut self, incident: &Incident, _: i64) -> Result<(), Failure> {
        let key = secret(&self.routing_key_file)?;
        self.endpoint.send(Method::Post, "", &[], &endpoint::json(&event(incident, &key))).map(drop)
    }
}
