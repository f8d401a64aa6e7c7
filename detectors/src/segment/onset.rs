//! When a change that was found began, to the value: that a split by shape and a mean that moved say to within a width or so.
//!
//! Both sides are described without the values that may belong to either, in each of three ways: as noise about a mean, as an
//! autoregression, as a cycle. Each value in between then goes to the side that expected it (a likelihood ratio, summed: Basseville &
//! Nikiforov 1993, "Detection of Abrupt Changes", section 8.3). A fourth way is a line with one bend. Which of the four
//! counts is the shortest description of all the values (Rissanen 1978; here with half a logarithm per parameter).

use std::ops::Range;

use crate::kernels::math::ln;

/// Values that each side keeps for its description.
const LEAST: usize = 32;
/// Widths on each side of where the change is said to be that may belong to either.
const REACH: usize = 2;
/// Values of a side beyond this many say nothing more of where it begins or ends.
const MOST: usize = 1024;
/// Squared errors are held below this many variances: one wild value must not carry the begin with it.
const WILD: f64 = 16.0;
/// Variances are taken to be at least this; values are standardised.
const LEAST_VARIANCE: f64 = 1e-6;
/// Order of the autoregression, and its parameters.
const ORDER: usize = 4;
const PARAMETERS: usize = ORDER + 1;
/// Values of a cycle's course, at most, and values that each of them is a mean of, at least.
const BINS: usize = 24;
const PER_BIN: usize = 8;
/// Bins with which cycles are sought, and the shortest.
const COARSE: usize = 8;
const SHORTEST: f64 = 8.0;

/// How one side goes.
enum Course {
    Mean(f64),
    /// Constant and weights of the latest values, the newest first.
    Auto([f64; PARAMETERS]),
    /// Its length, and its values by phase counted from a row.
    Cycle {
        length: f64,
        from: usize,
        bins: Vec<f64>,
    },
}

/// One side as described: how it goes, and how far values are from that.
struct Side {
    course: Course,
    variance: f64,
}

/// A description of all values by two sides, or by a line with a bend.
struct Description {
    at: usize,
    /// Twice its length, in nats.
    cost: f64,
}

/// The first value of the new segment, where `at` says about where that is, and subsequences of `width` were compared.
pub(super) fn refine(values: &[f32], at: usize, width: usize) -> usize {
    let (begin, end) = (at.saturating_sub(MOST), values.len().min(at + MOST));
    let values: Vec<f64> = values[begin..end].iter().map(|value| f64::from(*value)).collect();
    let at = at - begin;
    let reach = (REACH * width).min(at / 3).min((values.len() - at) / 3);
    let open = at - reach..at + reach;
    if reach < 2 || open.start < LEAST || values.len() - open.end < LEAST {
        return begin + at;
    }
    let sides = [0..open.start, open.end..values.len()];
    let ways = [mean, auto, cycle].into_iter().filter_map(|way| {
        let [before, after] = sides.clone().map(|rows| way(&values, rows));
        Some(parted(&values, &open, &before?, &after?))
    });
    let all = ways.chain([bent(&values, &open)]);
    let best = all.reduce(|best, other| if other.cost < best.cost { other } else { best });
    begin + best.map_or(at, |best| best.at)
}

impl Course {
    /// Numbers that it needs, with the variance.
    fn parameters(&self) -> usize {
        match self {
            Course::Mean(_) => 2,
            Course::Auto(_) => PARAMETERS + 1,
            Course::Cycle { bins, .. } => bins.len() + 2,
        }
    }

    fn error(&self, values: &[f64], row: usize) -> f64 {
        let expected = match self {
            Course::Mean(mean) => *mean,
            // The first values have too few before them.
            Course::Auto(_) if row < ORDER => values[row],
            Course::Auto(weights) => {
                let latest = values[row - ORDER..row].iter().rev();
                weights[0]
                    + weights[1..].iter().zip(latest).map(|(weight, value)| weight * value).sum::<f64>()
            }
            Course::Cycle { length, from, bins } => bins[bin(row as f64 - *from as f64, *length, bins.len())],
        };
        values[row] - expected
    }

    fn described(self, values: &[f64], rows: Range<usize>) -> Side {
        let count = rows.len() as f64;
        let squares: f64 = rows.map(|row| self.error(values, row)).map(|error| error * error).sum();
        // What was fitted is nearer than what comes.
        let left = (count - self.parameters() as f64).max(0.5 * count);
        Side { variance: (squares / left).max(LEAST_VARIANCE), course: self }
    }
}

