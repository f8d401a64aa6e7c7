//! The core tier on the benchmark: one configuration for every series, one frame per row.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

use super::corpus::Series;

/// The default core tier's score of every row of a series.
pub fn core_scores(series: &Series) -> Vec<f64> {
    let mut bank = CoreBank::new(CoreConfig::default(), 1);
    let mut out = Scores::new(1);
    let rows = series.times.iter().zip(&series.values);
    rows.map(|(&time, &value)| {
        bank.advance(&Frame { time, values: &[value] }, &mut out);
        out.score[0]
    })
    .collect()
}
