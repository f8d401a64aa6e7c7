//! Calibration: turns raw statistics into −ln p that means the same for every series.
//!
//! Each statistic has a high quantile, tracked online, and a Pareto tail above it fitted to the series' own
//! past exceedances (peaks over threshold; Hill's estimator with a prior that weighs as much as a few
//! exceedances). The smallest p of the statistics is corrected for their number (Sidak). Then comes the
//! habit: what has been said already is subtracted, so that the onset of a deviation counts, not each row.

use super::block::{Block, FEATURES, LANES};
use super::work::Work;
use crate::kernels::math::{clip, larger, ln, smaller};

/// Share of values above the threshold.
const EXCEED: f64 = 0.02;
/// Step of the multiplicative quantile tracker.
const PACE: f64 = 0.03;
/// Prior tail index (1/α) and its weight in exceedances.
const PRIOR: f64 = 0.25;
const PRIOR_WEIGHT: f64 = 8.0;
/// Exceedances are forgotten at this rate, so that the tail follows the series.
const FORGET: f64 = 0.995;
/// How fast the habit fades per value.
const FADE: f64 = 0.995;

/// Scores one block's statistics and learns from them.
#[inline(always)]
pub(crate) fn step(b: &mut Block, w: &mut Work, warmup: f64) {
    let body = -ln(EXCEED);
    for i in 0..LANES {
        w.nlp[i] = 0.0;
        w.loudest[i] = 0.0;
        w.warm[i] = b.seen[i] > warmup;
    }
    for f in 0..FEATURES {
        for i in 0..LANES {
            let live = w.live[i];
            let s = clip(w.statistic[f][i], 0.0, 1e120);
            let seen = b.seen[i];
            let u = b.threshold[f][i];
            let cold = seen < 64.0;
            let safe = larger(u, 1e-130);
            let over = s > safe;
            let excess = ln(clip(s / safe, 1.0, 1e30));
            let gamma = (PRIOR * PRIOR_WEIGHT + b.heavy[f][i]) / (PRIOR_WEIGHT + b.count[f][i]);
            let inside = -ln(1.0 - (1.0 - EXCEED) * smaller(s / safe, 1.0));
            let nlp = if over { body + excess / gamma } else { inside };
            let nlp = if live { nlp } else { 0.0 };

            let louder = nlp > w.nlp[i];
            w.nlp[i] = if louder { nlp } else { w.nlp[i] };
            w.loudest[i] = if louder { f as f64 + 1.0 } else { w.loudest[i] };

            // While cold the threshold is a multiple of the mean; later it is a tracked quantile.
            let mean_step = (2.5 * s - u) / (seen + 1.0);
            let track = if over { 1.0 + PACE * (1.0 - EXCEED) } else { 1.0 - PACE * EXCEED };
            let new_u = if cold { u + mean_step } else { safe * track };
            let counted = live && over && !cold;
            let heavy = b.heavy[f][i] * FORGET + smaller(excess, 3.0);
            let count = b.count[f][i] * FORGET + 1.0;
            b.threshold[f][i] = if live { new_u } else { u };
            b.heavy[f][i] = if counted { heavy } else { b.heavy[f][i] };
            b.count[f][i] = if counted { count } else { b.count[f][i] };
        }
    }
    habit(b, w);
}

/// Subtracts what has been said already.
#[inline(always)]
fn habit(b: &mut Block, w: &mut Work) {
    let several = ln(FEATURES as f64);
    for i in 0..LANES {
        let scored = w.live[i] && w.warm[i];
        let raw = larger(w.nlp[i] - several, 0.0);
        let habit = b.habit[i] * FADE;
        let fresh = larger(raw - habit, 0.0);
        let grown = larger(habit, raw);
        w.nlp[i] = if scored { fresh } else { 0.0 };
        w.loudest[i] = if scored { w.loudest[i] } else { 0.0 };
        b.habit[i] = if scored { grown } else { b.habit[i] };
    }
}