impl Side {
    /// Twice what it takes to say a value, given the side.
    fn cost(&self, values: &[f64], row: usize) -> f64 {
        let error = self.course.error(values, row);
        (error * error / self.variance).min(WILD) + ln(self.variance)
    }
}

/// The split of the open rows that both sides describe best.
fn parted(values: &[f64], open: &Range<usize>, before: &Side, after: &Side) -> Description {
    let own = |side: &Side, rows: Range<usize>| rows.map(|row| side.cost(values, row)).sum::<f64>();
    // As if all open rows were of the side behind.
    let mut cost = own(before, 0..open.start) + own(after, open.start..values.len());
    let (mut at, mut least) = (open.start, cost);
    for row in open.clone() {
        cost += before.cost(values, row) - after.cost(values, row);
        if cost < least {
            (at, least) = (row + 1, cost);
        }
    }
    let parameters = before.course.parameters() + after.course.parameters() + 1;
    Description { at, cost: least + parameters as f64 * ln(values.len() as f64) }
}

fn mean(values: &[f64], rows: Range<usize>) -> Option<Side> {
    let mean = values[rows.clone()].iter().sum::<f64>() / rows.len() as f64;
    Some(Course::Mean(mean).described(values, rows))
}

/// Least squares.
fn auto(values: &[f64], rows: Range<usize>) -> Option<Side> {
    let mut equations = [[0.0; PARAMETERS + 1]; PARAMETERS];
    for row in rows.start.max(ORDER)..rows.end {
        let mut known = [1.0; PARAMETERS + 1];
        for lag in 1..=ORDER {
            known[lag] = values[row - lag];
        }
        known[PARAMETERS] = values[row];
        for (equation, factor) in equations.iter_mut().zip(known) {
            for (sum, value) in equation.iter_mut().zip(known) {
                *sum += factor * value;
            }
        }
    }
    let weights = solved(equations)?;
    Some(Course::Auto(weights).described(values, rows))
}

/// Solves N equations with the right side in the last column; `None` where they do not say enough.
fn solved<const N: usize, const M: usize>(mut equations: [[f64; M]; N]) -> Option<[f64; N]> {
    for pivot in 0..N {
        // Sums of squares on the diagonal: no need to look for larger ones.
        let known = equations[pivot];
        if known[pivot].abs() < 1e-9 {
            return None;
        }
        for (_, equation) in equations.iter_mut().enumerate().filter(|(row, _)| *row != pivot) {
            let factor = equation[pivot] / known[pivot];
            equation.iter_mut().zip(known).for_each(|(value, known)| *value -= factor * known);
        }
    }
    Some(std::array::from_fn(|row| equations[row][M - 1] / equations[row][row]))
}

fn bin(since: f64, length: f64, bins: usize) -> usize {
    let turns = since / length;
    (((turns - turns.floor()) * bins as f64) as usize).min(bins - 1)
}

/// The cycle of whatever length that leaves least (phase dispersion: Stellingwerf 1978), at least two of which are there.
fn cycle(values: &[f64], rows: Range<usize>) -> Option<Side> {
    let count = rows.len() as f64;
    let part = &values[rows.clone()];
    let bins = BINS.min(part.len() / PER_BIN);
    // Lengths lie so near to one another that the phase of the last value moves by half a bin.
    let step = |length: f64, bins: usize| 0.5 * length * length / (count * bins as f64);
    let least = |from: f64, to: f64, bins: usize| {
        let mut best: Option<(f64, f64)> = None;
        let mut length = from;
        while length <= to {
            let left = left(part, length, bins);
            if best.is_none_or(|(_, least)| left < least) {
                best = Some((length, left));
            }
            length += step(length, bins);
        }
        best.map(|(length, _)| length)
    };
    let coarse = least(SHORTEST, count / 2.0, COARSE)?;
    let about = 2.0 * step(coarse, COARSE);
    let length = least(coarse - about, coarse + about, bins)?;
    let (sums, counts) = folded(part, length, bins);
    let usual = part.iter().sum::<f64>() / count;
    let mean = |(sum, count): (&f64, &f64)| if *count > 0.0 { sum / count } else { usual };
    let bins = sums.iter().zip(&counts).map(mean).collect();
    Some(Course::Cycle { length, from: rows.start, bins }.described(values, rows))
}

