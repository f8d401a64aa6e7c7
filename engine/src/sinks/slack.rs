//! Slack's incoming webhooks.

use std::collections::BTreeSet;

use foreshock_core::{
    config::SlackSink,
    types::{Incident, IncidentEvent},
};
use serde_json::json;

use super::{
    Failure, Sink, TemplateError,
    endpoint::{self, Endpoint, Method},
    words::{self, Template, escape},
};

/// A channel.
#[derive(Debug)]
pub(super) struct Slack {
    endpoint: Endpoint,
    on: BTreeSet<IncidentEvent>,
    template: Option<Template>,
}

impl Slack {
    pub(super) fn new(sink: &SlackSink) -> Result<Slack, TemplateError> {
        let template = sink.template.as_deref().map(|text| Template::text(&sink.name, text)).transpose()?;
        Ok(Slack { endpoint: Endpoint::new(&sink.to), on: sink.on.clone(), template })
    }
}

/// The message where no template says another: `&`, `<` and `>` are Slack's own, and never come from telemetry.
fn message(incident: &Incident) -> String {
    let mut text = format!("*{}*: {}", words::event(incident.event), escape(&incident.title));
    for line in words::lines(incident) {
        text.push_str(&format!("\n• {}", escape(&line)));
    }
    text.push_str(&format!("\n`foreshock incidents show {}`", incident.id));
    text
}

impl Sink for Slack {
    fn wants(&self, event: IncidentEvent) -> bool {
        self.on.contains(&event)
    }

    fn tell(&mut self, incident: &Incident, _: i64) -> Result<(), Failure> {
        let text = match &self.template {
            Some(template) => template.fill(incident)?,
            None => message(incident),
        };
        let id = endpoint::repeat_id(incident);
        let body = endpoint::json(&json!({ "text": text }));
        self.endpoint.send(Method::Post, "", &[("idempotency-key", &id)], &body).map(drop)
    }
}
