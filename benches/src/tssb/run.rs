//! Detectors on one series: what they report, and when.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SegmentBank, SegmentConfig, SeriesBank};

/// A reported change point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// First row of the new segment, as reported.
    pub onset: usize,
    /// Row at which it was reported.
    pub announced: usize,
}

/// The deep tier's change points, default configuration.
pub fn segment_changes(values: &[f64]) -> Vec<Found> {
    let mut bank = SegmentBank::new(SegmentConfig::default(), 1);
    let mut out = Scores::new(1);
    let mut found = Vec::new();
    for (row, &value) in values.iter().enumerate() {
        bank.advance(&Frame { time: row as i64, values: &[value] }, &mut out);
        if out.change[0] >= 0.5 {
            found.push(Found { onset: out.onset[0] as usize, announced: row });
        }
    }
    found
}

/// The core tier's: a change is reported when it becomes more probable than not, once until that has passed.
pub fn core_changes(values: &[f64]) -> Vec<Found> {
    let mut bank = CoreBank::new(CoreConfig::default(), 1);
    let mut out = Scores::new(1);
    let mut found: Vec<Found> = Vec::new();
    let mut within = false;
    for (row, &value) in values.iter().enumerate() {
        // A minute per row: nothing is known of these series' clocks.
        bank.advance(&Frame { time: row as i64 * 60, values: &[value] }, &mut out);
        let speaks = out.change[0] >= 0.5 && out.onset[0].is_finite();
        if speaks && !within {
            found.push(Found { onset: (out.onset[0] / 60.0) as usize, announced: row });
        }
        within = speaks;
    }
    found
}
