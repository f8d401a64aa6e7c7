//! What the false-alarm budget buys: the evidence that groups of anomalies reach so many times a day when all is well.
//!
//! What chance alone brings together on this fleet is learnt from the fleet. Every *episode* (a group of anomalies, from its
//! first to its last) is counted by the most evidence that it had; the past fades. Where enough episodes were seen, their
//! share is taken as it is; beyond, an exponential tail goes on (peaks over threshold). Real incidents must not bend that: the tail
//! is hung up at [`ENOUGH`] episodes, and one that chance brings once in a hundred times the memory is none of its work.
//! Until episodes were seen, anomalies are taken about at their word.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::Id;

/// Days after which the past counts for a third: a week, so that weekends are known.
const MEMORY_DAYS: f64 = 7.0;
/// Width of a bin of evidence, and number of bins; the last is open.
const BIN: f64 = 0.25;
const BINS: usize = 160;
/// The prior is worth this many episodes; they are so many times as loud as single anomalies are at their word, because groups
/// and lasting deviations add up.
const PRIOR: f64 = 10.0;
const PRIOR_MEAN: f64 = 1.3;
/// From fewer episodes than this a share is not read off: the tail takes over.
const ENOUGH: f64 = 30.0;
/// A tail that was learnt from n episodes is taken to be longer by this times √n / (n + [`ENOUGH`]).
const DOUBT: f64 = 2.5;
/// What reaches the evidence that chance brings this often within the memory is not counted.
const RAREST: f64 = 0.01;
/// What one series reaches that wanders outside for five ticks is never too far out for chance.
const POSSIBLE: f64 = 8.0;
/// Share of the budget that is aimed at: it is a limit, and what was learnt is never quite what comes.
const AIM: f64 = 0.6;
const DAY_MS: f64 = 86_400_000.0;

/// Episodes of the fleet by their evidence, faded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Budget {
    /// Most evidence so far of the episodes that go on, by the anomaly that began each.
    peaks: BTreeMap<Id, f64>,
    /// Values that were scored: series times ticks.
    scored: f64,
    counts: Vec<f64>,
    /// Time of the latest tick, and usual distance of two, milliseconds.
    time_ms: Option<i64>,
    step_ms: f64,
}

impl Budget {
    /// A budget for a fleet that is not known yet, whose anomalies open at this −ln p.
    pub(super) fn new(open: f64) -> Budget {
        let beyond = |bin: usize| if bin < BINS { (-BIN * bin as f64 / PRIOR_MEAN).exp() } else { 0.0 };
        let counts = (0..BINS).map(|bin| PRIOR * (beyond(bin) - beyond(bin + 1))).collect();
        Budget { peaks: BTreeMap::new(), scored: PRIOR * open.exp(), counts, time_ms: None, step_ms: 0.0 }
    }

    /// One more tick of this many series.
    pub(super) fn tick(&mut self, time_ms: i64, series: u64) {
        let since = self.time_ms.map_or(0.0, |last_ms| (time_ms - last_ms).max(0) as f64);
        self.time_ms = Some(time_ms);
        if since > 0.0 {
            // A median, tracked by factors: a gap is no long tick.
            self.step_ms = match self.step_ms {
                0.0 => since,
                step if since > step => (1.05 * step).min(since),
                step => (step / 1.05).max(since),
            };
        }
        let keep = (-since.min(self.step_ms) / (MEMORY_DAYS * DAY_MS)).exp();
        self.scored = self.scored * keep + series as f64;
        self.counts.iter_mut().for_each(|count| *count *= keep);
    }

    /// Episodes as they stand: the anomaly that began each, and its evidence now. Those that are not named any more are over.
    pub(super) fn episodes(&mut self, now: impl Iterator<Item = (Id, f64)>) {
        let mut before = std::mem::take(&mut self.peaks);
        for (first, evidence) in now {
            let peak = before.remove(&first).unwrap_or(0.0).max(evidence);
            let known = self.peaks.entry(first).or_insert(peak);
            *known = known.max(peak);
        }
        let farthest = self.reached(RAREST).max(POSSIBLE);
        for peak in before.into_values().filter(|peak| *peak < farthest) {
            self.counts[((peak / BIN) as usize).min(BINS - 1)] += 1.0;
        }
    }

    /// The evidence that `per_day` episodes a day reach, of a fleet of this many series, when all is well.
    pub(super) fn opens_at(&self, series: u64, per_day: f64) -> f64 {
        let ticks = self.scored / series.max(1) as f64;
        let step_ms = if self.step_ms > 0.0 { self.step_ms } else { DAY_MS };
        self.reached(AIM * per_day * ticks * step_ms / DAY_MS).max(0.0)
    }

    /// The evidence that `wanted` episodes of the memory reach.
    fn reached(&self, wanted: f64) -> f64 {
        let (at, mean) = self.read(wanted.max(ENOUGH));
        if wanted >= ENOUGH {
            return at;
        }
        // The fewer were learnt from, the less is known of how the tail goes on.
        let learnt = (self.counts.iter().sum::<f64>() - PRIOR).max(0.0);
        let doubt = 1.0 + DOUBT * learnt.sqrt() / (learnt + ENOUGH);
        at + doubt * mean.max(0.5 * BIN) * (ENOUGH / wanted.max(1e-9)).ln()
    }

