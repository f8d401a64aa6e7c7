//! What speaks against changing something now, for tools that deploy.

use foreshock_core::{
    bus::Bus,
    types::{Entity, Incident, IncidentState, SignalState},
};

use super::handle::Against;

/// Reasons not to change an entity now; none: go ahead. An engine that is behind does not know, and says so.
pub(super) fn against(
    target: &Entity,
    incidents: Vec<&Incident>,
    bus: &Bus,
    catching_up: bool,
) -> Vec<Against> {
    let mut reasons = Vec::new();
    let mut add = |why: String, blamed: bool| reasons.push(Against { why, blamed });
    if catching_up {
        add("the engine is catching up: it does not know how things are".to_string(), false);
    }
    if let Some(halted) = bus.halted() {
        add(halted.to_string(), false);
    }
    if let Some(freeze) = bus.frozen(target) {
        add(format!("it is frozen: {freeze}"), false);
    }
    for incident in incidents.into_iter().filter(|incident| incident.state == IncidentState::Open) {
        let blamed = incident.suspects.first().is_some_and(|suspect| suspect.entity.is(target));
        if blamed || incident.members.iter().any(|member| member.anomaly.entity.is(target)) {
            add(format!("it is part of the open incident {}: {}", incident.id, incident.title), blamed);
        }
    }
    let under_way =
        |state| matches!(state, SignalState::Ready | SignalState::Leased | SignalState::Succeeded);
    let own = bus.signals().into_iter().filter(|signal| signal.target.is(target) && !signal.dry_run);
    for signal in own.filter(|signal| signal.action.changes() && under_way(signal.state)) {
        add(format!("{} by signal {} is under way", signal.action.name(), signal.id), false);
    }
    reasons
}
