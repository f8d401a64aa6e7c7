//! Whether a mean has moved: of the values, of their steps' sizes, of their course.
//!
//! Shapes are blind to a level, a spread or a slope. Shao & Zhang 2010, "Testing for Change Points in Time Series":
//! a CUSUM divided by what the CUSUMs within both parts show. It needs no estimate of the noise, whatever its correlation, and
//! stays small on a steady trend (30 for a straight line), which a plain CUSUM does not.

use super::window::Window;

/// Shortest stretch that is tested; each longer one doubles it.
const SHORTEST: usize = 128;
/// A stretch holds at least this many widths, so that a season is not taken for a change.
const WIDTHS: usize = 4;
/// Share of a stretch that must lie on each side of the change.
const EDGE: usize = 8;
/// A stretch is tested again when one in so many of its values is new.
const NEW: usize = 25;
/// The statistic is held below this; a change between two constants would be infinite.
const LIMIT: f64 = 1e6;

/// A change of a mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    /// First value of the new segment.
    pub at: usize,
    /// The statistic: above 122 once in a thousand stretches without a change.
    pub strength: f64,
}

/// Scratch: the derived series, and the sums that the statistic needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    derived: Vec<f64>,
    /// 1 / i, by i.
    inverse: Vec<f64>,
}

impl Means {
    /// The strongest change of any of the three means over the latest stretches of the window, after `seen` values. A stretch is
    /// tested when enough of it is new, so that long ones cost no more per value than short ones.
    pub(super) fn strongest(&mut self, window: &Window, seen: u64) -> Option<Shift> {
        let values = &window.standard;
        let mut best: Option<Shift> = None;
        for i in self.inverse.len()..=values.len() {
            self.inverse.push(1.0 / i as f64);
        }
        for kind in 0..3 {
            let lag = if kind == 2 { window.width } else { kind };
            let count = values.len().saturating_sub(lag);
            let mut stretch = SHORTEST;
            while stretch <= count {
                if stretch >= WIDTHS * window.width && seen.is_multiple_of((stretch / NEW) as u64) {
                    self.derive(kind, &values[values.len() - stretch - lag..], lag);
                    let found = test(&self.derived, &self.inverse);
                    if best.is_none_or(|best| found.strength > best.strength) {
                        best = Some(Shift { at: found.at + values.len() - stretch, ..found });
                    }
                }
                stretch *= 2;
            }
        }
        best
    }

    /// The series of which the mean is tested: values, sizes of steps, differences over a width.
    fn derive(&mut self, kind: usize, values: &[f32], lag: usize) {
        self.derived.clear();
        self.derived.extend(values[lag..].iter().zip(values).map(|(new, old)| {
            let (new, old) = (f64::from(*new), f64::from(*old));
            match kind {
                0 => new,
                1 => (new - old).abs(),
                _ => new - old,
            }
        }));
    }
}

/// The largest self-normalised CUSUM of a stretch and where it is. Nothing is divided until a larger one is found.
fn test(values: &[f64], inverse: &[f64]) -> Shift {
    let n = values.len();
    let count = n as f64;
    let inverse = &inverse[..n];
    let mean = values.iter().sum::<f64>() / count;
    // Sums over the whole: of S², i·S and S, with S the running sum of deviations, which ends at zero.
    let (mut running, mut total, mut whole_squares, mut whole_moments) = (0.0, 0.0, 0.0, 0.0);
    for (i, value) in values.iter().enumerate() {
        running += value - mean;
        total += running;
        whole_squares += running * running;
        whole_moments += (i + 1) as f64 * running;
    }
    let (mut s, mut sum, mut square, mut moment) = (0.0, 0.0, 0.0, 0.0);
    let edge = n / EDGE;
    let mut best = Shift { at: n / 2, strength: 0.0 };
    for k in 1..n - edge {
        let i = k as f64;
        s += values[k - 1] - mean;
        sum += s;
        square += s * s;
        moment += i * s;
        if k < edge {
            continue;
        }
        let slope = s * inverse[k];
        let before = square - 2.0 * slope * moment + s * s * squares(i, inverse[k]);
        // Behind k the sums run from S(k) to zero: S(i) − S(k)·(n − i)/(n − k).
        let rest = count - i;
        let tail_squares = whole_squares - square;
        // Σ S(i)·(n − i) over i > k.
        let tail_moments = count * (total - sum) - (whole_moments - moment);
        let slope = s * inverse[n - k];
        let after = tail_squares - 2.0 * slope * tail_moments + s * s * (squares(rest, inverse[n - k]) - 1.0);
        let shift = s * s * count;
        let spread = (before + after).max(shift / LIMIT);
        if best.strength < LIMIT && shift > best.strength * spread {
            best = Shift { at: k, strength: (shift / spread).min(LIMIT) };
        }
    }
    best
}

/// (1² + 2² + … + n²) / n².
fn squares(n: f64, inverse: f64) -> f64 {
    n / 3.0 + 0.5 + inverse / 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statistic straight from the paper's equation 3.
    fn plain(values: &[f64], k: usize) -> f64 {
        let n = values.len() as f64;
        let part = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let mut sum = 0.0;
            values
                .iter()
                .map(|value| {
                    sum += value - mean;
                    sum * sum
                })
                .sum::<f64>()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (a, b) = values.split_at(k);
        let d = k as f64 * (n - k as f64) / n.powf(1.5) * (mean(a) - mean(b));
        d * d / ((part(a) + part(b)) / (n * n))
    }

    fn inverse(most: usize) -> Vec<f64> {
        (0..=most).map(|i| 1.0 / i as f64).collect()
    }

    #[test]
    fn the_quick_sums_are_the_papers() {
        let values: Vec<f64> = (0..160_u32)
            .map(|t| f64::from(t.wrapping_mul(2_654_435_761) >> 8) / 1e6 + if t >= 97 { 9.0 } else { 0.0 })
            .collect();
        let found = test(&values, &inverse(160));
        let want = (20..140).map(|k| (k, plain(&values, k))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(found.at, want.0);
        assert!((found.strength / want.1 - 1.0).abs() < 1e-9, "{} not {}", found.strength, want.1);
    }

    #[test]
    fn a_straight_line_is_no_change_and_a_step_is() {
        let line: Vec<f64> = (0..256).map(f64::from).collect();
        let found = test(&line, &inverse(256));
        assert!((found.strength - 30.0).abs() < 1.0, "{}", found.strength);
        let step: Vec<f64> = (0..256).map(|t| if t < 100 { 1.0 } else { 2.0 }).collect();
        let found = test(&step, &inverse(256));
        assert_eq!((found.at, found.strength), (100, LIMIT));
        assert_eq!(test(&[4.0; 256], &inverse(256)).strength, 0.0);
    }
}
