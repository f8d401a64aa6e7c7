//! Places in the deep tier: shards ask, the one who knows them all grants. None lies idle while somebody waits.

use serde::{Deserialize, Serialize};

use crate::types::ShardClosed;

/// Which shard may have how many series in the deep tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Places {
    granted: Vec<usize>,
    /// The tick from which on these grants hold.
    from_tick: i64,
}

impl Places {
    /// No place for any of so many shards.
    pub(super) fn new(shards: usize) -> Places {
        Places { granted: vec![0; shards], from_tick: i64::MIN }
    }

    /// The same for another number of shards.
    pub(super) fn fitted(mut self, shards: usize) -> Places {
        self.granted.resize(shards, 0);
        self
    }

    pub(super) fn granted(&self) -> &[usize] {
        &self.granted
    }

    /// Grants what is free of so many places to those who wait, in the order of shards; gives whether anything changed. What a shard
    /// does not use is taken back once it has obeyed the latest grants: until then it may have used them since.
    pub(super) fn grant(&mut self, most: usize, closed: &[ShardClosed], from_tick: i64) -> bool {
        let before = self.granted.clone();
        for shard in closed.iter().filter(|shard| shard.tick >= self.from_tick) {
            self.granted[shard.shard] = shard.deep_used;
        }
        let mut free = most.saturating_sub(self.granted.iter().sum());
        for shard in closed {
            let more = shard.deep_waiting.min(free);
            self.granted[shard.shard] += more;
            free -= more;
        }
        let changed = self.granted != before;
        if changed {
            self.from_tick = from_tick;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(tick: i64, used_and_waiting: &[(usize, usize)]) -> Vec<ShardClosed> {
        let shard = |(shard, &(deep_used, deep_waiting))| ShardClosed {
            tick,
            shard,
            deep_used,
            deep_waiting,
            ..ShardClosed::default()
        };
        used_and_waiting.iter().enumerate().map(shard).collect()
    }

    #[test]
    fn none_lies_idle_and_none_is_given_twice() {
        let mut places = Places::new(3);
        assert!(places.grant(10, &closed(1, &[(0, 4), (0, 4), (0, 4)]), 2));
        assert_eq!(places.granted(), [4, 4, 2]);
        assert!(!places.grant(10, &closed(2, &[(4, 0), (4, 0), (2, 2)]), 3));
        assert_eq!(places.granted(), [4, 4, 2]);
        // Series ended: their places are for those who wait.
        assert!(places.grant(10, &closed(3, &[(3, 0), (4, 0), (2, 2)]), 4));
        assert_eq!(places.granted(), [3, 4, 3]);
    }

    #[test]
    fn what_was_granted_is_not_taken_back_before_it_was_heard() {
        let mut places = Places::new(2);
        places.grant(10, &closed(1, &[(0, 6), (0, 0)]), 7);
        // Shard 0 has not heard of it yet and uses none: nothing of it is free.
        assert!(places.grant(10, &closed(2, &[(0, 0), (0, 8)]), 8));
        assert_eq!(places.granted(), [6, 4]);
        assert!(places.grant(10, &closed(8, &[(5, 0), (4, 4)]), 14));
        assert_eq!(places.granted(), [5, 5]);
    }
}
