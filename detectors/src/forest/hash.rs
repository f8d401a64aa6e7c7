//! A sequence of numbers from a seed: SplitMix64 (Steele, Lea & Flood 2014). Not for secrets.

/// A deterministic sequence.
#[derive(Debug, Clone)]
pub(crate) struct Sequence(u64);

impl Sequence {
    /// The sequence that belongs to a seed and two numbers (what for, which one).
    pub(crate) fn new(seed: u64, purpose: u64, index: u64) -> Self {
        let mut start = Self(seed ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let mixed = start.next() ^ index.wrapping_mul(0xA076_1D64_78BD_642F);
        Self(mixed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [0, bound); bound must be positive. The bias is below bound / 2^32.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (((self.next() >> 32) * bound as u64) >> 32) as usize
    }

    /// A number in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
