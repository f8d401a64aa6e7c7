//! Incidents with their members, suspects and changes.

use foreshock_core::types::{
    Anomaly, AnomalyKind, Change, Example, ExampleKind, Harm, Incident, IncidentEvent, IncidentState,
    MeasureRole, Member, Suspect,
};
use foreshock_proto::v1;

use super::{Invalid, entity, id, some};

/// An incident as a message.
pub fn incident(incident: &Incident) -> v1::Incident {
    v1::Incident {
        id: incident.id.to_string(),
        revision: incident.revision,
        state: incident_state(incident.state).into(),
        title: incident.title.clone(),
        started_unix_ms: incident.started_ms,
        opened_unix_ms: incident.opened_ms,
        updated_unix_ms: incident.updated_ms,
        resolved_unix_ms: incident.resolved_ms.unwrap_or(0),
        severity: incident.severity,
        members: incident.members.iter().map(member).collect(),
        suspects: incident.suspects.iter().map(suspect).collect(),
        changes: incident.changes.iter().map(change).collect(),
        reopened: incident.reopened,
        acknowledged_by: incident.acknowledged_by.clone().unwrap_or_default(),
        remediation: incident.remediation.clone().unwrap_or_default(),
        page: incident.page,
        why: incident.why.clone(),
        event: incident_event(incident.event).into(),
        harm: incident.harm.as_ref().map(harm),
        merged_into: incident.merged_into.map(|id| id.to_string()).unwrap_or_default(),
        split_from: incident.split_from.map(|id| id.to_string()).unwrap_or_default(),
    }
}

fn harm(harm: &Harm) -> v1::Harm {
    let Harm { user_traffic, burn_rate, objective, why } = harm.clone();
    v1::Harm { user_traffic, burn_rate, objective, why }
}

fn harm_from(message: v1::Harm) -> Harm {
    let v1::Harm { user_traffic, burn_rate, objective, why } = message;
    Harm { user_traffic, burn_rate, objective, why }
}

/// An incident out of a message.
pub fn incident_from(message: v1::Incident) -> Result<Incident, Invalid> {
    let state = optional_incident_state(message.state)?.ok_or(Invalid::Enum("state", 0))?;
    let changes = message.changes.into_iter().map(change_from).collect::<Result<Vec<_>, _>>()?;
    let suspects = message.suspects.into_iter().map(|suspect| suspect_from(suspect, &changes));
    Ok(Incident {
        id: id(&message.id)?,
        revision: message.revision,
        event: incident_event_from(message.event)?,
        state,
        title: message.title,
        started_ms: message.started_unix_ms,
        opened_ms: message.opened_unix_ms,
        updated_ms: message.updated_unix_ms,
        resolved_ms: (message.resolved_unix_ms != 0).then_some(message.resolved_unix_ms),
        severity: message.severity,
        harm: message.harm.map(harm_from),
        members: message.members.into_iter().map(member_from).collect::<Result<_, _>>()?,
        suspects: suspects.collect::<Result<_, _>>()?,
        changes,
        reopened: message.reopened,
        merged_into: some(message.merged_into).as_deref().map(id).transpose()?,
        split_from: some(message.split_from).as_deref().map(id).transpose()?,
        acknowledged_by: some(message.acknowledged_by),
        remediation: some(message.remediation),
        page: message.page,
        why: message.why,
    })
}

fn incident_event(event: IncidentEvent) -> v1::IncidentEvent {
    match event {
        IncidentEvent::Opened => v1::IncidentEvent::Opened,
        IncidentEvent::Reopened => v1::IncidentEvent::Reopened,
        IncidentEvent::Acknowledged => v1::IncidentEvent::Acknowledged,
        IncidentEvent::Updated => v1::IncidentEvent::Updated,
        IncidentEvent::Resolved => v1::IncidentEvent::Resolved,
        IncidentEvent::Merged => v1::IncidentEvent::Merged,
    }
}

