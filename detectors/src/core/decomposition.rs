//! Online decomposition: local and long-run level, damped trend, daily and weekly season, robust scale.
//!
//! What it is for: an expected value with a band, and the statistics that the calibration turns into
//! probabilities. It decides nothing about what is abnormal.
//!
//! A season is a ring of knots in calendar time, interpolated linearly, and speaks only in so far as it has
//! lowered the error of this very series. Updates are clipped (Huber), so that one wild point moves neither
//! level nor scale; the clip widens with a lasting deviation, so that a new level is adopted (`outage.rs` says when).
//!
//! The band is four robust standard deviations, widened by what is not known yet: by 1 + 18/m² when the scale comes from m errors, close to what
//! Student's t asks for at 99.9 % (m from 3 to 10), and by a share of the value itself that falls off with m². The first value has no band. Where a season is steep,
//! knots half an hour apart cannot say when in it the values jump: the band has the height of the step as leeway, as far as it
//! exceeds the spread.

use super::block::{Block, LANES};
use super::outage;
use super::work::{Tick, Work};
use crate::kernels::math::{clip, larger, smaller};

const DAY: f64 = 86_400.0;
/// Values are clamped to this magnitude, so that squares stay finite.
const LIMIT: f64 = 1e30;
/// Mean absolute deviation to standard deviation, for a normal.
const NORMAL: f64 = 1.253_314_137_315_500_3;
/// Gains per value of the local level, and of the mean deviation over a few and over many values.
const FAST_GAIN: f64 = 0.15;
const LOCAL_GAIN: f64 = 0.2;
const DRIFT_GAIN: f64 = 0.02;
const SCALE_GAIN: f64 = 0.02;
/// Values before anything is clipped.
const COLD: f64 = 10.0;
/// Seconds between knots.
const DAILY_KNOT: f64 = 1_800.0;
const WEEKLY_KNOT: f64 = 7_200.0;
/// The band of a young series: by how much its scale is widened, the share of the value that is a guess at the scale, and until when.
const WIDER: f64 = 18.0;
const GUESS: f64 = 0.25;
const EARLY: f64 = 30.0;
/// A step between knots below this many spreads is no jump.
const STEEP: f64 = 2.0;
/// Memory of everything that is long-run, in seconds (and within 100 to 2000 values).
const LONG: f64 = DAY / 10.0;

/// Advances one block by one tick.
#[inline(always)]
pub(crate) fn step(b: &mut Block, w: &mut Work, tick: &Tick, band: f64) {
    place(b, w, tick);
    expect(b, w, tick, band);
    outage::judge(b, w);
    learn_seasons(b, w, tick);
    compare(b, w);
    learn_levels(b, w);
    outage::settle(b, w, FAST_GAIN);
    for i in 0..LANES {
        let new = b.seen[i] == 0.0;
        let keep = |new: f64, old: f64| if w.live[i] { new } else { old };
        b.first_time[i] = if new { keep(tick.time, 0.0) } else { b.first_time[i] };
        b.last_time[i] = keep(tick.time, b.last_time[i]);
        b.last[i] = keep(w.value[i], b.last[i]);
        b.step[i] = keep(w.step[i], b.step[i]);
        b.seen[i] = keep(b.seen[i] + 1.0, b.seen[i]);
    }
}

/// Where the tick falls for each slot: cadence, gap, age.
#[inline(always)]
fn place(b: &Block, w: &mut Work, tick: &Tick) {
    for i in 0..LANES {
        let first = b.seen[i] == 0.0;
        let since = if first { 0.0 } else { tick.time - b.last_time[i] };
        // The cadence is a median, tracked by factors.
        let step = b.step[i];
        let pace = larger(0.5 / (b.seen[i] + 1.0), 0.02);
        let tracked = if since > step * 1.01 { step * (1.0 + pace) } else { step };
        let tracked = if since < step * 0.99 { step * (1.0 - pace) } else { tracked };
        let tracked = if step == 0.0 { since } else { tracked };
        let gap = if step > 0.0 { clip(since / step, 1.0, 1000.0) } else { 1.0 };
        let days = if first { 0.0 } else { (tick.time - b.first_time[i]) / DAY };
        w.step[i] = if since > 0.0 { tracked } else { step };
        w.since[i] = larger(since, 0.0);
        w.wider[i] = gap.sqrt();
        w.days[i] = larger(days, 0.0);
        w.value[i] = clip(w.value[i], -LIMIT, LIMIT);
    }
}

