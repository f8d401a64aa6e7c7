//! Durations of spans, kept so that neither order nor machine matters.

use serde::{Deserialize, Serialize};

/// Spans in a tick from which their ratio and quantiles say something.
pub const ENOUGH: u64 = 5;

/// Durations in 64 steps per power of two: relative error below 1.6 %. Integers only, so that neither order
/// nor machine matters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u32, u32)>", into = "Vec<(u32, u32)>")]
pub struct Durations {
    steps: Vec<u32>,
}

const STEPS_BITS: u32 = 6;

/// Most that are read back: a few bytes must not become gigabytes.
const MOST: u64 = 1 << 24;

impl Durations {
    /// Adds one, nanoseconds.
    pub fn add(&mut self, nanos: u64) {
        self.steps.push(Self::step(nanos));
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Durations) {
        self.steps.extend_from_slice(&other.steps);
    }

    /// None, in the memory of these.
    #[must_use]
    pub fn emptied(mut self) -> Durations {
        self.clear();
        self
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.steps.clear();
    }

    fn step(nanos: u64) -> u32 {
        let exponent = nanos.max(1).ilog2();
        let mantissa = match exponent.checked_sub(STEPS_BITS) {
            Some(shift) => nanos >> shift,
            None => nanos << (STEPS_BITS - exponent),
        };
        (exponent << STEPS_BITS) + (mantissa as u32 & ((1 << STEPS_BITS) - 1))
    }

    /// Middle of a step, seconds.
    fn seconds(step: u32) -> f64 {
        let (exponent, step) = (step >> STEPS_BITS, step & ((1 << STEPS_BITS) - 1));
        let share = 1.0 + (f64::from(step) + 0.5) / f64::from(1 << STEPS_BITS);
        share * f64::powi(2.0, exponent as i32) * 1e-9
    }

    /// Their mean, seconds; NaN without any.
    pub fn mean(&mut self) -> f64 {
        self.steps.sort_unstable();
        self.steps.iter().map(|step| Self::seconds(*step)).sum::<f64>() / self.steps.len() as f64
    }

    /// The smallest duration, seconds, that this share of all of them does not exceed; NaN without any.
    pub fn quantile(&mut self, share: f64) -> f64 {
        let rank = (share * self.steps.len() as f64).ceil() as usize;
        let place = rank.saturating_sub(1);
        if place >= self.steps.len() {
            return f64::NAN;
        }
        let (_, step, _) = self.steps.select_nth_unstable(place);
        Self::seconds(*step)
    }
}

/// Written as pairs of a step and how many durations lie in it, steps rising.
impl From<Durations> for Vec<(u32, u32)> {
    fn from(mut durations: Durations) -> Vec<(u32, u32)> {
        durations.steps.sort_unstable();
        let equal = durations.steps.chunk_by(|a, b| a == b);
        equal.map(|steps| (steps[0], u32::try_from(steps.len()).unwrap_or(u32::MAX))).collect()
    }
}

impl TryFrom<Vec<(u32, u32)>> for Durations {
    type Error = &'static str;

    fn try_from(pairs: Vec<(u32, u32)>) -> Result<Durations, &'static str> {
        let all: u64 = pairs.iter().map(|(_, count)| u64::from(*count)).sum();
        if all > MOST {
            return Err("more durations than a tick of one stream has");
        }
        let steps = pairs.into_iter().flat_map(|(step, count)| std::iter::repeat_n(step, count as usize));
        Ok(Durations { steps: steps.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_they_are_written() {
        let mut durations = Durations::default();
        [70, 3, 70, 1_000_000, 3, 70].iter().for_each(|nanos| durations.add(*nanos));
        let mut read: Durations = postcard::from_bytes(&postcard::to_stdvec(&durations).unwrap()).unwrap();
        assert_eq!(read.mean().to_bits(), durations.mean().to_bits());
        assert_eq!(read.quantile(0.5).to_bits(), durations.quantile(0.5).to_bits());
        let many = postcard::to_stdvec(&vec![(1_u32, u32::MAX)]).unwrap();
        assert!(postcard::from_bytes::<Durations>(&many).is_err());
    }

    #[test]
    fn quantiles_are_within_a_step() {
        let mut durations = Durations::default();
        assert!(durations.quantile(0.5).is_nan());
        for millis in (1..=100).rev() {
            durations.add(millis * 1_000_000);
        }
        for (share, expected) in [(0.0, 0.001), (0.5, 0.050), (0.95, 0.095), (1.0, 0.100)] {
            let found = durations.quantile(share);
            assert!((found / expected - 1.0).abs() < 0.016, "{share}: {found}");
        }
        durations.clear();
        durations.add(0);
        assert!(durations.quantile(0.5) < 2e-9);
    }
}
