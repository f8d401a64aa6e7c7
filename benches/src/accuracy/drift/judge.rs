//! Drifts that were told against those that there are.

use crate::accuracy::mean;

/// Drifts told in time, missed and told wrongly, and the delays of the first, in rows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Judged {
    pub(super) right: usize,
    pub(super) missed: usize,
    pub(super) wrong: usize,
    pub(super) delays: Vec<usize>,
}

impl Judged {
    pub(super) fn of(told: &[usize], truth: &[usize], within: usize) -> Judged {
        let delay = |drift: &usize| {
            told.iter().find(|row| (*drift..=drift + within).contains(row)).map(|row| row - drift)
        };
        let delays: Vec<usize> = truth.iter().filter_map(delay).collect();
        let right = delays.len();
        Judged { right, missed: truth.len() - right, wrong: told.len() - right, delays }
    }

    pub(super) fn plus(mut self, other: Judged) -> Judged {
        self.delays.extend(other.delays);
        let (right, missed, wrong) =
            (self.right + other.right, self.missed + other.missed, self.wrong + other.wrong);
        Judged { right, missed, wrong, delays: self.delays }
    }

    pub(super) fn f1(&self) -> f64 {
        2.0 * self.right as f64 / (2 * self.right + self.missed + self.wrong).max(1) as f64
    }

    pub(super) fn words(&self) -> String {
        let delay = mean(self.delays.iter().map(|delay| *delay as f64));
        let delay = if delay.is_nan() { "-".to_string() } else { format!("{delay:.0}") };
        format!("{}/{}/{}, {delay}", self.right, self.missed, self.wrong)
    }
}
