//! The deep tier of a series: a window of its values, split where the series changes in kind, and whether the newest values repeat
//! what came before.
//!
//! Ermshaus, Schäfer & Leser 2024, "Raising the ClaSS of Streaming Time Series Segmentation" (VLDB 17(8)), for shapes, with that
//! paper's constants; a test of means (`means.rs`) for what shapes are blind to. A change point is reported once, after
//! it has been seen: its onset lies in the past. Then the window begins anew at the onset.
//!
//! | file | what |
//! |---|---|
//! | `width.rs` | how long a subsequence must be, from the values |
//! | `window.rs` | values since the last change, nearest neighbours of every subsequence |
//! | `profile.rs` | the best split and its significance |
//! | `shape.rs` | shapes that never came, values that the past did not lead to |
//! | `means.rs` | levels, spreads and slopes, to which shapes are blind |
//! | `onset.rs` | when a change that was found began, to the value |
//! | `state.rs` | save and load |
//!
//! Bounds, per series, with a window of n values: 68 bytes of state per value kept (279 kB at the default 4,096). A value costs at
//! most [`PUT_OFF`] passes over the window and, spread over the values between two looks, two fifths of one for the profile
//! at most and a fiftieth per mean and stretch; each of the four times that the width is found, a sort of it; a change point, cycles of some thousands of
//! lengths over the 1,024 values on each side.

mod means;
mod onset;
mod profile;
mod shape;
mod state;
mod width;
mod window;

pub(crate) use means::{Stretch, test};
pub(crate) use profile::{Splits, judge};
pub(crate) use window::{Pass, Search, correlate, search};

use crate::bank::{Frame, Scores, SeriesBank, Speaker, score_of};
use crate::columns::{Columns, LoadError};
use crate::dispatch::Isa;
use means::Means;
use profile::Profile;
use shape::{Said, Shape};
use window::{Scratch, Window};

/// Values are held within this magnitude.
const LIMIT: f64 = 1e30;
/// The width is found after this many values, and again at every doubling up to the last.
const FIRST_WIDTH: u64 = 128;
const LAST_WIDTH: u64 = 1024;
/// Subsequences whose neighbours may be found later; as many are found per value while all have to be found again.
const PUT_OFF: usize = 8;
/// The splits are looked at again when one in so many of a subsequence's values is new: every fifth value for the shortest width.
const NEW: usize = 2;
/// Shortest segment, in widths.
const SHORTEST: usize = 5;

/// Settings of the deep tier's change points; the defaults serve every series.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentConfig {
    /// Most values of a series that are kept, at least 256.
    pub window: usize,
    /// Standard normal at which a split by shape is a change point. The default is the paper's p of 1e-50; subsequences
    /// overlap, so that p is not to be taken at its word.
    pub split: f64,
    /// Statistic at which a mean has moved. The default is a multiple of the 122 that is exceeded in one of a thousand
    /// stretches, because many stretches are tested.
    pub shift: f64,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self { window: 4096, split: 14.9, shift: 400.0 }
    }
}

/// Change points and shapes of a bounded number of series. `change` is 1 in the frame in which a change point is reported, `onset` the begin
/// of the current segment. −ln p and the band are those of the shape, NaN where the series has none; `usual` and `spread` are not known here.
#[derive(Debug, Clone)]
pub struct SegmentBank {
    config: SegmentConfig,
    isa: Isa,
    series: Vec<Series>,
    /// Of one series at a time.
    scratch: Scratch,
    profile: Profile,
    means: Means,
}

/// One slot.
#[derive(Debug, Clone)]
struct Series {
    window: Window,
    /// Values seen.
    seen: u64,
    /// Seconds since the Unix epoch; NaN before the first change point.
    onset: f64,
    shape: Shape,
}

impl SegmentBank {
    /// A bank of `slots` cold slots.
    ///
    /// # Panics
    /// When the window is below 256 or does not fit 32 bits.
    pub fn new(config: SegmentConfig, slots: usize) -> Self {
        assert!((256..u32::MAX as usize).contains(&config.window), "a window of 256 values or more");
        let mut bank = Self {
            config,
            isa: Isa::best(),
            series: Vec::new(),
            scratch: Scratch::default(),
            profile: Profile::default(),
            means: Means::default(),
        };
        bank.grow(slots);
        bank
    }

    /// Takes a value; says whether it completes the evidence for a change point, and how it fits what came before.
    fn take(&mut self, slot: usize, time: i64, value: f64) -> (bool, Said) {
        let series = &mut self.series[slot];
        series.seen += 1;
        series.window.push(time, value);
        series.find_width();
        if series.window.width == 0 {
            return (false, Said::NOTHING);
        }
        let look = series.seen.is_multiple_of((series.window.width / NEW) as u64);
        let said = series.follow(look, self.isa, &mut self.scratch);
        let window = &mut series.window;
        if window.behind() > PUT_OFF {
            return (false, said);
        }
        let is_split = look && window.behind() == 0;
        let split = is_split.then(|| self.profile.best(window, SHORTEST * window.width, self.isa)).flatten();
        let split = split.filter(|split| split.z >= self.config.split).map(|split| split.at);
        let (means, isa) = (&mut self.means, self.isa);
        let at = split.or_else(|| {
            let shift = means.strongest(window, series.seen, isa)?;
            (shift.strength >= self.config.shift).then_some(shift.at)
        });
        let at = at.map(|at| onset::refine(&window.standard, at, window.width));
        if let Some(at) = at {
            series.onset = window.times[at] as f64;
            window.cut(at);
            series.shape.expected = f64::NAN;
        }
        (at.is_some(), said)
    }
}

