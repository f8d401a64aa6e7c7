//! What streams or series come to in a tick, by their keys; the memory is used again.

use hashbrown::HashMap;

/// A value that can begin anew without giving back its memory.
pub(super) trait Reset: Default {
    /// Makes it as good as new.
    fn reset(&mut self);
}

/// Values by key. Walked in order of the keys, whatever the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct ByKey<T> {
    places: HashMap<u64, u32>,
    /// Those in use, then those that wait to be used again.
    entries: Vec<(u64, T)>,
}

impl<T: Reset> ByKey<T> {
    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }

    /// The value of a key, new where the key is.
    pub(super) fn entry(&mut self, key: u64) -> &mut T {
        let next = self.places.len();
        let place = *self.places.entry(key).or_insert(next as u32) as usize;
        if place == next {
            if let Some(waiting) = self.entries.get_mut(next) {
                waiting.0 = key;
                waiting.1.reset();
            } else {
                self.entries.push((key, T::default()));
            }
        }
        &mut self.entries[place].1
    }

    /// Every value in order of the keys; afterwards only [`ByKey::clear`] makes sense.
    pub(super) fn sorted(&mut self) -> &mut [(u64, T)] {
        let used = &mut self.entries[..self.places.len()];
        used.sort_unstable_by_key(|(key, _)| *key);
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Reset for Vec<u64> {
        fn reset(&mut self) {
            self.clear();
        }
    }

    #[test]
    fn values_are_found_again_and_walked_in_order() {
        let mut lists: ByKey<Vec<u64>> = ByKey::default();
        for round in 0..3 {
            lists.clear();
            for key in [5, 3, 5, 9, 3, 5 + round] {
                lists.entry(key).push(round);
            }
            let found: Vec<(u64, usize)> =
                lists.sorted().iter().map(|(key, list)| (*key, list.len())).collect();
            let expected = match round {
                0 => vec![(3, 2), (5, 3), (9, 1)],
                _ => vec![(3, 2), (5, 2), (5 + round, 1), (9, 1)],
            };
            assert_eq!(found, expected);
        }
    }
}
