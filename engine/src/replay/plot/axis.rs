//! Round numbers and round times for axes.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// Where along an axis a label stands, and what it says.
pub(super) type Tick<T> = (T, String);

/// Round values within these bounds, about as many as wished.
pub(super) fn values(low: f64, high: f64, wished: usize) -> Vec<Tick<f64>> {
    let step = round_step((high - low) / wished as f64);
    if !step.is_finite() || step <= 0.0 {
        return Vec::new();
    }
    let largest = low.abs().max(high.abs());
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    let values = (first..=last).map(|index| index as f64 * step);
    values.map(|value| (value, number(value, step, largest))).collect()
}

/// 1, 2 or 5 times a power of ten, this much or a little more.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * 0.999);
    factor.unwrap_or(10.0) * power
}

/// A value with as many digits as the step needs, in the unit of the axis: `1.5`, `20k`, `3.2M`.
fn number(value: f64, step: f64, largest: f64) -> String {
    const UNITS: [(f64, f64, &str); 4] =
        [(1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")];
    if value == 0.0 {
        return "0".to_string();
    }
    if largest >= 1e15 || step < 1e-6 {
        return format!("{value:.1e}");
    }
    let unit = UNITS.iter().find(|(from, ..)| largest >= *from);
    let (unit, sign) = unit.map_or((1.0, ""), |(_, unit, sign)| (*unit, *sign));
    let places = (-(step / unit).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{:.places$}{sign}", value / unit)
}

/// Seconds between labels, as long as a label is a time of day or a day.
const STEPS: [i64; 20] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    DAY,
    2 * DAY,
    7 * DAY,
];
const DAY: i64 = 86_400;

/// Round times within these bounds (unix milliseconds), in UTC, at most as many as given.
pub(super) fn times(from_ms: i64, to_ms: i64, most: usize) -> Vec<Tick<i64>> {
    let (from, to) = (from_ms.div_euclid(1000), to_ms.div_euclid(1000));
    match STEPS.into_iter().find(|step| (to - from) / step < most as i64) {
        Some(step) => seconds(from, to, step),
        None => months(from, to, most),
    }
}

fn seconds(from: i64, to: i64, step: i64) -> Vec<Tick<i64>> {
    // Weeks begin on Mondays, as the epoch does not.
    let shift = if step == 7 * DAY { 4 * DAY } else { 0 };
    let first = from + (shift - from).rem_euclid(step);
    let label = |second: i64| {
        let format = match step {
            _ if second.rem_euclid(DAY) == 0 => "%b %-d",
            ..60 => "%H:%M:%S",
            _ => "%H:%M",
        };
        shown(second, format)
    };
    (0..)
        .map(|index| first + index * step)
        .take_while(|second| *second <= to)
        .map(|s| (s * 1000, label(s)))
        .collect()
}

fn months(from: i64, to: i64, most: usize) -> Vec<Tick<i64>> {
    let Some(start) = date(from) else { return Vec::new() };
    let Some(end) = date(to) else { return Vec::new() };
    let index = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
    let (first, last) = (index(start), index(end));
    let steps = [1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 12_000];
    let step = steps.into_iter().find(|step| (last - first) / step < most as i64).unwrap_or(12_000);
    let format = if step % 12 == 0 { "%Y" } else { "%b %Y" };
    let month = |index: i64| {
        let year = i16::try_from(index.div_euclid(12)).ok()?;
        let month = i8::try_from(index.rem_euclid(12) + 1).ok()?;
        let midnight = Date::new(year, month, 1).ok()?.at(0, 0, 0, 0);
        Some(TimeZone::UTC.to_timestamp(midnight).ok()?.as_second())
    };
    let round = first + (-first).rem_euclid(step);
    let starts = (0..).map(|at| round + at * step).take_while(|at| *at <= last).filter_map(month);
    starts.filter(|second| *second >= from).map(|second| (second * 1000, shown(second, format))).collect()
}

fn date(second: i64) -> Option<Date> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_second(second).ok()?).date())
}

fn shown(second: i64, format: &str) -> String {
    Timestamp::from_second(second)
        .map_or_else(|_| second.to_string(), |time| time.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<T>(ticks: Vec<Tick<T>>) -> String {
        ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_are_round() {
        for ((low, high), expected) in [
            ((0.0, 1.0), "0 0.5 1.0"),
            ((-3.0, 17.0), "0 5 10 15"),
            ((8_000.0, 39_000.0), "10k 20k 30k"),
            ((0.0, 2.6e6), "0 1M 2M"),
            ((-0.6e6, 0.9e6), "-500k 0 500k"),
            ((2e-9, 9e-9), "2.0e-9 4.0e-9 6.0e-9 8.0e-9"),
            ((f64::NAN, 1.0), ""),
        ] {
            assert_eq!(labels(values(low, high, 4)), expected);
        }
    }

    #[test]
    fn times_are_round() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (from, to, expected) in [
            ("2026-03-02T03:00:10Z", "2026-03-02T03:00:40Z", "03:00:10 03:00:20 03:00:30 03:00:40"),
            ("2026-03-01T18:10:00Z", "2026-03-02T09:00:00Z", "21:00 Mar 2 03:00 06:00 09:00"),
            ("2026-03-01T10:00:00Z", "2026-03-30T00:00:00Z", "Mar 2 Mar 9 Mar 16 Mar 23 Mar 30"),
            ("2014-07-01T00:00:00Z", "2015-01-31T00:00:00Z", "Jul 2014 Sep 2014 Nov 2014 Jan 2015"),
            ("2009-02-01T00:00:00Z", "2017-01-31T00:00:00Z", "2010 2012 2014 2016"),
        ] {
            assert_eq!(labels(times(at(from), at(to), 6)), expected, "{from} {to}");
        }
        assert!(times(i64::MAX - 1, i64::MAX, 6).len() < 7);
    }
}
