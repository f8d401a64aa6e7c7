//! Rates and quantiles of histograms, explicit and exponential.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Frame, FrameInput, numbers::FRESH_START_TICKS};
use crate::types::{HistogramSample, StreamKind, sample::Buckets};

/// Observations in a tick from which its quantiles say something.
const ENOUGH: u64 = 5;

/// The quantiles that become series.
pub(super) const QUANTILES: [(&str, f64); 2] = [(":p50", 0.5), (":p95", 0.95)];

/// The latest point of each cumulative histogram.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Histograms {
    latest: BTreeMap<u64, Latest>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Latest {
    time_ns: i64,
    start_ns: i64,
    counts: Counts,
}

/// Counts by upper bound. Exponential buckets have theirs by index and scale until they are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Counts {
    Explicit { bounds: Vec<f64>, counts: Vec<u64> },
    Exponential { scale: i32, zero: u64, counts: BTreeMap<i32, u64> },
}

impl Counts {
    fn of(buckets: &Buckets) -> Counts {
        match buckets {
            Buckets::Explicit { bounds, counts } => {
                Counts::Explicit { bounds: bounds.to_vec(), counts: counts.clone() }
            }
            Buckets::Exponential { scale, zero_count, offset, counts } => {
                let indexed = counts.iter().zip(*offset..).filter(|(count, _)| **count > 0);
                let counts = indexed.map(|(count, index)| (index, *count)).collect();
                Counts::Exponential { scale: *scale, zero: *zero_count, counts }
            }
        }
    }

    /// At a coarser scale: each step halves the resolution (OpenTelemetry data model, "exponential histogram").
    fn at_scale(self, coarser: i32) -> Counts {
        match self {
            Counts::Exponential { scale, zero, counts } if scale > coarser => {
                let mut merged = BTreeMap::new();
                for (index, count) in counts {
                    *merged.entry(index >> (scale - coarser)).or_insert(0) += count;
                }
                Counts::Exponential { scale: coarser, zero, counts: merged }
            }
            other => other,
        }
    }

    /// `self - before`, or `None` where something fell: a reset.
    fn since(self, before: &Counts) -> Option<Counts> {
        match (self, before) {
            (Counts::Explicit { bounds, counts }, Counts::Explicit { bounds: known, counts: old })
                if bounds == *known && counts.len() == old.len() =>
            {
                let steps: Option<Vec<u64>> =
                    counts.iter().zip(old).map(|(now, before)| now.checked_sub(*before)).collect();
                Some(Counts::Explicit { bounds, counts: steps? })
            }
            (now @ Counts::Exponential { .. }, Counts::Exponential { scale: old_scale, .. }) => {
                let old = before.clone();
                let scale = now.scale().min(*old_scale);
                now.at_scale(scale).minus(&old.at_scale(scale))
            }
            _ => None,
        }
    }

    fn scale(&self) -> i32 {
        match self {
            Counts::Exponential { scale, .. } => *scale,
            Counts::Explicit { .. } => i32::MAX,
        }
    }

    fn minus(self, old: &Counts) -> Option<Counts> {
        let (
            Counts::Exponential { scale, zero, mut counts },
            Counts::Exponential { zero: old_zero, counts: old, .. },
        ) = (self, old)
        else {
            return None;
        };
        for (index, before) in old {
            let now = counts.get_mut(index)?;
            *now = now.checked_sub(*before)?;
        }
        Some(Counts::Exponential { scale, zero: zero.checked_sub(*old_zero)?, counts })
    }

    /// Adds another; `false` where the buckets do not fit together.
    fn add(&mut self, other: Counts) -> bool {
        let scale = self.scale().min(other.scale());
        let own = std::mem::replace(self, Counts::Explicit { bounds: Vec::new(), counts: Vec::new() });
        *self = own.at_scale(scale);
        match (self, other.at_scale(scale)) {
            (Counts::Explicit { bounds, counts }, Counts::Explicit { bounds: others, counts: more })
                if *bounds == others && counts.len() == more.len() =>
            {
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
                true
            }
            (
                Counts::Exponential { zero, counts, .. },
                Counts::Exponential { zero: more_zero, counts: more, .. },
            ) => {
                *zero += more_zero;
                more.into_iter().for_each(|(index, more)| *counts.entry(index).or_insert(0) += more);
                true
            }
            _ => false,
        }
    }

    fn total(&self) -> u64 {
        match self {
            Counts::Explicit { counts, .. } => counts.iter().sum(),
            Counts::Exponential { zero, counts, .. } => zero + counts.values().sum::<u64>(),
        }
    }

    /// (lower, upper, count) of each bucket, rising; open ends are closed at their one bound.
    fn ranges(&self) -> Vec<(f64, f64, u64)> {
        match self {
            Counts::Explicit { bounds, counts } => {
                let bound = |index: usize| bounds.get(index).copied();
                let range = |(index, count): (usize, &u64)| {
                    let below = index.checked_sub(1).and_then(bound);
                    let upper = bound(index).or(below).unwrap_or(0.0);
                    (below.unwrap_or(upper.min(0.0)), upper, *count)
                };
                counts.iter().enumerate().map(range).collect()
            }
            Counts::Exponential { scale, zero, counts } => {
                let edge = |index: i32| power_of_two(f64::from(index), *scale);
                let positive = counts.iter().map(|(index, count)| (edge(*index), edge(index + 1), *count));
                std::iter::once((0.0, 0.0, *zero)).chain(positive).collect()
            }
        }
    }

