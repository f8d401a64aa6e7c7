//! What was learnt of sessions: kinds of events, steps, count vectors. Bounded; at a limit what is new stays unknown, only
//! of count vectors the rarest makes room.

use std::collections::{BTreeMap, BTreeSet};

use super::SessionConfig;
use crate::columns::{ColumnData, Columns, LoadError};

/// Most alarms whose counts are held for adoption.
const HELD: usize = 256;

/// Stands before the first event and behind the last.
const BEGIN: u64 = u64::MAX;
const END: u64 = u64::MAX - 1;

/// How badly a session answers one question.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answer {
    /// 0 is well, 1 is as badly as can be.
    pub badness: f64,
    /// The event that shows it best.
    pub event: Option<u32>,
}

/// What was learnt.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    events: BTreeSet<u32>,
    steps: BTreeSet<u64>,
    vectors: BTreeMap<u64, Vector>,
    held: BTreeMap<u64, u32>,
}

/// Events of a session with their numbers, by event.
type Counts = Vec<(u32, u32)>;

#[derive(Debug, Clone)]
struct Vector {
    sessions: u64,
    counts: Counts,
}

impl Known {
    /// The answers for events, counts and order.
    pub(super) fn answers(&self, events: &[u32]) -> [Answer; 3] {
        if events.is_empty() {
            return [Answer::default(); 3];
        }
        [self.strangers(events), self.distance(&counts(events)), self.missteps(events)]
    }

    /// Share of events that are of no known kind.
    fn strangers(&self, events: &[u32]) -> Answer {
        let mut strangers = events.iter().filter(|event| !self.events.contains(event));
        let event = strangers.next().copied();
        let number = strangers.count() + usize::from(event.is_some());
        Answer { badness: number as f64 / events.len() as f64, event }
    }

    /// Distance to the nearest known counts: the sum of differences over the sum of counts (Bray & Curtis 1957).
    fn distance(&self, counts: &[(u32, u32)]) -> Answer {
        if self.vectors.contains_key(&key(counts)) {
            return Answer::default();
        }
        let mut nearest = Answer { badness: 1.0, event: counts.first().map(|(event, _)| *event) };
        for vector in self.vectors.values() {
            let found = difference(counts, &vector.counts);
            if found.badness < nearest.badness {
                nearest = found;
            }
        }
        nearest
    }

    /// Share of steps that are unknown.
    fn missteps(&self, events: &[u32]) -> Answer {
        let mut unknown = 0;
        let mut first = None;
        for (place, step) in steps(events).enumerate() {
            if !self.steps.contains(&step) {
                unknown += 1;
                first = first.or(Some(events[place.min(events.len() - 1)]));
            }
        }
        Answer { badness: f64::from(unknown) / (events.len() + 1) as f64, event: first }
    }

    pub(super) fn learn(&mut self, events: &[u32], limits: &SessionConfig) {
        if events.is_empty() {
            return;
        }
        for &event in events {
            if self.events.len() < limits.max_events || self.events.contains(&event) {
                self.events.insert(event);
            }
        }
        for step in steps(events) {
            if self.steps.len() < limits.max_steps || self.steps.contains(&step) {
                self.steps.insert(step);
            }
        }
        let counts = counts(events);
        let key = key(&counts);
        if !self.vectors.contains_key(&key) && self.vectors.len() >= limits.max_vectors {
            let rarest = self.vectors.iter().min_by_key(|(key, vector)| (vector.sessions, **key));
            if let Some((&rarest, _)) = rarest {
                self.vectors.remove(&rarest);
            }
        }
        self.vectors.entry(key).or_insert(Vector { sessions: 0, counts }).sessions += 1;
    }

    /// Notes an alarm; `true` when its counts have come so often that they are to be learnt.
    pub(super) fn held(&mut self, events: &[u32], limits: &SessionConfig) -> bool {
        let key = key(&counts(events));
        if !self.held.contains_key(&key) && self.held.len() >= HELD {
            let rarest = self.held.iter().min_by_key(|(key, times)| (**times, **key));
            if let Some((&rarest, _)) = rarest {
                self.held.remove(&rarest);
            }
        }
        let times = self.held.entry(key).or_insert(0);
        *times += 1;
        let adopts = *times >= limits.adopt;
        if adopts {
            self.held.remove(&key);
        }
        adopts
    }

