//! Where the window splits best, and whether the split means anything.
//!
//! Every subsequence is told by its three neighbours on which side of a split it lies. Where the values before and
//! after differ in kind, they are right. With three neighbours the majority is the middle one, so a subsequence is told
//! "before" exactly when its middle neighbour is: all splits are counted in one pass over the window.

use super::window::{NEIGHBOURS, Window};
use crate::dispatch::{self, Isa};

/// A split of the window and what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    /// First value of the new segment.
    pub at: usize,
    /// Wilcoxon's rank-sum statistic of the votes on both sides, as a standard normal.
    pub z: f64,
}

/// Splits that are judged together.
const TOGETHER: usize = 16;

/// Counts per split, kept so that nothing is allocated.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    before: Vec<u32>,
    after: Vec<u32>,
}

/// What the kernel works on: counts of the votes that are right at each split that can be.
pub(crate) struct Splits<'a> {
    /// Told "before" and before; told "after" and after, those that straddle the split left out.
    pub right_before: &'a [u32],
    pub right_after: &'a [u32],
    /// Subsequences before the first split, and after it.
    pub sides: [f64; 2],
    /// Out: the first of the splits with the largest score.
    pub best: usize,
}

impl Profile {
    /// The best split that leaves `margin` subsequences on both sides.
    pub(super) fn best(&mut self, window: &Window, margin: usize, isa: Isa) -> Option<Split> {
        let (count, width) = (window.done(), window.width);
        if count < 2 * margin + width {
            return None;
        }
        self.count(window);
        let (mut right_before, mut right_after) = (0, self.after.iter().sum::<u32>());
        for (before, after) in self.before.iter_mut().zip(&mut self.after) {
            right_before += std::mem::replace(before, right_before);
            right_after -= std::mem::replace(after, right_after);
        }
        let sides = |split: usize| [split as f64, (count - split - width) as f64];
        let mut splits = Splits {
            right_before: &self.before[margin..count - margin],
            right_after: &self.after[margin..count - margin],
            sides: sides(margin),
            best: 0,
        };
        dispatch::splits(isa, &mut splits);
        let split = margin + splits.best;
        let [before, after] = sides(split);
        let z = rank_sum(f64::from(self.before[split]), before, f64::from(self.after[split]), after);
        Some(Split { at: split + width, z })
    }

    /// Histograms over splits: from which split on a subsequence is rightly told "before", and the last at which it is
    /// rightly told "after".
    fn count(&mut self, window: &Window) {
        let (count, width) = (window.done(), window.width);
        for column in [&mut self.before, &mut self.after] {
            column.clear();
            column.resize(count, 0);
        }
        for at in 0..count {
            let [a, b, c]: [u32; NEIGHBOURS] = std::array::from_fn(|rank| window.near[rank][at]);
            let middle = a.max(b).min(a.min(b).max(c)) as usize;
            self.before[at.max(middle)] += 1;
            if at >= width {
                self.after[(at - width).min(middle)] += 1;
            }
        }
    }
}

/// The body that `dispatch` compiles for each instruction set.
#[inline(always)]
pub(crate) fn judge(splits: &mut Splits<'_>) {
    let [before, after] = splits.sides;
    let score = |at: usize, tp: u32, tn: u32| {
        macro_f1(f64::from(tp), before + at as f64, f64::from(tn), after - at as f64)
    };
    let (tps, rest) = splits.right_before.as_chunks::<TOGETHER>();
    let (tns, rest_after) = splits.right_after.as_chunks::<TOGETHER>();
    let mut best = (0, f64::NEG_INFINITY);
    for (chunk, (tps, tns)) in tps.iter().zip(tns).enumerate() {
        let from = chunk * TOGETHER;
        let mut scores = [0.0; TOGETHER];
        let mut is_better = false;
        for at in 0..TOGETHER {
            scores[at] = score(from + at, tps[at], tns[at]);
            is_better |= scores[at] > best.1;
        }
        if is_better {
            for (at, score) in scores.into_iter().enumerate() {
                if score > best.1 {
                    best = (from + at, score);
                }
            }
        }
    }
    for (at, (tp, tn)) in (tps.len() * TOGETHER..).zip(rest.iter().zip(rest_after)) {
        let score = score(at, *tp, *tn);
        if score > best.1 {
            best = (at, score);
        }
    }
    splits.best = best.0;
}

/// Mean of the two classes' F1.
#[inline(always)]
fn macro_f1(tp: f64, before: f64, tn: f64, after: f64) -> f64 {
    let (fp, missed) = (after - tn, before - tp);
    0.5 * (2.0 * tp / (2.0 * tp + fp + missed) + 2.0 * tn / (2.0 * tn + fp + missed))
}

/// Wilcoxon's rank-sum statistic of the votes before and after the split, as a standard normal.
fn rank_sum(tp: f64, before: f64, tn: f64, after: f64) -> f64 {
    let total = before + after;
    let zeros = tp + (after - tn);
    let ones = total - zeros;
    let sum = tp * (zeros + 1.0) / 2.0 + (before - tp) * (zeros + (ones + 1.0) / 2.0);
    let expected = before * (total + 1.0) / 2.0;
    (expected - sum) / (before * after * (total + 1.0) / 12.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Macro F1 of a split, straight from its definition: every subsequence asks its neighbours.
    fn plain(window: &Window, split: usize) -> f64 {
        let (count, width) = (window.done(), window.width);
        let mut table = [[0.0; 2]; 2];
        for at in (0..split).chain(split + width..count) {
            let votes = (0..NEIGHBOURS).filter(|rank| window.near[*rank][at] as usize >= split).count();
            table[usize::from(at >= split)][usize::from(votes >= 2)] += 1.0;
        }
        let [[tp, missed], [fp, tn]] = table;
        0.5 * (2.0 * tp / (2.0 * tp + fp + missed) + 2.0 * tn / (2.0 * tn + fp + missed))
    }

    #[test]
    fn one_pass_finds_the_best_of_all_splits() {
        let (count, width, margin) = (400, 10, 50);
        let mut window = Window { capacity: 1000, width, ..Window::default() };
        window.mean = vec![0.0; count];
        // Neighbours on the own side of 230, but for every seventh.
        for rank in 0..NEIGHBOURS {
            window.near[rank] = (0..count)
                .map(|at| {
                    let place = (at * 37 + rank * 101) % 170;
                    let before = (at < 230) != (at % 7 == rank);
                    (if before { place } else { 230 + place }) as u32
                })
                .collect();
        }
        let found = Profile::default().best(&window, margin, Isa::best()).unwrap();
        let want = (margin..count - margin).map(|split| (split, plain(&window, split)));
        let (at, score) = want.fold((0, 0.0), |best, this| if this.1 > best.1 { this } else { best });
        assert_eq!(found.at, at + width, "score {score}");
        assert!(found.z > 10.0, "{}", found.z);
        assert_eq!(Profile::default().best(&window, 200, Isa::best()), None);
    }

    #[test]
    fn the_rank_sum_is_that_of_ranks() {
        // 30 of 40 told "before" on the left, 15 of 60 on the right; scipy.stats.ranksums gives 4.2216.
        let z = rank_sum(30.0, 40.0, 45.0, 60.0);
        assert!((z - 4.221_585_268).abs() < 1e-8, "{z}");
    }
}
