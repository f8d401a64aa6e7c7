//! The window of one series: its values since the last change, and each subsequence's nearest neighbours.
//!
//! Streaming k-nearest neighbours with k = 3: the dot product of two subsequences follows from that of their
//! predecessors, so a new subsequence costs one pass over the window. Likeness is Pearson's correlation. Dot products are kept by
//! lag; in every pass one lag is computed afresh, so that rounding does not pile up.

use crate::dispatch::{self, Isa};

/// Neighbours of a subsequence.
pub(super) const NEIGHBOURS: usize = 3;
/// Values are held within this many scales of the centre, so that sums of products stay exact enough.
const LIMIT: f64 = 1e3;
/// A subsequence whose deviation is below this share of the segment's is flat.
const FLAT: f64 = 1e-3;
/// Positions that are looked at together.
pub(crate) const TOGETHER: usize = 16;

/// The values of the current segment and the neighbourhoods of its subsequences.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// Most values that are kept.
    pub(super) capacity: usize,
    /// Values of a subsequence; 0 while unknown.
    pub(super) width: usize,
    /// Values and their times, oldest first.
    pub(super) values: Vec<f64>,
    pub(super) times: Vec<i64>,
    /// What values are standardised with: the same for the whole segment.
    pub(super) centre: f64,
    pub(super) scale: f64,
    /// Standardised values.
    pub(super) standard: Vec<f32>,
    /// Mean and inverse deviation of each subsequence that has its neighbours; the inverse is 0 where it is flat.
    pub(super) mean: Vec<f64>,
    pub(super) inverse: Vec<f64>,
    /// Dot product of the latest subsequence with the one `lag` before it, at `capacity - lag`.
    pub(super) dots: Vec<f64>,
    /// Nearest neighbours and their likeness, best first, one column per rank.
    pub(super) near: [Vec<u32>; NEIGHBOURS],
    pub(super) like: [Vec<f32>; NEIGHBOURS],
    /// Subsequences processed in all: says which lag is computed afresh.
    pub(super) turn: u64,
}

/// What the kernel works on: one new subsequence against all before it.
pub(crate) struct Pass<'a> {
    /// Dot products, aligned with the earlier subsequences.
    pub dots: &'a mut [f64],
    /// The value before each earlier subsequence but the first; one shorter than `dots`.
    pub before: &'a [f32],
    /// The last value of each earlier subsequence.
    pub last: &'a [f32],
    /// Means and inverse deviations of the earlier subsequences.
    pub mean: &'a [f64],
    pub inverse: &'a [f64],
    /// The same of the new one: value before it, last value, mean, inverse deviation, width.
    pub new: [f64; 5],
    /// Out: correlations.
    pub likeness: &'a mut [f32],
}

/// The body that `dispatch` compiles for each instruction set.
#[inline(always)]
pub(crate) fn correlate(pass: &mut Pass<'_>) {
    let [before, last, mean, inverse, width] = pass.new;
    let share = 1.0 / width;
    let flat = inverse == 0.0;
    let like = |dot: f64, m: f64, i: f64| {
        let correlation = (dot * share - m * mean) * (i * inverse);
        if flat & (i == 0.0) { 1.0 } else { correlation as f32 }
    };
    let count = pass.dots.len();
    pass.likeness[0] = like(pass.dots[0], pass.mean[0], pass.inverse[0]);
    let dots = &mut pass.dots[1..];
    let likeness = &mut pass.likeness[1..count];
    let (olds, ends) = (&pass.before[..count - 1], &pass.last[1..count]);
    let (means, inverses) = (&pass.mean[1..count], &pass.inverse[1..count]);
    for at in 0..count - 1 {
        let dot = dots[at] + (f64::from(ends[at]) * last - f64::from(olds[at]) * before);
        dots[at] = dot;
        likeness[at] = like(dot, means[at], inverses[at]);
    }
}

/// What is looked for among the likenesses of one new subsequence to all before it.
pub(crate) struct Search<'a> {
    pub likeness: &'a [f32],
    /// The farthest neighbour's likeness of each earlier subsequence.
    pub worst: &'a [f32],
    /// What a neighbour of the new one is at least like.
    pub bar: f32,
    /// Out: a bit for each position that is a neighbour of the new one or gets it for a neighbour, [`TOGETHER`] of them together.
    pub found: &'a mut [u16],
}

