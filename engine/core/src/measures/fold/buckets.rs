//! Counts of a histogram by bucket, explicit or exponential: added, subtracted, and read as quantiles, in place.

use serde::{Deserialize, Serialize};

use crate::types::{HistogramPoint, Partial};

/// Most exponential buckets that two histograms are put together in; if they need more, at a coarser scale. Twice the most that a histogram of
/// OpenTelemetry's SDKs has by default, so that a point of a few bytes does not cost thousands of steps.
const MAX_BUCKETS: i64 = 320;

/// Counts by bucket. Exponential ones lie without gaps from `first` on; `(base^(first+i), base^(first+i+1)]` with
/// `base = 2^(2^-scale)` is bucket `i` (OpenTelemetry data model, "exponential histogram").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Resolution; `None` for explicit bounds.
    scale: Option<i32>,
    /// Observations near zero, exponential only.
    zero: u64,
    first: i32,
    /// Upper bounds, explicit only; there is one count more.
    bounds: Vec<f64>,
    counts: Vec<u64>,
}

impl Counts {
    /// Becomes what a point of a partial says.
    pub(super) fn set(&mut self, point: &HistogramPoint, partial: &Partial) {
        self.scale = point.scale;
        self.zero = point.zero_count;
        self.first = point.first;
        self.bounds.clear();
        self.bounds.extend_from_slice(&partial.bounds[point.bounds.clone()]);
        self.counts.clear();
        self.counts.extend_from_slice(&partial.counts[point.counts.clone()]);
    }

    /// Becomes another.
    pub(super) fn copy(&mut self, other: &Counts) {
        self.scale = other.scale;
        self.zero = other.zero;
        self.first = other.first;
        self.bounds.clone_from(&other.bounds);
        self.counts.clone_from(&other.counts);
    }

    pub(super) fn clear(&mut self) {
        self.scale = None;
        self.zero = 0;
        self.first = 0;
        self.bounds.clear();
        self.counts.clear();
    }

    /// Whether two histograms have buckets that can be put together.
    fn fits(&self, other: &Counts) -> bool {
        match (self.scale, other.scale) {
            (None, None) => self.bounds == other.bounds && self.counts.len() == other.counts.len(),
            (Some(_), Some(_)) => true,
            _ => false,
        }
    }

    /// Takes away what was there before; `false`, and anything left behind, where something fell: a reset.
    pub(super) fn subtract(&mut self, before: &Counts) -> bool {
        self.fits(before) && {
            self.align(before);
            self.each(before, |count, old| count.checked_sub(old))
        }
    }

    /// Adds another; `false`, and nothing done, where the buckets do not fit together.
    pub(super) fn add(&mut self, other: &Counts) -> bool {
        self.fits(other) && {
            self.align(other);
            self.each(other, |count, more| Some(count.saturating_add(more)))
        }
    }

    /// Changes every count by the other's of the same bucket; `false` from the first that cannot be.
    fn each(&mut self, other: &Counts, change: impl Fn(u64, u64) -> Option<u64>) -> bool {
        let Some(zero) = change(self.zero, other.zero) else { return false };
        self.zero = zero;
        // The other is as fine or finer: several of its buckets may lie in one of ours.
        let shift = other.scale.unwrap_or(0).saturating_sub(self.scale.unwrap_or(0)).clamp(0, 31);
        for (index, count) in (i64::from(other.first)..).zip(&other.counts) {
            let place = usize::try_from((index >> shift) - i64::from(self.first));
            let Some(own) = place.ok().and_then(|place| self.counts.get_mut(place)) else { return false };
            match change(*own, *count) {
                Some(changed) => *own = changed,
                None => return false,
            }
        }
        true
    }

    /// Makes room for every bucket of another, at the coarser scale of the two or below it.
    fn align(&mut self, other: &Counts) {
        let (Some(scale), Some(others)) = (self.scale, other.scale) else { return };
        self.coarsen(scale.saturating_sub(others).max(0));
        if other.counts.is_empty() {
            return;
        }
        loop {
            let shift = others.saturating_sub(self.scale.unwrap_or(others)).clamp(0, 31);
            let (from, to) = (i64::from(other.first) >> shift, ((other.end() - 1) >> shift) + 1);
            if self.counts.is_empty() {
                self.first = from as i32;
            }
            let (low, high) = (from.min(i64::from(self.first)), to.max(self.end()));
            if high - low <= MAX_BUCKETS {
                self.widen(low, high);
                return;
            }
            self.coarsen(1);
        }
    }

    /// Index after that of the last bucket.
    fn end(&self) -> i64 {
        i64::from(self.first) + self.counts.len() as i64
    }

