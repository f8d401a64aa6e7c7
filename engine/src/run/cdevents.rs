//! Incidents as CDEvents, `incident.detected` and `incident.resolved`, in CloudEvents as JSON (structured mode).
//!
//! Of CDEvents 0.4.1: <https://github.com/cdevents/spec/tree/v0.4.1>, "Continuous Operations". An event's id is that of its incident
//! and revision, so that a repeat is the same event.

use foreshock_core::types::{Incident, IncidentEvent};
use serde_json::{Value, json};

/// What the value of such a record is.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// The event of this revision; `None` where it neither begins nor ends the incident.
pub(super) fn event(incident: &Incident, source: &str, environment: &str) -> Option<Value> {
    let predicate = match incident.event {
        IncidentEvent::Opened | IncidentEvent::Reopened => "detected",
        IncidentEvent::Resolved | IncidentEvent::Merged => "resolved",
        IncidentEvent::Acknowledged | IncidentEvent::Updated => return None,
    };
    let kind = format!("dev.cdevents.incident.{predicate}.0.2.0");
    let (id, subject) = (format!("{}-{}", incident.id, incident.revision), incident.id.to_string());
    let time = jiff::Timestamp::from_millisecond(incident.updated_ms).ok()?;
    let time = format!("{time:.3}");
    let mut content = json!({ "description": incident.title, "environment": { "id": environment } });
    let first = incident.suspects.first();
    if let Some(suspect) = first {
        content["service"] = json!({ "id": suspect.entity.to_string() });
    }
    let suspects = incident.suspects.iter().map(|suspect| {
        json!({ "entity": suspect.entity.to_string(), "weight": suspect.weight, "reasons": suspect.reasons })
    });
    let data = json!({
        "context": { "version": "0.4.1", "id": id, "source": source, "type": kind, "timestamp": time },
        "subject": { "id": subject, "source": source, "type": "incident", "content": content },
        "customData": {
            "severity": incident.severity,
            "suspects": suspects.collect::<Vec<_>>(),
            "change": first.and_then(|suspect| suspect.change.as_ref()).map(|change| &change.id),
            "mergedInto": incident.merged_into,
        },
        "customDataContentType": "application/json",
    });
    Some(json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": time,
        "datacontenttype": "application/json",
        "data": data,
    }))
}

#[cfg(test)]
mod tests {
    use cdevents_sdk::CDEvent;
    use foreshock_core::types::{Entity, EntityKind, Id, Suspect};

    use super::*;

    fn incident(event: IncidentEvent) -> Incident {
        let entity = Entity::new(EntityKind::Service, "shop/payment");
        let reasons = vec!["began first".to_string()];
        let suspect = Suspect { entity, weight: 0.8, reasons, change: None, examples: Vec::new() };
        let title = "payment: failing".to_string();
        let updated_ms = 1_772_420_400_000;
        Incident {
            id: Id(7),
            revision: 3,
            event,
            title,
            updated_ms,
            suspects: vec![suspect],
            ..Incident::default()
        }
    }

    #[test]
    fn the_sdk_reads_what_we_write() {
        for (event, kind) in [
            (IncidentEvent::Opened, "dev.cdevents.incident.detected.0.2.0"),
            (IncidentEvent::Reopened, "dev.cdevents.incident.detected.0.2.0"),
            (IncidentEvent::Resolved, "dev.cdevents.incident.resolved.0.2.0"),
            (IncidentEvent::Merged, "dev.cdevents.incident.resolved.0.2.0"),
        ] {
            let cloud = super::event(&incident(event), "/foreshock/shop", "production").unwrap();
            let read: CDEvent = serde_json::from_value(cloud["data"].clone()).unwrap();
            assert_eq!((read.ty(), read.version()), (kind, "0.4.1"));
            assert_eq!(read.subject().id().to_string(), "0000000000000007");
            assert_eq!(cloud["id"], "0000000000000007-3");
            assert_eq!(cloud["time"], "2026-03-02T03:00:00.000Z");
            assert_eq!(
                serde_json::to_value(&read).unwrap()["subject"]["content"],
                cloud["data"]["subject"]["content"]
            );
        }
        assert!(super::event(&incident(IncidentEvent::Updated), "/f", "p").is_none());
    }
}
