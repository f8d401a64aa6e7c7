//! Titles for people.

use super::symptom;
use crate::types::{AnomalyKind, Incident, IncidentState, Member};

/// What is going to happen, where nothing has happened yet: `system.filesystem.utilization meets its limit 1 in 3 h to 5 h`.
fn before_the_fact(incident: &Incident) -> Option<&str> {
    let is_forecast = |member: &Member| member.anomaly.kind == AnomalyKind::Forecast;
    let soonest = |a: &&Member, b: &&Member| a.anomaly.value.total_cmp(&b.anomaly.value);
    let first =
        incident.members.iter().min_by(soonest).filter(|_| incident.members.iter().all(is_forecast))?;
    first.anomaly.explanation.split(", ").next()
}

/// `payment: failing, after service.upgraded v2 (checkout, frontend affected)`.
pub(super) fn title(incident: &Incident) -> String {
    let Some(first) = incident.suspects.first() else { return "anomalies without a suspect".to_string() };
    let own = incident.members.iter().filter(|member| symptom::whose(&member.anomaly).is(&first.entity));
    let worst = own.map(|member| symptom::of(&member.anomaly)).max();
    let mut title = match before_the_fact(incident) {
        Some(forecast) => format!("{}: {}", first.entity.name, forecast),
        None => format!("{}: {}", first.entity.name, worst.map_or("abnormal", symptom::Symptom::word)),
    };
    if let Some(change) = &first.change {
        title.push_str(&format!(", after {} {}", change.kind, change.version));
    }
    let mut affected: Vec<&str> = incident
        .members
        .iter()
        .filter(|member| member.anomaly.entity != first.entity)
        .map(|member| member.anomaly.entity.name.as_str())
        .collect();
    affected.sort_unstable();
    affected.dedup();
    if !affected.is_empty() {
        let more =
            if affected.len() > 4 { format!(" and {} more", affected.len() - 4) } else { String::new() };
        affected.truncate(4);
        title.push_str(&format!(" ({}{more} affected)", affected.join(", ")));
    }
    if incident.state == IncidentState::Resolved {
        title.push_str(", resolved");
    }
    title
}
