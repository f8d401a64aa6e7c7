//! The core tier: decomposition, change point and calibration in one pass, one calibrated score per series.
//!
//! | file | what |
//! |---|---|
//! | `block.rs` | the state, one column per variable |
//! | `work.rs` | scratch space of one tick, place in the calendar |
//! | `decomposition.rs` | level, trend, seasons, scale: expected value, band, statistics |
//! | `outage.rs` | values outside the band: an outage that passes, or a change that lasts |
//! | `changepoint.rs` | Bayesian online change point with pruned run lengths |
//! | `calibration.rs` | statistics to −ln p, and the habit |

mod block;
mod calibration;
mod changepoint;
mod decomposition;
mod outage;
mod work;

pub(crate) use block::Block;
pub(crate) use work::{Tick, Work};

use crate::bank::{Frame, Scores, SeriesBank, Speaker, score_of};
use crate::columns::{Columns, LoadError};
use crate::dispatch::{self, Isa};
use block::LANES;

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

/// Blocks between the one at hand and the one that the memory is asked for.
const AHEAD: usize = 2;

/// One tick of one block: the body that `dispatch` compiles for each instruction set.
#[inline(always)]
pub(crate) fn step(b: &mut Block, w: &mut Work, tick: &Tick, config: &CoreConfig) {
    decomposition::step(b, w, tick, config.band);
    changepoint::step(b, w);
    calibration::step(b, w, f64::from(config.warmup));
}

/// Decomposition, change point and calibration for many series.
#[derive(Debug, Clone)]
pub struct CoreBank {
    config: CoreConfig,
    isa: Isa,
    slots: usize,
    blocks: Vec<Block>,
    work: Work,
}

impl CoreBank {
    /// A bank of `slots` cold slots.
    pub fn new(config: CoreConfig, slots: usize) -> Self {
        let blocks = vec![Block::cold(); slots.div_ceil(LANES)];
        Self { config, isa: Isa::best(), slots, blocks, work: Work::new() }
    }

    /// Makes a slot what a slot of another bank is: a series that was shown its past there.
    ///
    /// # Panics
    /// When one of them has no such slot.
    pub fn adopt(&mut self, slot: usize, from: &CoreBank, there: usize) {
        assert!(
            slot < self.slots && there < from.slots,
            "slot {slot} of {}, {there} of {}",
            self.slots,
            from.slots
        );
        self.blocks[slot / LANES].adopt(slot % LANES, &from.blocks[there / LANES], there % LANES);
    }

    /// Bytes of state per series.
    pub const fn bytes_per_series() -> usize {
        size_of::<Block>() / LANES
    }

    /// Bytes of state that a point reads and writes: all but the seasons' knots away from its own time.
    pub const fn bytes_per_point() -> usize {
        Self::bytes_per_series() - (block::DAILY + block::WEEKLY - 4) * size_of::<f32>()
    }
}

impl SeriesBank for CoreBank {
    fn slots(&self) -> usize {
        self.slots
    }

    fn grow(&mut self, slots: usize) {
        self.slots = self.slots.max(slots);
        self.blocks.resize(self.slots.div_ceil(LANES), Block::cold());
    }

    fn forget(&mut self, slot: usize) {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        self.blocks[slot / LANES].forget(slot % LANES);
    }

    fn advance(&mut self, frame: &Frame<'_>, out: &mut Scores) {
        assert_eq!(frame.values.len(), self.slots, "one value per slot");
        out.resize(self.slots);
        let tick = Tick::at(frame.time);
        for (index, values) in frame.values.chunks(LANES).enumerate() {
            // A block is several pages, which the machine does not foresee: 100,000 series gain a fifth by this.
            if let Some(next) = self.blocks.get(index + AHEAD) {
                next.fetch(&tick);
            }
            let block = &mut self.blocks[index];
            let known = fill(&mut self.work, block, values);
            dispatch::core_step(self.isa, block, &mut self.work, &tick, &self.config);
            emit(&self.work, &known, tick.time, index * LANES, values.len(), out);
        }
    }