/// The body that `dispatch` compiles for each instruction set.
#[inline(always)]
pub(crate) fn search(search: &mut Search<'_>) {
    let Search { likeness, worst, bar, found } = search;
    let bar = *bar;
    let bits = |news: &[f32], olds: &[f32]| {
        let mut bits = 0;
        for (at, (new, old)) in news.iter().zip(olds).enumerate() {
            bits |= u16::from((new > old) | (*new >= bar)) << at;
        }
        bits
    };
    let (news, rest) = likeness.as_chunks::<TOGETHER>();
    let (olds, _) = worst.as_chunks::<TOGETHER>();
    for ((new, old), found) in news.iter().zip(olds).zip(found.iter_mut()) {
        *found = bits(new, old);
    }
    if let Some(found) = found.get_mut(news.len()) {
        *found = bits(rest, &worst[news.len() * TOGETHER..]);
    }
}

/// Scratch for the search of neighbours.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    likeness: Vec<f32>,
    found: Vec<u16>,
}

impl Window {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Subsequences that have their neighbours.
    pub(super) fn done(&self) -> usize {
        self.mean.len()
    }

    /// Complete subsequences that have no neighbours yet.
    pub(super) fn behind(&self) -> usize {
        (self.values.len() + 1).saturating_sub(self.done() + self.width)
    }

    /// Subsequences nearer than this overlap too much to be neighbours.
    pub(super) fn exclusion(&self) -> usize {
        (self.width / 2).max(1)
    }

    pub(super) fn push(&mut self, time: i64, value: f64) {
        if self.values.len() == self.capacity {
            self.drop_oldest(self.capacity / 8);
        }
        self.values.push(value);
        self.times.push(time);
        if self.width > 0 {
            self.standard.push(self.standardise(value));
        }
    }

    fn standardise(&self, value: f64) -> f32 {
        ((value - self.centre) / self.scale).clamp(-LIMIT, LIMIT) as f32
    }

    /// Begins anew with another width and the same values: neighbours are found again, a few per tick.
    pub(super) fn restart(&mut self, width: usize) {
        self.width = width;
        self.dots.resize(self.capacity + 1, 0.0);
        (self.centre, self.scale) = centre_and_scale(&self.values);
        self.standard = self.values.iter().map(|value| self.standardise(*value)).collect();
        self.mean.clear();
        self.inverse.clear();
        self.near.iter_mut().for_each(Vec::clear);
        self.like.iter_mut().for_each(Vec::clear);
    }

    /// Forgets everything before a position.
    pub(super) fn cut(&mut self, at: usize) {
        self.values.drain(..at);
        self.times.drain(..at);
        self.restart(self.width);
    }

    /// Drops the oldest values. Neighbours among them count as the first that is left: they are older than any split.
    fn drop_oldest(&mut self, count: usize) {
        self.values.drain(..count);
        self.times.drain(..count);
        self.standard.drain(..count.min(self.standard.len()));
        let known = count.min(self.done());
        self.mean.drain(..known);
        self.inverse.drain(..known);
        self.like.iter_mut().for_each(|column| {
            column.drain(..known);
        });
        for column in &mut self.near {
            column.drain(..known);
            column.iter_mut().for_each(|at| *at = at.saturating_sub(count as u32));
        }
    }

    /// Finds the neighbours of the next subsequence, which must be complete.
    pub(super) fn step(&mut self, isa: Isa, scratch: &mut Scratch) {
        let (at, width) = (self.done(), self.width);
        let from = self.capacity - at;
        let first = self.exclusion();
        let count = (at + 1).saturating_sub(first);
        let afresh = (self.turn % count.max(1) as u64) as usize;
        let Sums { mean, inverse, dots: [to_first, to_afresh] } = self.sums(at, [0, afresh]);
        self.dots[from] = to_first;
        let mut best = Best::default();
        if count > 0 {
            let Scratch { likeness, found } = scratch;
            likeness.resize(count, 0.0);
            found.resize(count.div_ceil(TOGETHER), 0);
            let previous = if at > 0 { self.standard[at - 1] } else { 0.0 };
            dispatch::correlate(
                isa,
                &mut Pass {
                    dots: &mut self.dots[from..from + count],
                    before: &self.standard,
                    last: &self.standard[width - 1..],
                    mean: &self.mean,
                    inverse: &self.inverse,
                    new: [
                        f64::from(previous),
                        f64::from(self.standard[at + width - 1]),
                        mean,
                        inverse,
                        width as f64,
                    ],
                    likeness,
                },
            );
            self.dots[from + afresh] = to_afresh;
            let worst = &self.like[NEIGHBOURS - 1][..count];
            dispatch::search(isa, &mut Search { likeness, worst, bar: self.bar(likeness), found });
            best = self.compare(likeness, found, at as u32);
        }
        self.mean.push(mean);
        self.inverse.push(inverse);
        for rank in 0..NEIGHBOURS {
            self.near[rank].push(best.near[rank]);
            self.like[rank].push(best.like[rank]);
        }
        self.turn += 1;
    }

