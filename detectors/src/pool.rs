//! How loud series get when all is well, pooled over a fleet: what a false-alarm budget is spent on.
//!
//! A series' own −ln p is calibrated on its own short past and cannot be right far out in its tail; a thousand alike series have
//! seen a thousand times as much. The loudest −ln p of each *episode* of each series is counted, the past fades. Where the
//! pool has seen enough episodes, their share is taken as it is; beyond, an exponential tail goes on (peaks over threshold). Gives the −ln p
//! that is reached in so many episodes per tick. It decides nothing about single series.

use crate::columns::{ColumnData, Columns, LoadError};
use crate::kernels::math::{exp, ln};

/// Peaks from here on are counted: below, the core tier's −ln p is no news by construction.
const FROM: f64 = 7.0;
/// Width of a bin of peaks, and number of bins; the last is open.
const BIN: f64 = 0.25;
const BINS: usize = 64;
/// Scored ticks of calm after which an episode is over.
const CALM: u32 = 12;
/// Prior: scores are right at their word; worth this many episodes.
const PRIOR: f64 = 10.0;
/// From fewer episodes than this a share is not read off: the tail takes over.
const ENOUGH: f64 = 10.0;
/// A peak counts at most like one that comes this often within the memory: how far a fault of many series can raise a threshold.
/// Slots that are known to be in a fault should not be learnt from at all.
const RAREST: f64 = 0.01;

const NAME: &str = "pool";
const VERSION: u32 = 1;

/// The pooled tail of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct TailPool {
    /// Ticks after which the past counts for a third.
    memory: f64,
    /// Loudest −ln p of the open episode, 0 for none, and scored ticks since it was last loud; one per slot.
    peak: Vec<f64>,
    calm: Vec<u32>,
    /// Faded counts: scored values, and episodes by their peak.
    scored: f64,
    counts: [f64; BINS],
}

impl TailPool {
    /// A pool that remembers about this many ticks.
    ///
    /// # Panics
    /// When `memory` is below 1.
    pub fn new(memory: f64) -> Self {
        assert!(memory >= 1.0, "a memory of at least one tick");
        let mut counts = [0.0; BINS];
        for (bin, count) in counts.iter_mut().enumerate() {
            let beyond = |bin: usize| if bin < BINS { exp(-BIN * bin as f64) } else { 0.0 };
            *count = PRIOR * (beyond(bin) - beyond(bin + 1));
        }
        Self { memory, peak: Vec::new(), calm: Vec::new(), scored: PRIOR * exp(FROM), counts }
    }

    /// Learns from a frame: −ln p of every slot, and whether it was scored. New slots are without an episode.
    pub fn learn(&mut self, nlp: &[f64], scored: &[bool]) {
        self.peak.resize(nlp.len().max(self.peak.len()), 0.0);
        self.calm.resize(self.peak.len(), 0);
        let loudest = self.level(RAREST);
        let keep = 1.0 - 1.0 / self.memory;
        self.scored *= keep;
        self.counts.iter_mut().for_each(|count| *count *= keep);
        for (slot, (&nlp, _)) in nlp.iter().zip(scored).enumerate().filter(|(_, (_, scored))| **scored) {
            self.scored += 1.0;
            if nlp >= FROM {
                self.peak[slot] = self.peak[slot].max(nlp);
                self.calm[slot] = 0;
            } else if self.peak[slot] > 0.0 {
                self.calm[slot] += 1;
                if self.calm[slot] >= CALM {
                    let bin = ((self.peak[slot].min(loudest) - FROM) / BIN) as usize;
                    self.counts[bin.min(BINS - 1)] += 1.0;
                    self.peak[slot] = 0.0;
                }
            }
        }
    }

    /// Makes a slot as good as new.
    pub fn forget(&mut self, slot: usize) {
        if slot < self.peak.len() {
            (self.peak[slot], self.calm[slot]) = (0.0, 0);
        }
    }

    /// The −ln p that `series` scored series reach in `per_tick` episodes per tick, all together, when all is well. Never below 7:
    /// a budget above that rate is not spent.
    pub fn threshold(&self, series: usize, per_tick: f64) -> f64 {
        let ticks = self.scored / series.max(1) as f64;
        self.level(per_tick * ticks)
    }

