//! Series like those of a fleet, with faults at known ticks, or with what is unusual but no fault.
//!
//! Five-minute ticks, 28 days, faults from day 14 on. The noise has a standard deviation of 1, a daily season an amplitude
//! of 10, unless a kind says otherwise. A fault *lasts* three hours (36 ticks) of 6 standard deviations, unless it says otherwise.

use super::random::Random;

/// Seconds per tick, ticks per day, days, and the first day with faults.
pub const STEP: i64 = 300;
/// See [`STEP`].
pub const DAY: usize = 288;
const DAYS: usize = 28;
const FIRST: usize = 14;
/// Faults of a series, one in each of as many equal parts of the last two weeks.
const FAULTS: usize = 4;
/// A Monday, 2024-01-08 00:00 UTC.
const START: i64 = 1_704_672_000;

/// What a series is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A day, a week and six hours at once.
    Seasons,
    /// A daily amplitude that grows from 10 to 20 over the four weeks.
    Amplitude,
    /// The trend breaks: from then on 6 per 72 ticks, up or down; three times.
    TrendBreak,
    /// The level shifts by 6 and stays.
    LevelShift,
    /// The level drifts by 10 within two days and stays; three times.
    SlowDrift,
    /// One to twelve hours are missing, every other day or so.
    Missing,
    /// A counter with restarts now and then, as it is: the fault is that it stands still.
    Counter,
    /// Counts of mean 0.05; the fault is an hour of mean 3.
    SparseCounts,
    /// 1 from 8 to 18 o'clock, else 0; the fault is the other for three hours.
    OnOff,
    /// Quiet weekends; the fault is a weekend's noon on a weekday.
    Weekend,
    /// The same, and two weekdays in the last two weeks are holidays: no fault.
    Holiday,
    /// The clock moves by an hour on day 18, and the daily season with it: no fault.
    ClockShift,
    /// It stops for good: nothing comes.
    Stops,
    /// It freezes for good: the same value comes again and again.
    Freezes,
    /// One value of a million on day 3.
    WildPoint,
    /// The fault is one value, 10 off.
    Spike,
    /// No fault at all.
    Quiet,
}

/// All kinds.
pub const KINDS: [Kind; 17] = [
    Kind::Seasons,
    Kind::Amplitude,
    Kind::TrendBreak,
    Kind::LevelShift,
    Kind::SlowDrift,
    Kind::Missing,
    Kind::Counter,
    Kind::SparseCounts,
    Kind::OnOff,
    Kind::Weekend,
    Kind::Holiday,
    Kind::ClockShift,
    Kind::Stops,
    Kind::Freezes,
    Kind::WildPoint,
    Kind::Spike,
    Kind::Quiet,
];

/// A generated series and its faults.
#[derive(Debug, Clone)]
pub struct Series {
    /// One value per tick, NaN where it is missing.
    pub values: Vec<f64>,
    /// Faults as first tick and the one after the last at which reporting it is still right.
    pub faults: Vec<(usize, usize)>,
}

impl Series {
    /// Seconds since the Unix epoch of a tick.
    pub fn time(tick: usize) -> i64 {
        START + tick as i64 * STEP
    }
}

/// The series of a kind and a seed.
pub fn series(kind: Kind, seed: u64) -> Series {
    let mut random = Random::new(seed * 64 + 32 + kind as u64);
    let faults = faults(kind, &mut random);
    let sign = if random.unit() < 0.5 { -1.0 } else { 1.0 };
    let mut state = State { level: 100.0, slope: 0.0, count: 0.0, missing: 0, frozen: f64::NAN };
    let values = (0..DAYS * DAY)
        .map(|tick| {
            let fault = faults.iter().position(|(from, to)| (*from..*to).contains(&tick));
            let begins = faults.iter().any(|(from, _)| *from == tick);
            state.next(kind, tick, fault.map(|number| (sign_of(sign, number), begins)), &mut random)
        })
        .collect();
    Series { values, faults }
}

/// Faults alternate between up and down.
fn sign_of(first: f64, number: usize) -> f64 {
    if number.is_multiple_of(2) { first } else { -first }
}

/// How many faults, and how long each lasts.
fn extent(kind: Kind) -> (usize, usize) {
    match kind {
        Kind::Quiet => (0, 0),
        Kind::Stops | Kind::Freezes => (1, 2 * DAY),
        Kind::TrendBreak => (3, 144),
        Kind::SlowDrift => (3, 2 * DAY),
        Kind::SparseCounts => (FAULTS, 12),
        Kind::Spike => (FAULTS, 1),
        Kind::LevelShift => (FAULTS, 72),
        _ => (FAULTS, 36),
    }
}

fn faults(kind: Kind, random: &mut Random) -> Vec<(usize, usize)> {
    let (count, long) = extent(kind);
    let part = (DAYS - FIRST) * DAY / count.max(1);
    (0..count)
        .map(|number| {
            let begin = FIRST * DAY + number * part;
            let from = begin + random.whole(DAY / 2, part - long - DAY / 2);
            let from = match kind {
                // At ten o'clock of a weekday, where the other state or a weekend's noon is wrong.
                Kind::OnOff => from / DAY * DAY + 120,
                Kind::Weekend | Kind::Holiday => weekday_noon(from / DAY),
                _ => from,
            };
            (from, from + long)
        })
        .collect()
}

