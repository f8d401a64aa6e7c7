//! The recommendation model's own telemetry: the means of its inputs, as its feature scaler sees
//! them (0 and 1 for mean and spread are what it was trained on), and the scores that it gives.

use super::fleet::Pod;
use super::noise::{Noise, wave};

/// A feature: its name, how its mean follows the time of day, and where a drift takes it.
pub(super) struct Feature {
    pub(super) name: &'static str,
    daily: f64,
    drifts_to: f64,
}

pub(super) const FEATURES: [Feature; 5] = [
    Feature { name: "session_length", daily: 0.10, drifts_to: -1.1 },
    Feature { name: "basket_value", daily: 0.06, drifts_to: 0.9 },
    Feature { name: "price_affinity", daily: 0.04, drifts_to: 1.3 },
    Feature { name: "days_since_visit", daily: -0.05, drifts_to: 0.4 },
    Feature { name: "category_entropy", daily: 0.03, drifts_to: 0.0 },
];

/// What one pod's model saw and said in a tick; nothing when it was not asked.
#[derive(Clone, Debug)]
pub(super) struct Predictions {
    pub(super) inputs: [f64; FEATURES.len()],
    pub(super) mean_score: f64,
    pub(super) score_spread: f64,
}

impl Predictions {
    /// `day` is the time of day in turns, `drift` how far the inputs have moved (0 to 1).
    pub(super) fn of(pod: &Pod, day: f64, drift: f64, noise: &mut Noise) -> Option<Predictions> {
        if pod.tick.requests == 0 {
            return None;
        }
        let of_mean = 1.0 / f64::from(pod.tick.requests).sqrt();
        let inputs = FEATURES
            .map(|feature| feature.daily * wave(day) + feature.drifts_to * drift + of_mean * noise.normal());
        let mean_score = 0.62 + 0.01 * wave(day) - 0.17 * drift + 0.15 * of_mean * noise.normal();
        let score_spread = 0.15 + 0.06 * drift + 0.1 * of_mean * noise.normal();
        Some(Predictions { inputs, mean_score, score_spread: score_spread.max(0.01) })
    }
}
