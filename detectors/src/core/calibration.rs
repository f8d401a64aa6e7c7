//! Calibration: turns raw statistics into −ln p that means the same for every series.
//!
//! Three steps, each on the series' own past. Every statistic has a high threshold and above it a Pareto tail
//! fitted to the exceedances (peaks over threshold; Hill's estimator with a prior worth a few exceedances).
//! The loudest statistic counts, the second a little, corrected for their number. Then the *habit*: what has
//! been said already is subtracted, so that the onset of a deviation counts and not each row of it. Last, what
//! is *news* has a tail of its own, exponential as −ln p should be, which evens out how often series speak.

use super::block::{Block, FEATURES, LANES};
use super::work::Work;
use crate::kernels::math::{clip, larger, ln, smaller};

/// Share of values above a statistic's threshold.
const EXCEED: f64 = 0.02;
/// Step of the multiplicative quantile tracker.
const PACE: f64 = 0.01;
/// For its first values a statistic's threshold is this multiple of its mean; later it is never below [`ABOVE`].
const SETTLE: f64 = 200.0;
const MULTIPLE: f64 = 12.0;
const ABOVE: f64 = 2.0;
/// Gain of a statistic's long-run mean.
const USUAL_GAIN: f64 = 0.001;
/// Prior tail index (1/α), its weight in exceedances, and how fast exceedances are forgotten.
const PRIOR: f64 = 1.0;
const PRIOR_WEIGHT: f64 = 2.0;
const FORGET: f64 = 0.995;
/// Largest log exceedance that is learnt, at all and in units of the tail index: one wild value must not make the tail heavy.
const LARGEST: f64 = 10.0;
const LARGEST_SHARE: f64 = 3.0;
/// Weight of the second loudest statistic, the correction for their number, and the largest −ln p.
const SECOND: f64 = 0.2;
const SEVERAL: f64 = 1.8;
const LOUDEST: f64 = 16.0;
/// A growing spread repeats what the values that made it grow have said: it counts for a little less.
const GROWING: usize = 4;
const GROWING_WEIGHT: f64 = 0.8;
/// The habit fades over this share of the slot's past, at least at this rate per value.
const FADE_SHARE: f64 = 3.0;
const FADE_LEAST: f64 = 0.0005;
/// The same for news: share above the threshold, pace, prior mean excess and its weight, forgetting.
const NEWS: f64 = 0.001;
const NEWS_PACE: f64 = 0.1;
const NEWS_PRIOR: f64 = 2.0;
const NEWS_WEIGHT: f64 = 10.0;
const NEWS_FORGET: f64 = 0.98;

/// Scores one block's statistics and learns from them.
#[inline(always)]
pub(crate) fn step(b: &mut Block, w: &mut Work, warmup: f64) {
    for i in 0..LANES {
        w.nlp[i] = 0.0;
        w.second[i] = 0.0;
        w.loudest[i] = 0.0;
        w.runner_up[i] = 0.0;
        w.warm[i] = b.seen[i] > warmup;
    }
    let body = -ln(EXCEED);
    for f in 0..FEATURES {
        let weight = if f == GROWING { GROWING_WEIGHT } else { 1.0 };
        for i in 0..LANES {
            let live = w.live[i];
            let s = clip(w.statistic[f][i], 0.0, 1e30);
            let usual = f64::from(b.usual[f][i]);
            let threshold = f64::from(b.threshold[f][i]);
            let heavy = f64::from(b.heavy[f][i]);
            let count = f64::from(b.count[f][i]);
            let u = larger(larger(threshold, ABOVE * usual), 1e-30);
            let ratio = s / u;
            let over = ratio > 1.0;
            let excess = ln(clip(ratio, 1.0, 1e30));
            let index = (PRIOR * PRIOR_WEIGHT + heavy) / (PRIOR_WEIGHT + count);
            let inside = -ln(1.0 - (1.0 - EXCEED) * smaller(ratio, 1.0));
            let nlp = if over { body + excess / index } else { inside };
            let nlp = if live { weight * nlp } else { 0.0 };

            let (best, second, number) = (w.nlp[i], w.second[i], f as f64 + 1.0);
            let behind = if nlp > second { number } else { w.runner_up[i] };
            w.runner_up[i] = if nlp > best { w.loudest[i] } else { behind };
            w.second[i] = larger(second, smaller(best, nlp));
            w.nlp[i] = larger(best, nlp);
            w.loudest[i] = if nlp > best { number } else { w.loudest[i] };
            w.ratio[i] = ratio;
            w.excess[i] = excess;
            w.limit[i] = u;
        }
        learn(b, w, f);
    }
    news(b, w);
}

