//! Durations of spans, kept so that neither order nor machine matters.

/// Spans in a tick from which their ratio and quantiles say something.
pub(super) const ENOUGH: u64 = 5;

/// Durations in 64 steps per power of two: relative error below 1.6 %. Integers only, so that neither order
/// nor machine matters.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    steps: Vec<u32>,
}

const STEPS_BITS: u32 = 6;

impl Durations {
    pub(super) fn add(&mut self, nanos: u64) {
        self.steps.push(Self::step(nanos));
    }

    pub(super) fn clear(&mut self) {
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
    pub(super) fn mean(&mut self) -> f64 {
        self.steps.sort_unstable();
        self.steps.iter().map(|step| Self::seconds(*step)).sum::<f64>() / self.steps.len() as f64
    }

    /// The smallest duration, seconds, that this share of all of them does not exceed; NaN without any.
    pub(super) fn quantile(&mut self, share: f64) -> f64 {
        let rank = (share * self.steps.len() as f64).ceil() as usize;
        let place = rank.saturating_sub(1);
        if place >= self.steps.len() {
            return f64::NAN;
        }
        let (_, step, _) = self.steps.select_nth_unstable(place);
        Self::seconds(*step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
