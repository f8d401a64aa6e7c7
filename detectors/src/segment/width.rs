//! How long a subsequence must be to look like the whole: found from the values themselves.
//!
//! Ermshaus, Schäfer & Leser 2022, "Window Size Selection in Unsupervised Time Series Analytics", algorithm
//! SuSS: twice the shortest width whose rolling mean, deviation and range are close to those of the whole.

use std::collections::VecDeque;

/// Shortest width considered.
pub(super) const SHORTEST: usize = 10;
/// How close the statistics must be, 0 to 1 (the paper's default).
const CLOSE: f64 = 0.89;

/// The width of subsequences for these values, or `None` when they are constant or too few.
pub(super) fn width(values: &[f64]) -> Option<usize> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.len() < 4 * SHORTEST || high - low <= 1e-12 * low.abs().max(high.abs()) {
        return None;
    }
    let scaled: Vec<f64> = values.iter().map(|value| (value - low) / (high - low)).collect();
    let whole = moments(scaled.iter().copied());
    let (worst, best) = (distance(&scaled, 1, whole), distance(&scaled, scaled.len() - 1, whole));
    if worst <= best {
        return None;
    }
    let score = |width: usize| 1.0 - (distance(&scaled, width, whole) - best) / (worst - best);
    let most = scaled.len() / 4;
    let mut above = SHORTEST;
    while above < most && score(above) <= CLOSE {
        above *= 2;
    }
    // The score grows with the width, nearly: halve the interval.
    let (mut low, mut high) = ((above / 2).max(SHORTEST), above.min(most));
    while low < high {
        let middle = (low + high) / 2;
        if score(middle) < CLOSE {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Some(2 * low)
}

fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let square = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (mean, square.sqrt())
}

/// Mean distance of the rolling mean, deviation and range of this width from the whole's.
fn distance(scaled: &[f64], width: usize, whole: (f64, f64)) -> f64 {
    let (mut sum, mut square, mut total) = (0.0, 0.0, 0.0);
    let (mut lows, mut highs) = (VecDeque::new(), VecDeque::new());
    for (at, &value) in scaled.iter().enumerate() {
        sum += value;
        square += value * value;
        if at >= width {
            let gone = scaled[at - width];
            sum -= gone;
            square -= gone * gone;
        }
        extreme(&mut lows, scaled, at, width, |a, b| a <= b);
        extreme(&mut highs, scaled, at, width, |a, b| a >= b);
        if at + 1 >= width {
            let n = width as f64;
            let mean = sum / n;
            let deviation = (square / n - mean * mean).max(0.0).sqrt();
            let range = scaled[highs[0]] - scaled[lows[0]];
            let (a, b, c) = (mean - whole.0, deviation - whole.1, range - 1.0);
            total += (a * a + b * b + c * c).sqrt();
        }
    }
    total / ((scaled.len() + 1 - width) as f64 * (width as f64).sqrt())
}

/// Keeps the positions that may still become a rolling window's extreme; the first is it.
fn extreme(kept: &mut VecDeque<usize>, values: &[f64], at: usize, width: usize, beats: fn(f64, f64) -> bool) {
    while kept.back().is_some_and(|last| beats(values[at], values[*last])) {
        kept.pop_back();
    }
    kept.push_back(at);
    if kept[0] + width <= at {
        kept.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_needs_about_its_period() {
        for period in [24, 60, 110] {
            let values: Vec<f64> =
                (0..1024).map(|t| (std::f64::consts::TAU * f64::from(t) / f64::from(period)).sin()).collect();
            let found = width(&values).unwrap();
            assert!(2 * found > period as usize && found < 4 * period as usize, "{found} for {period}");
        }
    }

    #[test]
    fn constant_and_few_values_have_none() {
        assert_eq!(width(&[3.0; 500]), None);
        assert_eq!(width(&[0.0; 500]), None);
        assert_eq!(width(&[1.0, 2.0, 3.0]), None);
    }
}
