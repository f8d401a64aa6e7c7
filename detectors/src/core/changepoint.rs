//! Bayesian online change-point detection with a handful of pruned run lengths.
//!
//! Adams & MacKay 2007, "Bayesian Online Changepoint Detection": eqs. 1–3 with a constant hazard, and the
//! normal model with unknown mean and variance (normal-inverse-gamma prior, Student-t predictive). Of the
//! run lengths only the [`RUNS`] weightiest are kept; the lightest makes room for the new run.
//! It sees the standardised deviation from the long-run course and says how probable a recent change is
//! and when it most probably began.

use super::block::{Block, LANES, RUNS};
use super::work::Work;
use crate::kernels::math::{clip, exp, gamma_half_ratio, larger, ln, smaller};

/// Prior probability of a change per value.
const HAZARD: f64 = 1.0 / 250.0;
/// Prior of the mean: weight in values; of the variance: shape and rate.
const KAPPA: f64 = 0.05;
const ALPHA: f64 = 1.0;
const BETA: f64 = 0.5;
/// A run of at most this many values counts as a recent change.
const RECENT: f64 = 8.0;
const ROOT_PI: f64 = 1.772_453_850_905_516;

/// Advances one block by one value.
#[inline(always)]
pub(crate) fn step(b: &mut Block, w: &mut Work) {
    weigh(b, w);
    renew(b, w);
    sum_up(b, w);
}

/// How well each run predicts the value, and which run is the lightest.
#[inline(always)]
fn weigh(b: &Block, w: &mut Work) {
    for r in 0..RUNS {
        for i in 0..LANES {
            let x = clip(w.deviation[i], -12.0, 12.0);
            let n = f64::from(b.run_count[r][i]);
            let p = predictive(x, n, f64::from(b.run_mean[r][i]), f64::from(b.run_square[r][i]));
            let p = f64::from(b.run_weight[r][i]) * p;
            w.weight[r][i] = p;
        }
    }
    for i in 0..LANES {
        let (mut lightest, mut victim, mut total) = (f64::MAX, 0.0, 0.0);
        for r in 0..RUNS {
            let p = w.weight[r][i];
            total += p;
            let lighter = p < lightest;
            lightest = if lighter { p } else { lightest };
            victim = if lighter { r as f64 } else { victim };
        }
        w.total[i] = total;
        w.victim[i] = victim;
    }
}

/// Every run grows by the value; the lightest gives way to a new one.
#[inline(always)]
fn renew(b: &mut Block, w: &Work) {
    for r in 0..RUNS {
        for i in 0..LANES {
            let live = w.live[i];
            let x = clip(w.deviation[i], -12.0, 12.0);
            let started = w.total[i] > 0.0;
            let share = if started { 1.0 / w.total[i] } else { 0.0 };
            let is_new = w.victim[i] == r as f64;
            let n = f64::from(b.run_count[r][i]);
            let mean = f64::from(b.run_mean[r][i]);
            let grown_mean = mean + (x - mean) / (n + 1.0);
            let grown_square = f64::from(b.run_square[r][i]) + (x - mean) * (x - grown_mean);
            let grown = (1.0 - HAZARD) * w.weight[r][i] * share;
            let born = if started { HAZARD } else { 1.0 };
            let weight = larger(if is_new { born } else { grown }, 1e-30);
            let weight = if !started & !is_new { 0.0 } else { weight };
            let count = if is_new { 0.0 } else { n + 1.0 };
            // A run is born empty; its first value is its onset.
            let empty = is_new || n == 0.0;
            let age = if empty { 0.0 } else { f64::from(b.run_age[r][i]) + w.since[i] };
            let put = |new: f64, old: f32| if live { new as f32 } else { old };
            b.run_weight[r][i] = put(weight, b.run_weight[r][i]);
            b.run_count[r][i] = put(smaller(count, 4096.0), b.run_count[r][i]);
            b.run_mean[r][i] = put(if is_new { 0.0 } else { grown_mean }, b.run_mean[r][i]);
            b.run_square[r][i] = put(if is_new { 0.0 } else { grown_square }, b.run_square[r][i]);
            b.run_age[r][i] = put(age, b.run_age[r][i]);
        }
    }
}

/// The mass of recent runs, and the age of the heaviest.
#[inline(always)]
fn sum_up(b: &Block, w: &mut Work) {
    for i in 0..LANES {
        let (mut recent, mut heaviest, mut age) = (0.0, -1.0, 0.0);
        for r in 0..RUNS {
            let mass = f64::from(b.run_weight[r][i]);
            recent += if f64::from(b.run_count[r][i]) <= RECENT { mass } else { 0.0 };
            let heavier = mass > heaviest;
            heaviest = if heavier { mass } else { heaviest };
            age = if heavier { f64::from(b.run_age[r][i]) } else { age };
        }
        let old = b.seen[i] > 2.0 * RECENT;
        w.change[i] = if old { clip(recent, 0.0, 1.0) } else { 0.0 };
        w.age[i] = age;
    }
}

