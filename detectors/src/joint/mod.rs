//! The deep tier's joint detector: how far a row of an entity's values is from how its measures usually go together.
//!
//! A mean and a covariance per entity, learnt as they come, and the Mahalanobis distance in correlations with a ridge. What each measure
//! does alone is the core tier's; this sees measures that part from one another, for as long as they are apart. Rows far out
//! weigh less in what is learnt (a Huber weight on the distance), so that a fault does not become the usual at once.
//! It is for raw values of a bounded number of entities: features² × 16 bytes each.

mod row;
mod state;

use ndarray::ArrayView2;

use crate::bank::{EntityBank, EntityScores, score_of};
use crate::columns::{Columns, LoadError};
use row::Row;

/// Rows at least this abnormal (−ln p) get an attribution.
const SPOKEN: f64 = 3.0;

/// Settings of the joint detector.
#[derive(Debug, Clone, PartialEq)]
pub struct JointConfig {
    /// Seconds after which the past counts for a third; a thousand rows at least. The default is 30 days: some weeks, so that a
    /// week is known.
    pub memory: f64,
}

impl Default for JointConfig {
    fn default() -> Self {
        Self { memory: 30.0 * 86_400.0 }
    }
}

/// Joint detectors of many entities.
#[derive(Debug, Clone)]
pub struct JointBank {
    config: JointConfig,
    features: usize,
    rows: Vec<Row>,
    /// Scratch: deviations of one row, and its shares.
    away: Vec<f64>,
    shares: Vec<f64>,
}

impl JointBank {
    /// A bank of `rows` cold entities of `features` features each.
    ///
    /// # Panics
    /// When `features` is 0 or the memory is below 1.
    pub fn new(config: JointConfig, features: usize, rows: usize) -> Self {
        assert!(features > 0 && config.memory >= 1.0, "one feature and a second of memory at least");
        let rows = vec![Row::cold(features); rows];
        Self { config, features, rows, away: vec![0.0; features], shares: vec![0.0; features] }
    }
}

impl EntityBank for JointBank {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn grow(&mut self, rows: usize) {
        let features = self.features;
        self.rows.resize_with(rows.max(self.rows.len()), || Row::cold(features));
    }

    fn forget(&mut self, row: usize) {
        self.rows[row] = Row::cold(self.features);
    }

    fn advance(&mut self, time: i64, matrix: ArrayView2<'_, f64>, out: &mut EntityScores) {
        assert_eq!(matrix.dim(), (self.rows.len(), self.features), "rows x features of this bank");
        out.resize(self.rows.len(), self.features);
        out.attribution.fill(0.0);
        for (at, row) in self.rows.iter_mut().enumerate() {
            let values = matrix.row(at);
            (out.nlp[at], out.warm[at]) = (0.0, false);
            if values.iter().any(|value| !value.is_nan()) {
                row.deviate(values, &mut self.away);
                let distance = row.distance(&self.away, &mut self.shares);
                (out.nlp[at], out.warm[at]) = row.judge(distance);
                if out.nlp[at] >= SPOKEN {
                    let line = out.attribution.row_mut(at);
                    line.into_iter().zip(&self.shares).for_each(|(to, share)| *to = *share);
                }
                row.learn(time, values, distance, self.config.memory);
            }
            out.score[at] = score_of(out.nlp[at]);
        }
    }

    fn save(&self) -> Columns {
        state::save(&self.rows, self.features)
    }

    fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        self.rows = state::load(columns, self.features)?;
        Ok(())
    }
}
