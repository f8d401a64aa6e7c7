//! What becomes of values outside the band: an outage that passes, or a change that lasts.
//!
//! The rule. When a value leaves the band, the level that was expected is *kept*: it stays the expectation, and band, scale and seasons learn
//! nothing from the second such value on. The first value back inside ends it, and everything goes on from the kept level: the band of
//! the old normal is back at once. Values that stay outside for [`MANY`] values in a row, and for half an hour (as the engine's anomalies do), are
//! accepted as the new normal: the levels move to them. A series that wanders has no old normal to go back to: the better its
//! local level predicts, the fewer values are needed, down to none.

use super::block::{Block, LANES};
use super::work::Work;
use crate::kernels::math::{larger, smaller};

/// Values after which what stays outside the band is the new normal, and seconds.
const MANY: f64 = 72.0;
const LONG: f64 = 1_800.0;
/// An outage of at least this many values has moved the long-run level, which is then put back.
const MOVED: f64 = 10.0;
/// Share of the long-run spread within which nothing is an outage, however narrow the band: a series that is zero for the most part has a
/// band of next to nothing, and would stay outside of it.
const USUAL: f64 = 0.5;
/// Values before any is outside.
const COLD: f64 = 30.0;

/// Says which values are outside the band, and which of them are not accepted yet.
#[inline(always)]
pub(crate) fn judge(b: &Block, w: &mut Work) {
    for i in 0..LANES {
        let settled = smaller(2.0 * (1.0 - w.mix[i]), 1.0);
        let far = larger(w.half[i], USUAL * w.spread[i]);
        let outside = w.live[i] & (b.seen[i] >= COLD) & (w.error[i].abs() > far);
        let count = b.outside[i] + 1.0;
        let young = (count < MANY * settled) | (count * b.step[i] < LONG * settled);
        w.settled[i] = settled;
        w.outside[i] = outside;
        w.held[i] = outside & young;
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

        b.kept[i] = if was_out { kept } else { w.level[i] };
        let count = if w.held[i] { larger(b.outside[i] + 1.0, 1.0) } else { 0.0 };
        b.outside[i] = if w.live[i] { count } else { b.outside[i] };
    }
}
