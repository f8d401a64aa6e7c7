//! What the core tier promises beyond conformance.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank, Speaker};
use proptest::prelude::*;

/// A repeatable stream: daily wave, noise, spikes, gaps.
fn value(slot: usize, tick: i64) -> f64 {
    let hash = (tick as u64 ^ (slot as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let noise = (hash.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1u64 << 24) as f64;
    let wave = (tick % 288 - 144).abs() as f64 / 20.0;
    match (tick + slot as i64) % 97 {
        13 => f64::NAN,
        50 if tick > 300 => 400.0 + noise,
        _ => 10.0 * (slot as f64 + 1.0) + wave + noise,
    }
}

fn bank(slots: usize) -> CoreBank {
    CoreBank::new(CoreConfig::default(), slots)
}

/// Everything a frame gives, as bits.
fn bits(out: &Scores, slot: usize) -> [u64; 12] {
    [
        out.expected[slot].to_bits(),
        out.lower[slot].to_bits(),
        out.upper[slot].to_bits(),
        out.residual[slot].to_bits(),
        out.nlp[slot].to_bits(),
        out.score[slot].to_bits(),
        out.change[slot].to_bits(),
        out.onset[slot].to_bits(),
        out.speaker[slot] as u64,
        out.second[slot] as u64,
        u64::from(out.share[slot].to_bits()),
        u64::from(out.warm[slot]),
    ]
}

#[test]
fn a_score_says_who_contributed_how_much() {
    let mut bank = bank(1);
    let mut out = Scores::new(1);
    let noise = |tick: i64| (tick * 7919 % 101) as f64 / 50.0;
    let mut seen = std::collections::BTreeSet::new();
    for tick in 0..4000 {
        // A jump, and much later a spread that grows.
        let value = match tick {
            2000.. => 10.0 + 6.0 * noise(tick),
            1000..1100 => 40.0 + noise(tick),
            _ => 10.0 + noise(tick),
        };
        bank.advance(&Frame { time: tick * 10, values: &[value] }, &mut out);
        let contributions: Vec<(Speaker, f64)> = out.contributions(0).collect();
        if out.nlp[0] > 0.0 {
            let sum: f64 = contributions.iter().map(|(_, share)| share).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{tick}: {contributions:?}");
            assert_eq!(contributions[0].0, out.speaker[0]);
            // The second loudest weighs a fifth: it never has more than a sixth.
            assert!(contributions[0].1 >= 5.0 / 6.0 - 1e-6, "{tick}: {contributions:?}");
            seen.insert(contributions.len());
        } else {
            assert!(contributions.len() < 2 || contributions[0].0 != contributions[1].0);
        }
        if tick == 1000 {
            let speakers: Vec<Speaker> = contributions.iter().map(|(speaker, _)| *speaker).collect();
            assert!(
                speakers.contains(&Speaker::Residual) && speakers.contains(&Speaker::Difference),
                "{speakers:?}"
            );
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2], "alone, and together");
}

#[test]
fn a_missing_value_changes_no_parameter() {
    let mut sparse = bank(1);
    let mut dense = bank(1);
    let (mut a, mut b) = (Scores::new(1), Scores::new(1));
    for tick in 0..3000 {
        let time = tick * 10;
        let present = tick % 6 == 0;
        let values = [if present { value(0, tick) } else { f64::NAN }];
        sparse.advance(&Frame { time, values: &values }, &mut a);
        if present {
            dense.advance(&Frame { time, values: &values }, &mut b);
            assert_eq!(bits(&a, 0), bits(&b, 0), "tick {tick}: not due is not evidence");
        } else {
            assert_eq!(a.nlp[0], 0.0);
            assert!(a.residual[0].is_nan());
        }
    }
}

#[test]
fn the_band_widens_while_values_are_missing() {
    let mut bank = bank(1);
    let mut out = Scores::new(1);
    for tick in 0..200 {
        bank.advance(&Frame { time: tick * 60, values: &[value(0, tick)] }, &mut out);
    }
    let mut width = 0.0;
    for tick in 200..220 {
        bank.advance(&Frame { time: tick * 60, values: &[f64::NAN] }, &mut out);
        let now = out.upper[0] - out.lower[0];
        assert!(now >= width && now > 0.0, "{now} after {width}");
        width = now;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_past_does_not_depend_on_the_future(
        values in proptest::collection::vec(prop_oneof![9 => -1e3..1e3f64, 1 => Just(f64::NAN)], 80..200),
        cut in 40usize..80,
    ) {
        let run = |values: &[f64]| {
            let (mut bank, mut out) = (bank(1), Scores::new(1));
            values.iter().enumerate().map(|(tick, v)| {
                bank.advance(&Frame { time: tick as i64 * 60, values: &[*v] }, &mut out);
                bits(&out, 0)
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(&run(&values)[..cut], &run(&values[..cut])[..]);
    }
}
