//! Series whose mean, spread, slope or season changes at known rows, and series without a change.

use super::random::Random;

/// Rows of a series.
pub const ROWS: usize = 3_000;
/// Changes of a series that has any.
const CHANGES: usize = 3;
/// Rows between two changes, at least; also before the first and after the last.
const APART: usize = 500;

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The level, by 2 to 5 standard deviations of the noise.
    Level,
    /// The noise's standard deviation, by a factor of 2 to 4.
    Spread,
    /// The slope, by 1 to 3 standard deviations per 50 rows.
    Slope,
    /// The season: its period, by a factor of 1.5 to 2.5.
    Period,
    /// The season: its shape, from a sine to a saw and back; period and power stay.
    Shape,
    /// Nothing: white noise.
    White,
    /// Nothing: autoregressive noise, 0.8.
    Correlated,
    /// Nothing: a season of 60 to 200 rows and noise.
    Season,
    /// Nothing: a season whose amplitude wanders slowly between 1 and 2.
    Breathing,
    /// Nothing: a straight trend and noise.
    Trend,
    /// Nothing, strictly: a random walk, in which every method sees changes.
    Walk,
}

/// Kinds with changes.
pub const CHANGING: [Kind; 5] = [Kind::Level, Kind::Spread, Kind::Slope, Kind::Period, Kind::Shape];
/// Kinds without.
pub const STEADY: [Kind; 6] =
    [Kind::White, Kind::Correlated, Kind::Season, Kind::Breathing, Kind::Trend, Kind::Walk];

/// A generated series and its true changes.
#[derive(Debug, Clone)]
pub struct Series {
    /// Values.
    pub values: Vec<f64>,
    /// First row of every segment but the first.
    pub changes: Vec<usize>,
}

/// The series of a kind and a seed.
pub fn series(kind: Kind, seed: u64) -> Series {
    let mut random = Random::new(seed * 64 + kind as u64);
    let changes = if CHANGING.contains(&kind) { places(&mut random) } else { Vec::new() };
    let mut state = State::new(kind, &mut random);
    let values = (0..ROWS)
        .map(|row| {
            if changes.contains(&row) {
                state.change(&mut random);
            }
            state.next(row, &mut random)
        })
        .collect();
    Series { values, changes }
}

/// Rows of the changes: apart, and not at the ends.
fn places(random: &mut Random) -> Vec<usize> {
    let spare = ROWS - (CHANGES + 1) * APART;
    let mut offsets: Vec<usize> = (0..CHANGES).map(|_| random.whole(0, spare)).collect();
    offsets.sort_unstable();
    offsets.iter().enumerate().map(|(index, offset)| (index + 1) * APART + offset).collect()
}

struct State {
    kind: Kind,
    level: f64,
    spread: f64,
    slope: f64,
    period: f64,
    phase: f64,
    saw: bool,
    wander: f64,
    last: f64,
}

impl State {
    fn new(kind: Kind, random: &mut Random) -> Self {
        Self {
            kind,
            level: random.between(-100.0, 100.0),
            spread: 1.0,
            slope: if kind == Kind::Trend { random.between(-0.05, 0.05) } else { 0.0 },
            period: random.between(60.0, 200.0),
            phase: random.unit(),
            saw: false,
            wander: 0.0,
            last: 0.0,
        }
    }

    fn change(&mut self, random: &mut Random) {
        let sign = if random.unit() < 0.5 { -1.0 } else { 1.0 };
        match self.kind {
            Kind::Level => self.level += sign * random.between(2.0, 5.0),
            Kind::Spread => {
                let factor = random.between(2.0, 4.0);
                self.spread = if self.spread > 1.0 { 1.0 } else { factor };
            }
            Kind::Slope => self.slope += sign * random.between(1.0, 3.0) / 50.0,
            Kind::Period => {
                let factor = random.between(1.5, 2.5);
                self.period = if self.period > 100.0 { self.period / factor } else { self.period * factor };
            }
            Kind::Shape => self.saw = !self.saw,
            _ => {}
        }
    }

    fn next(&mut self, _row: usize, random: &mut Random) -> f64 {
        self.level += self.slope;
        self.phase = (self.phase + 1.0 / self.period).fract();
        self.wander = 0.995 * self.wander + 0.01 * random.normal();
        let noise = random.normal();
        let sine = (std::f64::consts::TAU * self.phase).sin();
        // A saw of the same power as a sine: variance one half.
        let wave = if self.saw { (2.0 * self.phase - 1.0) * 1.5_f64.sqrt() } else { sine };
        match self.kind {
            Kind::Level | Kind::Spread | Kind::Slope | Kind::White | Kind::Trend => {
                self.level + self.spread * noise
            }
            Kind::Correlated => {
                self.last = 0.8 * self.last + 0.6 * noise;
                self.level + self.last
            }
            Kind::Walk => {
                self.last += noise;
                self.level + self.last
            }
            Kind::Period | Kind::Shape | Kind::Season => self.level + 5.0 * wave + noise,
            Kind::Breathing => self.level + 5.0 * (1.5 + self.wander.clamp(-0.5, 0.5)) * wave + noise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_series_and_changes_are_apart() {
        for kind in CHANGING {
            let (a, b) = (series(kind, 7), series(kind, 7));
            assert_eq!(a.values, b.values);
            assert_eq!(a.changes.len(), CHANGES);
            assert!(a.changes[0] >= APART && a.changes.windows(2).all(|pair| pair[1] - pair[0] >= APART));
            assert_ne!(a.values, series(kind, 8).values);
        }
        assert!(STEADY.iter().all(|kind| series(*kind, 1).changes.is_empty()));
    }

    #[test]
    fn a_level_moves_where_it_says() {
        let made = series(Kind::Level, 3);
        let mean = |from: usize, to: usize| made.values[from..to].iter().sum::<f64>() / (to - from) as f64;
        let at = made.changes[0];
        assert!((mean(at - 200, at) - mean(at, at + 200)).abs() > 1.7);
    }
}
