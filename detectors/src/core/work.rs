//! What the phases of one tick hand to each other for one block: scratch space, never state.

use super::block::{DAILY, FEATURES, LANES, WEEKLY};

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

/// What all slots of a frame share: the time and where it falls in the calendar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// Seconds since the Unix epoch.
    pub time: f64,
    /// Neighbouring knots of the daily season and the weight of the second.
    pub daily: (usize, usize, f64),
    /// The same for the weekly season.
    pub weekly: (usize, usize, f64),
}

impl Tick {
    /// Places a time in the calendar (UTC; the Unix epoch was a Thursday, which only shifts the phase).
    pub(crate) fn at(time: i64) -> Self {
        Self { time: time as f64, daily: knots(time, DAY, DAILY), weekly: knots(time, WEEK, WEEKLY) }
    }
}

fn knots(time: i64, period: i64, count: usize) -> (usize, usize, f64) {
    let place = time.rem_euclid(period) as f64 / period as f64 * count as f64;
    let first = (place as usize).min(count - 1);
    (first, (first + 1) % count, place - first as f64)
}

/// One block's values on their way through the phases.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(crate) struct Work {
    /// The value, made finite; the last value's stand-in where missing.
    pub value: [f64; LANES],
    /// Whether a value came.
    pub live: [bool; LANES],
    /// Whether the slot has seen enough.
    pub warm: [bool; LANES],
    /// Expected value.
    pub expected: [f64; LANES],
    /// Half width of the band.
    pub half: [f64; LANES],
    /// Standardised residual.
    pub residual: [f64; LANES],
    /// Standardised deviation from long-run level and seasons: what the change-point detector sees.
    pub deviation: [f64; LANES],
    /// Seconds since the slot's last value.
    pub since: [f64; LANES],
    /// The statistics that are calibrated.
    pub statistic: [[f64; LANES]; FEATURES],
    /// −ln p of the tick.
    pub nlp: [f64; LANES],
    /// Index of the loudest statistic, as a float so that it lives in the same lanes.
    pub loudest: [f64; LANES],
    /// Probability of a recent change.
    pub change: [f64; LANES],
    /// Seconds since the most probable onset.
    pub age: [f64; LANES],
}

impl Work {
    pub(crate) fn new() -> Self {
        let zero = [0.0; LANES];
        Self {
            value: zero,
            live: [false; LANES],
            warm: [false; LANES],
            expected: zero,
            half: zero,
            residual: zero,
            deviation: zero,
            since: zero,
            statistic: [zero; FEATURES],
            nlp: zero,
            loudest: zero,
            change: zero,
            age: zero,
        }
    }
}