    pub(super) fn save(&self, columns: &mut Vec<(String, ColumnData)>) {
        let pairs = || self.vectors.values().flat_map(|vector| &vector.counts);
        let sizes =
            [self.events.len(), self.steps.len(), self.vectors.len(), pairs().count(), self.held.len()];
        let parts = [
            ("sizes", ColumnData::U64(sizes.map(|size| size as u64).to_vec())),
            ("events", ColumnData::U32(self.events.iter().copied().collect())),
            ("steps", ColumnData::U64(self.steps.iter().copied().collect())),
            (
                "vector_sessions",
                ColumnData::U64(self.vectors.values().map(|vector| vector.sessions).collect()),
            ),
            (
                "vector_events",
                ColumnData::U32(self.vectors.values().map(|vector| vector.counts.len() as u32).collect()),
            ),
            ("pair_events", ColumnData::U32(pairs().map(|(event, _)| *event).collect())),
            ("pair_counts", ColumnData::U32(pairs().map(|(_, count)| *count).collect())),
            ("held", ColumnData::U64(self.held.keys().copied().collect())),
            ("held_times", ColumnData::U32(self.held.values().copied().collect())),
        ];
        columns.extend(parts.map(|(name, data)| (name.to_owned(), data)));
    }

    pub(super) fn load(columns: &Columns, bank: &'static str) -> Result<Self, LoadError> {
        let sizes = columns.u64(bank, "sizes", 5)?;
        let [events, steps, vectors, pairs, held] = [0, 1, 2, 3, 4].map(|at| sizes[at] as usize);
        let damaged = || LoadError::Column { bank, column: "vector_events".to_owned() };
        let pair_events = columns.u32(bank, "pair_events", pairs)?.iter().copied();
        let mut all = pair_events.zip(columns.u32(bank, "pair_counts", pairs)?.iter().copied());
        let lengths = columns.u32(bank, "vector_events", vectors)?.iter();
        let sessions = columns.u64(bank, "vector_sessions", vectors)?.iter();
        let mut known = Self::default();
        for (&length, &sessions) in lengths.zip(sessions) {
            let counts: Counts = all.by_ref().take(length as usize).collect();
            if counts.len() != length as usize {
                return Err(damaged());
            }
            known.vectors.insert(key(&counts), Vector { sessions, counts });
        }
        if all.next().is_some() || known.vectors.len() != vectors {
            return Err(damaged());
        }
        known.events = columns.u32(bank, "events", events)?.iter().copied().collect();
        known.steps = columns.u64(bank, "steps", steps)?.iter().copied().collect();
        let times = columns.u32(bank, "held_times", held)?.iter().copied();
        known.held = columns.u64(bank, "held", held)?.iter().copied().zip(times).collect();
        Ok(known)
    }
}

fn counts(events: &[u32]) -> Counts {
    let mut sorted = events.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect()
}

/// How two sorted count vectors differ, and the event that differs most.
fn difference(counts: &[(u32, u32)], other: &[(u32, u32)]) -> Answer {
    let (mut a, mut b) = (counts.iter().peekable(), other.iter().peekable());
    let (mut apart, mut total, mut most, mut event) = (0_u64, 0_u64, 0, None);
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.0.min(y.0),
            (Some(one), None) | (None, Some(one)) => one.0,
            (None, None) => break,
        };
        let mine = a.next_if(|pair| pair.0 == next).map_or(0, |pair| pair.1);
        let theirs = b.next_if(|pair| pair.0 == next).map_or(0, |pair| pair.1);
        let gap = mine.abs_diff(theirs);
        apart += u64::from(gap);
        total += u64::from(mine) + u64::from(theirs);
        if gap > most {
            (most, event) = (gap, Some(next));
        }
    }
    Answer { badness: apart as f64 / total.max(1) as f64, event }
}

/// The steps of a session: every event, and the end, after the two before it.
fn steps(events: &[u32]) -> impl Iterator<Item = u64> {
    let events = events.iter().map(|event| u64::from(*event)).chain([END]);
    let mut before = (BEGIN, BEGIN);
    events.map(move |event| {
        let step = mixed(mixed(mixed(0, before.0), before.1), event);
        before = (before.1, event);
        step
    })
}

fn key(counts: &[(u32, u32)]) -> u64 {
    counts.iter().fold(0, |hash, (event, count)| mixed(mixed(hash, u64::from(*event)), u64::from(*count)))
}

/// One step of a hash over numbers: the finaliser of SplitMix64.
fn mixed(hash: u64, value: u64) -> u64 {
    let z = (hash ^ value).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