    fn save(&self) -> Columns {
        block::save(&self.blocks, self.slots)
    }

    fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        self.blocks = block::load(columns)?;
        self.slots = columns.rows;
        Ok(())
    }
}

/// Puts a frame's values into the lanes; says which lanes had state before.
fn fill(work: &mut Work, block: &Block, values: &[f64]) -> [bool; LANES] {
    work.live = [false; LANES];
    for (lane, &value) in values.iter().enumerate() {
        work.live[lane] = !value.is_nan();
        work.value[lane] = if value.is_nan() { block.last[lane] } else { value };
    }
    block.seen.map(|seen| seen > 0.0)
}

/// Takes the results out of the lanes.
fn emit(work: &Work, known: &[bool; LANES], time: f64, at: usize, len: usize, out: &mut Scores) {
    for (lane, known) in known.iter().take(len).enumerate() {
        let slot = at + lane;
        let blank = |value: f64, shown: bool| if shown { value } else { f64::NAN };
        let (expected, half) = (work.expected[lane], work.half[lane]);
        let scored = work.live[lane] && work.warm[lane];
        out.expected[slot] = blank(expected, *known);
        out.lower[slot] = blank(expected - half, *known && half.is_finite());
        out.upper[slot] = blank(expected + half, *known && half.is_finite());
        out.usual[slot] = blank(work.value[lane] - work.from_slow[lane], *known);
        out.spread[slot] = blank(work.spread[lane], *known);
        out.residual[slot] = blank(work.residual[lane], scored);
        out.nlp[slot] = work.nlp[lane];
        out.score[slot] = score_of(work.nlp[lane]);
        let (loudest, second) = (speaker(work.loudest[lane]), speaker(work.runner_up[lane]));
        // Two statistics may be of one detector.
        let two = loudest != Speaker::None && second != Speaker::None && second != loudest;
        out.speaker[slot] = loudest;
        out.second[slot] = if two { second } else { Speaker::None };
        out.share[slot] = if two { work.share[lane] as f32 } else { 1.0 };
        out.change[slot] = work.change[lane];
        out.onset[slot] = blank(time - work.age[lane], *known && work.warm[lane]);
        out.warm[slot] = work.warm[lane];
    }
}

fn speaker(loudest: f64) -> Speaker {
    match loudest as u8 {
        1 => Speaker::Residual,
        2 => Speaker::Difference,
        3 | 4 => Speaker::Level,
        5 | 6 => Speaker::Dispersion,
        _ => Speaker::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that a run gives, as bits, and the state at its end.
    fn run(isa: Isa, frames: &[Vec<f64>]) -> (Vec<u64>, Columns) {
        let slots = frames[0].len();
        let mut bank =
            CoreBank { isa, ..CoreBank::new(CoreConfig { warmup: 5, ..CoreConfig::default() }, slots) };
        let mut out = Scores::new(slots);
        let mut bits = Vec::new();
        for (tick, values) in frames.iter().enumerate() {
            bank.advance(&Frame { time: tick as i64 * 900, values }, &mut out);
            for column in [
                &out.expected,
                &out.lower,
                &out.usual,
                &out.spread,
                &out.residual,
                &out.nlp,
                &out.change,
                &out.onset,
            ] {
                bits.extend(column.iter().map(|value| value.to_bits()));
            }
        }
        (bits, bank.save())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn every_instruction_set_gives_the_same_bits(
            frames in proptest::collection::vec(
                proptest::collection::vec(
                    prop_oneof![
                        8 => -1e3..1e3_f64,
                        1 => Just(f64::NAN),
                        1 => prop_oneof![Just(f64::INFINITY), Just(1e-310), Just(-1e200), Just(0.0)],
                    ],
                    21,
                ),
                60..150,
            ),
        ) {
            let plain = run(Isa::Baseline, &frames);
            for isa in Isa::available() {
                prop_assert_eq!(&run(isa, &frames), &plain, "{:?}", isa);
            }
        }
    }
}
