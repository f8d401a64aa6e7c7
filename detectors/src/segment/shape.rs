//! Whether the newest values repeat what the series did before: shapes that never came, and values that the past did not lead to.
//!
//! For series that repeat themselves with a period that no calendar knows. Two statistics, both from the neighbours that the window
//! has found already: the *discord*, the distance of the newest subsequence from the nearest one before it (left matrix profile: Yeh et al.
//! 2016; Lu et al. 2022, "DAMP"), and the error of the *analogue forecast* (Lorenz 1969): what came after the nearest neighbours,
//! moved to the present level. Each is calibrated on the series' own past. Nothing is said unless the forecast has been clearly
//! better than the latest value and the usual level are: noise, random walks and steps have no shape.

use super::window::{NEIGHBOURS, Window};
use crate::kernels::math::{larger, ln};

/// Periods of history before anything is said, in widths.
const HISTORY: usize = 4;
/// Gain of the errors that are compared, and values before they are.
const GAIN: f64 = 0.002;
const COMPARED: f64 = 100.0;
/// The forecast has a say when its error is below the latest value's and below this share of the usual level's.
const BETTER: f64 = 0.8;
/// Seconds of a subsequence from which on the calendar is asked: six hours.
const CALENDAR: f64 = 21_600.0;
/// Errors below this share of the window's scale are none, and likewise distances.
const NEGLIGIBLE: f64 = 0.02;
/// A neighbour's amplitude is believed within this factor.
const AMPLITUDE: f64 = 2.0;
/// Mean absolute error to standard deviation, for a normal, and half width of the band in these.
const NORMAL: f64 = 1.253_314_137_315_500_3;
const BAND: f64 = 4.0;
/// Two statistics are looked at: −ln p for the louder one is corrected by ln 2.
const SEVERAL: f64 = std::f64::consts::LN_2;
/// Columns of a snapshot.
pub(super) const COLUMNS: usize = 4 + 2 * PEAKS;

/// What was learnt of one series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Forecast of the next value; NaN for none.
    pub(super) expected: f64,
    /// Faded absolute errors: of the forecast, of the latest value, of the centre.
    errors: [f64; 3],
    surprise: Peaks,
    discord: Peaks,
}

/// What is said of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Said {
    /// Expected value and half width of the band; NaN where the forecast has no say.
    pub expected: f64,
    pub half: f64,
    /// Robust z of the value; NaN likewise.
    pub residual: f64,
    /// −ln p of what is new.
    pub nlp: f64,
}

impl Said {
    pub(super) const NOTHING: Said =
        Said { expected: f64::NAN, half: f64::NAN, residual: f64::NAN, nlp: 0.0 };
}

impl Shape {
    pub(super) fn cold() -> Self {
        Self { expected: f64::NAN, errors: [0.0; 3], surprise: Peaks::default(), discord: Peaks::default() }
    }

    /// Whether the forecast has been better than the latest value and the usual level.
    pub(super) fn has_say(&self) -> bool {
        let [own, latest, level] = self.errors;
        self.surprise.seen >= COMPARED && own < latest.min(BETTER * level)
    }

    /// Judges the last value of the newest subsequence that has its neighbours, and makes the next forecast.
    pub(super) fn judge(&mut self, window: &Window) -> Said {
        let count = window.done() + window.width - 1;
        let expected = std::mem::replace(&mut self.expected, f64::NAN);
        let known = window.done() > HISTORY * window.width;
        if known {
            self.expected = forecast(window);
        }
        if expected.is_nan() || count < 2 {
            return Said::NOTHING;
        }
        let (value, before) = (window.values[count - 1], window.values[count - 2]);
        let floor = NEGLIGIBLE * window.scale;
        let has_say = self.has_say();
        let deviation = NORMAL * larger(self.errors[0], floor);
        let mut said = Said::NOTHING;
        if has_say {
            said.expected = expected;
            said.half = BAND * deviation;
            said.residual = ((value - expected) / deviation).clamp(-1e9, 1e9);
        }
        let fade = 0.05 / window.width as f64;
        let surprise = self.surprise.take((value - expected).abs() / deviation, 0.5, fade);
        let far = if known {
            self.discord.take(ln(larger(newest_distance(window), NEGLIGIBLE)), 0.05, fade)
        } else {
            0.0
        };
        if has_say && !is_calendar(window) {
            said.nlp = larger(larger(surprise, far) - SEVERAL, 0.0);
        }
        let gain = larger(GAIN, 1.0 / self.surprise.seen);
        // What is abnormal says little about who forecasts well.
        for (error, of) in self.errors.iter_mut().zip([expected, before, window.centre]) {
            let size = (value - of).abs();
            let most =
                if self.surprise.seen < COMPARED { f64::INFINITY } else { 3.0 * larger(*error, floor) };
            *error += gain * (size.min(most) - *error);
        }
        said
    }

    pub(super) fn to_row(&self) -> [f64; COLUMNS] {
        let mut row = [0.0; COLUMNS];
        row[0] = self.expected;
        row[1..4].copy_from_slice(&self.errors);
        row[4..4 + PEAKS].copy_from_slice(&self.surprise.to_row());
        row[4 + PEAKS..].copy_from_slice(&self.discord.to_row());
        row
    }

