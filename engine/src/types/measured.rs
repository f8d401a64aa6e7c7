//! Measures that are made outside of the shards: the rows that they read, and the values that come back.

use std::sync::Arc;

use super::{batch::Batch, series::SeriesDef};

/// The rows of a tick that is about to close, in (partition, offset) order.
#[derive(Clone, Debug)]
pub struct TickRows {
    /// The tick.
    pub tick: i64,
    /// Decoded rows; late ones are left out.
    pub batches: Vec<Batch>,
}

/// The value of one series in a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The series.
    pub series: Arc<SeriesDef>,
    /// Its value; finite.
    pub value: f64,
}