/// A statistic's mean, threshold and tail learn from its value; a missing value weighs nothing.
#[inline(always)]
fn learn(b: &mut Block, w: &Work, f: usize) {
    for i in 0..LANES {
        let heard = if w.live[i] { 1.0 } else { 0.0 };
        let s = clip(w.statistic[f][i], 0.0, 1e30);
        let seen = b.seen[i];
        let cold = seen < SETTLE;
        let usual = f64::from(b.usual[f][i]);
        let threshold = f64::from(b.threshold[f][i]);
        let u = w.limit[i];
        let over = if w.ratio[i] > 1.0 { 1.0 } else { 0.0 };
        // One wild value must not move the mean much, yet a silent statistic must be able to wake up.
        let tame = if seen > 16.0 { 30.0 * usual + 0.03 * s } else { s };
        let learnt = smaller(s, if cold { tame } else { 10.0 * u });
        let new_usual = usual + heard * larger(1.0 / (seen + 1.0), USUAL_GAIN) * (learnt - usual);
        let tracked = u * (1.0 + PACE * (over - EXCEED));
        let new_threshold = if cold { MULTIPLE * new_usual } else { tracked };
        let counted = if cold { 0.0 } else { heard * over };
        let kept = 1.0 - counted * (1.0 - FORGET);
        let (heavy, count) = (f64::from(b.heavy[f][i]), f64::from(b.count[f][i]));
        let index = (PRIOR * PRIOR_WEIGHT + heavy) / (PRIOR_WEIGHT + count);
        let excess = smaller(w.excess[i], smaller(LARGEST, LARGEST_SHARE * index));
        b.usual[f][i] = new_usual as f32;
        b.threshold[f][i] = (threshold + heard * (new_threshold - threshold)) as f32;
        b.heavy[f][i] = (heavy * kept + counted * excess) as f32;
        b.count[f][i] = (count * kept + counted) as f32;
    }
}

/// Subtracts what has been said already and calibrates what is left.
#[inline(always)]
fn news(b: &mut Block, w: &mut Work) {
    let body = -ln(NEWS);
    for i in 0..LANES {
        let scored = w.live[i] & w.warm[i];
        let said = w.nlp[i] + SECOND * w.second[i];
        w.share[i] = if said > 0.0 { w.nlp[i] / said } else { 1.0 };
        let raw = clip(said - SEVERAL, 0.0, LOUDEST);
        let fade = larger(FADE_SHARE / (b.seen[i] + 1.0), FADE_LEAST);
        let habit = b.habit[i] * (1.0 - smaller(fade, 0.5));
        let fresh = larger(raw - habit, 0.0);

        let u = b.news_threshold[i];
        let mean = (NEWS_PRIOR * NEWS_WEIGHT + b.news_heavy[i]) / (NEWS_WEIGHT + b.news_count[i]);
        let over = fresh > u;
        let share = if u > 0.0 { smaller(fresh / u, 1.0) } else { 0.0 };
        let inside = -ln(1.0 - (1.0 - NEWS) * share);
        let nlp = if over { body + (fresh - u) / mean } else { inside };
        w.nlp[i] = if scored { nlp } else { 0.0 };
        w.loudest[i] = if scored & (fresh > 0.0) { w.loudest[i] } else { 0.0 };

        let learnt = scored & over;
        let moved = u + NEWS_PACE * mean * (if over { 1.0 } else { 0.0 } - NEWS);
        b.habit[i] = if scored { larger(habit, raw) } else { b.habit[i] };
        b.news_threshold[i] = if scored { larger(moved, 0.0) } else { u };
        b.news_heavy[i] = if learnt { b.news_heavy[i] * NEWS_FORGET + (fresh - u) } else { b.news_heavy[i] };
        b.news_count[i] = if learnt { b.news_count[i] * NEWS_FORGET + 1.0 } else { b.news_count[i] };
    }
}
