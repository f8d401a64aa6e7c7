//! What policies look at of an incident: small, so that every open incident can be kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::policy::{IncidentKind, Reason};
use crate::types::{Anomaly, AnomalyKind, Entity, Id, Incident, IncidentState, Suspect};

/// What kind of telemetry a member of an incident was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Evidence {
    Metric,
    Log,
    Span,
}

impl Evidence {
    fn of(anomaly: &Anomaly) -> Evidence {
        // An entity's own anomaly rests on its measures, on the strongest of them most.
        let measure = match anomaly.attribution.first() {
            Some((strongest, _)) => strongest,
            None => &anomaly.measure,
        };
        match measure.split(['.', ':']).next() {
            _ if anomaly.kind == AnomalyKind::NewTemplate => Evidence::Log,
            Some("log") => Evidence::Log,
            Some("span") => Evidence::Span,
            _ => Evidence::Metric,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Evidence::Metric => "metrics",
            Evidence::Log => "logs",
            Evidence::Span => "spans",
        })
    }
}

/// What signals show of what was seen: so many members, so many characters of each.
const MOST_SIGNS: usize = 3;
const LONGEST_SIGN: usize = 240;

/// What was seen of the cause, the strongest first; where nothing was seen of it, of the others.
fn signs<'a>(members: impl Iterator<Item = &'a Anomaly>, suspect: Option<&Suspect>) -> Vec<String> {
    let mut members: Vec<&Anomaly> = members.collect();
    let is_elsewhere = |anomaly: &Anomaly| suspect.is_some_and(|suspect| !suspect.entity.is(&anomaly.entity));
    members.sort_by(|a, b| {
        is_elsewhere(a).cmp(&is_elsewhere(b)).then(b.neg_log_p.total_cmp(&a.neg_log_p)).then(a.id.cmp(&b.id))
    });
    let sign = |anomaly: &&Anomaly| match anomaly.explanation.as_str() {
        "" => anomaly.series.clone(),
        explanation => format!("{}: {explanation}", anomaly.series),
    };
    let signs = members.iter().take(MOST_SIGNS).map(sign);
    signs.map(|sign| sign.chars().take(LONGEST_SIGN).collect()).collect()
}

/// Members of an incident whose state is remembered.
const MOST_MEMBERS: usize = 256;

/// What sort of incident has such members.
fn kind(members: impl Iterator<Item = AnomalyKind> + Clone) -> IncidentKind {
    match members.clone().count() {
        0 => IncidentKind::Anomaly,
        _ if members.clone().all(|kind| kind == AnomalyKind::Forecast) => IncidentKind::Forecast,
        _ if members.clone().all(|kind| kind == AnomalyKind::Alert) => IncidentKind::Alert,
        _ => IncidentKind::Anomaly,
    }
}

/// One incident as policies see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) id: Id,
    pub(super) revision: u64,
    pub(super) open: bool,
    pub(super) opened_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) severity: f64,
    pub(super) title: String,
    pub(super) suspect: Option<Suspect>,
    pub(super) affected: u32,
    pub(super) evidence: BTreeSet<Evidence>,
    pub(super) kind: IncidentKind,
    /// What was seen, as signals tell it.
    pub(super) signs: Vec<String>,
    /// What is abnormal now, as people read it.
    pub(super) active: BTreeMap<Id, String>,
    /// What was already said about policies that made no signal.
    said: BTreeSet<(String, Reason)>,
}

impl Facts {
    fn of(incident: &Incident, said: BTreeSet<(String, Reason)>) -> Facts {
        let members = incident.members.iter().map(|member| &member.anomaly);
        let suspect = incident.suspects.first().cloned();
        let entities: BTreeSet<&Entity> = members
            .clone()
            .map(|anomaly| &anomaly.entity)
            .chain(suspect.iter().map(|suspect| &suspect.entity))
            .collect();
        Facts {
            id: incident.id,
            revision: incident.revision,
            open: incident.state == IncidentState::Open,
            opened_ms: incident.opened_ms,
            updated_ms: incident.updated_ms,
            severity: incident.severity,
            title: incident.title.clone(),
            affected: entities.len() as u32,
            evidence: members.clone().map(Evidence::of).collect(),
            kind: kind(members.clone().map(|anomaly| anomaly.kind)),
            signs: signs(members.clone(), suspect.as_ref()),
            active: members
                .filter(|anomaly| anomaly.active)
                .map(|anomaly| (anomaly.id, format!("{} of {}", anomaly.measure, anomaly.entity)))
                .take(MOST_MEMBERS)
                .collect(),
            suspect,
            said,
        }
    }

    /// True the first time.
    pub(super) fn say(&mut self, policy: &str, reason: Reason) -> bool {
        self.said.insert((policy.to_string(), reason))
    }
}

/// The incidents that are watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Watched(BTreeMap<Id, Facts>);

impl Watched {
    /// Takes a revision; false when it is not newer than what is known.
    pub(super) fn learn(&mut self, incident: &Incident, limit: usize) -> bool {
        let said = match self.0.get_mut(&incident.id) {
            Some(known) if known.revision >= incident.revision => return false,
            Some(known) => std::mem::take(&mut known.said),
            None => {
                self.make_room(limit);
                BTreeSet::new()
            }
        };
        self.0.insert(incident.id, Facts::of(incident, said));
        true
    }

    /// Drops resolved incidents that nothing was heard of since this event time.
    pub(super) fn forget_before(&mut self, time_ms: i64) {
        self.0.retain(|_, facts| facts.open || facts.updated_ms >= time_ms);
    }

    /// The open incidents, oldest first.
    pub(super) fn open(&self) -> Vec<Id> {
        let mut open: Vec<(i64, Id)> =
            self.0.values().filter(|facts| facts.open).map(|facts| (facts.opened_ms, facts.id)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn get(&self, id: &Id) -> Option<&Facts> {
        self.0.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &Id) -> Option<&mut Facts> {
        self.0.get_mut(id)
    }

    fn make_room(&mut self, limit: usize) {
        if self.0.len() < limit {
            return;
        }
        let quietest = self.0.values().min_by_key(|facts| (facts.open, facts.updated_ms, facts.id));
        if let Some(id) = quietest.map(|facts| facts.id) {
            self.0.remove(&id);
        }
    }
}
