//! Somebody else's alerts as anomalies: they are grouped with what was found here. How strongly one speaks is what its
//! severity says: a critical one opens an incident by itself, a warning needs a sign beside it, an info only joins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::NEWS;
use crate::types::{Alert, AlertSeverity, Anomaly, AnomalyKind, Id, MeasureRole};

/// Most alerts that fire at once; beyond it new ones are left out until some have ended.
const MOST: usize = 100_000;

/// Alerts that fire, by sender and fingerprint: when one began is not the same in everything that is said of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Alerts(BTreeMap<Id, Anomaly>);

impl Alerts {
    /// The anomaly of an alert, or of its end; `None` for a repeat. It opens when it is heard of, which may be long after it began.
    pub(super) fn take(&mut self, alert: Alert, now_ms: i64) -> Option<Anomaly> {
        let key = Id::of(&[&alert.source, &alert.fingerprint]);
        if !alert.firing {
            let mut anomaly = self.0.remove(&key)?;
            anomaly.revision += 1;
            anomaly.active = false;
            anomaly.updated_ms = alert.time_ms;
            return Some(anomaly);
        }
        if self.0.contains_key(&key) || self.0.len() >= MOST {
            return None;
        }
        let anomaly = anomaly(alert, now_ms);
        self.0.insert(key, anomaly.clone());
        Some(anomaly)
    }
}

fn anomaly(alert: Alert, now_ms: i64) -> Anomaly {
    let id = Id::of(&["alert", &alert.source, &alert.fingerprint, &alert.started_ms.to_string()]);
    let (score, above) = match alert.severity {
        AlertSeverity::Critical => (0.99, 12.0),
        AlertSeverity::Warning => (0.8, 3.0),
        AlertSeverity::Info => (0.5, 0.1),
    };
    Anomaly {
        id,
        revision: 1,
        kind: AnomalyKind::Alert,
        series: format!("{} alert{{alertname={}}}", alert.entity, alert.name),
        entity: alert.entity,
        measure: "alert".to_string(),
        role: MeasureRole::Other,
        active: true,
        opened_ms: alert.started_ms.max(now_ms),
        onset_ms: alert.started_ms,
        updated_ms: alert.time_ms,
        score,
        ticks: 1,
        neg_log_p: NEWS + above,
        value: 1.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        detector: alert.source,
        explanation: format!("alert {}: {}", alert.name, alert.summary),
        contributions: Vec::new(),
        attribution: Vec::new(),
    }
}
