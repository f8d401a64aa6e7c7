//! Outages that pass and changes that last, and what the past teaches about the future: what `core/outage.rs` says.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

/// Noise of unit variance, the same on every machine.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    move || {
        let mut sum = -6.0;
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (state >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum
    }
}

/// What one series gives at every row.
struct Row {
    expected: f64,
    inside: bool,
    nlp: f64,
}

fn run(series: &[f64], step: i64) -> Vec<Row> {
    let (mut bank, mut out) = (CoreBank::new(CoreConfig::default(), 1), Scores::new(1));
    let rows = series.iter().enumerate().map(|(t, value)| {
        bank.advance(&Frame { time: t as i64 * step, values: &[*value] }, &mut out);
        let inside = (out.lower[0]..=out.upper[0]).contains(value);
        Row { expected: out.expected[0], inside, nlp: out.nlp[0] }
    });
    rows.collect()
}

fn loudest(rows: &[Row]) -> f64 {
    rows.iter().map(|row| row.nlp).fold(0.0, f64::max)
}

/// Noise about 50, and 20 less from value 1200 on for a while.
fn outage(seed: u64, lasts: usize) -> Vec<f64> {
    let mut random = noise(seed);
    (0..1400 + lasts)
        .map(|t| 50.0 + random() - if (1200..1200 + lasts).contains(&t) { 20.0 } else { 0.0 })
        .collect()
}

#[test]
fn an_outage_is_not_learnt_and_its_end_is_no_news() {
    // Up to 70 values, and up to half an hour where that is longer.
    for (step, lasts) in [(10, 20), (10, 100), (10, 170), (60, 50), (60, 70), (300, 30), (300, 70)] {
        for seed in 0..5 {
            let rows = run(&outage(seed, lasts), step);
            let end = 1200 + lasts;
            let label = format!("{lasts} values of {step} s, seed {seed}");
            let onset = loudest(&rows[1200..1203]);
            assert!(onset > 6.95, "{label}: onset {onset}");
            assert!(loudest(&rows[end..end + 100]) < onset, "{label}: recovery is louder");
            assert!(
                (rows[end - 1].expected - 50.0).abs() < 1.5,
                "{label}: expects {}",
                rows[end - 1].expected
            );
            assert!(rows[end..end + 100].iter().all(|row| row.inside), "{label}: the old band is not back");
        }
    }
}

#[test]
fn a_lasting_change_is_accepted_after_72_values_and_half_an_hour() {
    for (step, values) in [(10, 180), (60, 72), (300, 72)] {
        for seed in 0..5 {
            let rows = run(&outage(seed, 400), step);
            let accepted = rows[1200..].iter().position(|row| (row.expected - 30.0).abs() < 2.0);
            let accepted = accepted.expect("accepted at all");
            assert!((values - 1..=values + 1).contains(&accepted), "step {step}: after {accepted} values");
            assert!(rows[1400..1590].iter().all(|row| row.inside), "step {step}: the new band holds");
        }
    }
}

#[test]
fn one_wild_value_in_the_past_does_not_deafen() {
    let mut told = 0;
    for seed in 0..20 {
        let mut random = noise(80 + seed);
        let series: Vec<f64> = (0..5000)
            .map(|t| match t {
                900 => 1e6,
                _ => 20.0 + random() + if t >= 4500 { 8.0 } else { 0.0 },
            })
            .collect();
        told += usize::from(loudest(&run(&series, 300)[4500..4536]) >= 6.95);
    }
    assert!(told >= 19, "{told} of 20 shifts told");
}

/// Root mean square of errors of expected values and of the local level alone, smoothed at the tier's own pace.
fn errors(series: &[f64], step: i64, from: usize, to: usize) -> (f64, f64) {
    let rows = run(series, step);
    let (mut level, mut ours, mut alone) = (series[0], 0.0, 0.0);
    for (t, value) in series.iter().enumerate().take(to) {
        if t >= from {
            ours += (value - rows[t].expected).powi(2);
            alone += (value - level).powi(2);
        }
        level += 0.15 * (value - level);
    }
    let count = (to - from) as f64;
    ((ours / count).sqrt(), (alone / count).sqrt())
}

#[test]
fn after_two_periods_the_season_beats_the_level_alone() {
    let mut random = noise(3);
    let day = 288;
    let daily: Vec<f64> = (0..4 * day)
        .map(|t| 50.0 + 15.0 * (std::f64::consts::TAU * t as f64 / day as f64).sin() + random())
        .collect();
    let (ours, alone) = errors(&daily, 300, 2 * day, 3 * day);
    assert!(ours < 0.9 * alone, "third day: {ours:.2}, level alone {alone:.2}");

    // Half-hourly; every half day of the week has a height of its own.
    let week = 336;
    let height = |t: usize| {
        [0.0, 8.0, -5.0, 3.0, -8.0, 6.0, 1.0][t % week / 24 % 7] * if t % week < 168 { 1.0 } else { -1.0 }
    };
    let weekly: Vec<f64> = (0..3 * week).map(|t| 50.0 + height(t) + random()).collect();
    let (ours, alone) = errors(&weekly, 1800, 2 * week, 3 * week);
    assert!(ours < 0.9 * alone, "third week: {ours:.2}, level alone {alone:.2}");
}
