//! Fleets without a fault: all that speaks is a false alarm.

use super::random::Random;

/// Seconds per tick and ticks per day.
pub const STEP: i64 = 300;
/// See [`STEP`].
pub const DAY: usize = 288;
const START: i64 = 1_704_672_000;

/// Many clean series at once: a third with normal noise, the rest with heavier tails, correlated noise, counts, bursts; most with a
/// daily season, half with quiet weekends.
#[derive(Debug, Clone)]
pub struct Fleet {
    series: Vec<One>,
    weekends: Weekends,
    tick: usize,
}

/// How weekends begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weekends {
    /// Within six hours around midnight.
    Gradual,
    /// At midnight, for all series in the same tick: the hardest case for a budget.
    Abrupt,
}

#[derive(Debug, Clone)]
struct One {
    random: Random,
    noise: Noise,
    level: f64,
    daily: f64,
    weekend: f64,
    last: f64,
}

#[derive(Debug, Clone, Copy)]
enum Noise {
    /// Standard normal.
    Normal,
    /// Laplace: tails that fall off exponentially.
    Laplace,
    /// Student's t with four degrees of freedom.
    Heavy,
    /// Autoregressive, 0.9.
    Correlated,
    /// Poisson counts of the level.
    Counts,
    /// Log-normal around the level, as latencies are.
    Latency,
}

const NOISES: [Noise; 6] =
    [Noise::Normal, Noise::Laplace, Noise::Heavy, Noise::Correlated, Noise::Counts, Noise::Latency];

impl Fleet {
    /// A fleet of `count` series.
    pub fn new(count: usize, seed: u64, weekends: Weekends) -> Self {
        let series = (0..count)
            .map(|index| {
                let mut random = Random::new(seed.wrapping_mul(1_000_003) + index as u64);
                let level = random.between(2.0, 6.0).exp();
                let daily = if random.unit() < 0.75 { random.between(0.1, 0.5) } else { 0.0 };
                let weekend = if random.unit() < 0.5 { random.between(0.3, 0.9) } else { 1.0 };
                One { random, noise: NOISES[index % NOISES.len()], level, daily, weekend, last: 0.0 }
            })
            .collect();
        Self { series, weekends, tick: 0 }
    }

    /// The next tick: its time, and one value per series.
    pub fn next(&mut self, values: &mut Vec<f64>) -> i64 {
        let tick = self.tick;
        self.tick += 1;
        let wave = (std::f64::consts::TAU * tick as f64 / DAY as f64).sin();
        let off = self.weekends.share(tick);
        values.clear();
        values.extend(self.series.iter_mut().map(|one| one.next(wave, off)));
        START + tick as i64 * STEP
    }
}

impl Weekends {
    /// How much of a weekend it is, 0 to 1. Day 0 is a Monday.
    fn share(self, tick: usize) -> f64 {
        let (week, begin) = (7 * DAY, 5 * DAY);
        let place = tick % week;
        if self == Self::Abrupt {
            return f64::from(u8::from(place >= begin));
        }
        let half = DAY as f64 / 8.0;
        // Ticks since the weekend's begin, and until its end, which is also the begin of the week.
        let since = place as f64 - begin as f64;
        let until = if place < DAY { -(place as f64) } else { (week - place) as f64 };
        let ramp = |ticks: f64| ((ticks + half) / (2.0 * half)).clamp(0.0, 1.0);
        if place < DAY { ramp(until) } else { ramp(since).min(ramp(until)) }
    }
}

impl One {
    fn next(&mut self, wave: f64, off: f64) -> f64 {
        let usual = self.level * (1.0 + self.daily * wave) * (1.0 + off * (self.weekend - 1.0));
        let random = &mut self.random;
        let sigma = 0.05 * self.level;
        match self.noise {
            Noise::Normal => usual + sigma * random.normal(),
            Noise::Laplace => {
                let side = if random.unit() < 0.5 { -1.0 } else { 1.0 };
                usual - sigma * side * (1.0 - random.unit()).ln()
            }
            Noise::Heavy => {
                let square: f64 = (0..4).map(|_| random.normal().powi(2)).sum();
                usual + sigma * random.normal() / (square / 4.0).sqrt()
            }
            Noise::Correlated => {
                self.last = 0.9 * self.last + 0.19_f64.sqrt() * random.normal();
                usual + sigma * self.last
            }
            Noise::Counts => random.poisson(usual),
            Noise::Latency => usual * (0.3 * random.normal()).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_the_same_again_and_each_series_its_own() {
        let (mut a, mut b) = (Fleet::new(12, 1, Weekends::Gradual), Fleet::new(12, 1, Weekends::Gradual));
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            assert_eq!(a.next(&mut x), b.next(&mut y));
            assert_eq!(x, y);
        }
        assert!(x.iter().all(|value| value.is_finite()));
        assert!(x.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn weekends_come_and_go() {
        let share = |day: f64| Weekends::Gradual.share(((7.0 + day) * DAY as f64) as usize);
        for (day, want) in
            [(2.5, 0.0), (4.8, 0.0), (5.0, 0.5), (5.2, 1.0), (6.5, 1.0), (7.0, 0.5), (7.2, 0.0)]
        {
            assert_eq!(share(day), want, "day {day}");
        }
        assert_eq!(Weekends::Abrupt.share(5 * DAY - 1), 0.0);
        assert_eq!(Weekends::Abrupt.share(5 * DAY), 1.0);
    }
}
