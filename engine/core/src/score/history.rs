//! The past of series, by name: what a new series is shown before its first value, so that it starts with its seasons known.

use std::collections::BTreeMap;

use foreshock_detectors::{AbsenceBank, CoreBank, CoreConfig, Frame, Scores, SeriesBank};

/// The past of some series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    series: BTreeMap<String, Past>,
}

/// One series: times in unix seconds, rising, and its values there.
#[derive(Clone, Debug, Default, PartialEq)]
struct Past {
    times: Vec<i64>,
    values: Vec<f64>,
}

impl History {
    /// Adds a value of a series, by its canonical name. Missing values, and such as are not later than the one before, are left
    /// out; says whether it was taken.
    pub fn push(&mut self, series: &str, time_ms: i64, value: f64) -> bool {
        let seconds = time_ms.div_euclid(1000);
        let last = self.series.get(series).and_then(|past| past.times.last().copied());
        if value.is_nan() || last.is_some_and(|last| last >= seconds) {
            return false;
        }
        let past = self.series.entry(series.to_string()).or_default();
        past.times.push(seconds);
        past.values.push(value);
        true
    }

    /// Keeps the latest `most` values of every series; gives how many were dropped.
    pub fn shorten(&mut self, most: usize) -> usize {
        let mut dropped = 0;
        for past in self.series.values_mut() {
            let beyond = past.times.len().saturating_sub(most);
            past.times.drain(..beyond);
            past.values.drain(..beyond);
            dropped += beyond;
        }
        dropped
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The banks of one slot each after the past of a series up to a time, and the number of values; `None` where there is none. A past that is
    /// further back than it is long counts for no value: what came since may be the new normal, so that the series is judged later.
    pub(super) fn learnt(
        &self,
        series: &str,
        before_seconds: i64,
        core: &CoreConfig,
    ) -> Option<(CoreBank, AbsenceBank, u32)> {
        let past = self.series.get(series)?;
        let count = past.times.partition_point(|time| *time < before_seconds);
        let (mut core, mut absence) = (CoreBank::new(core.clone(), 1), AbsenceBank::new(1));
        let mut scores = Scores::new(1);
        for (time, value) in past.times[..count].iter().zip(&past.values) {
            let frame = Frame { time: *time, values: &[*value] };
            core.advance(&frame, &mut scores);
            absence.advance(&frame, &mut scores);
        }
        let (first, last) = (past.times.first()?, past.times[..count].last()?);
        let is_near = before_seconds - last <= last - first;
        Some((core, absence, if is_near { count as u32 } else { 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_later_is_taken_and_the_latest_is_kept() {
        let mut history = History::default();
        let taken = [(1_000, 1.0), (2_000, f64::NAN), (2_000, 2.0), (2_000, 3.0), (1_000, 4.0), (9_000, 5.0)];
        let taken: Vec<bool> = taken.iter().map(|(time, value)| history.push("a", *time, *value)).collect();
        assert_eq!(taken, [true, false, true, false, false, true]);
        assert_eq!(history.shorten(2), 1);
        let config = CoreConfig::default();
        let counted = |before| history.learnt("a", before, &config).map(|(.., count)| count);
        assert_eq!((counted(10), counted(17)), (Some(2), Some(0)), "a past of 7 s counts for 7 s");
        assert!(history.learnt("a", 2, &config).is_none() && history.learnt("b", 99, &config).is_none());
    }
}
