//! How much more than usual comes in everywhere: what that brings with it, errors and slowness in proportion, is no trouble.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{evidence::lasts, symptom};
use crate::types::Anomaly;

/// Entities to whom more comes in than usual, from which on that is more traffic everywhere.
const EVERYWHERE: usize = 5;

/// How many times as much as usual comes in everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    times: f64,
    /// The latest tick in which it was so much.
    time_ms: i64,
}

impl Load {
    /// All anomalies that are known in a tick. What more traffic brought may outlast it: it is held for so long.
    pub(super) fn tick<'a>(&mut self, all: impl Iterator<Item = &'a Anomaly>, time_ms: i64, held_ms: i64) {
        let times = everywhere(all);
        if times >= self.times || time_ms - self.time_ms > held_ms {
            *self = Load { times, time_ms };
        }
    }

    /// The factor; 0 where there is no more than usual.
    pub(super) fn times(self) -> f64 {
        self.times
    }
}

/// The median of those to whom more has come for some time, where they are [`EVERYWHERE`]; 0 where they are not.
fn everywhere<'a>(all: impl Iterator<Item = &'a Anomaly>) -> f64 {
    let mut rises: BTreeMap<&str, f64> = BTreeMap::new();
    for anomaly in all.filter(|anomaly| anomaly.active && lasts(anomaly) && symptom::comes_in(anomaly)) {
        let most = rises.entry(&anomaly.entity.name).or_insert(0.0);
        *most = most.max(symptom::rise(anomaly));
    }
    let mut rises: Vec<f64> = rises.into_values().collect();
    rises.sort_by(f64::total_cmp);
    if rises.len() < EVERYWHERE { 0.0 } else { rises[rises.len() / 2] }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::anomaly, *};

    #[test]
    fn more_traffic_for_many_is_a_load_that_is_held_for_a_while() {
        let up =
            |name: usize, times: f64| anomaly(&format!("0 app{name} http.server.requests:rate 20 {times}"));
        let few: Vec<Anomaly> = (0..4).map(|name| up(name, 2.0)).collect();
        let many: Vec<Anomaly> = (0..7).map(|name| up(name, 1.5 + 0.1 * name as f64)).collect();
        let short = many.iter().map(|anomaly| Anomaly { ticks: 2, ..anomaly.clone() });
        let mut load = Load::default();
        load.tick(few.iter(), 0, 300);
        assert_eq!(load.times(), 0.0);
        load.tick(short.collect::<Vec<_>>().iter(), 10, 300);
        assert_eq!(load.times(), 0.0, "it has not lasted");
        load.tick(many.iter(), 20, 300);
        assert!((load.times() - 1.8).abs() < 1e-9, "{load:?}");
        load.tick(few.iter(), 320, 300);
        assert!(load.times() > 1.0, "held");
        load.tick(few.iter(), 321, 300);
        assert_eq!(load.times(), 0.0);
    }
}
