//! Online decomposition: local and long-run level, damped trend, daily and weekly season, robust scale.
//!
//! What it is for: an expected value with a band, and the statistics that the calibration turns into
//! probabilities. It decides nothing about what is abnormal.
//!
//! A season is a ring of knots in calendar time, interpolated linearly, and speaks only in so far as it has
//! lowered the error of this very series. Updates are clipped (Huber), so that one wild point moves neither
//! level nor scale; the clip widens with a lasting deviation, so that a new level is adopted.

use super::block::{Block, LANES};
use super::work::{Tick, Work};
use crate::kernels::math::{clip, larger, smaller};

const DAY: f64 = 86_400.0;
/// Values are clamped to this magnitude, so that squares stay finite.
const LIMIT: f64 = 1e30;
/// Mean absolute deviation to standard deviation, for a normal.
const NORMAL: f64 = 1.253_314_137_315_500_3;
/// Gains per value of the local level, and of the mean deviation over a few and over many values.
const FAST_GAIN: f64 = 0.25;
const LOCAL_GAIN: f64 = 0.2;
const DRIFT_GAIN: f64 = 0.02;
/// The long-run level forgets in one over this many days.
const DAYS: f64 = 5.0;

/// Advances one block by one tick.
#[inline(always)]
pub(crate) fn step(b: &mut Block, w: &mut Work, tick: &Tick, band: f64) {
    let (d0, d1, dw) = tick.daily;
    let (k0, k1, kw) = tick.weekly;
    for i in 0..LANES {
        let live = w.live[i];
        let seen = b.seen[i];
        let first = seen == 0.0;
        let x = clip(w.value[i], -LIMIT, LIMIT);
        let last = if first { x } else { b.last[i] };
        let slow = if first { x } else { b.slow[i] };
        let fast = if first { x } else { b.fast[i] };

        // Cadence: a multiplicative median tracker of the time between values.
        let since = if first { 0.0 } else { tick.time - b.last_time[i] };
        let step = b.step[i];
        let pace = larger(0.5 / (seen + 1.0), 0.02);
        let tracked = if since > step * 1.01 { step * (1.0 + pace) } else { step };
        let tracked = if since < step * 0.99 { step * (1.0 - pace) } else { tracked };
        let tracked = if step == 0.0 { since } else { tracked };
        let new_step = if since > 0.0 { tracked } else { step };
        let gap = if step > 0.0 { clip(since / step, 1.0, 1000.0) } else { 1.0 };

        // Seasons, each weighted by how far it has lowered the error.
        let first_time = if first { tick.time } else { b.first_time[i] };
        let days = larger((tick.time - first_time) / DAY, 0.0);
        let daily = f64::from(b.daily[d0][i]) * (1.0 - dw) + f64::from(b.daily[d1][i]) * dw;
        let weekly = f64::from(b.weekly[k0][i]) * (1.0 - kw) + f64::from(b.weekly[k1][i]) * kw;
        let gate_daily = gate(b.error_daily[i], b.error_level[i], days >= 2.0);
        let gate_weekly = gate(b.error_weekly[i], b.error_daily[i], days >= 14.0);
        let season = gate_daily * daily + gate_weekly * weekly;

        // Expected value: the local level and the long-run level, the better one weighing more.
        let y = x - season;
        let ahead = fast + b.trend[i];
        let from_slow = y - slow;
        let from_fast = y - ahead;
        let (es, ef) = (b.error_slow[i], b.error_fast[i]);
        let ratio = if es > 0.0 { smaller(ef / es, 100.0) } else { 0.0 };
        let mix = 1.0 / (1.0 + ratio * ratio * ratio * ratio);
        let expected = season + slow + mix * (ahead - slow);
        let error = x - expected;
        let floor = 1e-9 * slow.abs() + 1e-120;
        let scale = larger(b.scale[i], floor);
        let spread = larger(b.spread[i], floor);
        let wider = gap.sqrt();

        w.since[i] = larger(since, 0.0);
        w.expected[i] = expected;
        w.half[i] = band * scale * wider;
        w.residual[i] = clip(error / (scale * wider), -1e9, 1e9);
        w.deviation[i] = clip(from_slow / spread, -1e9, 1e9);

        // Learning. A single large deviation is clipped; two in a row are believed.
        let early = 1.0 / (seen + 1.0);
        let slow_gain = larger(clip(DAYS * new_step / DAY, 1.0 / 2000.0, 1.0 / 100.0), early);
        let cold = seen < 10.0;
        let free = if cold { LIMIT } else { 0.0 };
        let (jump, away) = (from_fast.abs(), from_slow.abs());
        let limit_jump = larger(free, larger(4.0 * scale, smaller(jump, b.last_jump[i])));
        let limit_away = larger(free, larger(4.0 * spread, smaller(away, b.last_away[i])));
        let held = clip(from_slow, -2.0 * limit_away, 2.0 * limit_away);
        let local = larger(LOCAL_GAIN, early);
        let drift = b.drift[i] + local * (held - b.drift[i]);
        let slow_drift = b.slow_drift[i] + larger(DRIFT_GAIN, early) * (held - b.slow_drift[i]);
        let clip_fast = larger(free, larger(4.0 * scale, 0.5 * drift.abs()));
        let clip_slow = larger(free, larger(3.0 * spread, 0.3 * drift.abs()));
        let moved = clip(from_fast, -clip_fast, clip_fast);
        let new_fast = ahead + larger(FAST_GAIN, early) * moved;
        let trend = 0.9 * (b.trend[i] + 0.02 * moved);
        let new_slow = slow + slow_gain * clip(from_slow, -clip_slow, clip_slow);
        let scale_gain = larger(early, 0.02);
        let new_scale = b.scale[i] + scale_gain * (NORMAL * smaller(error.abs(), limit_jump) - b.scale[i]);
        let new_spread = b.spread[i] + slow_gain * (NORMAL * smaller(away, limit_away) - b.spread[i]);
        let hop = (x - last).abs();
        let shown = smaller(hop, 2.0 * limit_jump);
        let wild = b.wild[i] + local * (shown - b.wild[i]);
        let calm = b.calm[i] + slow_gain * (shown - b.calm[i]);

        // Errors of the competing explanations.
        let cap = if cold { LIMIT } else { 4.0 * spread };
        let plain = smaller((x - slow).abs(), cap);
        let with_daily = smaller((x - slow - daily).abs(), cap);
        let with_weekly = smaller((x - slow - daily - weekly).abs(), cap);

        // Seasons learn what level and seasons left over.
        let left = clip(x - slow - daily, -cap, cap);
        let rate = smaller(new_step / 1800.0, 0.5) * larger(1.0 / (1.0 + days), 0.1);
        let rate = if cold || !live { 0.0 } else { rate };
        let rest = clip(left - weekly, -cap, cap);
        let weekly_rate = smaller(new_step / 7200.0, 0.5) * clip(7.0 / (1.0 + days), 0.2, 1.0);
        let weekly_rate = if cold || !live || days < 3.0 { 0.0 } else { weekly_rate };
        b.daily[d0][i] += (rate * (1.0 - dw) * left) as f32;
        b.daily[d1][i] += (rate * dw * left) as f32;
        b.weekly[k0][i] += (weekly_rate * (1.0 - kw) * rest) as f32;
        b.weekly[k1][i] += (weekly_rate * kw * rest) as f32;

        // Statistics.
        let (wide, usual) = (wild + floor, calm + floor);
        w.statistic[0][i] = away;
        w.statistic[1][i] = hop / wider;
        w.statistic[2][i] = drift.abs();
        w.statistic[3][i] = slow_drift.abs();
        w.statistic[4][i] = if wide > usual { wide / usual } else { 0.0 };
        w.statistic[5][i] = if usual > wide { usual / wide } else { 0.0 };

        let keep = |new: f64, old: f64| if live { new } else { old };
        b.error_level[i] = keep(b.error_level[i] + slow_gain * (plain - b.error_level[i]), b.error_level[i]);
        b.error_daily[i] =
            keep(b.error_daily[i] + slow_gain * (with_daily - b.error_daily[i]), b.error_daily[i]);
        b.error_weekly[i] =
            keep(b.error_weekly[i] + slow_gain * (with_weekly - b.error_weekly[i]), b.error_weekly[i]);
        b.error_slow[i] = keep(es + scale_gain * (smaller(from_slow.abs(), cap) - es), es);
        b.error_fast[i] = keep(ef + scale_gain * (smaller(from_fast.abs(), cap) - ef), ef);
        b.seen[i] = keep(seen + 1.0, seen);
        b.last_time[i] = keep(tick.time, b.last_time[i]);
        b.first_time[i] = keep(first_time, b.first_time[i]);
        b.step[i] = keep(new_step, step);
        b.last[i] = keep(x, b.last[i]);
        b.slow[i] = keep(new_slow, b.slow[i]);
        b.fast[i] = keep(new_fast, b.fast[i]);
        b.trend[i] = keep(trend, b.trend[i]);
        b.scale[i] = keep(new_scale, b.scale[i]);
        b.spread[i] = keep(new_spread, b.spread[i]);
        b.last_jump[i] = keep(jump, b.last_jump[i]);
        b.last_away[i] = keep(away, b.last_away[i]);
        b.drift[i] = keep(drift, b.drift[i]);
        b.slow_drift[i] = keep(slow_drift, b.slow_drift[i]);
        b.wild[i] = keep(wild, b.wild[i]);
        b.calm[i] = keep(calm, b.calm[i]);
    }
}

/// Weight of a season, 0 to 1: nothing until it has lowered the error, everything at a quarter less.
#[inline(always)]
fn gate(with: f64, without: f64, old_enough: bool) -> f64 {
    let gain = if without > 0.0 { 1.0 - with / without } else { 0.0 };
    if old_enough { clip(4.0 * gain, 0.0, 1.0) } else { 0.0 }
}
