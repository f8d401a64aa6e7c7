//! The deep tier: windows and heavier models, for a bounded number of series.
//!
//! A series asks for a place once it has varied [`VARIED`] times: what stands still needs no window. Places are given in the
//! order of slots, as many per frame as the caller has room for, and kept until the series ends. A series without one has
//! the core tier alone.
//!
//! What the deep tier says of a value joins the core tier's: its expectation and band where it has predicted this very series clearly
//! better, its −ln p where it is louder although it is held back: a second look must not double the false alarms.

use std::borrow::Cow;

use foreshock_detectors::{Columns, Frame, LoadError, Scores, SegmentBank, SegmentConfig, SeriesBank};
use serde::{Deserialize, Serialize};

use super::columns;

/// Times that a value differed from the one before it.
const VARIED: u8 = 8;
/// The deep tier's expectation stands when its error is below this share of the core tier's, after so many values; gain of the errors.
const BETTER: f64 = 0.8;
const COMPARED: f64 = 100.0;
const GAIN: f64 = 0.002;
/// What is taken from the deep tier's −ln p, and where the core tier's calibration begins to call something news.
const HELD_BACK: f64 = 4.0;
const NEWS: f64 = 6.9;

/// The deep tier of one shard.
#[derive(Debug)]
pub(super) struct Deep {
    segments: SegmentBank,
    scores: Scores,
    /// Values of the frame, by place.
    values: Vec<f64>,
    /// Which tier has expected better, by place.
    rivals: Vec<Rivals>,
    given: Given,
}

/// Faded absolute errors of the two tiers, and the number of values that were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rivals {
    core: f64,
    deep: f64,
    seen: f64,
}

impl Rivals {
    fn learn(&mut self, core: f64, deep: f64) {
        self.seen += 1.0;
        let gain = GAIN.max(1.0 / self.seen);
        for (error, size) in [(&mut self.core, core), (&mut self.deep, deep)] {
            // What is abnormal says little about who expects well.
            let most = if self.seen < COMPARED { f64::INFINITY } else { 3.0 * *error };
            *error += gain * (size.min(most) - *error);
        }
    }

    fn deep_is_better(&self) -> bool {
        self.seen >= COMPARED && self.deep < BETTER * self.core
    }
}

/// The deep tier's −ln p on the core tier's scale: held back, and what is no news kept below [`NEWS`] as there.
fn joined(neg_log_p: f64) -> f64 {
    let held = (neg_log_p - HELD_BACK).max(0.0);
    if held < NEWS { -(1.0 - 0.999 * held / NEWS).ln() } else { held }
}

/// Who has a place, and who wants one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Given {
    /// Slot in each place.
    slots: Vec<Option<u32>>,
    /// Place of each slot.
    places: Vec<Option<u32>>,
    /// Latest value of each slot, and how often it differed from the one before.
    last: Vec<f64>,
    varied: Vec<u8>,
    /// Slots that want a place, in the order in which they asked.
    waiting: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Saved<'a> {
    #[serde(with = "columns")]
    segments: Columns,
    rivals: Cow<'a, [Rivals]>,
    given: Cow<'a, Given>,
}

/// A change point, if there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// Probability that the series changed.
    pub probability: f64,
    /// Since when, unix seconds; NaN for never.
    pub onset: f64,
}

impl Deep {
    pub(super) fn new() -> Deep {
        let segments = SegmentBank::new(SegmentConfig::default(), 0);
        Deep {
            segments,
            scores: Scores::new(0),
            values: Vec::new(),
            rivals: Vec::new(),
            given: Given::default(),
        }
    }

    /// Series that have a place.
    pub(super) fn used(&self) -> usize {
        self.given.slots.iter().flatten().count()
    }

    /// Series that wait for one.
    pub(super) fn waiting(&self) -> usize {
        self.given.waiting.len()
    }

    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(place) = self.given.forget(slot) {
            self.segments.forget(place as usize);
            self.rivals[place as usize] = Rivals::default();
        }
    }

    /// Scores the frame's values of the series that have a place, after giving out at most `room` new ones.
    pub(super) fn advance(&mut self, frame: &Frame<'_>, room: usize) {
        self.given.look(frame.values);
        self.given.give(room);
        let places = self.given.slots.len();
        self.segments.grow(places);
        self.scores.resize(places);
        self.rivals.resize(places, Rivals::default());
        self.values.clear();
        let value = |slot: &Option<u32>| slot.map_or(f64::NAN, |slot| frame.values[slot as usize]);
        self.values.extend(self.given.slots.iter().map(value));
        self.segments.advance(&Frame { time: frame.time, values: &self.values }, &mut self.scores);
    }

    /// Joins what the deep tier says of the frame to the core tier's scores.
    pub(super) fn join(&mut self, core: &mut Scores) {
        let deep = &self.scores;
        let taken = self.given.slots.iter().enumerate();
        for (place, slot) in taken.filter_map(|(place, slot)| Some((place, (*slot)? as usize))) {
            let (value, rivals) = (self.values[place], &mut self.rivals[place]);
            if value.is_nan() {
                continue;
            }
            let errors = ((value - core.expected[slot]).abs(), (value - deep.expected[place]).abs());
            if errors.0.is_finite() && errors.1.is_finite() {
                if rivals.deep_is_better() {
                    core.expected[slot] = deep.expected[place];
                    core.lower[slot] = deep.lower[place];
                    core.upper[slot] = deep.upper[place];
                    core.residual[slot] = deep.residual[place];
                }
                rivals.learn(errors.0, errors.1);
            }
            let strength = joined(deep.nlp[place]);
            if strength > core.nlp[slot] && core.warm[slot] {
                core.says_alone(slot, deep.speaker[place], strength);
            }
        }
    }

    /// What the deep tier says of a change in the latest frame; `None` for a series without a place.
    pub(super) fn change(&self, slot: usize) -> Option<ChangePoint> {
        let place = self.given.places.get(slot).copied().flatten()? as usize;
        Some(ChangePoint { probability: self.scores.change[place], onset: self.scores.onset[place] })
    }

    pub(super) fn save(&self) -> Saved<'_> {
        let (rivals, given) = (Cow::Borrowed(&self.rivals[..]), Cow::Borrowed(&self.given));
        Saved { segments: self.segments.save(), rivals, given }
    }

    pub(super) fn load(&mut self, saved: Saved<'_>) -> Result<(), LoadError> {
        self.segments.load(&saved.segments)?;
        (self.rivals, self.given) = (saved.rivals.into_owned(), saved.given.into_owned());
        self.scores.resize(self.given.slots.len());
        Ok(())
    }
}