    /// The −ln p that `wanted` episodes of the faded memory reach.
    fn level(&self, wanted: f64) -> f64 {
        let read = wanted.max(ENOUGH);
        let (mut bin, mut beyond) = (BINS, 0.0);
        // Sum of what the peaks beyond exceed the lower edge of the bin at hand by.
        let mut excess = 0.0;
        while bin > 0 && beyond + self.counts[bin - 1] < read {
            bin -= 1;
            excess += BIN * beyond + 0.5 * BIN * self.counts[bin];
            beyond += self.counts[bin];
        }
        if bin == 0 {
            // Even the lowest bin is not reached so often.
            return if wanted >= beyond { FROM } else { FROM + excess / beyond * ln(beyond / wanted) };
        }
        // Within the bin below, peaks fall off exponentially.
        let (all, edge) = (beyond + self.counts[bin - 1], FROM + BIN * (bin - 1) as f64);
        let share = if beyond > 0.0 { ln(all / read) / ln(all / beyond) } else { 1.0 };
        let at = edge + BIN * share.min(1.0);
        if wanted >= read {
            return at;
        }
        let mean = ((excess + beyond * (edge + BIN - at)) / read).max(0.5 * BIN);
        at + mean * ln(read / wanted.max(1e-9))
    }

    /// The state as columns.
    pub fn save(&self) -> Columns {
        let columns = vec![
            ("peak".to_owned(), ColumnData::F64(self.peak.clone())),
            ("calm".to_owned(), ColumnData::U32(self.calm.clone())),
            ("scored".to_owned(), ColumnData::F64(vec![self.scored])),
            ("counts".to_owned(), ColumnData::F64(self.counts.to_vec())),
        ];
        Columns { name: NAME.to_owned(), version: VERSION, rows: self.peak.len(), columns }
    }

    /// Replaces the state by a saved one.
    ///
    /// # Errors
    /// When the columns are not of a pool; the state is then unchanged.
    pub fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        columns.check(NAME, VERSION)?;
        let peak = columns.f64(NAME, "peak", columns.rows)?;
        let calm = columns.u32(NAME, "calm", columns.rows)?;
        let scored = columns.f64(NAME, "scored", 1)?;
        let counts = columns.f64(NAME, "counts", BINS)?;
        (self.peak, self.calm, self.scored) = (peak.to_vec(), calm.to_vec(), scored[0]);
        self.counts.copy_from_slice(counts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform numbers in (0, 1].
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// −ln p that is `stretch` times too loud.
    fn frame(state: &mut u64, slots: usize, stretch: f64) -> Vec<f64> {
        (0..slots).map(|_| -ln(uniform(state)) * stretch).collect()
    }

    #[test]
    fn a_budget_is_met_although_scores_are_too_loud() {
        let (slots, stretch) = (500, 1.5);
        let mut pool = TailPool::new(2_000.0);
        let mut state = 7;
        for _ in 0..4_000 {
            pool.learn(&frame(&mut state, slots, stretch), &vec![true; slots]);
        }
        for budget in [0.03, 0.3] {
            let threshold = pool.threshold(slots, budget);
            let ticks = 6_000;
            let loud: usize = (0..ticks)
                .map(|_| frame(&mut state, slots, stretch).iter().filter(|nlp| **nlp >= threshold).count())
                .sum();
            let spent = loud as f64 / f64::from(ticks) / budget;
            assert!(
                (0.7..1.4).contains(&spent),
                "budget {budget}: spent {spent} times, threshold {threshold}"
            );
        }
    }

    #[test]
    fn a_fault_of_all_series_raises_a_threshold_so_far_and_fades() {
        let slots = 500;
        let mut pool = TailPool::new(2_000.0);
        let mut state = 3;
        for _ in 0..2_000 {
            pool.learn(&frame(&mut state, slots, 1.0), &vec![true; slots]);
        }
        let rarest = pool.level(RAREST);
        for tick in 0..40 {
            pool.learn(&vec![if tick < 3 { 25.0 } else { 0.0 }; slots], &vec![true; slots]);
        }
        let after = pool.threshold(slots, 0.01);
        assert!(after <= rarest + BIN, "{after}, rarest {rarest}");
        // It fades.
        for _ in 0..20_000 {
            pool.learn(&frame(&mut state, slots, 1.0), &vec![true; slots]);
        }
        let later = pool.threshold(slots, 0.01);
        assert!((later - 10.8).abs() < 1.0, "{later}");
    }

    #[test]
    fn saving_and_loading_is_invisible_and_a_cold_pool_takes_scores_at_their_word() {
        let mut pool = TailPool::new(500.0);
        let cold = pool.threshold(1_000, 0.1);
        // −ln p at its word: a thousand values, a tenth of an episode.
        assert!(cold > 8.0 && cold < 13.0, "{cold}");
        let mut other = pool.clone();
        let mut state = 11;
        for _ in 0..300 {
            let nlp = frame(&mut state, 20, 2.0);
            pool.learn(&nlp, &[true; 20]);
            let saved = other.save();
            other = TailPool::new(500.0);
            other.load(&saved).unwrap();
            other.learn(&nlp, &[true; 20]);
            assert_eq!(pool, other);
        }
        assert!(other.load(&Columns { name: "core".to_owned(), ..pool.save() }).is_err());
    }
}