impl Series {
    fn cold(capacity: usize) -> Self {
        Self { window: Window::new(capacity), seen: 0, onset: f64::NAN, shape: Shape::cold() }
    }

    /// Finds the neighbours of the newest subsequences and judges their last values, unless that can wait for the next `look`
    /// at the splits: of a shape that has no say, nobody asks before. One pass after the other over the same window is cheaper
    /// than a window after the other. Gives what is said of the newest value.
    fn follow(&mut self, look: bool, isa: Isa, scratch: &mut Scratch) -> Said {
        let Self { window, shape, .. } = self;
        let behind = window.behind();
        if behind > PUT_OFF {
            (0..PUT_OFF).for_each(|_| window.step(isa, scratch));
            shape.expected = f64::NAN;
            return Said::NOTHING;
        }
        if behind < PUT_OFF && !look && !shape.has_say() {
            return Said::NOTHING;
        }
        let mut said = Said::NOTHING;
        for _ in 0..behind {
            window.step(isa, scratch);
            said = shape.judge(window);
        }
        said
    }

    /// Finds the width when it is time to. A constant series has the shortest.
    fn find_width(&mut self) {
        let doubled = self.seen.is_multiple_of(FIRST_WIDTH) && (self.seen / FIRST_WIDTH).is_power_of_two();
        if !doubled || self.seen > LAST_WIDTH {
            return;
        }
        let known = self.window.width;
        let width = width::width(&self.window.values).unwrap_or(known.max(width::SHORTEST));
        if width != known {
            self.window.restart(width);
        }
    }
}

impl SeriesBank for SegmentBank {
    fn slots(&self) -> usize {
        self.series.len()
    }

    fn grow(&mut self, slots: usize) {
        let capacity = self.config.window;
        self.series.resize_with(slots.max(self.series.len()), || Series::cold(capacity));
    }

    fn forget(&mut self, slot: usize) {
        assert!(slot < self.series.len(), "slot {slot} of {}", self.series.len());
        self.series[slot] = Series::cold(self.config.window);
    }

    fn advance(&mut self, frame: &Frame<'_>, out: &mut Scores) {
        assert_eq!(frame.values.len(), self.series.len(), "one value per slot");
        out.resize(self.series.len());
        out.usual.fill(f64::NAN);
        out.spread.fill(f64::NAN);
        for (slot, &value) in frame.values.iter().enumerate() {
            let (found, said) = if value.is_nan() {
                (false, Said::NOTHING)
            } else {
                self.take(slot, frame.time, value.clamp(-LIMIT, LIMIT))
            };
            out.change[slot] = if found { 1.0 } else { 0.0 };
            out.expected[slot] = said.expected;
            out.lower[slot] = said.expected - said.half;
            out.upper[slot] = said.expected + said.half;
            out.residual[slot] = said.residual;
            out.nlp[slot] = said.nlp;
            out.score[slot] = score_of(said.nlp);
            out.speaker[slot] = if said.nlp > 0.0 { Speaker::Shape } else { Speaker::None };
            out.onset[slot] = self.series[slot].onset;
            out.warm[slot] = self.series[slot].window.width > 0;
        }
    }

    fn save(&self) -> Columns {
        state::save(self)
    }

    fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        self.series = state::load(columns, self.config.window)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The state after some frames, and every onset on the way, as bits.
    fn run(isa: Isa, values: &[f64]) -> (Vec<u64>, Columns) {
        let mut bank = SegmentBank { isa, ..SegmentBank::new(SegmentConfig::default(), 1) };
        let mut out = Scores::new(1);
        let onsets = values.iter().enumerate().map(|(tick, value)| {
            bank.advance(&Frame { time: tick as i64 * 60, values: &[*value] }, &mut out);
            out.onset[0].to_bits()
        });
        (onsets.collect(), bank.save())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn every_instruction_set_gives_the_same_bits(
            values in proptest::collection::vec(
                prop_oneof![
                    20 => -1e3..1e3_f64,
                    1 => Just(f64::NAN),
                    1 => prop_oneof![Just(f64::INFINITY), Just(1e-310), Just(-1e200), Just(0.0)],
                ],
                300..700,
            ),
        ) {
            let plain = run(Isa::Baseline, &values);
            for isa in Isa::available() {
                prop_assert_eq!(&run(isa, &values), &plain, "{:?}", isa);
            }
        }
    }

    #[test]
    fn a_change_of_shape_is_found_with_its_onset() {
        let wave = |t: i32| (f64::from(t) * std::f64::consts::TAU / 40.0).sin();
        let saw = |t: i32| f64::from(t % 40) / 20.0 - 1.0;
        let values: Vec<f64> = (0..2_000).map(|t| if t < 1_100 { wave(t) } else { saw(t) }).collect();
        let (onsets, _) = run(Isa::best(), &values);
        let mut told: Vec<f64> =
            onsets.iter().map(|bits| f64::from_bits(*bits)).filter(|at| !at.is_nan()).collect();
        told.dedup();
        assert_eq!(told.len(), 1, "{told:?}");
        // Within a period.
        assert!((told[0] / 60.0 - 1_100.0).abs() <= 40.0, "{told:?}");
    }
}
