//! An incident as text: what people read in a message, and templates of their own.

pub(super) use foreshock_core::templates::escape;
use foreshock_core::{
    templates::{self, Escaping},
    types::{Entity, Incident, IncidentEvent},
};
use minijinja::{UndefinedBehavior, context};
use serde_json::json;

use super::{Failure, TemplateError};

/// Suspects and reasons that a message names.
const SUSPECTS: usize = 3;
const REASONS: usize = 3;
/// Severity from which an incident is critical.
const CRITICAL: f64 = 0.9;

/// RFC 3339, UTC.
pub(super) fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// The first suspect, else the strongest member.
pub(super) fn first(incident: &Incident) -> Option<&Entity> {
    let member = || incident.members.first().map(|member| &member.anomaly.entity);
    incident.suspects.first().map(|suspect| &suspect.entity).or_else(member)
}

/// A word that Alertmanager's and PagerDuty's routing know.
pub(super) fn severity(incident: &Incident) -> &'static str {
    if incident.severity >= CRITICAL { "critical" } else { "warning" }
}

/// What happened, as a word.
pub(super) fn event(event: IncidentEvent) -> &'static str {
    match event {
        IncidentEvent::Opened => "Opened",
        IncidentEvent::Reopened => "Reopened",
        IncidentEvent::Acknowledged => "Acknowledged",
        IncidentEvent::Updated => "Updated",
        IncidentEvent::Resolved => "Resolved",
        IncidentEvent::Merged => "Merged",
    }
}

/// Suspects with their reasons, changes, and who looks after it.
pub(super) fn lines(incident: &Incident) -> Vec<String> {
    let mut lines = Vec::new();
    for suspect in incident.suspects.iter().take(SUSPECTS) {
        let reasons = suspect.reasons.iter().take(REASONS).cloned().collect::<Vec<_>>().join("; ");
        lines.push(format!("{} ({:.0} %): {reasons}", suspect.entity, 100.0 * suspect.weight));
    }
    let examples = incident.suspects.first().into_iter().flat_map(|suspect| &suspect.examples);
    lines.extend(examples.map(|example| format!("for example: {example}")));
    for change in &incident.changes {
        let at = time(change.time_ms);
        lines.push(format!("changed: {} {} {} at {at}", change.entity, change.kind, change.version));
    }
    lines.extend(incident.acknowledged_by.iter().map(|who| format!("looked after by {who}")));
    lines.extend(incident.remediation.iter().map(|came| format!("remediation: {came}")));
    lines
}

/// The lines as one text.
pub(super) fn description(incident: &Incident) -> String {
    lines(incident).join("\n")
}

/// A template over `incident`, as it is in the topic, and `lines`.
#[derive(Debug)]
pub(super) struct Template(templates::Template);

impl Template {
    /// A template of text, in which what it inserts is escaped as [`escape`] does.
    pub(super) fn text(sink: &str, source: &str) -> Result<Template, TemplateError> {
        Template::new(sink, source, Escaping::Markup)
    }

    /// A template of JSON, in which what it inserts is JSON: `{"text": {{ incident.title }}}`.
    pub(super) fn json(sink: &str, source: &str) -> Result<Template, TemplateError> {
        Template::new(sink, source, Escaping::Json)
    }

    fn new(sink: &str, source: &str, escaping: Escaping) -> Result<Template, TemplateError> {
        let known = [
            ("incident", schemars::schema_for!(Incident).to_value()),
            ("lines", json!({ "type": "array", "items": { "type": "string" } })),
        ];
        templates::Template::new(source, escaping, UndefinedBehavior::default(), &known)
            .map(Template)
            .map_err(|problem| TemplateError { sink: sink.to_string(), problem })
    }

    pub(super) fn fill(&self, incident: &Incident) -> Result<String, Failure> {
        let filled = self.0.fill(context! { incident, lines => lines(incident) });
        filled.map_err(|problem| Failure::Never(format!("the template cannot be filled: {problem}")))
    }
}
