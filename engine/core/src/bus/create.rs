//! From incidents to signals: policies in order, then the guards, then the signal.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    Bus,
    config::HOUR_MS,
    facts::Facts,
    guards::namespace,
    life::Tracked,
    messages::Effect,
    playbook::cause,
    policy::{Policy, Reason, Refusal},
};
use crate::types::{Action, Change, Consent, Entity, Id, RemediationSignal, SignalState, Suspect};

impl Bus {
    /// Holds every policy against an open incident.
    pub(super) fn consider(&mut self, incident: Id, effects: &mut Vec<Effect>) {
        let mut first: BTreeMap<Action, String> = self
            .signals_of(incident)
            .iter()
            .map(|id| &self.signals[id].signal)
            .filter(|signal| !signal.policy.is_empty())
            .map(|signal| (signal.action, signal.policy.clone()))
            .collect();
        for index in self.order(incident) {
            let policy = &self.config.policies[index];
            let Some(facts) = self.watched.get(&incident).filter(|facts| facts.open) else { return };
            if first.get(&policy.action) == Some(&policy.name) {
                continue;
            }
            let made = match (policy.matches(facts), first.entry(policy.action)) {
                (Err(refusal), _) => Err(refusal),
                (Ok(_), Entry::Occupied(earlier)) => {
                    let why = format!("policy {:?} decides about this action", earlier.get());
                    Err(Reason::EarlierPolicy.because(why))
                }
                (Ok(suspect), Entry::Vacant(place)) => match self.guard_playbook(policy, incident) {
                    // Another step may have the same action.
                    Err(refusal) => Err(refusal),
                    Ok(()) => {
                        place.insert(policy.name.clone());
                        self.make(policy, facts, suspect).map(|signal| (signal, cause(suspect)))
                    }
                },
            };
            match made {
                Ok((signal, cause)) => {
                    effects.push(Effect::Signal(signal.clone()));
                    self.insert(Tracked { cause, ..Tracked::new(signal) });
                }
                Err(refusal) => self.decline(incident, index, refusal, effects),
            }
        }
    }

    fn decline(&mut self, incident: Id, index: usize, refusal: Refusal, effects: &mut Vec<Effect>) {
        let policy = &self.config.policies[index].name;
        let facts = self.watched.get_mut(&incident);
        if facts.is_some_and(|facts| facts.say(policy, refusal.reason)) {
            effects.push(Effect::Declined { incident, policy: policy.clone(), why: refusal.why });
        }
    }

    fn make(&self, policy: &Policy, facts: &Facts, suspect: &Suspect) -> Result<RemediationSignal, Refusal> {
        policy.guard(facts, suspect)?;
        let change = suspect.change.as_ref().filter(|_| policy.action.goes_back());
        // A change of another entity can be what the suspect suffers from: it is the change that is undone.
        let target = change.map_or(&suspect.entity, |change| &change.entity);
        self.guard_time(facts)?;
        self.guard_limits(policy, target)?;
        self.guard_failures(policy)?;
        self.guard_load(policy, target)?;
        let state = if policy.dry_run { SignalState::DryRun } else { policy.approval.begins() };
        let expires_ms = facts.updated_ms.saturating_add(self.config.max_signal_age_ms);
        let Suspect { entity, weight, reasons, .. } = suspect;
        let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
        let id = Id::of(&["signal", &facts.id.to_string(), &policy.name, policy.action.name()]);
        let evidence = Some(facts.signs.join("; ")).filter(|signs| !signs.is_empty());
        let evidence = evidence.map(|signs| ("evidence".to_string(), signs));
        let own = self.attributes(target, change).into_iter().chain(evidence);
        Ok(RemediationSignal {
            state,
            attributes: own.chain(policy.parameters.clone()).collect(),
            policy: policy.name.clone(),
            dry_run: policy.dry_run,
            expires_ms,
            reason: format!("{}; {entity} is the cause with weight {weight:.2}{reasons}", facts.title),
            consent: self.consent(policy, state, expires_ms),
            ..RemediationSignal::new(id, facts.id, policy.action, target.clone(), self.now.event_ms)
        })
    }

    /// Who has to agree to a signal of a policy.
    pub(super) fn consent(&self, policy: &Policy, state: SignalState, expires_ms: i64) -> Consent {
        let needed = if state == SignalState::AwaitingApproval { policy.approvals } else { 0 };
        let until_ms = match policy.approval_seconds {
            0 => expires_ms,
            seconds => expires_ms.min(self.now.event_ms + i64::from(seconds) * 1000),
        };
        Consent { needed, group: policy.approval_group.clone(), by: Vec::new(), until_ms }
    }

    /// No stale action, and none while the engine only observes.
    fn guard_time(&self, facts: &Facts) -> Result<(), Refusal> {
        let now = self.now.event_ms;
        if self.catching_up {
            return Err(Reason::CatchingUp.because("the engine is catching up and only observes"));
        }
        if let Some(halted) = self.halted() {
            return Err(Reason::Halted.because(halted));
        }
        if now - facts.updated_ms > self.config.max_signal_age_ms {
            return Err(Reason::Stale.because("nothing new about the incident within max_signal_age"));
        }
        if now - facts.opened_ms > self.config.keep_ms {
            return Err(
                Reason::OpenTooLong.because("the incident opened longer ago than signals are remembered")
            );
        }
        Ok(())
    }

    /// Not too many, not too often, not without room.
    fn guard_load(&self, policy: &Policy, target: &Entity) -> Result<(), Refusal> {
        let now = self.now.event_ms;
        let signals = || self.signals.values().map(|tracked| &tracked.signal);
        if let Some(most) = policy.max_per_hour {
            let recent = |signal: &&RemediationSignal| now - signal.created_ms < HOUR_MS;
            let made = signals().filter(|signal| signal.policy == policy.name).filter(recent).count();
            if made >= most as usize {
                let why = format!("{made} signals within an hour, {most} are allowed");
                return Err(Reason::Rate.because(why));
            }
        }
        let seconds = i64::from(policy.cool_down_seconds);
        let warm = |signal: &RemediationSignal| now - signal.created_ms < seconds * 1000;
        if signals().any(|signal| signal.target == *target && warm(signal)) {
            let why = format!("the latest signal for {target} is less than {seconds} s old");
            return Err(Reason::CoolDown.because(why));
        }
        if self.signals.len() >= self.config.max_signals as usize {
            let why = format!("{} signals are remembered already: raise max_signals", self.signals.len());
            return Err(Reason::Full.because(why));
        }
        Ok(())
    }

    /// What a controller needs to know, and what scopes are held against.
    pub(super) fn attributes(&self, target: &Entity, change: Option<&Change>) -> BTreeMap<String, String> {
        let (namespace, name) = (namespace(target), target.name.rsplit('/').next().unwrap_or_default());
        let mut attributes = BTreeMap::from([("kind", target.kind.name()), ("name", name)]);
        if !namespace.is_empty() {
            attributes.insert("namespace", namespace);
        }
        if let Some(change) = change {
            attributes.insert("change_id", &change.id);
            attributes.insert("version", &change.version);
            attributes.insert("to_version", self.versions.before(change).unwrap_or(""));
        }
        attributes.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }
}
