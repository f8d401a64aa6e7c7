//! Small tables of cases. Orders of events are `explore`'s.

use std::collections::BTreeMap;

use super::{Hello, Policy};
use crate::types::*;

/// A bad deploy of payment, seen in its spans and in the logs of its caller.
pub(super) fn incident() -> Incident {
    let payment = Entity::new(EntityKind::Service, "shop/payment");
    let checkout = Entity::new(EntityKind::Service, "shop/checkout");
    Incident {
        id: Id(7),
        revision: 1,
        state: IncidentState::Open,
        title: "payment: errors up".to_string(),
        started_ms: 900_000,
        opened_ms: 1_000_000,
        updated_ms: 1_000_000,
        resolved_ms: None,
        severity: 0.9,
        members: vec![member(&payment, "span.error:ratio"), member(&checkout, "log.error:rate")],
        suspects: vec![Suspect {
            entity: payment.clone(),
            weight: 0.8,
            reasons: vec!["it was changed just before".to_string()],
            change: Some(change("deploy-2", &payment, 890_000, "v2")),
        }],
        changes: vec![change("deploy-2", &payment, 890_000, "v2")],
        reopened: 0,
        acknowledged_by: None,
        remediation: None,
        page: true,
        why: String::new(),
    }
}

pub(super) fn member(entity: &Entity, measure: &str) -> Member {
    let anomaly = Anomaly {
        id: Id::of(&[&entity.to_string(), measure]),
        revision: 1,
        kind: AnomalyKind::Series,
        entity: entity.clone(),
        series: format!("{entity} {measure}"),
        measure: measure.to_string(),
        active: true,
        opened_ms: 1_000_000,
        onset_ms: 900_000,
        updated_ms: 1_000_000,
        score: 0.9,
        neg_log_p: 20.0,
        value: 1.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.1,
        detector: "residual".to_string(),
        explanation: String::new(),
        attribution: Vec::new(),
    };
    Member { anomaly, because: String::new() }
}

pub(super) fn change(id: &str, entity: &Entity, time_ms: i64, version: &str) -> Change {
    Change {
        time_ms,
        id: id.to_string(),
        kind: "service.upgraded".to_string(),
        entity: entity.clone(),
        version: version.to_string(),
        source: "test".to_string(),
    }
}

/// Rolls anything back that a person approves.
pub(super) fn policy(name: &str) -> Policy {
    serde_yaml_ng::from_str(&format!("{{name: {name}, action: rollback}}")).unwrap()
}

pub(super) fn hello(controller: &str) -> Hello {
    let controller = controller.to_string();
    Hello { controller, kind: ControllerKind::Deploy, scope: BTreeMap::new(), capacity: 1 }
}