/// What an engine of before says nothing of is an update.
fn incident_event_from(event: i32) -> Result<IncidentEvent, Invalid> {
    match v1::IncidentEvent::try_from(event).map_err(|_| Invalid::Enum("event", event))? {
        v1::IncidentEvent::Opened => Ok(IncidentEvent::Opened),
        v1::IncidentEvent::Reopened => Ok(IncidentEvent::Reopened),
        v1::IncidentEvent::Acknowledged => Ok(IncidentEvent::Acknowledged),
        v1::IncidentEvent::Unspecified | v1::IncidentEvent::Updated => Ok(IncidentEvent::Updated),
        v1::IncidentEvent::Resolved => Ok(IncidentEvent::Resolved),
        v1::IncidentEvent::Merged => Ok(IncidentEvent::Merged),
    }
}

/// A state as it stands in messages.
pub fn incident_state(state: IncidentState) -> v1::IncidentState {
    match state {
        IncidentState::Open => v1::IncidentState::Open,
        IncidentState::Resolved => v1::IncidentState::Resolved,
    }
}

/// A state out of a message; `None` when it is not set.
pub fn optional_incident_state(state: i32) -> Result<Option<IncidentState>, Invalid> {
    match v1::IncidentState::try_from(state).map_err(|_| Invalid::Enum("state", state))? {
        v1::IncidentState::Unspecified => Ok(None),
        v1::IncidentState::Open => Ok(Some(IncidentState::Open)),
        v1::IncidentState::Resolved => Ok(Some(IncidentState::Resolved)),
    }
}

pub(super) fn member(member: &Member) -> v1::Member {
    let anomaly = &member.anomaly;
    let attribution = anomaly.attribution.iter();
    let contributions = anomaly.contributions.iter();
    v1::Member {
        anomaly_id: anomaly.id.to_string(),
        entity: anomaly.entity.to_string(),
        series: anomaly.series.clone(),
        score: anomaly.score,
        value: anomaly.value,
        expected: anomaly.expected,
        lower: anomaly.lower,
        upper: anomaly.upper,
        onset_unix_ms: anomaly.onset_ms,
        detector: anomaly.detector.clone(),
        explanation: anomaly.explanation.clone(),
        active: anomaly.active,
        because: member.because.clone(),
        measure: anomaly.measure.clone(),
        role: anomaly.role.name().to_string(),
        kind: anomaly_kind(anomaly.kind).into(),
        revision: anomaly.revision,
        opened_unix_ms: anomaly.opened_ms,
        updated_unix_ms: anomaly.updated_ms,
        ticks: anomaly.ticks,
        neg_log_p: anomaly.neg_log_p,
        attribution: attribution
            .map(|(series, share)| v1::Attribution { series: series.clone(), share: *share })
            .collect(),
        contributions: contributions
            .map(|(detector, share)| v1::Contribution { detector: detector.clone(), share: *share })
            .collect(),
    }
}

pub(super) fn member_from(message: v1::Member) -> Result<Member, Invalid> {
    let attribution = message.attribution.into_iter();
    let contributions = message.contributions.into_iter();
    let anomaly = Anomaly {
        id: id(&message.anomaly_id)?,
        revision: message.revision,
        kind: anomaly_kind_from(message.kind)?,
        entity: entity(&message.entity)?,
        series: message.series,
        measure: message.measure,
        // An engine of before says nothing of it, a later one may know more.
        role: MeasureRole::from_name(&message.role).unwrap_or_default(),
        active: message.active,
        opened_ms: message.opened_unix_ms,
        onset_ms: message.onset_unix_ms,
        updated_ms: message.updated_unix_ms,
        score: message.score,
        ticks: message.ticks,
        neg_log_p: message.neg_log_p,
        value: message.value,
        expected: message.expected,
        lower: message.lower,
        upper: message.upper,
        detector: message.detector,
        explanation: message.explanation,
        contributions: contributions.map(|part| (part.detector, part.share)).collect(),
        attribution: attribution.map(|part| (part.series, part.share)).collect(),
    };
    Ok(Member { anomaly, because: message.because })
}

