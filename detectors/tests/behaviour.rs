//! What an operator may rely on, on generated series with known truth. Says nothing about real data.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

/// Noise of unit variance, the same on every machine.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
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
#[derive(Debug, Clone, Copy)]
struct Row {
    expected: f64,
    width: f64,
    nlp: f64,
}

fn run(series: &[f64], step: i64) -> Vec<Row> {
    let mut bank = CoreBank::new(CoreConfig::default(), 1);
    let mut out = Scores::new(1);
    let rows = series.iter().enumerate().map(|(t, value)| {
        bank.advance(&Frame { time: t as i64 * step, values: &[*value] }, &mut out);
        Row { expected: out.expected[0], width: out.upper[0] - out.lower[0], nlp: out.nlp[0] }
    });
    rows.collect()
}

fn loudest(rows: &[Row]) -> f64 {
    rows.iter().map(|row| row.nlp).fold(0.0, f64::max)
}

#[test]
fn a_level_shift_is_announced_once_and_then_adopted() {
    for (seed, size) in [(1, 12.0), (2, -20.0), (3, 9.0)] {
        let mut random = noise(seed);
        let series: Vec<f64> =
            (0..2000).map(|t| 50.0 + random() + if t >= 1200 { size } else { 0.0 }).collect();
        let rows = run(&series, 300);
        let onset = loudest(&rows[1200..1203]);
        assert!(onset > 5.0, "shift of {size}: {onset}");
        assert!(onset > loudest(&rows[300..1200]), "shift of {size}: quieter than noise before");
        let later = loudest(&rows[1203..1300]);
        assert!(onset > later, "shift of {size}: {onset} at first, then {later}");
        let off = (rows[1300].expected - 50.0 - size).abs();
        assert!(off < 1.5, "level not adopted: {off} away");
    }
}

#[test]
fn one_wild_point_moves_neither_level_nor_band() {
    for wild in [1e3, -1e6, 1e12, f64::INFINITY] {
        let mut random = noise(7);
        let series: Vec<f64> = (0..1000).map(|t| if t == 700 { wild } else { 20.0 + random() }).collect();
        let rows = run(&series, 60);
        assert!(rows[700].nlp > 8.0, "{wild}: {}", rows[700].nlp);
        assert!((rows[720].expected - 20.0).abs() < 2.0, "{wild}: expected {}", rows[720].expected);
        let wider = rows[720].width / rows[699].width;
        assert!(wider < 2.0, "{wild}: the band is {wider} times as wide");
    }
}

#[test]
fn the_band_holds_what_is_normal() {
    let mut inside = 0;
    for seed in 0..20 {
        let mut random = noise(100 + seed);
        let series: Vec<f64> = (0..600).map(|_| 5.0 + random()).collect();
        let rows = run(&series, 60);
        inside +=
            (100..600).filter(|t| (series[*t] - rows[*t].expected).abs() <= rows[*t].width / 2.0).count();
        let error: f64 = (100..600).map(|t| (series[t] - rows[t].expected).powi(2)).sum::<f64>() / 500.0;
        assert!(error < 1.4, "seed {seed}: mean square one-step error {error} with noise of 1");
    }
    assert!(inside >= 9_950, "only {inside} of 10,000 normal values inside the band");
}

#[test]
fn calm_series_stay_calm() {
    let mut spoken = 0;
    for seed in 0..40 {
        let mut random = noise(500 + seed);
        let series: Vec<f64> = (0..2500).map(|_| random()).collect();
        spoken += run(&series, 300)[500..].iter().filter(|row| row.nlp >= 9.0).count();
    }
    // 80,000 values; e^-9 of them would be 10.
    assert!(spoken <= 40, "{spoken} false alarms in 80,000 calm values");
}

#[test]
fn a_slow_reporter_is_not_penalised_for_its_cadence() {
    let mut random = noise(9);
    let values: Vec<f64> = (0..3000).map(|_| 30.0 + random()).collect();
    let (mut bank, mut out) = (CoreBank::new(CoreConfig::default(), 1), Scores::new(1));
    let mut width = f64::NAN;
    for (t, value) in values.iter().enumerate() {
        let due = t % 6 == 0;
        let shown = if due { *value } else { f64::NAN };
        bank.advance(&Frame { time: t as i64 * 10, values: &[shown] }, &mut out);
        if due {
            width = out.upper[0] - out.lower[0];
        }
    }
    let dense = run(&values.iter().step_by(6).copied().collect::<Vec<_>>(), 60);
    let same = dense[499].width;
    assert!((width / same - 1.0).abs() < 1e-9, "band {width} with the slow cadence, {same} without");
}
