//! A tick's scores, for who asks to see them.

use std::sync::Arc;

use crate::{score::ChangePoint, types::SeriesDef};

/// What came and what was expected of one series in one tick.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesScore {
    /// The series.
    pub series: Arc<SeriesDef>,
    /// What came.
    pub value: f64,
    /// What was expected; NaN before anything was.
    pub expected: f64,
    /// Lower end of the band.
    pub lower: f64,
    /// Upper end of the band.
    pub upper: f64,
    /// Score, 0 to 1.
    pub score: f64,
    /// −ln p of it.
    pub neg_log_p: f64,
    /// What is said of a change of the series.
    pub change: ChangePoint,
}
