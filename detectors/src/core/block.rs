//! The state of the core tier: one column per variable, one lane per slot, in blocks of [`LANES`] slots.
//!
//! The list of columns below is the only one: struct, cold state, save and load all come from it.
//! Scalars are 64-bit; seasons and run lengths, of which there are many, are kept in 32 bits.

use super::work::Tick;
use crate::columns::{ColumnData, Columns, LoadError};
use crate::dispatch;

/// Slots per block; a kernel's inner loop runs over exactly this many lanes.
pub(crate) const LANES: usize = 16;
/// Knots of the daily season (half an hour each).
pub(crate) const DAILY: usize = 48;
/// Knots of the weekly season (two hours each).
pub(crate) const WEEKLY: usize = 84;
/// Run lengths kept by the change-point detector.
pub(crate) const RUNS: usize = 8;
/// Statistics that are calibrated on the series' own past.
pub(crate) const FEATURES: usize = 6;

/// Layout version of the columns.
pub(crate) const VERSION: u32 = 2;
/// Name of the bank in snapshots.
pub(crate) const NAME: &str = "core";

macro_rules! columns {
    (one: $($one:ident)*; wide: $($wide:ident: [$len:expr; $type:ident, $kind:ident],)*) => {
        /// The state of [`LANES`] slots.
        #[derive(Debug, Clone)]
        #[repr(C, align(64))]
        pub(crate) struct Block {
            $(pub $one: [f64; LANES],)*
            $(pub $wide: [[$type; LANES]; $len],)*
        }

        impl Block {
            /// Cold slots: every variable is zero.
            pub(crate) fn cold() -> Self {
                Self { $($one: [0.0; LANES],)* $($wide: [[0.0; LANES]; $len],)* }
            }

            /// Asks the memory for the scalars.
            #[inline(always)]
            fn fetch_scalars(&self) {
                $(dispatch::fetch(&self.$one);)*
            }

            /// Takes over the state of a lane of another block.
            pub(crate) fn adopt(&mut self, lane: usize, from: &Block, there: usize) {
                $(self.$one[lane] = from.$one[there];)*
                $(for (row, other) in self.$wide.iter_mut().zip(&from.$wide) { row[lane] = other[there]; })*
            }

            /// Makes one lane cold again.
            pub(crate) fn forget(&mut self, lane: usize) {
                $(self.$one[lane] = 0.0;)*
                $(for row in &mut self.$wide { row[lane] = 0.0; })*
            }
        }

        /// All slots as columns. Block by block: each is in the cache once.
        pub(crate) fn save(blocks: &[Block], slots: usize) -> Columns {
            $(let mut $one = Vec::with_capacity(slots);)*
            $(let mut $wide = Vec::with_capacity(slots * $len);)*
            for (block, at) in blocks.iter().zip((0..slots).step_by(LANES)) {
                let lanes = LANES.min(slots - at);
                $($one.extend_from_slice(&block.$one[..lanes]);)*
                $(for lane in 0..lanes {
                    $wide.extend(block.$wide.iter().map(|row| row[lane]));
                })*
            }
            let columns = vec![
                $((stringify!($one).to_owned(), ColumnData::F64($one)),)*
                $((stringify!($wide).to_owned(), ColumnData::$kind($wide)),)*
            ];
            Columns { name: NAME.to_owned(), version: VERSION, rows: slots, columns }
        }

        /// Blocks from columns.
        pub(crate) fn load(columns: &Columns) -> Result<Vec<Block>, LoadError> {
            columns.check(NAME, VERSION)?;
            let slots = columns.rows;
            $(let $one = columns.f64(NAME, stringify!($one), slots)?;)*
            $(let $wide = columns.$type(NAME, stringify!($wide), slots * $len)?;)*
            let blocks = (0..slots).step_by(LANES).map(|at| {
                let mut block = Block::cold();
                let lanes = LANES.min(slots - at);
                $(block.$one[..lanes].copy_from_slice(&$one[at..at + lanes]);)*
                $(for (lane, values) in $wide[at * $len..(at + lanes) * $len].chunks_exact($len).enumerate() {
                    for (row, value) in block.$wide.iter_mut().zip(values) {
                        row[lane] = *value;
                    }
                })*
                block
            });
            Ok(blocks.collect())
        }
    };
}

columns! {
    one:
        seen            // values seen
        last_time       // event time of the last value
        first_time      // event time of the first value
        step            // the slot's own cadence, seconds
        last            // last value
        slow            // long-run level, season removed
        fast            // local level, season removed
        trend           // damped slope of the local level, per step
        scale           // robust scale of the one-step residual
        spread          // robust scale of the deviation from the long-run level
        last_jump       // size of the last deviation from the local level
        last_away       // size of the last deviation from the long-run level
        drift           // mean deviation from the long-run level over a few values
        slow_drift      // the same over some thirty values
        wild            // local mean size of steps
        calm            // long-run mean size of steps
        error_level     // recent error of the long-run level alone
        error_daily     // the same with the daily season
        error_weekly    // the same with both seasons
        error_slow      // recent error of level and seasons
        error_fast      // recent error of the local level
        kept            // level that is expected while values are outside the band
        outside         // values outside the band in a row, as long as they are not accepted
        habit           // how much has been said already
        news_threshold  // high quantile of what is new
        news_heavy      // sum of what was new beyond it
        news_count      // number of times it was
    ;
    wide:
        usual: [FEATURES; f32, F32],       // long-run mean of the statistic
        threshold: [FEATURES; f32, F32],   // high quantile of the statistic
        heavy: [FEATURES; f32, F32],       // sum of log exceedances
        count: [FEATURES; f32, F32],       // number of exceedances
        daily: [DAILY; f32, F32],
        weekly: [WEEKLY; f32, F32],
        run_weight: [RUNS; f32, F32],
        run_count: [RUNS; f32, F32],
        run_mean: [RUNS; f32, F32],
        run_square: [RUNS; f32, F32],
        run_age: [RUNS; f32, F32],         // seconds since the run began
}

impl Block {
    /// Asks the memory for what a tick will read of this block: all but the seasons away from its own time.
    #[inline(always)]
    pub(crate) fn fetch(&self, tick: &Tick) {
        self.fetch_scalars();
        [&self.usual, &self.threshold, &self.heavy, &self.count].into_iter().for_each(dispatch::fetch);
        [&self.run_weight, &self.run_count, &self.run_mean, &self.run_square, &self.run_age]
            .into_iter()
            .for_each(dispatch::fetch);
        fetch_around(&self.daily, tick.daily.0);
        fetch_around(&self.weekly, tick.weekly.0);
    }
}

/// A season's knots from the one before `first` on: what its value and its slope are made of.
#[inline(always)]
fn fetch_around<const N: usize>(ring: &[[f32; LANES]; N], first: usize) {
    (N - 1..N + 3).for_each(|beside| dispatch::fetch(&ring[(first + beside) % N]));
}
