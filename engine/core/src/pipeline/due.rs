//! What has a time of its own and waits for its tick: changes, alerts, and how entities were seen to run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::types::{Alert, Change, Sighting};

/// What waits, or what is due: each in order then.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Due {
    pub(super) changes: BTreeSet<Change>,
    pub(super) alerts: Vec<Alert>,
    pub(super) sightings: Vec<Sighting>,
}

impl Due {
    /// Takes out what took place before this time.
    pub(super) fn until(&mut self, end_ms: i64) -> Due {
        Due {
            changes: self.changes.extract_if(.., |change| change.time_ms < end_ms).collect(),
            alerts: until(&mut self.alerts, |alert| alert.time_ms, end_ms),
            sightings: until(&mut self.sightings, |sighting| sighting.time_ms, end_ms),
        }
    }
}

fn until<T: Ord>(waiting: &mut Vec<T>, time_ms: impl Fn(&T) -> i64, end_ms: i64) -> Vec<T> {
    let mut due: Vec<T> = waiting.extract_if(.., |one| time_ms(one) < end_ms).collect();
    due.sort();
    due
}