fn folded(values: &[f64], length: f64, bins: usize) -> ([f64; BINS], [f64; BINS]) {
    let (mut sums, mut counts) = ([0.0; BINS], [0.0; BINS]);
    for (row, value) in values.iter().enumerate() {
        let bin = bin(row as f64, length, bins);
        sums[bin] += value;
        counts[bin] += 1.0;
    }
    (sums, counts)
}

/// Squares that a cycle of this length does not explain, but for a constant.
fn left(values: &[f64], length: f64, bins: usize) -> f64 {
    let (sums, counts) = folded(values, length, bins);
    -sums
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0.0)
        .map(|(sum, count)| sum * sum / count)
        .sum::<f64>()
}

/// The line with one bend, sought as far again around the open rows, by least squares.
fn bent(values: &[f64], open: &Range<usize>) -> Description {
    let count = values.len() as f64;
    let reach = open.len();
    let from = open.start.saturating_sub(reach).max(LEAST);
    let to = (open.end + reach).min(values.len() - LEAST);
    // Rows are counted from the middle, in units of their number, so that the equations stay well conditioned.
    let place = |row: usize| (row as f64 - 0.5 * count) / count;
    let square: f64 = values.iter().map(|value| value * value).sum();
    let sum: f64 = values.iter().sum();
    let moment: f64 = (0..).map(place).zip(values).map(|(place, value)| place * value).sum();
    let places: f64 = (0..values.len()).map(place).sum();
    let place_squares: f64 = (0..values.len()).map(|row| place(row) * place(row)).sum();
    // Of the rows behind the bend.
    let [mut n, mut p, mut pp, mut v, mut pv] = [0.0; 5];
    let mut best = Description { at: open.start, cost: f64::INFINITY };
    for row in (from..values.len()).rev() {
        let (here, value) = (place(row), values[row]);
        n += 1.0;
        p += here;
        pp += here * here;
        v += value;
        pv += here * value;
        if row >= to {
            continue;
        }
        let (over, over_place) = (p - n * here, pp - here * p);
        let (over_square, over_value) = (pp - 2.0 * here * p + n * here * here, pv - here * v);
        let equations = [
            [count, places, over, sum],
            [places, place_squares, over_place, moment],
            [over, over_place, over_square, over_value],
        ];
        let Some([level, slope, bend]) = solved(equations) else { continue };
        let explained = level * sum + slope * moment + bend * over_value;
        let variance = ((square - explained) / (count - 5.0)).max(LEAST_VARIANCE);
        let cost = count * (ln(variance) + 1.0) + 5.0 * ln(count);
        if cost < best.cost {
            best = Description { at: row, cost };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// About normal noise.
    fn noise(row: usize) -> f64 {
        let mut state = row as u64 + 1;
        let sum: f64 = (0..12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state ^ state >> 29) >> 11) as f64 / (1_u64 << 53) as f64
            })
            .sum();
        sum - 6.0
    }

    /// How far from row 400 the begin is found when it is said to be at 385, of a course before and one after.
    fn off(before: impl Fn(f64) -> f64, after: impl Fn(f64) -> f64, spread: [f64; 2]) -> usize {
        let value = |row: usize| {
            let (course, size) =
                if row < 400 { (before(row as f64), spread[0]) } else { (after(row as f64), spread[1]) };
            (course + size * noise(row)) as f32
        };
        let values: Vec<f32> = (0..700).map(value).collect();
        refine(&values, 385, 20).abs_diff(400)
    }

    #[test]
    fn each_kind_of_change_begins_where_it_begins() {
        let wave = |length: f64| move |row: f64| (row / length * std::f64::consts::TAU).sin();
        let noise = [0.2, 0.2];
        assert!(off(|_| 0.0, |_| 0.6, noise) <= 2, "level");
        assert!(off(|_| 0.0, |_| 0.0, [0.2, 0.8]) <= 5, "spread");
        assert!(off(|_| 0.0, |row| 0.01 * (row - 400.0), noise) <= 6, "slope");
        assert!(off(wave(40.0), wave(23.0), noise) <= 5, "period");
        let saw = |row: f64| (row / 20.0).fract() * 2.0 - 1.0;
        assert!(off(|row| wave(40.0)(row), saw, noise) <= 5, "shape");
    }

    #[test]
    fn too_little_to_go_by_leaves_it_where_it_was_said() {
        let values: Vec<f32> = (0..90).map(|row| noise(row) as f32).collect();
        assert_eq!(refine(&values, 45, 20), 45);
        assert_eq!(
            refine(&[1.0; 700], 385, 20),
            345,
            "of what never changes the first place is as good as any"
        );
    }
}
