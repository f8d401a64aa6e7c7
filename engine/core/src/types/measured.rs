//! Measures that are made outside of the shards: the rows that they read, and the values that come back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Batch, BatchSignal, series::SeriesDef};

/// The rows of a tick that is about to close, in (partition, offset) order.
#[derive(Clone, Debug)]
pub struct TickRows {
    /// The tick.
    pub tick: i64,
    /// Decoded rows; late ones are left out.
    pub batches: Vec<Batch>,
}

/// The value of one series in a tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The series.
    pub series: Arc<SeriesDef>,
    /// Its value; finite.
    pub value: f64,
}

/// What measures made of the rows of a tick.
#[derive(Debug, Default)]
pub struct RowsMeasured {
    /// Values, in order of measures and labels.
    pub values: Vec<Measured>,
    /// Measures that failed, with what was wrong; they have no value in this tick.
    pub failures: Vec<(Arc<str>, String)>,
    /// Rows of results that were left out, by measure: repeats of the same labels, or more than `max_series`.
    pub dropped: Vec<(Arc<str>, u64)>,
}

/// Operators' own measures over the rows of a tick. Equal rows give equal values.
pub trait RowMeasures: std::fmt::Debug + Send {
    /// Kinds of rows that any measure reads.
    fn signals(&self) -> Vec<BatchSignal>;

    /// Runs every measure over the rows of a tick.
    fn measure(&mut self, rows: &TickRows) -> RowsMeasured;
}

/// No measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRowMeasures;

impl RowMeasures for NoRowMeasures {
    fn signals(&self) -> Vec<BatchSignal> {
        Vec::new()
    }

    fn measure(&mut self, _: &TickRows) -> RowsMeasured {
        RowsMeasured::default()
    }
}

/// Measures that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RowMeasuresError {
    /// What one says is refused.
    #[error("measures: {name:?}: {problem}")]
    Measure {
        /// Name of the measure.
        name: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// What runs them does not start.
    #[error("cannot start SQL: {0}")]
    Start(String),
}