impl Given {
    /// Takes note of who varies.
    fn look(&mut self, values: &[f64]) {
        self.places.resize(values.len(), None);
        self.last.resize(values.len(), f64::NAN);
        self.varied.resize(values.len(), 0);
        for (slot, &value) in values.iter().enumerate() {
            if self.varied[slot] < VARIED && !value.is_nan() {
                let differs = !self.last[slot].is_nan() && self.last[slot] != value;
                self.last[slot] = value;
                self.varied[slot] += u8::from(differs);
                if self.varied[slot] == VARIED {
                    self.waiting.push(slot as u32);
                }
            }
        }
    }

    /// Gives places to those that have waited longest.
    fn give(&mut self, room: usize) {
        let count = room.min(self.waiting.len());
        let mut free = 0;
        for slot in self.waiting.drain(..count) {
            while self.slots.get(free).is_some_and(Option::is_some) {
                free += 1;
            }
            if free == self.slots.len() {
                self.slots.push(None);
            }
            self.slots[free] = Some(slot);
            self.places[slot as usize] = Some(free as u32);
        }
    }

    /// Makes a slot new; gives the place that it had.
    fn forget(&mut self, slot: u32) -> Option<u32> {
        let at = slot as usize;
        if at >= self.places.len() {
            return None;
        }
        self.last[at] = f64::NAN;
        self.varied[at] = 0;
        self.waiting.retain(|waiting| *waiting != slot);
        let place = self.places[at].take()?;
        self.slots[place as usize] = None;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advance(deep: &mut Deep, tick: i64, values: &[f64], room: usize) {
        deep.advance(&Frame { time: tick, values }, room);
    }

    #[test]
    fn who_varies_gets_a_place_while_there_is_room() {
        let mut deep = Deep::new();
        for tick in 0..20 {
            let value = tick as f64;
            advance(&mut deep, tick, &[value, 7.0, value, value], 0);
        }
        assert_eq!((deep.used(), deep.waiting()), (0, 3), "the constant one does not ask");
        advance(&mut deep, 20, &[1.0, 7.0, 1.0, 1.0], 2);
        assert_eq!((deep.used(), deep.waiting()), (2, 1));
        assert!(deep.change(0).is_some() && deep.change(1).is_none() && deep.change(3).is_none());
        // A series ends: its place is for the next.
        deep.forget(0);
        advance(&mut deep, 21, &[f64::NAN, 7.0, 2.0, 2.0], 1);
        assert_eq!((deep.used(), deep.waiting()), (2, 0));
        assert!(deep.change(0).is_none() && deep.change(3).is_some());
    }

    #[test]
    fn a_missing_beat_is_heard_and_the_band_knows_the_beat() {
        let mut deep = Deep::new();
        let mut core = Scores::new(1);
        let beat = |tick: i64| if tick % 37 < 4 { 90.0 } else { 50.0 + (tick % 5) as f64 * 0.1 };
        let mut loudest = (0.0, 0);
        for tick in 0..2_200 {
            let value = if tick / 37 == 52 { 50.0 } else { beat(tick) };
            advance(&mut deep, tick, &[value], 1);
            // A core tier that knows no beat.
            (core.expected[0], core.lower[0], core.upper[0]) = (55.0, 0.0, 120.0);
            (core.nlp[0], core.warm[0]) = (0.0, true);
            deep.join(&mut core);
            if core.nlp[0] > loudest.0 {
                loudest = (core.nlp[0], tick);
            }
            if tick > 1_000 && tick % 37 == 2 && tick / 37 < 52 {
                assert!((core.expected[0] - 90.0).abs() < 5.0, "tick {tick}: {}", core.expected[0]);
            }
        }
        assert!(loudest.0 >= 6.95 && loudest.1 / 37 == 52, "{loudest:?}");
    }

    #[test]
    fn saving_and_loading_is_invisible() {
        let value = |tick: i64| ((tick * 37 % 11) as f64) + if tick > 500 { 30.0 } else { 0.0 };
        let (mut one, mut other) = (Deep::new(), Deep::new());
        let mut found = 0;
        for tick in 0..900 {
            let values = [value(tick), 1.0];
            advance(&mut one, tick, &values, 1);
            let mut again = Deep::new();
            again.load(other.save()).unwrap();
            other = again;
            advance(&mut other, tick, &values, 1);
            let (ours, theirs) = (one.change(0), other.change(0));
            let bits =
                |change: Option<ChangePoint>| change.map(|c| (c.probability.to_bits(), c.onset.to_bits()));
            assert_eq!(bits(ours), bits(theirs), "tick {tick}");
            found += u32::from(ours.is_some_and(|change| change.probability > 0.5));
        }
        assert_eq!(found, 1, "the step is a change point, once");
    }
}
