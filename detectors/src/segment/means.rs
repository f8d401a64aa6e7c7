//! Whether a mean has moved: of the values, of their steps' sizes, of their course.
//!
//! Shapes are blind to a level, a spread or a slope. Shao & Zhang 2010, "Testing for Change Points in Time Series":
//! a CUSUM divided by what the CUSUMs within both parts show. It needs no estimate of the noise, whatever its correlation, and
//! stays small on a steady trend (30 for a straight line), which a plain CUSUM does not.

use super::window::Window;
use crate::dispatch::{self, Isa};

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

/// Series of which the mean is tested: the values, the sizes of their steps, their differences over a width.
const KINDS: usize = 3;
/// They are tested side by side, with a place for each and one that stays empty.
const PLACES: usize = 4;
/// Most stretches: they double.
const STRETCHES: usize = 32;

/// A change of a mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shift {
    /// First value of the new segment.
    pub at: usize,
    /// The statistic: above 122 once in a thousand stretches without a change.
    pub strength: f64,
}

/// Scratch: the derived series, and what the statistic needs to know of the lengths of parts, by length.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    derived: Vec<[f64; PLACES]>,
    parts: Vec<Part>,
}

/// What a part of so many values has to do with its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    /// 1 / n.
    inverse: f64,
    /// (1² + 2² + … + n²) / n².
    squares: f64,
}

/// What the kernel works on: a stretch of the derived series.
pub(crate) struct Stretch<'a> {
    pub values: &'a [[f64; PLACES]],
    /// By the number of values that a part has, up to all of them.
    pub parts: &'a [Part],
    /// Out: the strongest change of each.
    pub found: [Shift; PLACES],
}

impl Means {
    /// The strongest change of any of the three means over the latest stretches of the window, after `seen` values. A stretch is
    /// tested when enough of it is new, so that long ones cost no more per value than short ones. Of changes that are as
    /// strong, that of the first kind and of the shortest stretch counts.
    pub(super) fn strongest(&mut self, window: &Window, seen: u64, isa: Isa) -> Option<Shift> {
        let values = &window.standard;
        self.parts.extend((self.parts.len()..=values.len()).map(Part::of));
        let mut found = [[None; STRETCHES]; KINDS];
        for doubled in 0..STRETCHES {
            let stretch = SHORTEST << doubled;
            if stretch > values.len() {
                break;
            }
            if stretch < WIDTHS * window.width || !seen.is_multiple_of((stretch / NEW) as u64) {
                continue;
            }
            self.derive(values, stretch, window.width);
            let mut tested =
                Stretch { values: &self.derived, parts: &self.parts, found: [Shift::default(); PLACES] };
            dispatch::means(isa, &mut tested);
            let begin = values.len() - stretch;
            for (found, shift) in found.iter_mut().zip(tested.found) {
                found[doubled] = Some(Shift { at: begin + shift.at, ..shift });
            }
        }
        found
            .into_iter()
            .flatten()
            .flatten()
            .reduce(|best, shift| if shift.strength > best.strength { shift } else { best })
    }

    /// The series of which the mean is tested, over the latest stretch. One that is not as long yet is zero.
    fn derive(&mut self, values: &[f32], stretch: usize, width: usize) {
        self.derived.clear();
        self.derived.resize(stretch, [0.0; PLACES]);
        let begin = values.len() - stretch;
        let news = &values[begin..];
        let olds = |lag: usize| begin.checked_sub(lag).map_or(&[][..], |from| &values[from..from + stretch]);
        for (derived, new) in self.derived.iter_mut().zip(news) {
            derived[0] = f64::from(*new);
        }
        for ((derived, new), old) in self.derived.iter_mut().zip(news).zip(olds(1)) {
            derived[1] = (f64::from(*new) - f64::from(*old)).abs();
        }
        for ((derived, new), old) in self.derived.iter_mut().zip(news).zip(olds(width)) {
            derived[2] = f64::from(*new) - f64::from(*old);
        }
    }
}

