//! What the phases of one tick hand to each other for one block: scratch space, never state.

use super::block::{DAILY, FEATURES, LANES, RUNS, WEEKLY};

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

macro_rules! work {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $zero:expr,)*) => {
        /// One block's values on their way through the phases.
        #[derive(Debug, Clone)]
        #[repr(C, align(64))]
        pub(crate) struct Work {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Work {
            /// Empty scratch space.
            pub(crate) fn new() -> Self {
                Self { $($name: $zero,)* }
            }
        }
    };
}

/// One number per lane.
type Lane = [f64; LANES];
const ZERO: Lane = [0.0; LANES];

work! {
    /// The value, made finite; the last value's stand-in where missing.
    value: Lane = ZERO,
    /// Whether a value came.
    live: [bool; LANES] = [false; LANES],
    /// Whether the slot has seen enough.
    warm: [bool; LANES] = [false; LANES],
    /// Seconds since the slot's last value.
    since: Lane = ZERO,
    /// The slot's cadence, this value included, and by how much the band widens with the gap.
    step: Lane = ZERO,
    wider: Lane = ZERO,
    /// Days since the slot's first value.
    days: Lane = ZERO,
    /// The knots around the tick: two of the day, two of the week.
    knots: [[f32; LANES]; 4] = [[0.0; LANES]; 4],
    /// Daily and weekly season, whole, not weighted.
    daily: Lane = ZERO,
    weekly: Lane = ZERO,
    /// Deviation from the long-run level, from the local level one step on, and from the expected value.
    from_slow: Lane = ZERO,
    from_fast: Lane = ZERO,
    error: Lane = ZERO,
    /// Long-run and local level before this value.
    slow: Lane = ZERO,
    ahead: Lane = ZERO,
    /// Scales before this value, never zero.
    scale: Lane = ZERO,
    spread: Lane = ZERO,
    /// Weight of the local level in the expected value; the level that it gives, season removed.
    mix: Lane = ZERO,
    level: Lane = ZERO,
    /// How far the seasons may be off because they are steep here.
    leeway: Lane = ZERO,
    /// Whether the value is outside the band, and whether that is not accepted yet.
    outside: [bool; LANES] = [false; LANES],
    held: [bool; LANES] = [false; LANES],
    /// How much of an old normal there is to go back to, 0 to 1.
    settled: Lane = ZERO,
    /// Expected value and half width of the band.
    expected: Lane = ZERO,
    half: Lane = ZERO,
    /// Standardised residual.
    residual: Lane = ZERO,
    /// Standardised deviation from long-run level and seasons: what the change-point detector sees.
    deviation: Lane = ZERO,
    /// The statistics that are calibrated.
    statistic: [Lane; FEATURES] = [ZERO; FEATURES],
    /// One statistic's threshold, its value in thresholds, and the logarithm of what is beyond.
    limit: Lane = ZERO,
    ratio: Lane = ZERO,
    excess: Lane = ZERO,
    /// −ln p of the loudest statistic, later of the tick; the second loudest; the numbers of both, as
    /// floats so that they live in the same lanes; the loudest one's share in what both say.
    nlp: Lane = ZERO,
    second: Lane = ZERO,
    loudest: Lane = ZERO,
    runner_up: Lane = ZERO,
    share: Lane = ZERO,
    /// Weight of each run length, their sum, the number of the lightest.
    weight: [Lane; RUNS] = [ZERO; RUNS],
    total: Lane = ZERO,
    victim: Lane = ZERO,
    /// Probability of a recent change.
    change: Lane = ZERO,
    /// Seconds since the most probable onset.
    age: Lane = ZERO,
}
