//! What every entity bank promises, whatever it computes. Says nothing about accuracy.

use foreshock_detectors::{EntityBank, EntityScores, ForestBank, ForestConfig, JointBank, JointConfig};
use ndarray::Array2;

const FEATURES: usize = 5;

fn small() -> ForestConfig {
    ForestConfig { trees: 20, sample: 64, pool: 128, refresh: 4, ..ForestConfig::default() }
}

/// Three features move together, two are noise; row 2 breaks out now and then.
fn matrix(rows: usize, tick: u64) -> Array2<f64> {
    Array2::from_shape_fn((rows, FEATURES), |(row, feature)| {
        let hash = (tick * 1000 + (row * 10 + feature) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let noise =
            (hash.rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / 8_388_608.0 - 1.0;
        if row == 2 && tick % 50 == 49 && feature == 3 {
            25.0
        } else if (tick + row as u64) % 41 == 7 && feature == 1 {
            f64::NAN
        } else {
            noise + if feature < 3 { (tick % 7) as f64 * 0.1 } else { 0.0 }
        }
    })
}

fn bits(out: &EntityScores) -> Vec<u64> {
    let numbers = out.nlp.iter().chain(&out.score).chain(out.attribution.iter()).map(|v| v.to_bits());
    numbers.chain(out.warm.iter().map(|warm| u64::from(*warm))).collect()
}

#[test]
fn saving_and_loading_is_invisible_at_every_cut() {
    let rows = 6;
    let mut straight = ForestBank::new(small(), FEATURES, rows);
    let mut restored = ForestBank::new(small(), FEATURES, rows);
    let (mut a, mut b) = (EntityScores::default(), EntityScores::default());
    for tick in 0..200 {
        let values = matrix(rows, tick);
        straight.advance(tick as i64, values.view(), &mut a);
        let saved = restored.save();
        restored = ForestBank::new(small(), FEATURES, 0);
        restored.load(&saved).unwrap();
        assert_eq!(restored.save(), saved);
        restored.advance(tick as i64, values.view(), &mut b);
        assert_eq!(bits(&a), bits(&b), "tick {tick}");
    }
}

#[test]
fn an_odd_row_is_loud_and_the_feature_is_named() {
    let rows = 6;
    let mut bank = ForestBank::new(ForestConfig::default(), FEATURES, rows);
    let mut out = EntityScores::default();
    let mut named = 0;
    let mut quiet = 0.0_f64;
    for tick in 0..400 {
        bank.advance(tick, matrix(rows, tick as u64).view(), &mut out);
        for row in 0..rows {
            let total: f64 = out.attribution.row(row).sum();
            assert!(total == 0.0 || (total - 1.0).abs() < 1e-9, "attribution sums to {total}");
        }
        if tick > 100 && tick % 50 == 49 {
            assert!(out.nlp[2] > 4.0, "tick {tick}: {}", out.nlp[2]);
            let shares = out.attribution.row(2);
            named += usize::from(shares.iter().all(|share| *share <= shares[3]));
        } else if tick > 100 {
            quiet += out.nlp.iter().sum::<f64>() / rows as f64 / 300.0;
        }
    }
    assert_eq!(named, 6, "the feature that broke out was not named");
    assert!(quiet < 2.0, "calm rows score {quiet} on average");
}

#[test]
fn extreme_inputs_give_finite_scores() {
    let extremes = [0.0, 5e-324, -1e-310, 1e9, -1e150, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let mut bank = ForestBank::new(small(), FEATURES, 4);
    let mut out = EntityScores::default();
    for tick in 0..500_usize {
        let values = Array2::from_shape_fn((4, FEATURES), |(row, feature)| {
            extremes[(tick * (row + 1) + feature * row) % extremes.len()]
        });
        bank.advance(tick as i64, values.view(), &mut out);
        for row in 0..4 {
            assert!(out.nlp[row].is_finite() && out.nlp[row] >= 0.0);
            assert!((0.0..1.0).contains(&out.score[row]));
            assert!(out.attribution.iter().all(|share| share.is_finite()));
        }
    }
}

#[test]
fn a_forgotten_row_is_a_new_row() {
    let mut used = ForestBank::new(small(), FEATURES, 3);
    let mut out = EntityScores::default();
    for tick in 0..100 {
        used.advance(tick, matrix(3, tick as u64).view(), &mut out);
    }
    let mut grown = used.clone();
    grown.grow(4);
    used.forget(2);
    let (mut a, mut b) = (EntityScores::default(), EntityScores::default());
    for tick in 100..102 {
        // The same values in the forgotten row and, in the copy, in a row that is new.
        let values = matrix(3, tick as u64);
        let mut moved = Array2::from_elem((4, FEATURES), f64::NAN);
        for (from, to) in [(0, 0), (1, 1), (2, 3)] {
            moved.row_mut(to).assign(&values.row(from));
        }
        used.advance(tick, values.view(), &mut a);
        grown.advance(tick, moved.view(), &mut b);
        assert_eq!(a.nlp[2].to_bits(), b.nlp[3].to_bits(), "tick {tick}");
    }
}

#[test]
fn the_joint_bank_keeps_the_same_promises() {
    let extremes = [0.0, 5e-324, -1e-310, 1e9, -1e150, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let rows = 4;
    let bank = |rows| JointBank::new(JointConfig::default(), FEATURES, rows);
    let (mut straight, mut restored, mut alone) = (bank(rows), bank(rows), bank(1));
    let (mut a, mut b, mut c) = (EntityScores::default(), EntityScores::default(), EntityScores::default());
    for tick in 0..900_usize {
        let mut values = matrix(rows, tick as u64);
        // Row 3 is made of extremes; row 1 is forgotten on the way.
        values
            .row_mut(3)
            .iter_mut()
            .enumerate()
            .for_each(|(at, cell)| *cell = extremes[(tick + at) % extremes.len()]);
        if tick == 300 {
            straight.forget(1);
            restored.forget(1);
        }
        straight.advance(tick as i64 * 60, values.view(), &mut a);
        let saved = restored.save();
        restored = bank(0);
        restored.load(&saved).unwrap();
        assert_eq!(restored.save(), saved);
        restored.advance(tick as i64 * 60, values.view(), &mut b);
        assert_eq!(bits(&a), bits(&b), "tick {tick}");
        assert!(a.nlp.iter().all(|nlp| nlp.is_finite() && *nlp >= 0.0), "tick {tick}: {:?}", a.nlp);
        assert!(a.attribution.iter().all(|share| share.is_finite()));
        if tick >= 300 {
            let own = values.row(1).insert_axis(ndarray::Axis(0)).to_owned();
            alone.advance(tick as i64 * 60, own.view(), &mut c);
            assert_eq!(a.nlp[1].to_bits(), c.nlp[0].to_bits(), "a forgotten row is a new one, tick {tick}");
        }
    }
    assert!(a.warm[0] && restored.load(&ForestBank::new(small(), FEATURES, 1).save()).is_err());
}