    /// How many lags have a dot product that is still needed.
    pub(super) fn lag_count(width: usize, done: usize) -> usize {
        done.saturating_sub((width / 2).max(1))
    }

    /// The dot products that are still needed, longest lag first.
    pub(super) fn lags(&self) -> &[f64] {
        let count = Self::lag_count(self.width, self.done());
        if count == 0 {
            return &[];
        }
        let from = self.capacity + 1 - self.done();
        &self.dots[from..from + count]
    }

    /// Computes again what a snapshot leaves out, for a window of which `done` subsequences have their neighbours.
    pub(super) fn rebuild(&mut self, done: usize, lags: &[f64]) {
        if self.width > 0 {
            self.standard = self.values.iter().map(|value| self.standardise(*value)).collect();
            self.dots.resize(self.capacity + 1, 0.0);
        }
        for at in 0..done {
            let Sums { mean, inverse, .. } = self.sums(at, [at, at]);
            self.mean.push(mean);
            self.inverse.push(inverse);
        }
        if !lags.is_empty() {
            let from = self.capacity + 1 - done;
            self.dots[from..from + lags.len()].copy_from_slice(lags);
        }
    }

    /// What a subsequence adds up to, and its dot products with two others: one pass, since each sum waits for itself only.
    fn sums(&self, at: usize, others: [usize; 2]) -> Sums {
        let of = |at: usize| &self.standard[at..at + self.width];
        let (own, [one, two]) = (of(at), others.map(of));
        let (mut sum, mut dots) = (0.0, [0.0; 2]);
        for ((value, one), two) in own.iter().zip(one).zip(two) {
            let value = f64::from(*value);
            sum += value;
            dots[0] += f64::from(*one) * value;
            dots[1] += f64::from(*two) * value;
        }
        let mean = sum / self.width as f64;
        let squares = own.iter().map(|value| (f64::from(*value) - mean) * (f64::from(*value) - mean));
        let deviation = (squares.sum::<f64>() / self.width as f64).sqrt();
        Sums { mean, inverse: if deviation > FLAT { 1.0 / deviation } else { 0.0 }, dots }
    }

    /// What a neighbour of the next subsequence is at least like: those of the one before it have moved on together with it.
    fn bar(&self, likeness: &[f32]) -> f32 {
        let before = self.near.each_ref().map(|column| column.last().map(|at| *at as usize + 1));
        let like = before.map(|at| at.and_then(|at| likeness.get(at)));
        let ([Some(a), Some(b), Some(c)], [x, y, z]) = (like, before) else { return f32::NEG_INFINITY };
        if x == y || y == z || x == z { f32::NEG_INFINITY } else { a.min(*b).min(*c) }
    }

    /// Gives the new subsequence its neighbours, and itself to those for which it is one.
    fn compare(&mut self, likeness: &[f32], found: &[u16], at: u32) -> Best {
        let mut best = Best::default();
        for (chunk, bits) in found.iter().enumerate() {
            let mut left = *bits;
            while left != 0 {
                let position = chunk * TOGETHER + left.trailing_zeros() as usize;
                best.take(likeness[position], position as u32);
                self.offer(position, likeness[position], at);
                left &= left - 1;
            }
        }
        best
    }

    /// Offers a subsequence a later neighbour.
    fn offer(&mut self, to: usize, like: f32, at: u32) {
        let mut place = NEIGHBOURS;
        while place > 0 && like > self.like[place - 1][to] {
            if place < NEIGHBOURS {
                self.like[place][to] = self.like[place - 1][to];
                self.near[place][to] = self.near[place - 1][to];
            }
            place -= 1;
        }
        if place < NEIGHBOURS {
            self.like[place][to] = like;
            self.near[place][to] = at;
        }
    }
}

/// The best neighbours found so far.
#[derive(Debug, Clone, Copy)]
struct Best {
    near: [u32; NEIGHBOURS],
    like: [f32; NEIGHBOURS],
}

