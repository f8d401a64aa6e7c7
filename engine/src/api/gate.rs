//! What speaks against changing something now, for tools that deploy.

use foreshock_core::types::{Entity, IncidentState, SignalState};

use super::View;

/// Something that speaks against changing an entity now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// What, for people.
    pub why: String,
    /// Whether it is an open incident that the entity is blamed for.
    pub blamed: bool,
}

/// Reasons not to change an entity now; none: go ahead. An engine that is behind does not know, and says so.
pub(super) fn against(target: &Entity, view: &View) -> Vec<Against> {
    let mut reasons = Vec::new();
    let mut add = |why: String, blamed: bool| reasons.push(Against { why, blamed });
    if view.status.catching_up {
        add("the engine is catching up: it does not know how things are".to_string(), false);
    }
    if let Some(halted) = &view.halted {
        add(halted.to_string(), false);
    }
    if let Some(freeze) = view.freezes.iter().find(|freeze| freeze.means(target, view.bus_ms)) {
        add(format!("it is frozen: {}", freeze.name), false);
    }
    for incident in view.incidents.iter().filter(|incident| incident.state == IncidentState::Open) {
        let blamed = incident.suspects.first().is_some_and(|suspect| suspect.entity.is(target));
        if blamed || incident.members.iter().any(|member| member.anomaly.entity.is(target)) {
            add(format!("it is part of the open incident {}: {}", incident.id, incident.title), blamed);
        }
    }
    let under_way =
        |state| matches!(state, SignalState::Ready | SignalState::Leased | SignalState::Succeeded);
    let signals = view.signals.values().map(|tracked| &tracked.signal);
    let own = signals.filter(|signal| signal.target.is(target) && !signal.dry_run);
    for signal in own.filter(|signal| signal.action.changes() && under_way(signal.state)) {
        add(format!("{} by signal {} is under way", signal.action.name(), signal.id), false);
    }
    reasons
}