fn anomaly_kind(kind: AnomalyKind) -> v1::AnomalyKind {
    match kind {
        AnomalyKind::Series => v1::AnomalyKind::Series,
        AnomalyKind::Entity => v1::AnomalyKind::Entity,
        AnomalyKind::NewTemplate => v1::AnomalyKind::NewTemplate,
        AnomalyKind::Absence => v1::AnomalyKind::Absence,
        AnomalyKind::Alert => v1::AnomalyKind::Alert,
        AnomalyKind::Forecast => v1::AnomalyKind::Forecast,
    }
}

fn anomaly_kind_from(kind: i32) -> Result<AnomalyKind, Invalid> {
    match v1::AnomalyKind::try_from(kind) {
        Ok(v1::AnomalyKind::Series) => Ok(AnomalyKind::Series),
        Ok(v1::AnomalyKind::Entity) => Ok(AnomalyKind::Entity),
        Ok(v1::AnomalyKind::NewTemplate) => Ok(AnomalyKind::NewTemplate),
        Ok(v1::AnomalyKind::Absence) => Ok(AnomalyKind::Absence),
        Ok(v1::AnomalyKind::Alert) => Ok(AnomalyKind::Alert),
        Ok(v1::AnomalyKind::Forecast) => Ok(AnomalyKind::Forecast),
        Ok(v1::AnomalyKind::Unspecified) | Err(_) => Err(Invalid::Enum("kind", kind)),
    }
}

fn suspect(suspect: &Suspect) -> v1::Suspect {
    v1::Suspect {
        entity: suspect.entity.to_string(),
        weight: suspect.weight,
        reasons: suspect.reasons.clone(),
        change_id: suspect.change.as_ref().map(|change| change.id.clone()).unwrap_or_default(),
        examples: suspect.examples.iter().map(example).collect(),
    }
}

fn example(example: &Example) -> v1::Example {
    let kind = match example.kind {
        ExampleKind::FailedRequest => v1::ExampleKind::FailedRequest,
        ExampleKind::SlowRequest => v1::ExampleKind::SlowRequest,
        ExampleKind::LogLine => v1::ExampleKind::LogLine,
    };
    v1::Example {
        kind: kind.into(),
        time_unix_ms: example.time_ms,
        trace_id: example.trace_id.clone(),
        text: example.text.clone(),
    }
}

fn example_from(message: v1::Example) -> Result<Example, Invalid> {
    let kind = match v1::ExampleKind::try_from(message.kind) {
        Ok(v1::ExampleKind::FailedRequest) => ExampleKind::FailedRequest,
        Ok(v1::ExampleKind::SlowRequest) => ExampleKind::SlowRequest,
        Ok(v1::ExampleKind::LogLine) => ExampleKind::LogLine,
        Ok(v1::ExampleKind::Unspecified) | Err(_) => return Err(Invalid::Enum("kind", message.kind)),
    };
    Ok(Example { kind, time_ms: message.time_unix_ms, trace_id: message.trace_id, text: message.text })
}

/// The change that is blamed is one of the incident's.
fn suspect_from(message: v1::Suspect, changes: &[Change]) -> Result<Suspect, Invalid> {
    let blamed = |change: &&Change| !message.change_id.is_empty() && change.id == message.change_id;
    Ok(Suspect {
        entity: entity(&message.entity)?,
        weight: message.weight,
        change: changes.iter().find(blamed).cloned(),
        reasons: message.reasons,
        examples: message.examples.into_iter().map(example_from).collect::<Result<_, _>>()?,
    })
}

fn change(change: &Change) -> v1::Change {
    v1::Change {
        id: change.id.clone(),
        kind: change.kind.clone(),
        entity: change.entity.to_string(),
        version: change.version.clone(),
        time_unix_ms: change.time_ms,
        source: change.source.clone(),
    }
}

fn change_from(message: v1::Change) -> Result<Change, Invalid> {
    Ok(Change {
        time_ms: message.time_unix_ms,
        id: message.id,
        kind: message.kind,
        entity: entity(&message.entity)?,
        version: message.version,
        source: message.source,
    })
}
