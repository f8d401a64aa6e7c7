//! What people say of signals: yes or no, what else should be done, and what should not.

use std::collections::BTreeMap;

use super::{
    Bus,
    guards::because,
    life::Tracked,
    messages::{Effect, Proposal},
    policy::RESERVED,
};
use crate::types::{Consent, Id, RemediationSignal, SignalState};

impl Bus {
    pub(super) fn decide(
        &mut self,
        id: Id,
        approve: bool,
        by: &str,
        comment: &str,
        effects: &mut Vec<Effect>,
    ) {
        let now = self.now;
        let refuse = |why: &str| Effect::Refused { signal: id, why: why.to_string() };
        let Some(tracked) = self.signals.get_mut(&id) else {
            return effects.push(refuse("there is no such signal"));
        };
        let signal = &mut tracked.signal;
        if by.is_empty() {
            return effects.push(refuse("say who decides"));
        }
        if signal.state != SignalState::AwaitingApproval {
            return effects.push(refuse(&format!("it does not wait for approval: {}", signal.note)));
        }
        let comment = because(comment);
        if !approve {
            return tracked.revise(
                SignalState::Rejected,
                &format!("rejected by {by}{comment}"),
                now,
                effects,
            );
        }
        if tracked.too_late(now) {
            return effects.push(refuse("it is too old to be acted on"));
        }
        let signal = &mut tracked.signal;
        if person(&signal.proposed_by) == person(by) {
            return effects.push(refuse("whoever proposed it cannot agree to it: somebody else has to"));
        }
        if signal.consent.by.iter().any(|other| person(other) == person(by)) {
            return effects.push(refuse("they have agreed already: somebody else has to"));
        }
        signal.consent.by.push(by.to_string());
        let (have, needed) = (signal.consent.by.len(), signal.consent.needed as usize);
        if have < needed {
            let note = format!("approved by {by}{comment} ({have} of {needed})");
            return tracked.revise(SignalState::AwaitingApproval, &note, now, effects);
        }
        let all: Vec<&str> = signal.consent.by.iter().map(String::as_str).collect();
        let note = format!("approved by {}{comment}", all.join(" and "));
        tracked.revise(SignalState::Ready, &note, now, effects);
    }

    /// A person wants something done. It waits for somebody else's approval; dry runs do not.
    pub(super) fn propose(&mut self, proposal: Proposal, effects: &mut Vec<Effect>) {
        let id = proposal.id();
        if self.signals.contains_key(&id) {
            return;
        }
        match self.proposed(id, proposal) {
            Ok(signal) => {
                effects.push(Effect::Signal(signal.clone()));
                self.insert(Tracked::new(signal));
            }
            Err(why) => effects.push(Effect::Refused { signal: id, why }),
        }
    }

    fn proposed(&self, id: Id, proposal: Proposal) -> Result<RemediationSignal, String> {
        let Proposal { incident, action, target, parameters, dry_run, by, comment, .. } = proposal;
        let facts = self.watched.get(&incident).filter(|facts| facts.open);
        let facts = facts.ok_or_else(|| format!("there is no open incident {incident}"))?;
        if by.is_empty() {
            return Err("say who proposes".to_string());
        }
        if let Some(halted) = self.halted() {
            return Err(halted.to_string());
        }
        if let Some(key) = action.needs().iter().find(|key| !parameters.contains_key(**key)) {
            return Err(format!("{} needs the parameter {key}", action.name()));
        }
        // To which version to go back a person may know better than the engine.
        let allowed = |key: &&&str| action.goes_back() && ["version", "to_version"].contains(*key);
        let reserved = RESERVED.iter().filter(|key| !allowed(key));
        if let Some(key) = reserved.into_iter().find(|key| parameters.contains_key(**key)) {
            return Err(format!("the parameter {key} says what the engine says itself: take another name"));
        }
        if self.signals.len() >= self.config.max_signals as usize {
            return Err("too many signals are remembered already: raise max_signals".to_string());
        }
        let mut attributes: BTreeMap<String, String> = self.attributes(&target, None);
        if action.goes_back()
            && let Some((version, before)) = self.versions.latest(&target)
        {
            attributes.insert("version".to_string(), version.to_string());
            attributes.insert("to_version".to_string(), before.to_string());
        }
        attributes.extend(parameters);
        let expires_ms = self.now.event_ms.saturating_add(self.config.max_signal_age_ms);
        Ok(RemediationSignal {
            state: if dry_run { SignalState::DryRun } else { SignalState::AwaitingApproval },
            attributes,
            dry_run,
            expires_ms,
            reason: format!("{}; proposed by {by}{}", facts.title, because(&comment)),
            consent: Consent { needed: u32::from(!dry_run), until_ms: expires_ms, ..Consent::default() },
            proposed_by: by,
            ..RemediationSignal::new(id, incident, action, target, self.now.event_ms)
        })
    }

    pub(super) fn withdraw(&mut self, id: Id, by: &str, comment: &str, effects: &mut Vec<Effect>) {
        let refuse = |why: String| Effect::Refused { signal: id, why };
        let Some(tracked) = self.signals.get_mut(&id) else {
            return effects.push(refuse("there is no such signal".to_string()));
        };
        let before = effects.len();
        tracked.withdraw(&format!("withdrawn by {by}{}", because(comment)), self.now, effects);
        if effects.len() == before {
            effects.push(refuse(format!("it has ended: {}", tracked.signal.note)));
        }
    }
}

/// Who it is that says something, for whomever they say it.
fn person(by: &str) -> Option<&str> {
    by.split(" for ").next().filter(|name| !name.is_empty())
}
