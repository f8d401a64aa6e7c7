//! Ticks in which far more anomalies open than chance brings: what opens together then has one cause, whoever calls whom.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Fewest anomalies of a surge, and how many times as many as usual.
const LEAST: f64 = 10.0;
const TIMES: f64 = 5.0;
/// Ticks after which the past counts for a third.
const MEMORY: f64 = 1_000.0;

/// How many anomalies open in a tick as a rule, and the surges that are still of interest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Surges {
    usual: f64,
    recent: BTreeSet<i64>,
}

impl Surges {
    /// A tick in which so many anomalies opened; surges before `oldest_ms` are forgotten.
    pub(super) fn tick(&mut self, time_ms: i64, opened: usize, oldest_ms: i64) {
        self.recent = self.recent.split_off(&oldest_ms);
        let opened = opened as f64;
        if opened >= LEAST.max(TIMES * self.usual) {
            self.recent.insert(time_ms);
        }
        // One surge hardly changes what is usual.
        self.usual += (opened.min(LEAST.max(TIMES * self.usual)) - self.usual) / MEMORY;
    }

    /// Whether what opened then is one surge.
    pub(super) fn contains(&self, opened_ms: i64) -> bool {
        self.recent.contains(&opened_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_beyond_the_usual_is_a_surge() {
        let mut surges = Surges::default();
        for tick in 0..5_000 {
            surges.tick(tick, if tick % 2 == 0 { 4 } else { 2 }, tick - 100);
        }
        assert!(surges.recent.is_empty());
        surges.tick(5_000, 14, 4_900);
        assert!(!surges.contains(5_000), "less than five times three");
        surges.tick(5_001, 40, 4_901);
        assert!(surges.contains(5_001) && !surges.contains(5_002));
        surges.tick(5_200, 3, 5_100);
        assert!(!surges.contains(5_001), "forgotten");
    }
}