/// Student-t predictive density of `x` after a run of `n` values with this mean and sum of squares.
#[inline(always)]
pub(crate) fn predictive(x: f64, n: f64, mean: f64, square: f64) -> f64 {
    let kappa = KAPPA + n;
    let alpha = ALPHA + 0.5 * n;
    // The prior mean is 0: shrink the run's mean towards it.
    let centre = n * mean / kappa;
    let beta = BETA + 0.5 * square + 0.5 * KAPPA * n * mean * mean / kappa;
    let variance = beta * (kappa + 1.0) / (alpha * kappa);
    let nu = 2.0 * alpha;
    let d = x - centre;
    let t = d * d / (nu * variance);
    gamma_half_ratio(alpha) / (nu * variance).sqrt() / ROOT_PI * exp(-(alpha + 0.5) * ln(1.0 + t))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of unit variance: mean 0, then mean 5 from `shift` on.
    fn values(count: usize, shift: usize) -> Vec<f64> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        // A sum of twelve uniforms is as good as normal here.
        (0..count)
            .map(|t| (0..12).map(|_| uniform()).sum::<f64>() - 6.0 + if t >= shift { 5.0 } else { 0.0 })
            .collect()
    }

    /// The kernel's answer for one series: recent mass and age of the best run after each value.
    fn kernel(values: &[f64]) -> Vec<(f64, f64)> {
        let (mut b, mut w) = (Block::cold(), Work::new());
        values
            .iter()
            .map(|x| {
                w.live = [true; LANES];
                w.since = [1.0; LANES];
                w.deviation = [*x; LANES];
                b.seen = [1e6; LANES];
                step(&mut b, &mut w);
                (w.change[3], w.age[3])
            })
            .collect()
    }

    /// Adams & MacKay's recursion with every run length kept, straight from the paper's box.
    fn exact(values: &[f64]) -> Vec<f64> {
        // Weight, count, mean, sum of squares of each run.
        let mut runs = vec![(1.0, 0.0, 0.0, 0.0)];
        let mut recent = Vec::new();
        for x in values {
            for (weight, n, mean, square) in &mut runs {
                *weight *= predictive(*x, *n, *mean, *square) * (1.0 - HAZARD);
                let old = *mean;
                *n += 1.0;
                *mean += (x - old) / *n;
                *square += (x - old) * (x - *mean);
            }
            let grown: f64 = runs.iter().map(|run| run.0).sum();
            runs.push((grown * HAZARD / (1.0 - HAZARD), 0.0, 0.0, 0.0));
            let total: f64 = runs.iter().map(|run| run.0).sum();
            runs.iter_mut().for_each(|run| run.0 /= total);
            recent.push(runs.iter().filter(|run| run.1 <= RECENT).map(|run| run.0).sum());
        }
        recent
    }

    #[test]
    fn eight_runs_say_what_all_runs_say() {
        let values = values(400, 250);
        let pruned = kernel(&values);
        let full = exact(&values);
        for t in 30..400 {
            assert!((pruned[t].0 - full[t]).abs() < 0.05, "t {t}: {} not {}", pruned[t].0, full[t]);
        }
        assert!(full[252] > 0.9 && full[240] < 0.2, "the example has a clear change");
        for (t, (_, age)) in pruned.iter().enumerate().skip(253).take(100) {
            assert_eq!(t as f64 - age, 250.0, "onset at t {t}");
        }
    }

    #[test]
    fn the_prior_predictive_is_a_student_t_of_two_degrees() {
        let scale = (BETA * (KAPPA + 1.0) / (ALPHA * KAPPA)).sqrt();
        for x in [-7.0, -1.0, 0.0, 0.3, 4.0] {
            let t: f64 = x / scale;
            let want = 1.0 / (2.0 * std::f64::consts::SQRT_2 * scale * (1.0 + t * t / 2.0).powf(1.5));
            let got = predictive(x, 0.0, 0.0, 0.0);
            assert!((got / want - 1.0).abs() < 1e-5, "at {x}: {got} not {want}");
        }
    }

    #[test]
    fn predictives_are_densities() {
        for (n, mean, square) in [(0.0, 0.0, 0.0), (1.0, 2.0, 0.0), (6.0, -1.0, 3.0), (500.0, 0.2, 480.0)] {
            let step = 0.01;
            let mass: f64 =
                (-60_000..60_000).map(|k| predictive(f64::from(k) * step, n, mean, square) * step).sum();
            assert!((mass - 1.0).abs() < 1e-3, "n {n}: integrates to {mass}");
        }
    }
}