    /// Halves the resolution so many times.
    fn coarsen(&mut self, times: i32) {
        if times == 0 {
            return;
        }
        let shift = times.min(31);
        let first = i64::from(self.first) >> shift;
        for place in 0..self.counts.len() {
            let index = (i64::from(self.first) + place as i64) >> shift;
            let count = std::mem::take(&mut self.counts[place]);
            let into = &mut self.counts[(index - first) as usize];
            *into = into.saturating_add(count);
        }
        if !self.counts.is_empty() {
            self.counts.truncate((((self.end() - 1) >> shift) - first) as usize + 1);
        }
        self.first = first as i32;
        self.scale = self.scale.map(|scale| scale.saturating_sub(times));
    }

    /// Adds empty buckets so that they reach from `low` up to `high`, exclusive.
    fn widen(&mut self, low: i64, high: i64) {
        let before = (i64::from(self.first) - low) as usize;
        let length = self.counts.len();
        self.counts.resize((high - low) as usize, 0);
        self.counts[..before + length].rotate_right(before);
        self.first = low as i32;
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().fold(self.zero, |sum, count| sum.saturating_add(*count))
    }

    /// (lower, upper, count) of each bucket, rising; open ends are closed at their one bound.
    fn ranges(&self) -> impl Iterator<Item = (f64, f64, u64)> {
        let zero = self.scale.map(|_| (0.0, 0.0, self.zero));
        let own = self.counts.iter().enumerate().map(|(place, count)| match self.scale {
            None => {
                let bound = |place: usize| self.bounds.get(place).copied();
                let below = place.checked_sub(1).and_then(bound);
                let upper = bound(place).or(below).unwrap_or(0.0);
                (below.unwrap_or(upper.min(0.0)), upper, *count)
            }
            Some(scale) => {
                let edge = |index: i64| power_of_two(index as f64, scale);
                let index = i64::from(self.first) + place as i64;
                // Edges cost: those of empty buckets are not asked for.
                if *count > 0 { (edge(index), edge(index + 1), *count) } else { (0.0, 0.0, 0) }
            }
        });
        zero.into_iter().chain(own)
    }

    /// Edges of buckets that part the observations into so many parts, about equal ones, or into fewer where single buckets hold more;
    /// at least one edge, so that what comes on its other side is told apart.
    pub(super) fn edges(&self, parts: usize) -> Vec<f64> {
        let part = self.total() as f64 / parts as f64;
        let (mut edges, mut held, mut left) = (Vec::new(), 0.0, self.total() as f64);
        let mut highest = 0.0;
        for (_, upper, count) in self.ranges().filter(|(.., count)| *count > 0) {
            held += count as f64;
            left -= count as f64;
            highest = upper;
            if held >= part && left > 0.0 && edges.len() + 1 < parts {
                edges.push(upper);
                held = 0.0;
            }
        }
        if edges.is_empty() {
            edges.push(highest);
        }
        edges
    }

    /// Adds the observations to the counts between edges: each bucket to where its middle lies.
    pub(super) fn by_edges(&self, edges: &[f64], counts: &mut [f64]) {
        for (lower, upper, count) in self.ranges().filter(|(.., count)| *count > 0) {
            // Beyond the last bound nothing is known but that.
            let middle = if lower == upper && lower > 0.0 { f64::INFINITY } else { 0.5 * (lower + upper) };
            counts[edges.partition_point(|edge| *edge < middle)] += count as f64;
        }
    }

    #[cfg(test)]
    pub(super) fn explicit(bounds: Vec<f64>, counts: Vec<u64>) -> Counts {
        Counts { bounds, counts, ..Counts::default() }
    }

    /// Linear inside the bucket; NaN without buckets.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut left = share * self.total() as f64;
        let mut highest = f64::NAN;
        for (lower, upper, count) in self.ranges() {
            let count = count as f64;
            if count > 0.0 && left <= count {
                return lower + (upper - lower) * (left / count);
            }
            left -= count;
            highest = upper;
        }
        highest
    }
}

