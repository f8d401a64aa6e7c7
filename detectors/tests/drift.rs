//! What the drift detector promises. Accuracy on labelled streams is measured in `benches/`.

use foreshock_detectors::{Drift, DriftConfig, DriftScore, psi};

/// Uniform in [0, 1) from any two numbers.
fn uniform(seed: u64, row: u64) -> f64 {
    let hash = (seed << 40 ^ row).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let hash = (hash ^ hash >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((hash ^ hash >> 27).wrapping_mul(0x94D0_49BB_1331_11EB) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Right and wrong of one outcome that is wrong with this probability.
fn outcome(seed: u64, row: u64, share: f64) -> [f64; 2] {
    if uniform(seed, row) < share { [0.0, 1.0] } else { [1.0, 0.0] }
}

/// The first alarm among so many outcomes.
fn first_alarm(drift: &mut Drift, rows: u64, counts: impl Fn(u64) -> [f64; 2]) -> Option<(u64, DriftScore)> {
    (0..rows).map(|row| (row, drift.tell(&counts(row)))).find(|(_, score)| score.alarm)
}

#[test]
fn more_errors_are_told_soon_and_fewer_never() {
    for (before, after, within) in
        [(0.1, 0.6, 60.0), (0.1, 0.3, 160.0), (0.01, 0.1, 160.0), (0.3, 0.5, 250.0)]
    {
        let mut delays = 0.0;
        for seed in 0..10 {
            let mut drift = Drift::of_errors(DriftConfig::default());
            let share = |row| if row < 5_000 { before } else { after };
            let (row, score) = first_alarm(&mut drift, 7_000, |row| outcome(seed, row, share(row))).unwrap();
            assert!(row >= 5_000, "{before} to {after}, seed {seed}: {row}");
            assert!((score.since - (row as f64 - 4_999.0)).abs() < 300.0, "{row} {score:?}");
            delays += (row - 4_999) as f64 / 10.0;
            let mut drift = Drift::of_errors(DriftConfig::default());
            let falls = |row| if row < 5_000 { after } else { before };
            let told = first_alarm(&mut drift, 7_000, |row| outcome(seed, row, falls(row)));
            assert_eq!(told, None, "{after} to {before}, seed {seed}");
            // The better share is the normal one from now on.
            let share = |row| if row < 500 { before } else { after };
            let (row, _) = first_alarm(&mut drift, 2_000, |row| outcome(seed + 50, row, share(row))).unwrap();
            assert!(row >= 500, "{before} to {after} again, seed {seed}: {row}");
        }
        assert!(delays < within, "{before} to {after}: {delays} outcomes on average");
    }
}

#[test]
fn false_alarms_are_as_rare_as_was_asked_for() {
    let config = DriftConfig { false_alarm_every: 20_000.0, ..DriftConfig::default() };
    let mut alarms = 0;
    for (seed, share) in [0.02, 0.1, 0.3, 0.5].into_iter().enumerate() {
        let mut drift = Drift::of_errors(config);
        for row in 0..100_000 {
            if drift.tell(&outcome(seed as u64, row, share)).alarm {
                alarms += 1;
                drift.begin_anew();
            }
        }
    }
    assert!((1..=20).contains(&alarms), "{alarms} in 400,000 outcomes, 20 are allowed");
}

/// Four categories, of which the last takes from the first.
fn mix(seed: u64, row: u64, moved: f64) -> [f64; 4] {
    let draw = uniform(seed, row);
    let bounds = [0.4 - moved, 0.7 - moved, 0.9 - moved, 1.0];
    let category = bounds.iter().position(|bound| draw < *bound).unwrap_or(3);
    std::array::from_fn(|at| f64::from(u8::from(at == category)))
}

#[test]
fn a_mix_that_shifts_is_told_and_one_that_hardly_does_is_not() {
    for (moved, is_told) in [(0.2, true), (0.03, false), (0.0, false)] {
        for seed in 0..5 {
            let mut drift = Drift::of_mix(DriftConfig::default(), 4);
            let moved_at = |row| if row < 5_000 { 0.0 } else { moved };
            let told = (0..10_000).find(|row| drift.tell(&mix(seed, *row, moved_at(*row))).alarm);
            let is_right = told.map_or(!is_told, |row| is_told && (5_000..5_300).contains(&row));
            assert!(is_right, "{moved}, seed {seed}: {told:?}");
        }
    }
}

#[test]
fn portions_tell_the_same_a_little_later() {
    let told = |portion: u64| {
        let mut drift = Drift::of_errors(DriftConfig::default());
        (0..10_000 / portion).find_map(|at| {
            let rows = at * portion..(at + 1) * portion;
            let counts = rows.fold([0.0; 2], |sum, row| {
                let one = outcome(3, row, if row < 6_000 { 0.1 } else { 0.4 });
                [sum[0] + one[0], sum[1] + one[1]]
            });
            drift.tell(&counts).alarm.then_some((at + 1) * portion)
        })
    };
    let one_by_one = told(1).unwrap();
    for portion in [10, 50, 200] {
        let row = told(portion).unwrap();
        assert!(row >= one_by_one && row <= one_by_one + 2 * portion, "{portion}: {row} after {one_by_one}");
    }
}

#[test]
fn saving_is_invisible_and_damage_is_refused() {
    let mut whole = Drift::of_mix(DriftConfig::default(), 4);
    let mut cut = whole.clone();
    for row in 0..3_000 {
        let counts = mix(1, row, if row < 2_000 { 0.0 } else { 0.1 });
        let (a, b) = (whole.tell(&counts), cut.tell(&counts));
        assert_eq!((a.nlp.to_bits(), a.psi.to_bits(), a.since), (b.nlp.to_bits(), b.psi.to_bits(), b.since));
        if row % 97 == 0 {
            let mut loaded = Drift::of_mix(DriftConfig::default(), 4);
            loaded.load(&cut.save()).unwrap();
            cut = loaded;
        }
    }
    let mut other = Drift::of_errors(DriftConfig::default());
    assert!(other.load(&whole.save()).is_err(), "it has other categories");
    let before = whole.save();
    for damage in 0..before.columns.len() {
        let mut columns = before.clone();
        columns.columns.remove(damage);
        assert!(whole.load(&columns).is_err());
    }
    assert_eq!(whole.save(), before, "unchanged");
}

#[test]
fn whatever_comes_the_scores_are_numbers() {
    let mut drift = Drift::of_mix(DriftConfig::default(), 3);
    let all = [0.0, 1.0, 1e14, 1e300, f64::NAN, f64::INFINITY, -1.0, 5e-324];
    for row in 0..2_000_usize {
        let score = drift.tell(&[all[row % 8], all[row / 8 % 8], all[row / 64 % 8]]);
        assert!(
            [score.nlp, score.score, score.since, score.psi].iter().all(|it| it.is_finite()),
            "{score:?}"
        );
    }
    assert_eq!(psi(&[0.0, 0.0], &[0.0, 0.0]), 0.0);
    assert!(psi(&[500.0, 500.0], &[500.0, 500.0]) < 1e-9);
    // By hand: shares 0.5 and 0.5, then 0.8 and 0.2: 0.3 ln 1.6 + 0.3 ln 2.5 = 0.4159.
    assert!((psi(&[5e6, 5e6], &[8e6, 2e6]) - 0.415_9).abs() < 1e-4);
}