/// Expected value and band: seasons, each weighted by how far it has lowered the error, on the local or the
/// long-run level, whichever has been the better guide.
#[inline(always)]
fn expect(b: &Block, w: &mut Work, tick: &Tick, band: f64) {
    let (dw, kw) = (tick.daily.2, tick.weekly.2);
    w.knots =
        [b.daily[tick.daily.0], b.daily[tick.daily.1], b.weekly[tick.weekly.0], b.weekly[tick.weekly.1]];
    let (step_daily, step_weekly) = (steepest(&b.daily, tick.daily), steepest(&b.weekly, tick.weekly));
    for i in 0..LANES {
        let first = b.seen[i] == 0.0;
        let x = w.value[i];
        let slow = if first { x } else { b.slow[i] };
        let ahead = if first { x } else { b.fast[i] + b.trend[i] };
        let daily = f64::from(w.knots[0][i]) * (1.0 - dw) + f64::from(w.knots[1][i]) * dw;
        let weekly = f64::from(w.knots[2][i]) * (1.0 - kw) + f64::from(w.knots[3][i]) * kw;
        let gate_daily = gate(b.error_daily[i], b.error_level[i], w.days[i] >= 2.0);
        let gate_weekly = gate(b.error_weekly[i], b.error_daily[i], w.days[i] >= 14.0);
        let season = gate_daily * daily + gate_weekly * weekly;
        let (error_slow, error_fast) = (b.error_slow[i], b.error_fast[i]);
        let ratio = if error_slow > 0.0 { smaller(error_fast / error_slow, 100.0) } else { 0.0 };
        let mix = 1.0 / (1.0 + ratio * ratio * ratio * ratio);
        let level = slow + mix * (ahead - slow);
        let expected = season + if b.outside[i] > 0.0 { b.kept[i] } else { level };
        let steep = gate_daily * step_daily[i] + gate_weekly * step_weekly[i];
        let leeway = larger(steep - STEEP * b.spread[i], 0.0);
        let floor = 1e-9 * slow.abs() + 1e-120;
        let scale = larger(b.scale[i], floor);
        let spread = larger(b.spread[i], floor);
        w.slow[i] = slow;
        w.ahead[i] = ahead;
        w.daily[i] = daily;
        w.weekly[i] = weekly;
        w.from_slow[i] = x - season - slow;
        w.from_fast[i] = x - season - ahead;
        w.error[i] = x - expected;
        w.scale[i] = scale;
        w.spread[i] = spread;
        w.expected[i] = expected;
        let known = larger(b.seen[i] - 1.0, 0.0);
        let unknown = 1.0 / larger(known * known, 1e-300);
        let guess = if b.seen[i] < EARLY { GUESS * slow.abs() } else { 0.0 };
        let wide = scale + unknown * (WIDER * scale + guess);
        w.half[i] = if known > 0.0 { band * wide * w.wider[i] + leeway } else { f64::INFINITY };
        w.leeway[i] = leeway;
        w.level[i] = level;
        w.mix[i] = mix;
        w.residual[i] = clip((x - expected) / (scale * w.wider[i]), -1e9, 1e9);
        w.deviation[i] = clip(w.from_slow[i] / spread, -1e9, 1e9);
    }
}

/// Seasons learn what level and seasons left over.
#[inline(always)]
fn learn_seasons(b: &mut Block, w: &mut Work, tick: &Tick) {
    let (dw, kw) = (tick.daily.2, tick.weekly.2);
    for i in 0..LANES {
        let open = w.live[i] & (b.seen[i] >= COLD) & !(w.held[i] & (w.days[i] >= 2.0));
        let cap = if b.seen[i] < COLD { LIMIT } else { 4.0 * w.spread[i] };
        let plain = w.value[i] - w.slow[i];
        let left = clip(plain - w.daily[i], -cap, cap);
        let rest = clip(left - w.weekly[i], -cap, cap);
        let rate = smaller(w.step[i] / DAILY_KNOT, 0.5) * larger(1.0 / (1.0 + w.days[i]), 0.1);
        let rate = if open { rate } else { 0.0 };
        let weekly_rate = smaller(w.step[i] / WEEKLY_KNOT, 0.5) * clip(7.0 / (1.0 + w.days[i]), 0.2, 1.0);
        let weekly_rate = if open & (w.days[i] >= 3.0) { weekly_rate } else { 0.0 };
        w.knots[0][i] += (rate * (1.0 - dw) * left) as f32;
        w.knots[1][i] += (rate * dw * left) as f32;
        w.knots[2][i] += (weekly_rate * (1.0 - kw) * rest) as f32;
        w.knots[3][i] += (weekly_rate * kw * rest) as f32;
    }
    // Two knots in a row are never the same one.
    [b.daily[tick.daily.0], b.daily[tick.daily.1], b.weekly[tick.weekly.0], b.weekly[tick.weekly.1]] =
        w.knots;
}

/// How well each explanation did: what opens the gates and mixes the levels.
#[inline(always)]
fn compare(b: &mut Block, w: &Work) {
    for i in 0..LANES {
        let cap = if b.seen[i] < COLD { LIMIT } else { 4.0 * w.spread[i] };
        let plain = w.value[i] - w.slow[i];
        let heard = if w.live[i] { 1.0 } else { 0.0 };
        let gain = heard * slow_gain(w.step[i], b.seen[i]);
        let with_daily = (plain - w.daily[i]).abs();
        let with_weekly = (plain - w.daily[i] - w.weekly[i]).abs();
        b.error_level[i] += gain * (smaller(plain.abs(), cap) - b.error_level[i]);
        b.error_daily[i] += gain * (smaller(with_daily, cap) - b.error_daily[i]);
        b.error_weekly[i] += gain * (smaller(with_weekly, cap) - b.error_weekly[i]);
        let heard = if w.held[i] { 0.0 } else { heard };
        let gain = heard * larger(1.0 / (b.seen[i] + 1.0), SCALE_GAIN);
        let slow = larger(w.from_slow[i].abs() - w.leeway[i], 0.0);
        let fast = larger(w.from_fast[i].abs() - w.leeway[i], 0.0);
        b.error_slow[i] += gain * (smaller(slow, cap) - b.error_slow[i]);
        b.error_fast[i] += gain * (smaller(fast, cap) - b.error_fast[i]);
    }
}

