//! What opens no incident, and why: silences, and the list of everything that was left out.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Effect;
use crate::types::{Anomaly, Id, Silence, Suppressed};

/// Anomalies that were left out lately, and those that are silenced.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Quiet {
    /// Silences that hold.
    silences: Vec<Silence>,
    /// Anomalies that they mean, by id.
    silenced: BTreeMap<Id, Anomaly>,
    /// The latest that opened no incident, oldest first.
    left_out: VecDeque<Suppressed>,
    keep: usize,
}

/// Whether an anomaly is silenced.
pub(super) enum Hushed {
    /// No silence means it.
    Not,
    /// It is from now on, for this reason.
    Now(String),
    /// It was said before, or it is over.
    Already,
}

impl Quiet {
    pub(super) fn new(keep: usize) -> Quiet {
        Quiet { keep, ..Quiet::default() }
    }

    /// Notes that an anomaly opens no incident.
    pub(super) fn leave_out(&mut self, time_ms: i64, anomaly: Anomaly, why: String) -> Effect {
        let suppressed = Suppressed { time_ms, anomaly, why };
        self.left_out.push_back(suppressed.clone());
        while self.left_out.len() > self.keep {
            self.left_out.pop_front();
        }
        Effect::Suppressed(suppressed)
    }

    /// What opened no incident, newest first.
    pub(super) fn left_out(&self) -> impl Iterator<Item = &Suppressed> {
        self.left_out.iter().rev()
    }

    /// The silences that hold from now on. Gives back the anomalies that are silenced no more and still go on.
    pub(super) fn tick(&mut self, silences: Vec<Silence>) -> Vec<Anomaly> {
        self.silences = silences;
        let Quiet { silences, silenced, .. } = self;
        let over = |_: &Id, anomaly: &mut Anomaly| !silences.iter().any(|silence| silence.means(anomaly));
        silenced.extract_if(.., over).map(|(_, anomaly)| anomaly).collect()
    }

    /// Takes an anomaly that a silence means.
    pub(super) fn hush(&mut self, anomaly: &Anomaly) -> Hushed {
        let Some(silence) = self.silences.iter().find(|silence| silence.means(anomaly)) else {
            return Hushed::Not;
        };
        let mut why = format!("silenced by {}", silence.by);
        if !silence.comment.is_empty() {
            why.push_str(&format!(": {}", silence.comment));
        }
        if !anomaly.active {
            self.silenced.remove(&anomaly.id);
            return Hushed::Already;
        }
        match self.silenced.insert(anomaly.id, anomaly.clone()) {
            None => Hushed::Now(why),
            Some(_) => Hushed::Already,
        }
    }
}
