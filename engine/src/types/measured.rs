//! Measures that are made outside of the shards: the values that come back.

use std::sync::Arc;

use super::series::SeriesDef;

/// The value of one series in a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The series.
    pub series: Arc<SeriesDef>,
    /// Its value; finite.
    pub value: f64,
}