    pub(super) fn from_row(row: &[f64]) -> Self {
        let errors = [row[1], row[2], row[3]];
        let (surprise, discord) = (Peaks::from_row(&row[4..]), Peaks::from_row(&row[4 + PEAKS..]));
        Self { expected: row[0], errors, surprise, discord }
    }
}

/// Whether subsequences are so long that a day fits into a few: such seasons are the core tier's, which knows the calendar.
fn is_calendar(window: &Window) -> bool {
    let count = window.times.len();
    let step = window.times[count - 1].saturating_sub(window.times[0]) as f64 / (count - 1) as f64;
    step * window.width as f64 > CALENDAR
}

/// Distance of the newest subsequence from its nearest neighbour before it: 0 for the same shape, 1 for none alike.
fn newest_distance(window: &Window) -> f64 {
    let like = window.like[0].last().copied().map_or(1.0, f64::from);
    (1.0 - like.clamp(-1.0, 1.0)).sqrt()
}

/// What came after the nearest neighbours of the newest subsequence, moved to its level and, in bounds, its amplitude; the mean
/// of as many as are about as near as the nearest.
fn forecast(window: &Window) -> f64 {
    let (newest, width) = (window.done() - 1, window.width);
    let (mean, inverse) = (window.mean[newest], window.inverse[newest]);
    let (mut sum, mut weight) = (0.0, 0.0);
    for rank in 0..NEIGHBOURS {
        let like = f64::from(window.like[rank][newest]);
        let near = window.near[rank][newest] as usize;
        if like <= 0.0 {
            continue;
        }
        let (there, own) = (window.inverse[near], inverse);
        let ratio = if own > 0.0 { (there / own).clamp(1.0 / AMPLITUDE, AMPLITUDE) } else { 1.0 };
        let next = mean + (f64::from(window.standard[near + width]) - window.mean[near]) * ratio;
        sum += like * next;
        weight += like;
    }
    if weight > 0.0 { window.centre + window.scale * sum / weight } else { f64::NAN }
}

/// Share of values above a statistic's threshold, and how fast that is tracked, in spreads.
const EXCEED: f64 = 0.02;
const PACE: f64 = 0.2;
/// Values before a threshold is tracked and anything said, and the threshold until then, in spreads.
const SETTLE: f64 = 200.0;
const FIRST: f64 = 2.5;
const USUAL_GAIN: f64 = 0.002;
/// What is learnt of one value is held within this many spreads, and within this many mean excesses.
const FARTHEST: f64 = 4.0;
const LARGEST: f64 = 3.0;
/// Prior of the mean excess, in spreads, and its weight; how fast exceedances are forgotten.
const PRIOR: f64 = 0.8;
const PRIOR_WEIGHT: f64 = 5.0;
const FORGET: f64 = 0.995;
/// −ln p by which a value must exceed what has been said, and the most that is said.
const MORE: f64 = 0.5;
const LOUDEST: f64 = 30.0;
pub(super) const PEAKS: usize = 7;

/// A statistic with an exponential tail above a tracked quantile (peaks over threshold), and what has been said of it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Peaks {
    seen: f64,
    centre: f64,
    spread: f64,
    threshold: f64,
    excess: f64,
    count: f64,
    said: f64,
}

impl Peaks {
    /// −ln p of the statistic where that is news, else 0; then learns. `floor` is a spread that is negligible; `fade` is how
    /// fast what was said is forgotten, per value.
    fn take(&mut self, statistic: f64, floor: f64, fade: f64) -> f64 {
        let settled = self.seen >= SETTLE;
        let spread = larger(self.spread, floor);
        let away = statistic - self.centre;
        let mean = (PRIOR * spread * PRIOR_WEIGHT + self.excess) / (PRIOR_WEIGHT + self.count);
        let excess = away - self.threshold;
        let over = settled && excess > 0.0;
        let nlp = if over { (excess / mean - ln(EXCEED)).min(LOUDEST) } else { 0.0 };

        self.said *= 1.0 - fade;
        let news = nlp > self.said + MORE;
        self.said = larger(self.said, nlp);

        self.seen += 1.0;
        let most = if self.seen > 16.0 { FARTHEST * spread } else { f64::MAX };
        let held = away.clamp(-most, most);
        let gain = larger(1.0 / self.seen, USUAL_GAIN);
        self.centre += gain * held;
        self.spread += gain * (held.abs() - self.spread);
        if settled {
            self.threshold += PACE * spread * (f64::from(u8::from(over)) - EXCEED);
        } else {
            self.threshold = FIRST * larger(self.spread, floor);
        }
        if over {
            self.excess = self.excess * FORGET + excess.min(LARGEST * mean);
            self.count = self.count * FORGET + 1.0;
        }
        if news { nlp } else { 0.0 }
    }

    fn to_row(&self) -> [f64; PEAKS] {
        [self.seen, self.centre, self.spread, self.threshold, self.excess, self.count, self.said]
    }

    fn from_row(row: &[f64]) -> Self {
        let [seen, centre, spread, threshold, excess, count, said] = std::array::from_fn(|at| row[at]);
        Self { seen, centre, spread, threshold, excess, count, said }
    }
}