    /// The evidence that this many episodes reached, and by how much they exceeded it in the mean.
    fn read(&self, wanted: f64) -> (f64, f64) {
        let (mut bin, mut beyond) = (BINS, 0.0);
        // Sum of what the episodes beyond exceed the lower edge of the bin at hand by.
        let mut excess = 0.0;
        while bin > 0 && beyond + self.counts[bin - 1] < wanted {
            bin -= 1;
            excess += BIN * beyond + 0.5 * BIN * self.counts[bin];
            beyond += self.counts[bin];
        }
        if bin == 0 {
            // All of them together are not so many.
            let mean = excess / beyond.max(f64::MIN_POSITIVE);
            return (mean * (beyond / wanted).ln(), mean);
        }
        // Within the bin below, they fall off exponentially.
        let (all, edge) = (beyond + self.counts[bin - 1], BIN * (bin - 1) as f64);
        let share = if beyond > 0.0 { (all / wanted).ln() / (all / beyond).ln() } else { 1.0 };
        let at = edge + BIN * share.min(1.0);
        (at, (excess + beyond * (edge + BIN - at)) / wanted)
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

    const TICK_MS: i64 = 300_000;

    /// A day of a fleet with `rate` episodes a tick, each of one tick, whose evidence is exponential with this mean; gives
    /// the number that reached `opens_at`.
    fn day(budget: &mut Budget, state: &mut u64, first: i64, rate: f64, mean: f64, opens_at: f64) -> usize {
        let mut opened = 0;
        for tick in first..first + 288 {
            budget.tick(tick * TICK_MS, 1_000);
            let spoke = uniform(state) < rate;
            let evidence = -mean * uniform(state).ln();
            let id = Id::of(&[&tick.to_string()]);
            budget.episodes(spoke.then_some((id, evidence)).into_iter());
            opened += usize::from(spoke && evidence >= opens_at);
        }
        opened
    }

    #[test]
    fn a_budget_is_spent_whatever_chance_brings_together() {
        for mean in [0.6, 1.0, 2.5] {
            let mut budget = Budget::new(6.95);
            let mut state = 7;
            for at in 0..20 {
                day(&mut budget, &mut state, at * 288, 0.7, mean, f64::INFINITY);
            }
            for per_day in [0.3, 3.0, 30.0] {
                let opens_at = budget.opens_at(1_000, per_day);
                let days = if per_day < 1.0 { 400 } else { 60 };
                let opened: usize = (20..20 + days)
                    .map(|at| day(&mut budget.clone(), &mut state, at * 288, 0.7, mean, opens_at))
                    .sum();
                let spent = opened as f64 / days as f64 / per_day;
                assert!((0.5..1.5).contains(&spent), "mean {mean}, {per_day} a day: spent {spent} times");
            }
        }
    }

    #[test]
    fn real_incidents_hardly_raise_it() {
        let mut budget = Budget::new(6.95);
        let mut state = 3;
        for at in 0..20 {
            day(&mut budget, &mut state, at * 288, 0.7, 1.0, f64::INFINITY);
        }
        let before = budget.opens_at(1_000, 1.0);
        for at in 20..27 {
            for real in 0..30 {
                budget.episodes([(Id::of(&["real", &at.to_string(), &real.to_string()]), 40.0)].into_iter());
            }
            day(&mut budget, &mut state, at * 288, 0.7, 1.0, f64::INFINITY);
        }
        let after = budget.opens_at(1_000, 1.0);
        assert!((after - before).abs() < 0.5, "{before}, then {after}");
    }

    #[test]
    fn what_comes_again_and_again_is_chance_however_far_out_it_seemed() {
        let mut budget = Budget::new(6.95);
        let mut state = 5;
        for at in 0..10 {
            day(&mut budget, &mut state, at * 288, 0.7, 0.6, f64::INFINITY);
        }
        // The fleet grows louder.
        for at in 10..40 {
            day(&mut budget, &mut state, at * 288, 0.7, 2.0, f64::INFINITY);
        }
        let opens_at = budget.opens_at(1_000, 3.0);
        let opened: usize =
            (40..100).map(|at| day(&mut budget.clone(), &mut state, at * 288, 0.7, 2.0, opens_at)).sum();
        assert!((0.4..1.5).contains(&(opened as f64 / 180.0)), "{opened} of 180");
    }

    #[test]
    fn an_unknown_fleet_is_taken_at_its_word_and_a_larger_one_needs_more() {
        let mut budget = Budget::new(6.95);
        (0..2).for_each(|tick| budget.tick(tick * 10_000, 0));
        // 300 series, ten seconds: exp(-6.95) of 2.6 million values a day.
        let at = budget.opens_at(300, 1.0);
        assert!((at - 1.3 * 8.1).abs() < 0.6, "{at}");
        assert!((budget.opens_at(3_000, 1.0) - at - 1.3 * 10_f64.ln()).abs() < 0.4);
        assert!(budget.opens_at(300, 1e6) == 0.0, "more than there are anomalies");
    }
}
