//! Seeded noise: one small generator and the few functions that shape it. Everything is plain
//! additions and multiplications, so that a seed gives the same bytes on every machine (the
//! platform's own `exp` and `sin` may differ in the last bit). Not for cryptography.

/// A splitmix64 generator (Steele, Lea and Flood 2014): one word of state, every seed is good.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    state: u64,
}

impl Noise {
    pub(super) fn new(seed: u64) -> Noise {
        Noise { state: seed }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in [0, limit); 0 when `limit` is 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Close to a standard normal: the sum of four uniforms of 16 bits, so within ±3.47.
    pub(super) fn normal(&mut self) -> f64 {
        let word = self.next();
        let sum = (word & 0xffff) + ((word >> 16) & 0xffff) + ((word >> 32) & 0xffff) + (word >> 48);
        const SQRT_3: f64 = 1.732_050_807_568_877_2;
        (sum as f64 / 65_535.0 - 2.0) * SQRT_3
    }

    /// A count with this mean and about its variance (the normal approximation of a Poisson count).
    pub(super) fn count(&mut self, mean: f64) -> u32 {
        (mean + mean.max(0.0).sqrt() * self.normal()).round().max(0.0) as u32
    }

    /// A factor with median 1 that is log-normal with the given spread.
    pub(super) fn factor(&mut self, spread: f64) -> f64 {
        exp(spread * self.normal())
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        bytes
    }
}

/// e^x for |x| ≤ 64 by halving the argument and squaring back: within 1e-11 of the true value.
pub(super) fn exp(x: f64) -> f64 {
    let x = x.clamp(-64.0, 64.0);
    let small = x * (1.0 / 256.0);
    let mut term = 1.0;
    let mut sum = 1.0;
    for divisor in 1..=8 {
        term *= small / f64::from(divisor);
        sum += term;
    }
    for _ in 0..8 {
        sum *= sum;
    }
    sum
}

/// sin(2π·turns): 0 at 0, 1 at a quarter. Within 1e-6 of the true value.
pub(super) fn wave(turns: f64) -> f64 {
    let mut phase = turns - turns.floor();
    let sign = if phase < 0.5 { 1.0 } else { -1.0 };
    if phase >= 0.5 {
        phase -= 0.5;
    }
    let x = (0.25 - (phase - 0.25).abs()) * std::f64::consts::TAU;
    let square = x * x;
    let series = 1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0)));
    sign * x * series
}

/// A ramp from 0 to 1 without corners; 0 below `from`, 1 above `to`.
pub(super) fn smooth(value: f64, from: f64, to: f64) -> f64 {
    let part = ((value - from) / (to - from)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

#[cfg(test)]
mod tests {
    use super::{Noise, exp, smooth, wave};

    #[test]
    fn own_functions_agree_with_the_platform() {
        for step in -400..=400 {
            let x = f64::from(step) * 0.02;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-11, "exp({x})");
            assert!((wave(x) - (x * std::f64::consts::TAU).sin()).abs() < 4e-6, "wave({x})");
        }
        assert_eq!((smooth(1.0, 2.0, 3.0), smooth(2.5, 2.0, 3.0), smooth(4.0, 2.0, 3.0)), (0.0, 0.5, 1.0));
    }

    #[test]
    fn noise_has_the_moments_it_promises() {
        let mut noise = Noise::new(7);
        let draws: Vec<f64> = (0..100_000).map(|_| noise.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let counted = (0..10_000).map(|_| f64::from(noise.count(40.0))).sum::<f64>() / 10_000.0;
        assert!((counted - 40.0).abs() < 0.5, "{counted}");
        let hits = (0..10_000).filter(|_| noise.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..10_000).all(|_| noise.below(3) < 3));
    }
}
