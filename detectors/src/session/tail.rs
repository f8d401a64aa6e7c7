//! How often an answer as bad as this one came.

/// Bins of badness: none at all, and 32 of equal width in (0, 1].
pub(super) const BINS: usize = 33;

/// Weights of past answers by badness; they sum to 1 once there is a past.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    pub weights: [f64; BINS],
}

impl Default for Tail {
    fn default() -> Self {
        Self { weights: [0.0; BINS] }
    }
}

impl Tail {
    /// Share of answers at least as bad, with half an answer of weight `gain` for what may yet come. In (0, 1].
    pub(super) fn probability(&self, badness: f64, gain: f64) -> f64 {
        match bin(badness) {
            0 => 1.0,
            bin => (self.weights[bin..].iter().sum::<f64>() + gain / 2.0).min(1.0),
        }
    }

    /// Adds an answer; the others fade by its weight.
    pub(super) fn learn(&mut self, badness: f64, gain: f64) {
        for weight in &mut self.weights {
            *weight *= 1.0 - gain;
        }
        self.weights[bin(badness)] += gain;
    }
}

fn bin(badness: f64) -> usize {
    if badness > 0.0 { 1 + ((badness * (BINS - 1) as f64) as usize).min(BINS - 2) } else { 0 }
}
