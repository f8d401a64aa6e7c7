//! Counts by category in buckets, oldest first: at most [`MOST`] of each level, the two oldest of a level together make one of the next.

use std::collections::VecDeque;

/// Buckets of one level.
const MOST: usize = 8;
/// Levels: the last takes in whatever comes to it.
const LEVELS: u32 = 40;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// Levels fall from the oldest to the newest.
    buckets: VecDeque<Bucket>,
    totals: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Bucket {
    level: u32,
    counts: Box<[f64]>,
}

impl Window {
    pub(super) fn new(categories: usize) -> Self {
        Self { buckets: VecDeque::new(), totals: vec![0.0; categories] }
    }

    pub(super) fn categories(&self) -> usize {
        self.totals.len()
    }

    pub(super) fn totals(&self) -> &[f64] {
        &self.totals
    }

    pub(super) fn outcomes(&self) -> f64 {
        self.totals.iter().sum()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.categories());
    }

    /// One more bucket; counts are whole numbers, so sums are exact.
    pub(super) fn push(&mut self, counts: &[f64]) {
        self.buckets.push_back(Bucket { level: 0, counts: counts.into() });
        self.totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        let mut end = self.buckets.len();
        for level in 0..LEVELS {
            let of_level = self.buckets.range(..end).rev().take_while(|bucket| bucket.level == level).count();
            if of_level <= MOST {
                break;
            }
            let oldest = end - of_level;
            if let Some(second) = self.buckets.remove(oldest + 1) {
                let first = &mut self.buckets[oldest];
                first.level += 1;
                first.counts.iter_mut().zip(&second.counts).for_each(|(sum, count)| *sum += count);
            }
            end = oldest + 1;
        }
    }

    /// The buckets but the oldest, the newest first, each with how many are older.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.buckets.iter().enumerate().skip(1).rev().map(|(index, bucket)| (index, &*bucket.counts))
    }

    /// Forgets so many of the oldest buckets.
    pub(super) fn forget(&mut self, oldest: usize) {
        for bucket in self.buckets.drain(..oldest.min(self.buckets.len())) {
            self.totals.iter_mut().zip(&bucket.counts).for_each(|(total, count)| *total -= count);
        }
    }

    /// Levels, and counts one bucket after the other.
    pub(super) fn parts(&self) -> (Vec<u32>, Vec<f64>) {
        let levels = self.buckets.iter().map(|bucket| bucket.level).collect();
        let counts = self.buckets.iter().flat_map(|bucket| bucket.counts.iter().copied()).collect();
        (levels, counts)
    }

    /// What [`Window::parts`] gave; `None` where these are no counts or no such levels.
    pub(super) fn from_parts(categories: usize, levels: &[u32], counts: &[f64]) -> Option<Self> {
        let fall = levels.is_sorted_by(|older, newer| older >= newer);
        let are_counts = counts.iter().all(|count| *count >= 0.0 && count.is_finite());
        if !fall
            || !are_counts
            || counts.len() != levels.len() * categories
            || levels.first().is_some_and(|level| *level > LEVELS)
        {
            return None;
        }
        let mut window = Self::new(categories);
        for (level, counts) in levels.iter().zip(counts.chunks_exact(categories)) {
            window.buckets.push_back(Bucket { level: *level, counts: counts.into() });
            window.totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_few_and_nothing_is_lost() {
        let mut window = Window::new(2);
        for row in 0..100_000_u32 {
            window.push(&[f64::from(u8::from(row % 3 > 0)), f64::from(u8::from(row % 3 == 0))]);
        }
        assert_eq!(window.totals(), [66_666.0, 33_334.0]);
        assert!(window.buckets.len() < 130, "{}", window.buckets.len());
        let (levels, counts) = window.parts();
        assert!(levels.is_sorted_by(|older, newer| older >= newer), "{levels:?}");
        assert_eq!(Window::from_parts(2, &levels, &counts).as_ref(), Some(&window));
        let oldest: f64 = counts[..2].iter().sum();
        window.forget(1);
        assert_eq!(window.outcomes(), 100_000.0 - oldest);
    }
}
