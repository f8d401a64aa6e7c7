//! Means of a series over the last hours and days.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Length of a step of the near and of the far past, seconds, and steps that are kept.
const NEAR: (i64, usize) = (60, 120);
const FAR: (i64, usize) = (600, 432);

/// Fewest steps from which something can be said.
const ENOUGH: usize = 30;

/// The near and the far past of a series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Past {
    near: Means,
    far: Means,
}

/// Means of equal steps, oldest first; without a value is what the last one left.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Means {
    values: VecDeque<f32>,
    step: Option<i64>,
    sum: f64,
    count: u32,
}

/// Which of the two is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Near,
    Far,
}

/// One of the two as it is looked at.
pub(super) struct Looked {
    /// Length of a step, seconds.
    pub(super) step_s: i64,
    pub(super) values: Vec<f64>,
    /// Where the middle of the last step lies, seconds ago.
    pub(super) ago_s: i64,
    /// Steps of a day, where two of them are seen.
    pub(super) day: Option<usize>,
}

impl Past {
    /// Takes a value; gives what is new to look at.
    pub(super) fn add(&mut self, seconds: i64, value: f64) -> impl Iterator<Item = Scale> {
        let far = self.far.add(FAR, seconds, value);
        let near = self.near.add(NEAR, seconds, value);
        [(far, Scale::Far), (near, Scale::Near)]
            .into_iter()
            .filter_map(|(is_new, scale)| is_new.then_some(scale))
    }

    /// What there is to look at, if it is enough.
    pub(super) fn looked(&self, scale: Scale, seconds: i64) -> Option<Looked> {
        let (means, step_s) = match scale {
            Scale::Near => (&self.near, NEAR.0),
            Scale::Far => (&self.far, FAR.0),
        };
        let day = (86_400 / step_s) as usize;
        let next = means.step.filter(|_| means.values.len() >= ENOUGH)? * step_s;
        Some(Looked {
            step_s,
            values: means.values.iter().map(|value| f64::from(*value)).collect(),
            ago_s: seconds - next + step_s / 2,
            day: (means.values.len() >= 2 * day).then_some(day),
        })
    }
}

impl Means {
    /// Takes a value; whether a step is full.
    fn add(&mut self, (step_s, kept): (i64, usize), seconds: i64, value: f64) -> bool {
        let step = seconds.div_euclid(step_s);
        let before = *self.step.get_or_insert(step);
        let is_full = step > before && self.count > 0;
        if is_full {
            let mean = (self.sum / f64::from(self.count)) as f32;
            // What came in between is not known: the mean stands for it, but not for more than is kept.
            let steps = usize::try_from(step - before).unwrap_or(kept).min(kept);
            self.values.extend(std::iter::repeat_n(mean, steps));
            let over = self.values.len().saturating_sub(kept);
            self.values.drain(..over);
            (self.sum, self.count) = (0.0, 0);
        }
        self.step = Some(step.max(before));
        self.sum += value;
        self.count += 1;
        is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_means_and_gaps_go_on_as_they_began() {
        let mut past = Past::default();
        let full: Vec<Scale> =
            (0..18).flat_map(|at| past.add(at * 10, at as f64).collect::<Vec<_>>()).collect();
        assert_eq!(full, [Scale::Near, Scale::Near]);
        assert_eq!(past.near.values, [2.5, 8.5]);
        past.add(5 * 60, 20.0).for_each(drop);
        assert_eq!(past.near.values, [2.5, 8.5, 14.5, 14.5, 14.5]);
        past.add(1_000_000, 20.0).for_each(drop);
        assert_eq!(past.near.values.len(), NEAR.1);
    }
}
