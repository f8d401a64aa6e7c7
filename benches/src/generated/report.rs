//! What comes of reporting faults of generated series, precision, recall, delay; and the peer, a robust z-score.

use super::faults::{DAY, Series};

/// The peer reports values this many robust deviations from the median.
pub const ROBUST_Z: f64 = 4.0;
/// Ticks of calm after which a report is a new one; ticks after a fault in which its end may be reported.
const CALM: usize = 12;
const AFTER: usize = 12;
/// Values that the peer looks back on: a week. Its scale is computed anew every so many ticks.
const LOOK_BACK: usize = 7 * DAY;
const RENEW: usize = 12;

/// Counts over some series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// True faults and those reported.
    pub faults: usize,
    /// See `faults`.
    pub hit: usize,
    /// Reports in all, and those outside faults.
    pub reports: usize,
    /// See `reports`.
    pub false_reports: usize,
    /// Ticks from each reported fault's begin to its report, sorted by [`Report::delay`].
    pub delays: Vec<usize>,
    /// Ticks that were looked at.
    pub ticks: usize,
}

impl Report {
    /// Adds a series: ticks from the second week's end on, reported where `speaks`.
    pub fn add(&mut self, series: &Series, speaks: &[bool]) {
        let start = 14 * DAY;
        self.ticks += speaks.len() - start;
        self.faults += series.faults.len();
        for &(from, to) in &series.faults {
            if let Some(delay) = (from..to).position(|tick| speaks[tick]) {
                self.hit += 1;
                self.delays.push(delay);
            }
        }
        let mut last = None;
        for tick in (start..speaks.len()).filter(|tick| speaks[*tick]) {
            if last.is_none_or(|last| tick - last > CALM) {
                let about = series.faults.iter().any(|(from, to)| (*from..to + AFTER).contains(&tick));
                self.reports += 1;
                self.false_reports += usize::from(!about);
            }
            last = Some(tick);
        }
    }

    /// Share of faults that were reported; NaN without faults.
    pub fn recall(&self) -> f64 {
        self.hit as f64 / self.faults as f64
    }

    /// Share of reports that were about a fault; NaN without reports.
    pub fn precision(&self) -> f64 {
        1.0 - self.false_reports as f64 / self.reports as f64
    }

    /// False reports per series and week.
    pub fn false_per_week(&self) -> f64 {
        self.false_reports as f64 * (7 * DAY) as f64 / self.ticks as f64
    }

    /// Median ticks from a fault's begin to its report, if there is one.
    pub fn delay(&self) -> Option<usize> {
        let mut sorted = self.delays.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

/// A robust z-score over the last week: distance from the median in median absolute deviations (times 1.4826).
pub fn robust_speaks(series: &Series) -> Vec<bool> {
    let mut past: Vec<f64> = Vec::new();
    let (mut centre, mut scale) = (f64::NAN, f64::NAN);
    let ticks = series.values.iter().enumerate();
    ticks
        .map(|(tick, value)| {
            if tick % RENEW == 0 && past.len() > DAY {
                centre = median(past.to_vec());
                scale = 1.4826 * median(past.iter().map(|value| (value - centre).abs()).collect());
            }
            if !value.is_nan() {
                past.push(*value);
            }
            if past.len() > LOOK_BACK {
                past.remove(0);
            }
            (value - centre).abs() > ROBUST_Z * scale.max(1e-9 * centre.abs())
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_by_hand() {
        let start = 14 * DAY;
        let series = Series {
            values: vec![0.0; start + 400],
            faults: vec![(start + 50, start + 60), (start + 200, start + 210)],
        };
        let mut speaks = vec![false; start + 400];
        // About the first fault, twice in one report; one report about nothing; the second fault is missed.
        for tick in [53, 58, 300, 305] {
            speaks[start + tick] = true;
        }
        let mut report = Report::default();
        report.add(&series, &speaks);
        assert_eq!((report.faults, report.hit, report.reports, report.false_reports), (2, 1, 2, 1));
        assert_eq!((report.recall(), report.precision(), report.delay()), (0.5, 0.5, Some(3)));
    }
}