/// Twelve o'clock of the last day up to this one that is a weekday and no holiday.
fn weekday_noon(day: usize) -> usize {
    let day = (0..=day).rev().find(|day| day % 7 < 5 && !is_holiday(*day)).unwrap_or(day);
    day * DAY + DAY / 2
}

/// The Tuesday of the third week and the Thursday of the fourth.
fn is_holiday(day: usize) -> bool {
    day == 15 || day == 24
}

struct State {
    level: f64,
    slope: f64,
    count: f64,
    missing: usize,
    frozen: f64,
}

impl State {
    /// The next value; a fault is its sign and whether it begins here.
    fn next(&mut self, kind: Kind, tick: usize, fault: Option<(f64, bool)>, random: &mut Random) -> f64 {
        let noise = random.normal();
        let (sign, begins) = fault.unwrap_or((0.0, false));
        let turn = |ticks: f64| (std::f64::consts::TAU * tick as f64 / ticks).sin();
        let (day, of_day) = (tick / DAY, tick % DAY);
        let daily = 10.0 * turn(DAY as f64);
        let usual = self.level + daily + noise;
        match kind {
            Kind::Seasons => usual + 5.0 * turn(7.0 * DAY as f64) + 4.0 * turn(72.0) + 6.0 * sign,
            Kind::Amplitude => usual + daily * tick as f64 / (DAYS * DAY) as f64 + 6.0 * sign,
            Kind::TrendBreak => {
                if begins {
                    self.slope = if self.slope == 0.0 { sign * 6.0 / 72.0 } else { 0.0 };
                }
                self.level += self.slope;
                self.level + noise
            }
            Kind::LevelShift => {
                self.level += if begins { 6.0 * sign } else { 0.0 };
                self.level + daily + noise
            }
            Kind::SlowDrift => {
                self.level += sign * 10.0 / (2 * DAY) as f64;
                self.level + daily + noise
            }
            Kind::Missing => {
                if self.missing == 0 && fault.is_none() && random.unit() < 0.5 / DAY as f64 {
                    self.missing = random.whole(12, 144);
                }
                let gone = self.missing > 0 && fault.is_none();
                self.missing = self.missing.saturating_sub(1);
                if gone { f64::NAN } else { usual + 6.0 * sign }
            }
            Kind::Counter => {
                let more = random.poisson(50.0);
                let restarts = random.unit() < 0.2 / DAY as f64;
                self.count =
                    if restarts { more } else { self.count + if fault.is_some() { 0.0 } else { more } };
                self.count
            }
            Kind::SparseCounts => random.poisson(if fault.is_some() { 3.0 } else { 0.05 }),
            Kind::OnOff => {
                let on = (96..216).contains(&of_day);
                f64::from(u8::from(on != fault.is_some()))
            }
            Kind::Weekend | Kind::Holiday => {
                let off = day % 7 >= 5 || (kind == Kind::Holiday && is_holiday(day)) || fault.is_some();
                let hump = (std::f64::consts::TAU * (of_day as f64 / DAY as f64 - 0.25)).sin() + 1.0;
                100.0 + if off { 3.0 } else { 15.0 } * hump + noise
            }
            Kind::ClockShift => {
                let shifted = if day >= 18 { tick + 12 } else { tick };
                self.level
                    + 10.0 * (std::f64::consts::TAU * shifted as f64 / DAY as f64).sin()
                    + noise
                    + 6.0 * sign
            }
            Kind::Stops | Kind::Freezes => {
                if begins {
                    self.frozen = if kind == Kind::Freezes { usual } else { f64::INFINITY };
                }
                if self.frozen.is_nan() {
                    usual
                } else if self.frozen.is_infinite() {
                    f64::NAN
                } else {
                    self.frozen
                }
            }
            Kind::WildPoint if tick == 3 * DAY + 100 => 1e6,
            Kind::Spike => usual + 10.0 * sign,
            Kind::WildPoint => usual + 6.0 * sign,
            Kind::Quiet => usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_where_they_are_said_to_be() {
        for kind in KINDS {
            let (a, b) = (series(kind, 3), series(kind, 3));
            assert_eq!(a.faults, b.faults);
            assert!(a.values.iter().zip(&b.values).all(|(x, y)| x.to_bits() == y.to_bits()), "{kind:?}");
            assert_eq!(a.faults.len(), extent(kind).0, "{kind:?}");
            assert!(a.faults.windows(2).all(|pair| pair[0].1 < pair[1].0), "{kind:?}: {:?}", a.faults);
            assert!(a.faults.iter().all(|(from, to)| *from >= FIRST * DAY && *to <= DAYS * DAY), "{kind:?}");
        }
        let stopped = series(Kind::Stops, 1);
        assert!(
            stopped.values[stopped.faults[0].0 - 1].is_finite()
                && stopped.values[stopped.faults[0].0].is_nan()
        );
        let onoff = series(Kind::OnOff, 1);
        let (from, to) = onoff.faults[0];
        assert!(onoff.values[from..to].iter().all(|value| *value == 0.0) && onoff.values[from - 1] == 1.0);
    }
}