    /// Linear inside the bucket.
    fn quantile(&self, share: f64) -> f64 {
        let mut left = share * self.total() as f64;
        let ranges = self.ranges();
        for (lower, upper, count) in &ranges {
            let count = *count as f64;
            if count > 0.0 && left <= count {
                return lower + (upper - lower) * (left / count);
            }
            left -= count;
        }
        ranges.last().map_or(f64::NAN, |(_, upper, _)| *upper)
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

impl Histograms {
    pub(super) fn fold(&mut self, inputs: &[FrameInput<'_>], frame: &mut Frame<'_>) {
        let mut streams: BTreeMap<u64, (Counts, f64)> = BTreeMap::new();
        for sample in inputs.iter().flat_map(|input| &input.samples.histograms) {
            let step = match frame.kind(sample.stream) {
                Some(StreamKind::DeltaHistogram) => Some((Counts::of(&sample.buckets), frame.tick_seconds)),
                Some(StreamKind::CumulativeHistogram) => self.step(sample, frame.tick_ns),
                _ => None,
            };
            let is_delta = matches!(frame.kind(sample.stream), Some(StreamKind::DeltaHistogram));
            let Some((counts, seconds)) = step else { continue };
            match streams.get_mut(&sample.stream) {
                Some((sum, so_far)) => {
                    if sum.add(counts) && !is_delta {
                        *so_far += seconds;
                    }
                }
                None => {
                    streams.insert(sample.stream, (counts, seconds));
                }
            }
        }
        publish(streams, frame);
    }

    fn step(&mut self, sample: &HistogramSample, tick_ns: i64) -> Option<(Counts, f64)> {
        let HistogramSample { time_ns, start_ns, .. } = *sample;
        let counts = Counts::of(&sample.buckets);
        let latest = Latest { time_ns, start_ns, counts: counts.clone() };
        let seconds = |from_ns: i64| (time_ns - from_ns) as f64 * 1e-9;
        let Some(before) = self.latest.insert(sample.stream, latest) else {
            let is_fresh =
                start_ns > 0 && start_ns < time_ns && time_ns - start_ns <= FRESH_START_TICKS * tick_ns;
            return is_fresh.then(|| (counts, seconds(start_ns)));
        };
        if time_ns <= before.time_ns {
            self.latest.insert(sample.stream, before);
            return None;
        }
        let from_ns = before.time_ns;
        if start_ns != before.start_ns {
            return (start_ns >= from_ns && start_ns < time_ns).then(|| (counts, seconds(from_ns)));
        }
        counts.since(&before.counts).map(|step| (step, seconds(from_ns)))
    }
}

fn publish(streams: BTreeMap<u64, (Counts, f64)>, frame: &mut Frame<'_>) {
    let mut series: BTreeMap<u64, (u64, Counts, f64)> = BTreeMap::new();
    for (stream, (counts, seconds)) in streams {
        let Some(def) = frame.defs.get(&stream) else { continue };
        let rate = if seconds > 0.0 { counts.total() as f64 / seconds } else { 0.0 };
        match series.get_mut(&def.series.key) {
            Some((_, merged, sum)) => {
                merged.add(counts);
                *sum += rate;
            }
            None => {
                series.insert(def.series.key, (stream, counts, rate));
            }
        }
    }
    for (stream, counts, rate) in series.into_values() {
        let Some(def) = frame.stream(stream) else { continue };
        let base = &def.series;
        let named = |suffix: &str| format!("{}{suffix}", base.measure);
        let attributes = || base.attributes.clone();
        let rates = frame.derive(base, 1, &named(":rate"), attributes);
        frame.set(&rates, rate);
        if counts.total() < ENOUGH {
            continue;
        }
        for (part, (suffix, share)) in (2..).zip(QUANTILES) {
            let quantile = frame.derive(base, part, &named(suffix), attributes);
            frame.set(&quantile, counts.quantile(share));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let counts = Counts::Explicit { bounds: vec![1.0, 2.0, 4.0], counts: vec![0, 10, 10, 0] };
        assert_eq!(counts.quantile(0.5), 2.0);
        assert_eq!(counts.quantile(0.75), 3.0);
        let open = Counts::Explicit { bounds: vec![1.0], counts: vec![0, 9] };
        assert_eq!(open.quantile(0.95), 1.0, "what lies beyond the last bound is not known");
    }

    #[test]
    fn coarser_scales_keep_the_counts() {
        let counts =
            Counts::Exponential { scale: 2, zero: 1, counts: [(-3, 2), (0, 3), (1, 4), (7, 5)].into() };
        let coarse = counts.clone().at_scale(0);
        assert_eq!(
            coarse,
            Counts::Exponential { scale: 0, zero: 1, counts: [(-1, 2), (0, 7), (1, 5)].into() }
        );
        assert_eq!(counts.total(), coarse.total());
    }
}
