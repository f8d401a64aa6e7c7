//! How often the band covers the next value, from the third value on, on generated noise. Real series: `benches/tests/nab_band.rs`.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

/// Uniform in (0, 1), the same on every machine.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

/// A series of a kind: what it is like is said where it is made.
fn series(kind: &str, seed: u64, count: usize) -> Vec<f64> {
    let mut random = uniform(seed);
    let mut last = 0.0;
    let next = |t: usize| {
        let normal = (0..12).map(|_| random()).sum::<f64>() - 6.0;
        let other = random();
        match kind {
            "normal" => 50.0 + normal,
            "laplace" => 50.0 + if normal < 0.0 { other.ln() } else { -other.ln() },
            "student" => 50.0 + normal / ((0..4).map(|_| -random().ln()).sum::<f64>() / 4.0).sqrt(),
            "latency" => f64::exp(0.5 * normal),
            "counts" => (0..20).filter(|_| random() < 0.15).count() as f64,
            "trend" => 50.0 + 0.5 * t as f64 + normal,
            "correlated" => {
                last = 0.9 * last + 0.436 * normal;
                50.0 + last
            }
            "walk" => {
                last += normal;
                50.0 + last
            }
            _ => unreachable!("no such kind"),
        }
    };
    (0..count).map(next).collect()
}

/// Share of values inside the band for values 3 to 10, 11 to 30 and after.
fn coverage(kind: &str) -> [f64; 3] {
    let (mut inside, mut all) = ([0.0; 3], [0.0; 3]);
    for seed in 0..300 {
        let (mut bank, mut out) = (CoreBank::new(CoreConfig::default(), 1), Scores::new(1));
        for (t, value) in series(kind, seed, 300).iter().enumerate() {
            bank.advance(&Frame { time: t as i64 * 60, values: &[*value] }, &mut out);
            if t < 2 {
                continue;
            }
            let part = if t < 10 { 0 } else { usize::from(t >= 30) + 1 };
            all[part] += 1.0;
            inside[part] += f64::from(u8::from((out.lower[0]..=out.upper[0]).contains(value)));
        }
    }
    [inside[0] / all[0], inside[1] / all[1], inside[2] / all[2]]
}

#[test]
fn the_band_covers_the_next_value_from_the_third_on() {
    for kind in ["normal", "laplace", "student", "latency", "counts", "trend", "correlated", "walk"] {
        let shares = coverage(kind);
        println!(
            "{kind}: values 3 to 10 {:.4}, 11 to 30 {:.4}, after {:.4}",
            shares[0], shares[1], shares[2]
        );
        assert!(shares.iter().all(|share| *share >= 0.99), "{kind}: {shares:?}");
    }
}

#[test]
fn the_band_says_something_once_it_can() {
    // Covering everything is easy: by the thirtieth value the band of normal noise is about as wide as it will stay.
    let (mut bank, mut out) = (CoreBank::new(CoreConfig::default(), 100), Scores::new(100));
    let all: Vec<Vec<f64>> = (0..100).map(|seed| series("normal", seed, 200)).collect();
    for t in 0..200 {
        let values: Vec<f64> = all.iter().map(|series| series[t]).collect();
        bank.advance(&Frame { time: t as i64 * 60, values: &values }, &mut out);
        let mean = (0..100).map(|slot| out.upper[slot] - out.lower[slot]).sum::<f64>() / 100.0;
        match t {
            // Before the second value there is nothing to say.
            0 | 1 => assert!(mean.is_nan(), "band after {t} values: {mean}"),
            10 => assert!(mean < 14.0, "after ten values {mean}"),
            30 | 199 => assert!((7.0..9.5).contains(&mean), "after {t} values {mean}, eight deviations"),
            _ => {}
        }
    }
}
