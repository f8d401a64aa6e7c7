//! Values that look like telemetry, for the timing benches; equal in every run.

use ndarray::Array2;

/// A wave and noise.
pub fn value(series: usize, tick: usize) -> f64 {
    let hash = ((series as u64) << 32 ^ tick as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let noise = (hash.rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / 16_777_216.0;
    20.0 + (tick as f64 / 40.0).sin() * 5.0 + noise * 4.0
}

/// Eight frames of so many series.
pub fn frames(series: usize) -> Vec<Vec<f64>> {
    (0..8).map(|tick| (0..series).map(|s| value(s, tick)).collect()).collect()
}

/// Rows of about normal features, and which rows stand out: one in fifty does, in two of its features.
pub fn rows(count: usize, features: usize, salt: u64) -> (Array2<f64>, Vec<bool>) {
    let mut state = salt;
    let mut unit = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut matrix = Array2::zeros((count, features));
    let mut odd = Vec::with_capacity(count);
    for mut row in matrix.rows_mut() {
        let is_odd = unit() < 0.02;
        // Twelve uniform numbers: a normal one, nearly.
        row.iter_mut().for_each(|value| *value = (0..12).map(|_| unit()).sum::<f64>() - 6.0);
        if is_odd {
            for _ in 0..2 {
                let at = (unit() * features as f64) as usize;
                row[at] += if unit() < 0.5 { -3.5 } else { 3.5 };
            }
        }
        odd.push(is_odd);
    }
    (matrix, odd)
}

/// The best of some runs, in seconds.
pub fn best(runs: usize, mut work: impl FnMut()) -> f64 {
    let timed = (0..runs).map(|_| {
        let start = std::time::Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    timed.fold(f64::INFINITY, f64::min)
}
