//! The core tier against augurs: its MSTL for the decomposition, its change-point detector for onsets.

use augurs::changepoint::{Detector, NormalGammaDetector};
use augurs::mstl::MSTLModel;
use augurs::prelude::*;
use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

/// Noise of unit variance, the same on every machine.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        let mut sum = -6.0;
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (state >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum
    }
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v * v, count + 1.0));
    f64::sqrt(sum / count)
}

#[test]
fn expected_values_approach_those_of_mstl() {
    // Half-hourly, six weeks: a day of two humps and quiet weekends, amplitude 10, noise 1.
    let (day, week) = (48, 336);
    let mut random = noise(11);
    let series: Vec<f64> = (0..6 * week)
        .map(|t| {
            let phase = std::f64::consts::TAU * (t % day) as f64 / day as f64;
            let weekend = if t % week >= 5 * day { -6.0 } else { 0.0 };
            50.0 + 7.0 * phase.sin() + 4.0 * (2.0 * phase).cos() + weekend + random()
        })
        .collect();

    let fitted = MSTLModel::naive(vec![day, week]).fit(&series).unwrap();
    let whole = fitted.predict_in_sample(None).unwrap().point;

    let mut bank = CoreBank::new(CoreConfig::default(), 1);
    let mut out = Scores::new(1);
    let expected: Vec<f64> = series
        .iter()
        .enumerate()
        .map(|(t, value)| {
            bank.advance(&Frame { time: t as i64 * 1800, values: &[*value] }, &mut out);
            out.expected[0]
        })
        .collect();

    let last = 5 * week..6 * week;
    let amplitude = rms(last.clone().map(|t| series[t] - 50.0));
    let apart = rms(last.clone().map(|t| expected[t] - whole[t]));
    let error = rms(last.map(|t| expected[t] - series[t]));
    println!("amplitude {amplitude:.2}, apart from MSTL {apart:.2}, one-step error {error:.2}");
    // MSTL saw the future and fits some of the noise; we see one step back.
    assert!(apart < 0.35 * amplitude, "{apart} apart from MSTL, amplitude {amplitude}");
    assert!(error < 2.0, "one-step error {error} with noise of 1");
}

#[test]
fn onsets_agree_with_augurs() {
    for (shift, size) in [(300, 6.0), (420, -8.0), (513, 12.0)] {
        let mut random = noise(shift as u64);
        let series: Vec<f64> = (0..700).map(|t| random() + if t >= shift { size } else { 0.0 }).collect();
        let theirs = NormalGammaDetector::default().detect_changepoints(&series);
        let nearest = theirs.iter().map(|at| at.abs_diff(shift)).min();
        assert!(nearest.is_some_and(|off| off <= 2), "augurs finds {theirs:?}, not {shift}");

        let mut bank = CoreBank::new(CoreConfig::default(), 1);
        let mut out = Scores::new(1);
        let mut loudest = (0.0, 0.0);
        for (t, value) in series.iter().enumerate() {
            bank.advance(&Frame { time: t as i64 * 60, values: &[*value] }, &mut out);
            if t + 1 == shift {
                assert!(out.change[0] < 0.3, "calm before {shift}, yet {}", out.change[0]);
            }
            if (shift..shift + 8).contains(&t) && out.change[0] > loudest.0 {
                loudest = (out.change[0], out.onset[0] / 60.0);
            }
        }
        assert!(loudest.0 > 0.9, "change at {shift} only {}", loudest.0);
        assert!((loudest.1 - shift as f64).abs() <= 1.0, "onset {} not {shift}", loudest.1);
    }
}
