//! What becomes of values outside the band: an outage that passes, or a change that lasts.
//!
//! The rule. When a value leaves the band, the level that was expected is *kept*: it stays the expectation, and band, scale and seasons learn
//! nothing from the second such value on. The first value back inside ends it, and everything goes on from the kept level: the band of
//! the old normal is back at once. Values that stay outside for [`MANY`] values in a row, and for half an hour (as the engine's anomalies do), are
//! accepted as the new normal: the levels move to them. A series that wanders has no old normal to go back to: the better its
//! local level predicts, the fewer values are needed, down to none.
//!
//! The longer values stay outside, the surer it is that something is wrong. Runs of them are compared with those of the series' own past: the
//! share of values that leave the band, and the share that then stay outside, give a run's −ln p (a geometric law).

use super::block::{Block, LANES};
use super::work::Work;
use crate::kernels::math::{larger, ln, smaller};

/// Values after which what stays outside the band is the new normal, and seconds.
const MANY: f64 = 72.0;
const LONG: f64 = 1_800.0;
/// An outage of at least this many values has moved the long-run level, which is then put back.
const MOVED: f64 = 10.0;
/// Values before any is outside.
const COLD: f64 = 30.0;
/// Shares of values that leave the band and that stay outside, for a new series, and how fast they learn.
const LEAVES: f64 = 0.01;
const STAYS: f64 = 0.5;
const LEAVES_GAIN: f64 = 0.002;
const STAYS_GAIN: f64 = 0.02;

/// Says which values are outside the band, which of them are not accepted yet, and how improbable their run is.
#[inline(always)]
pub(crate) fn judge(b: &Block, w: &mut Work) {
    for i in 0..LANES {
        let settled = smaller(2.0 * (1.0 - w.mix[i]), 1.0);
        let outside = w.live[i] & (b.seen[i] >= COLD) & (w.error[i].abs() > w.half[i]);
        let count = b.outside[i] + 1.0;
        let young = (count < MANY * settled) | (count * b.step[i] < LONG * settled);
        let stays = ln(STAYS + b.stays[i]);
        let run = -ln(LEAVES + b.leaves[i]) - b.outside[i] * stays;
        w.settled[i] = settled;
        w.outside[i] = outside;
        w.held[i] = outside & young;
        w.run[i] = if outside { run } else { 0.0 };
        w.run_before[i] = if outside & (b.outside[i] > 0.0) { run + stays } else { 0.0 };
    }
}

/// Keeps the level, goes back to it, or moves on.
#[inline(always)]
pub(crate) fn settle(b: &mut Block, w: &Work, gain: f64) {
    for i in 0..LANES {
        let was_out = b.outside[i] > 0.0;
        let back = w.live[i] & !w.outside[i] & was_out;
        let accepted = w.outside[i] & !w.held[i];
        let kept = b.kept[i];
        b.fast[i] = if back { kept + gain * w.error[i] } else { b.fast[i] };
        b.trend[i] = if back { 0.0 } else { b.trend[i] };
        let slow = b.slow[i];
        let home = if back & (b.outside[i] >= MOVED) { kept } else { slow };
        let aim = if accepted { b.fast[i] } else { home };
        b.slow[i] = slow + w.settled[i] * (aim - slow);

        let heard = w.live[i] & (b.seen[i] > COLD);
        let out = if w.outside[i] { 1.0 } else { 0.0 };
        let (leaves, stays) = (LEAVES + b.leaves[i], STAYS + b.stays[i]);
        b.leaves[i] += if heard & !was_out { LEAVES_GAIN * (out - leaves) } else { 0.0 };
        b.stays[i] += if heard & was_out { STAYS_GAIN * (out - stays) } else { 0.0 };
        b.kept[i] = if was_out { kept } else { w.level[i] };
        let count = if w.held[i] { larger(b.outside[i] + 1.0, 1.0) } else { 0.0 };
        b.outside[i] = if w.live[i] { count } else { b.outside[i] };
    }
}