impl Default for Best {
    /// None: less alike than anything, and older than any split.
    fn default() -> Self {
        Self { near: [0; NEIGHBOURS], like: [-2.0; NEIGHBOURS] }
    }
}

impl Best {
    fn take(&mut self, like: f32, at: u32) {
        let mut place = NEIGHBOURS;
        while place > 0 && like > self.like[place - 1] {
            if place < NEIGHBOURS {
                self.like[place] = self.like[place - 1];
                self.near[place] = self.near[place - 1];
            }
            place -= 1;
        }
        if place < NEIGHBOURS {
            self.like[place] = like;
            self.near[place] = at;
        }
    }
}

/// Mean and inverse deviation of a subsequence, and its dot products with two others.
struct Sums {
    mean: f64,
    inverse: f64,
    dots: [f64; 2],
}

/// Median and deviation of the values; the deviation is never zero.
fn centre_and_scale(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(&centre) = sorted.get(sorted.len() / 2) else { return (0.0, 1.0) };
    let (low, high) = (sorted[sorted.len() / 20], sorted[sorted.len() - 1 - sorted.len() / 20]);
    // The middle nine tenths of a normal span 3.29 deviations.
    let mut scale = (high - low) / 3.29;
    if scale <= 1e-9 * centre.abs() {
        scale = (sorted[sorted.len() - 1] - sorted[0]) / 3.29;
    }
    (centre, if scale > 1e-9 * centre.abs() + 1e-120 { scale } else { 1e-9 * centre.abs() + 1e-120 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two waves, one after the other, with a little noise.
    fn value(t: usize) -> f64 {
        let noise = ((t as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1_u64 << 24) as f64;
        let period = if t < 300 { 23.0 } else { 41.0 };
        (t as f64 * std::f64::consts::TAU / period).sin() * 3.0 + noise + 100.0
    }

    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let n = a.len() as f64;
        let mean = |of: &[f32]| of.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let product = |a: &[f32], mean_a: f64, b: &[f32], mean_b: f64| {
            a.iter().zip(b).map(|(x, y)| (f64::from(*x) - mean_a) * (f64::from(*y) - mean_b)).sum::<f64>()
        };
        let of_itself = product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b);
        product(a, mean_a, b, mean_b) / of_itself.sqrt()
    }

    #[test]
    fn streaming_neighbours_are_those_of_a_full_search() {
        let mut window = Window::new(2_000);
        let mut scratch = Scratch::default();
        (0..128).for_each(|t| window.push(t as i64, value(t)));
        window.restart(30);
        for t in 128..700 {
            window.push(t as i64, value(t));
            while window.behind() > 0 {
                window.step(Isa::best(), &mut scratch);
            }
        }
        assert_eq!(window.done(), 671);
        for at in (0..window.done()).step_by(7) {
            let this = &window.standard[at..at + 30];
            let mut all: Vec<f64> = (0..window.done())
                .filter(|other| other.abs_diff(at) >= window.exclusion())
                .map(|other| correlation(this, &window.standard[other..other + 30]))
                .collect();
            all.sort_by(|a, b| b.total_cmp(a));
            for (rank, want) in all.iter().enumerate().take(NEIGHBOURS) {
                let got = f64::from(window.like[rank][at]);
                assert!((got - want).abs() < 1e-5, "at {at} rank {rank}: {got} not {want}");
                let near = window.near[rank][at] as usize;
                let there = correlation(this, &window.standard[near..near + 30]);
                assert!((got - there).abs() < 1e-5, "at {at}: neighbour {near} is as like as {there}");
            }
        }
    }

    #[test]
    fn rounding_does_not_pile_up() {
        let mut window = Window::new(512);
        let mut scratch = Scratch::default();
        (0..128).for_each(|t| window.push(t as i64, value(t)));
        window.restart(20);
        for t in 128..20_000 {
            // Wild values now and then: products of a million come and go.
            window.push(t as i64, if t % 701 == 0 { 1e9 } else { value(t) });
            while window.behind() > 0 {
                window.step(Isa::best(), &mut scratch);
            }
        }
        let last = window.done() - 1;
        for at in 0..=last - window.exclusion() {
            let (got, want) = (window.dots[window.capacity - last + at], window.sums(last, [at, at]).dots[0]);
            assert!((got - want).abs() < 1e-6, "lag {}: {got} not {want}", last - at);
        }
    }
}
