//! What the forest promises beyond conformance.

use foreshock_detectors::{EntityBank, EntityScores, ForestBank, ForestConfig};
use ndarray::Array2;

const FEATURES: usize = 5;

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
