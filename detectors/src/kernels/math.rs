//! Transcendental functions of our own: the same bits on every machine and instruction set.
//!
//! Every function is a straight line of IEEE additions, multiplications, divisions and bit moves, so that a
//! loop over lanes becomes vector code. libm is not used because its bits differ between systems.
//! The stated error bounds are tests below.

const LN2_HI: f64 = 6.931_471_803_691_238e-1;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;
/// 1.5·2^52: adding it rounds to an integer and leaves that integer in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// 2^52, whose bits hold an integer below 2^52 in the mantissa.
const MANTISSA: f64 = 4_503_599_627_370_496.0;
const SQRT_HALF_BITS: u64 = 0x3FE6_A09E_667F_3BCD;

/// `x` held between `low` and `high`; unlike `f64::clamp` it never panics, so loops stay free of branches.
#[inline(always)]
pub(crate) fn clip(x: f64, low: f64, high: f64) -> f64 {
    smaller(larger(x, low), high)
}

/// The larger of two numbers, the second when the first is NaN.
#[inline(always)]
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// The smaller of two numbers, the second when the first is NaN.
#[inline(always)]
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// e^x, within 2 units in the last place on [−700, 700]; clamped outside, so always finite and positive.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = clip(x, -700.0, 700.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = (x - n * LN2_HI) - n * LN2_LO;
    let p = 1.0 / 6_227_020_800.0;
    let p = p * r + 1.0 / 479_001_600.0;
    let p = p * r + 1.0 / 39_916_800.0;
    let p = p * r + 1.0 / 3_628_800.0;
    let p = p * r + 1.0 / 362_880.0;
    let p = p * r + 1.0 / 40_320.0;
    let p = p * r + 1.0 / 5_040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = 1.0 + (r + r * r * p);
    let power = shifted.to_bits().wrapping_add(1023).wrapping_shl(52);
    p * f64::from_bits(power)
}

/// ln x, within 2 units in the last place for normal positive x; smaller x count as the smallest normal.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let bits = clip(x, f64::MIN_POSITIVE, f64::MAX).to_bits();
    let moved = bits.wrapping_add(0x3FF0_0000_0000_0000 - SQRT_HALF_BITS);
    let exponent = f64::from_bits((moved >> 52) | MANTISSA.to_bits()) - MANTISSA - 1023.0;
    let m = f64::from_bits((moved & 0x000F_FFFF_FFFF_FFFF).wrapping_add(SQRT_HALF_BITS));
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    // fdlibm's minimax coefficients of (ln(1+s) − ln(1−s) − 2s) / s.
    let p = 1.479_819_860_511_658_6e-1;
    let p = p * z + 1.531_383_769_920_937_3e-1;
    let p = p * z + 1.818_357_216_161_805e-1;
    let p = p * z + 2.222_219_843_214_978_4e-1;
    let p = p * z + 2.857_142_874_366_239e-1;
    let p = p * z + 3.999_999_999_940_942e-1;
    let p = p * z + 6.666_666_666_666_735e-1;
    let p = p * z;
    let half_square = 0.5 * f * f;
    exponent * LN2_HI - ((half_square - (s * (half_square + p) + exponent * LN2_LO)) - f)
}

/// Γ(z + ½) / Γ(z) for z ≥ 1, relative error below 1e-6 (asymptotic series after two recurrence steps).
#[inline(always)]
pub(crate) fn gamma_half_ratio(z: f64) -> f64 {
    let far = z + 2.0;
    let i = 1.0 / far;
    let series = 1.0
        + i * (-0.125
            + i * (1.0 / 128.0 + i * (5.0 / 1024.0 + i * (-21.0 / 32768.0 - i * (399.0 / 262_144.0)))));
    let steps = (z * (z + 1.0)) / ((z + 0.5) * (z + 1.5));
    far.sqrt() * series * steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulps(a: f64, b: f64) -> f64 {
        (a - b).abs() / (b.abs() * f64::EPSILON).max(f64::MIN_POSITIVE)
    }

    #[test]
    fn exp_stays_within_two_units_in_the_last_place() {
        for i in -70_000..=70_000 {
            let x = f64::from(i) * 0.01;
            assert!(ulps(exp(x), x.exp()) <= 2.0, "exp({x}) = {} not {}", exp(x), x.exp());
        }
        assert!(exp(f64::INFINITY).is_finite() && exp(f64::NEG_INFINITY) > 0.0);
    }

    #[test]
    fn ln_stays_within_two_units_in_the_last_place() {
        let mut x = 1e-300;
        while x < 1e300 {
            let (ours, theirs) = (ln(x), x.ln());
            assert!(
                (ours - theirs).abs() <= 2.0 * f64::EPSILON * theirs.abs(),
                "ln({x}) = {ours} not {theirs}"
            );
            x *= 1.000_37;
        }
        assert_eq!(ln(1.0), 0.0);
        assert!(ln(0.0).is_finite() && ln(f64::INFINITY).is_finite());
    }

    #[test]
    fn gamma_ratio_agrees_with_known_values() {
        let root_pi = std::f64::consts::PI.sqrt();
        // Γ(1½)/Γ(1), Γ(2)/Γ(1½), Γ(10½)/Γ(10)
        let known = [
            (1.0, 0.5 * root_pi),
            (1.5, 2.0 / root_pi),
            (10.0, 654_729_075.0 / 1024.0 * root_pi / 362_880.0),
        ];
        for (z, want) in known {
            let got = gamma_half_ratio(z);
            assert!((got / want - 1.0).abs() < 1e-6, "Γ({z}+½)/Γ({z}) = {got} not {want}");
        }
    }
}
