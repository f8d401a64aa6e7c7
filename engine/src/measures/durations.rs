//! Durations of spans, counted so that neither order nor machine matters.

use std::collections::BTreeMap;

/// Spans in a tick from which their ratio and quantiles say something.
pub(super) const ENOUGH: u64 = 5;

/// Durations by 64 steps per power of two: relative error below 1.6 %. Integers only, so that neither order
/// nor machine matters.
#[derive(Debug, Default)]
pub(super) struct Durations {
    counts: BTreeMap<u32, u64>,
}

const STEPS_BITS: u32 = 6;

impl Durations {
    pub(super) fn add(&mut self, nanos: u64) {
        *self.counts.entry(Self::bucket(nanos)).or_insert(0) += 1;
    }

    fn bucket(nanos: u64) -> u32 {
        let exponent = nanos.max(1).ilog2();
        let mantissa = match exponent.checked_sub(STEPS_BITS) {
            Some(shift) => nanos >> shift,
            None => nanos << (STEPS_BITS - exponent),
        };
        (exponent << STEPS_BITS) + (mantissa as u32 & ((1 << STEPS_BITS) - 1))
    }

    /// Middle of a bucket, seconds.
    fn seconds(bucket: u32) -> f64 {
        let (exponent, step) = (bucket >> STEPS_BITS, bucket & ((1 << STEPS_BITS) - 1));
        let share = 1.0 + (f64::from(step) + 0.5) / f64::from(1 << STEPS_BITS);
        share * f64::powi(2.0, exponent as i32) * 1e-9
    }

    /// The smallest duration, seconds, that this share of all of them does not exceed; NaN without any.
    pub(super) fn quantile(&self, share: f64, total: u64) -> f64 {
        let mut left = (share * total as f64).ceil() as u64;
        for (bucket, count) in &self.counts {
            if left <= *count {
                return Self::seconds(*bucket);
            }
            left -= count;
        }
        f64::NAN
    }
}