/// The largest self-normalised CUSUM of each series and where it is. Nothing is divided until a larger one is found.
///
/// The body that `dispatch` compiles for each instruction set.
#[inline(always)]
pub(crate) fn test(stretch: &mut Stretch<'_>) {
    let Stretch { values, parts, found } = stretch;
    let n = values.len();
    let count = n as f64;
    let parts = &parts[..=n];
    let mut mean = [0.0; PLACES];
    for value in *values {
        for (mean, value) in mean.iter_mut().zip(value) {
            *mean += value;
        }
    }
    mean.iter_mut().for_each(|mean| *mean /= count);
    // Sums over the whole: of S², i·S and S, with S the running sum of deviations, which ends at zero.
    let (mut running, mut total) = ([0.0; PLACES], [0.0; PLACES]);
    let (mut whole_squares, mut whole_moments) = ([0.0; PLACES], [0.0; PLACES]);
    for (i, value) in values.iter().enumerate() {
        let i = (i + 1) as f64;
        for at in 0..PLACES {
            running[at] += value[at] - mean[at];
            total[at] += running[at];
            whole_squares[at] += running[at] * running[at];
            whole_moments[at] += i * running[at];
        }
    }
    let [mut s, mut sum, mut square, mut moment] = [[0.0; PLACES]; 4];
    let (mut shift, mut spread) = ([0.0; PLACES], [0.0; PLACES]);
    let edge = n / EDGE;
    *found = [Shift { at: n / 2, strength: 0.0 }; PLACES];
    let mut strength = [0.0; PLACES];
    for k in 1..n - edge {
        let i = k as f64;
        for at in 0..PLACES {
            s[at] += values[k - 1][at] - mean[at];
            sum[at] += s[at];
            square[at] += s[at] * s[at];
            moment[at] += i * s[at];
        }
        if k < edge {
            continue;
        }
        let (ahead, behind) = (parts[k], parts[n - k]);
        let mut is_stronger = false;
        for at in 0..PLACES {
            let slope = s[at] * ahead.inverse;
            let before = square[at] - 2.0 * slope * moment[at] + s[at] * s[at] * ahead.squares;
            // Behind k the sums run from S(k) to zero: S(i) − S(k)·(n − i)/(n − k).
            let tail_squares = whole_squares[at] - square[at];
            // Σ S(i)·(n − i) over i > k.
            let tail_moments = count * (total[at] - sum[at]) - (whole_moments[at] - moment[at]);
            let slope = s[at] * behind.inverse;
            let after = tail_squares - 2.0 * slope * tail_moments + s[at] * s[at] * (behind.squares - 1.0);
            shift[at] = s[at] * s[at] * count;
            spread[at] = before + after;
            is_stronger |= shift[at] > strength[at] * spread[at];
        }
        if is_stronger {
            for at in 0..PLACES {
                let spread = spread[at].max(shift[at] / LIMIT);
                if strength[at] < LIMIT && shift[at] > strength[at] * spread {
                    strength[at] = (shift[at] / spread).min(LIMIT);
                    found[at] = Shift { at: k, strength: strength[at] };
                }
            }
        }
    }
}

impl Part {
    fn of(count: usize) -> Part {
        let n = count as f64;
        let inverse = 1.0 / n;
        Part { inverse, squares: n / 3.0 + 0.5 + inverse / 6.0 }
    }
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

    /// The strongest change of one series, in every place and whatever the instruction set.
    fn strongest(values: &[f64]) -> Shift {
        let values: Vec<[f64; PLACES]> = values.iter().map(|value| [*value; PLACES]).collect();
        let parts: Vec<Part> = (0..=values.len()).map(Part::of).collect();
        let found = Isa::available().into_iter().flat_map(|isa| {
            let mut stretch = Stretch { values: &values, parts: &parts, found: [Shift::default(); PLACES] };
            dispatch::means(isa, &mut stretch);
            stretch.found
        });
        found
            .reduce(|one, other| {
                assert_eq!(one, other);
                one
            })
            .unwrap()
    }

    #[test]
    fn the_quick_sums_are_the_papers() {
        let values: Vec<f64> = (0..160_u32)
            .map(|t| f64::from(t.wrapping_mul(2_654_435_761) >> 8) / 1e6 + if t >= 97 { 9.0 } else { 0.0 })
            .collect();
        let found = strongest(&values);
        let want = (20..140).map(|k| (k, plain(&values, k))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(found.at, want.0);
        assert!((found.strength / want.1 - 1.0).abs() < 1e-9, "{} not {}", found.strength, want.1);
    }

    #[test]
    fn a_straight_line_is_no_change_and_a_step_is() {
        let line: Vec<f64> = (0..256).map(f64::from).collect();
        let found = strongest(&line);
        assert!((found.strength - 30.0).abs() < 1.0, "{}", found.strength);
        let step: Vec<f64> = (0..256).map(|t| if t < 100 { 1.0 } else { 2.0 }).collect();
        let found = strongest(&step);
        assert_eq!((found.at, found.strength), (100, LIMIT));
        assert_eq!(strongest(&[4.0; 256]).strength, 0.0);
    }
}