/// Levels, trend and scales learn; what they show on the way are the statistics. A single large deviation
/// is clipped; two in a row are believed.
#[inline(always)]
fn learn_levels(b: &mut Block, w: &mut Work) {
    for i in 0..LANES {
        let live = w.live[i];
        let seen = b.seen[i];
        let early = 1.0 / (seen + 1.0);
        let free = if seen < COLD { LIMIT } else { 0.0 };
        let (scale, spread) = (w.scale[i], w.spread[i]);
        let (from_fast, from_slow) = (w.from_fast[i], w.from_slow[i]);
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
        let slow_gain = slow_gain(w.step[i], seen);
        // The first value has no error to learn from.
        let scale_gain = larger(1.0 / larger(seen, 1.0), SCALE_GAIN);
        let scale_gain = if w.held[i] & (b.outside[i] > 0.0) { 0.0 } else { scale_gain };
        let size = NORMAL * smaller(larger(w.error[i].abs() - w.leeway[i], 0.0), limit_jump);
        let width = NORMAL * smaller(away, limit_away);
        let hop = if seen == 0.0 { 0.0 } else { (w.value[i] - b.last[i]).abs() };
        let shown = smaller(hop, 2.0 * limit_jump);
        let wild = b.wild[i] + local * (shown - b.wild[i]);
        let calm = b.calm[i] + slow_gain * (shown - b.calm[i]);

        let keep = |new: f64, old: f64| if live { new } else { old };
        b.slow[i] = keep(w.slow[i] + slow_gain * clip(from_slow, -clip_slow, clip_slow), b.slow[i]);
        b.fast[i] = keep(w.ahead[i] + larger(FAST_GAIN, early) * moved, b.fast[i]);
        b.trend[i] = keep(0.9 * (b.trend[i] + 0.02 * moved), b.trend[i]);
        b.scale[i] = keep(b.scale[i] + scale_gain * (size - b.scale[i]), b.scale[i]);
        b.spread[i] = keep(b.spread[i] + slow_gain * (width - b.spread[i]), b.spread[i]);
        b.last_jump[i] = keep(jump, b.last_jump[i]);
        b.last_away[i] = keep(away, b.last_away[i]);
        b.drift[i] = keep(drift, b.drift[i]);
        b.slow_drift[i] = keep(slow_drift, b.slow_drift[i]);
        b.wild[i] = keep(wild, b.wild[i]);
        b.calm[i] = keep(calm, b.calm[i]);

        let floor = 1e-9 * w.slow[i].abs() + 1e-120;
        let (local_size, usual_size) = (wild + floor, calm + floor);
        w.statistic[0][i] = away;
        w.statistic[1][i] = hop / w.wider[i];
        w.statistic[2][i] = drift.abs();
        w.statistic[3][i] = slow_drift.abs();
        w.statistic[4][i] = if local_size > usual_size { local_size / usual_size } else { 0.0 };
        w.statistic[5][i] = if usual_size > local_size { usual_size / local_size } else { 0.0 };
    }
}

/// Gain of everything that is long-run: [`LONG`], within 100 to 2000 values, faster while young.
#[inline(always)]
fn slow_gain(step: f64, seen: f64) -> f64 {
    larger(clip(step / LONG, 1.0 / 2000.0, 1.0 / 100.0), 1.0 / (seen + 1.0))
}

/// Weight of a season, 0 to 1: nothing until it has lowered the error, everything at a quarter less.
#[inline(always)]
fn gate(with: f64, without: f64, old_enough: bool) -> f64 {
    let gain = if without > 0.0 { 1.0 - with / without } else { 0.0 };
    if old_enough { clip(4.0 * gain, 0.0, 1.0) } else { 0.0 }
}

/// The largest step of a season between neighbouring knots, around the tick.
#[inline(always)]
fn steepest<const N: usize>(
    ring: &[[f32; LANES]; N],
    (first, second, _): (usize, usize, f64),
) -> [f64; LANES] {
    let before = if first == 0 { N - 1 } else { first - 1 };
    let after = if second + 1 == N { 0 } else { second + 1 };
    let mut steepest = [0.0; LANES];
    for i in 0..LANES {
        let here = f64::from((ring[second][i] - ring[first][i]).abs());
        let left = f64::from((ring[first][i] - ring[before][i]).abs());
        let right = f64::from((ring[after][i] - ring[second][i]).abs());
        steepest[i] = larger(here, larger(left, right));
    }
    steepest
}
