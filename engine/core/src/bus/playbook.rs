//! Playbooks: policies that are steps of one another, and what helped how often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Bus,
    life::Tracked,
    policy::{Policy, Reason, Refusal},
};
use crate::types::{Id, Recovery, SignalState, Suspect};

/// How often a policy helped against a cause, and how often not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// It recovered.
    pub helped: u32,
    /// It did not.
    pub failed: u32,
}

impl Tried {
    /// The share that helped, as far as it is known: half before anything was tried (rule of succession).
    fn rate(self) -> f64 {
        f64::from(self.helped + 1) / f64::from(self.helped + self.failed + 2)
    }
}

/// What was tried, by policy and cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Records(BTreeMap<(String, String), Tried>);

/// Pairs of policy and cause that are remembered.
const MOST: usize = 4096;

impl Records {
    /// What came of a signal is known.
    pub(super) fn note(&mut self, tracked: &Tracked, recovery: Recovery) {
        let key = (tracked.signal.policy.clone(), tracked.cause.clone());
        if key.0.is_empty() || (self.0.len() >= MOST && !self.0.contains_key(&key)) {
            return;
        }
        let tried = self.0.entry(key).or_default();
        match recovery {
            Recovery::Recovered => tried.helped += 1,
            Recovery::Improved | Recovery::NoEffect | Recovery::Worse => tried.failed += 1,
        }
    }

    fn of(&self, policy: &str, cause: &str) -> Tried {
        self.0.get(&(policy.to_string(), cause.to_string())).copied().unwrap_or_default()
    }

    fn all_of(&self, policy: &str) -> Vec<(String, Tried)> {
        let own = self.0.iter().filter(|((of, _), _)| of == policy);
        own.map(|((_, cause), tried)| (cause.clone(), *tried)).collect()
    }
}

/// A policy, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyStatus {
    /// The policy.
    pub policy: Policy,
    /// How many of its latest signals failed or did not help, one after the other, within a day.
    pub failures: usize,
    /// What it was tried against, how often it helped.
    pub tried: Vec<(String, Tried)>,
}

/// What a suspect is blamed for, in a word: the record of a policy is kept by it.
pub(super) fn cause(suspect: &Suspect) -> String {
    let kind = suspect.entity.kind.name();
    match &suspect.change {
        Some(change) => format!("{kind} after {}", change.kind),
        None => kind.to_string(),
    }
}

impl Bus {
    /// The policies, with what became of them.
    pub fn policies(&self) -> Vec<PolicyStatus> {
        let status = |policy: &Policy| PolicyStatus {
            failures: self.failures(policy),
            tried: self.records.all_of(&policy.name),
            policy: policy.clone(),
        };
        self.config.policies.iter().map(status).collect()
    }

    /// The order in which policies are tried on an incident: as they are configured; within a playbook, what helped most often
    /// against such a cause comes first.
    pub(super) fn order(&self, incident: Id) -> Vec<usize> {
        let policies = &self.config.policies;
        let mut order: Vec<usize> = (0..policies.len()).collect();
        let Some(suspect) = self.watched.get(&incident).and_then(|facts| facts.suspect.as_ref()) else {
            return order;
        };
        let cause = cause(suspect);
        let mut playbooks: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, policy) in policies.iter().enumerate().filter(|(_, policy)| !policy.playbook.is_empty()) {
            playbooks.entry(&policy.playbook).or_default().push(index);
        }
        for places in playbooks.into_values() {
            let mut steps = places.clone();
            let rate = |index: &usize| self.records.of(&policies[*index].name, &cause).rate();
            steps.sort_by(|one, other| rate(other).total_cmp(&rate(one)));
            places.into_iter().zip(steps).for_each(|(place, step)| order[place] = step);
        }
        order
    }

    /// One step at a time, and none after one that helped.
    pub(super) fn guard_playbook(&self, policy: &Policy, incident: Id) -> Result<(), Refusal> {
        if policy.playbook.is_empty() {
            return Ok(());
        }
        let steps = |name: &String| {
            self.config.policies.iter().any(|other| other.name == *name && other.playbook == policy.playbook)
        };
        for id in self.signals_of(incident) {
            let tracked = &self.signals[&id];
            let signal = &tracked.signal;
            if !steps(&signal.policy) {
                continue;
            }
            let why = match signal.state {
                SignalState::Failed => continue,
                SignalState::NotRecovered if signal.recovery != Some(Recovery::Improved) => continue,
                SignalState::NotRecovered => "helped in part: a person has to look",
                SignalState::Verified => "helped",
                SignalState::Rejected => "was rejected",
                SignalState::Cancelled => "was withdrawn",
                SignalState::Unknown => "may have been carried out: a person has to look",
                SignalState::DryRun if tracked.settled() => "was rehearsed",
                _ => "is not over",
            };
            return Err(Reason::Playbook.because(format_args!("step {:?} {why}", signal.policy)));
        }
        Ok(())
    }
}
