//! The plain version of a core tier: one object per series, one value after the other.

/// Holt's level and trend, a season of 24 steps, a scale, and the z-score of the residual: the least that says whether a value was
/// expected. Much less than our core tier does: no seasons found, no change points, no calibration.
#[derive(Debug, Clone)]
pub(super) struct PlainSeries {
    level: f64,
    trend: f64,
    season: [f64; 24],
    scale: f64,
    seen: usize,
}

impl PlainSeries {
    pub(super) fn new() -> Box<PlainSeries> {
        Box::new(PlainSeries { level: 0.0, trend: 0.0, season: [0.0; 24], scale: 1.0, seen: 0 })
    }

    pub(super) fn advance(&mut self, value: f64) -> f64 {
        let phase = self.seen % self.season.len();
        let expected = self.level + self.trend + self.season[phase];
        let away = value - expected;
        let z = away.abs() / self.scale;
        let before = self.level;
        self.level += self.trend + 0.1 * away.clamp(-3.0 * self.scale, 3.0 * self.scale);
        self.trend += 0.01 * (self.level - before - self.trend);
        self.season[phase] += 0.1 * (value - self.level - self.season[phase]);
        self.scale = (self.scale + 0.02 * (away.abs() - self.scale)).max(1e-9);
        self.seen += 1;
        z
    }
}