/// `2^(index / 2^scale)` by repeated square roots, so that it does not depend on the system's mathematics
/// library: square roots are exact to the last bit everywhere.
fn power_of_two(index: f64, scale: i32) -> f64 {
    if scale <= 0 {
        return f64::powi(2.0, (index * f64::powi(2.0, -scale)).clamp(-1074.0, 1023.0) as i32);
    }
    let whole = (index / f64::powi(2.0, scale)).floor();
    let mut rest = index - whole * f64::powi(2.0, scale);
    let (mut result, mut root) = (1.0, 2.0_f64);
    for level in (0..scale).rev() {
        root = root.sqrt();
        let part = f64::powi(2.0, level);
        if rest >= part {
            rest -= part;
            result *= root;
        }
    }
    result * f64::powi(2.0, whole.clamp(-1074.0, 1023.0) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(bounds: &[f64], counts: &[u64]) -> Counts {
        Counts::explicit(bounds.to_vec(), counts.to_vec())
    }

    fn exponential(scale: i32, zero: u64, first: i32, counts: &[u64]) -> Counts {
        Counts { scale: Some(scale), zero, first, counts: counts.to_vec(), ..Counts::default() }
    }

    #[test]
    fn powers_of_two_are_right() {
        for (index, scale) in [(5, 0), (5, 3), (-7, 4), (1000, 6), (3, -1)] {
            let expected = f64::powf(2.0, f64::from(index) / f64::powi(2.0, scale));
            let found = power_of_two(f64::from(index), scale);
            assert!((found / expected - 1.0).abs() < 1e-12, "{index} at {scale}: {found} {expected}");
        }
    }

    #[test]
    fn quantiles_of_explicit_buckets_are_linear_inside() {
        let counts = explicit(&[1.0, 2.0, 4.0], &[0, 10, 10, 0]);
        assert_eq!(counts.quantile(0.5), 2.0);
        assert_eq!(counts.quantile(0.75), 3.0);
        let open = explicit(&[1.0], &[0, 9]);
        assert_eq!(open.quantile(0.95), 1.0, "what lies beyond the last bound is not known");
    }

    #[test]
    fn histograms_are_added_and_subtracted_bucket_by_bucket() {
        // (one, other, sum)
        let table = [
            (explicit(&[1.0], &[1, 2]), explicit(&[1.0], &[3, 4]), explicit(&[1.0], &[4, 6])),
            (exponential(0, 1, 0, &[1, 2]), exponential(0, 2, 1, &[5]), exponential(0, 3, 0, &[1, 7])),
            (
                exponential(0, 0, 3, &[1]),
                exponential(0, 0, -1, &[5]),
                exponential(0, 0, -1, &[5, 0, 0, 0, 1]),
            ),
            (
                exponential(2, 1, -3, &[2, 0, 0, 3, 4]),
                exponential(0, 0, 1, &[5]),
                exponential(0, 1, -1, &[2, 7, 5]),
            ),
            (
                exponential(0, 1, -1, &[2, 7, 5]),
                exponential(2, 0, 4, &[1, 1]),
                exponential(0, 1, -1, &[2, 7, 7]),
            ),
            (exponential(1, 0, 0, &[]), exponential(1, 0, 5, &[1]), exponential(1, 0, 5, &[1])),
        ];
        for (one, other, expected) in table {
            let mut sum = one.clone();
            assert!(sum.add(&other));
            assert_eq!(sum, expected);
            assert!(sum.subtract(&other), "{expected:?} - {other:?}");
            assert_eq!(sum.total(), one.total());
            assert!(!sum.subtract(&expected), "what is less than before is a reset");
        }
        assert!(!explicit(&[1.0], &[1, 2]).add(&explicit(&[2.0], &[1, 2])));
        assert!(!explicit(&[1.0], &[1, 2]).add(&exponential(0, 0, 0, &[1])));
    }

    #[test]
    fn edges_part_what_there_is_and_buckets_lie_between_them() {
        let sides = |counts: &Counts, edges: &[f64]| {
            let mut sides = vec![0.0; edges.len() + 1];
            counts.by_edges(edges, &mut sides);
            sides
        };
        // (observations, edges of four parts, how many lie between them)
        let table = [
            (explicit(&[1.0, 2.0, 3.0], &[5, 5, 5, 5]), vec![1.0, 2.0, 3.0], vec![5.0, 5.0, 5.0, 5.0]),
            (explicit(&[1.0, 2.0, 3.0], &[1, 18, 1, 0]), vec![2.0], vec![19.0, 1.0]),
            (explicit(&[1.0, 2.0], &[0, 9, 0]), vec![2.0], vec![9.0, 0.0]),
            (explicit(&[1.0, 2.0], &[0, 0, 9]), vec![2.0], vec![0.0, 9.0]),
            (explicit(&[], &[9]), vec![0.0], vec![9.0, 0.0]),
            (exponential(0, 3, 0, &[3, 3]), vec![0.0, 2.0], vec![3.0, 3.0, 3.0]),
        ];
        for (counts, edges, between) in table {
            assert_eq!(counts.edges(4), edges, "{counts:?}");
            assert_eq!(sides(&counts, &edges), between, "{counts:?}");
        }
        let elsewhere = explicit(&[1.0, 2.0], &[0, 0, 9]);
        assert_eq!(sides(&elsewhere, &explicit(&[1.0, 2.0], &[0, 9, 0]).edges(4)), [0.0, 9.0]);
    }

    #[test]
    fn buckets_far_apart_are_put_together_coarsely() {
        let mut sum = exponential(20, 0, i32::MIN, &[1]);
        assert!(sum.add(&exponential(20, 0, i32::MAX - 3, &[2, 3])));
        assert_eq!(sum.total(), 6);
        assert!(sum.counts.len() as i64 <= MAX_BUCKETS, "{}", sum.counts.len());
    }
}
