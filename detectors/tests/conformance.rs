//! What every series bank promises, whatever it computes. Says nothing about accuracy.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};
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
fn bits(out: &Scores, slot: usize) -> [u64; 10] {
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
        u64::from(out.warm[slot]),
    ]
}

fn frame(slots: usize, tick: i64) -> Vec<f64> {
    (0..slots).map(|slot| value(slot, tick)).collect()
}

#[test]
fn slots_are_independent() {
    let slots = 37;
    let mut together = bank(slots);
    let mut alone: Vec<CoreBank> = (0..slots).map(|_| bank(1)).collect();
    let (mut all, mut one) = (Scores::new(slots), Scores::new(1));
    for tick in 0..600 {
        let values = frame(slots, tick);
        together.advance(&Frame { time: tick * 300, values: &values }, &mut all);
        for slot in 0..slots {
            alone[slot].advance(&Frame { time: tick * 300, values: &values[slot..=slot] }, &mut one);
            assert_eq!(bits(&all, slot), bits(&one, 0), "slot {slot} tick {tick}");
        }
    }
}

#[test]
fn saving_and_loading_is_invisible_at_every_cut() {
    let slots = 19;
    let mut straight = bank(slots);
    let mut restored = bank(slots);
    let (mut a, mut b) = (Scores::new(slots), Scores::new(slots));
    for tick in 0..400 {
        let values = frame(slots, tick);
        straight.advance(&Frame { time: tick * 300, values: &values }, &mut a);
        let saved = restored.save();
        restored = bank(0);
        restored.load(&saved).unwrap();
        assert_eq!(restored.save(), saved);
        restored.advance(&Frame { time: tick * 300, values: &values }, &mut b);
        for slot in 0..slots {
            assert_eq!(bits(&a, slot), bits(&b, slot), "slot {slot} tick {tick}");
        }
    }
    assert_eq!(straight.save(), restored.save());
}

#[test]
fn a_forgotten_slot_is_a_new_slot() {
    let (slots, gone) = (20, 17);
    let mut used = bank(slots);
    let mut fresh = bank(1);
    let (mut a, mut b) = (Scores::new(slots), Scores::new(1));
    for tick in 0..200 {
        used.advance(&Frame { time: tick * 300, values: &frame(slots, tick) }, &mut a);
    }
    used.forget(gone);
    for tick in 200..500 {
        let values = frame(slots, tick);
        used.advance(&Frame { time: tick * 300, values: &values }, &mut a);
        fresh.advance(&Frame { time: tick * 300, values: &values[gone..=gone] }, &mut b);
        assert_eq!(bits(&a, gone), bits(&b, 0), "tick {tick}");
    }
}

#[test]
fn growing_leaves_old_slots_alone() {
    let mut grown = bank(3);
    let mut large = bank(40);
    let (mut a, mut b) = (Scores::default(), Scores::default());
    for tick in 0..300 {
        if tick == 100 {
            grown.grow(40);
        }
        let values = frame(40, tick);
        let slots = grown.slots();
        grown.advance(&Frame { time: tick * 300, values: &values[..slots] }, &mut a);
        large.advance(&Frame { time: tick * 300, values: &values }, &mut b);
        for slot in 0..3 {
            assert_eq!(bits(&a, slot), bits(&b, slot), "slot {slot} tick {tick}");
        }
    }
    assert_eq!(grown.slots(), 40);
}

#[test]
fn extreme_inputs_give_finite_scores() {
    let extremes = [0.0, -0.0, 5e-324, 1e-310, 1e-150, 1.0, -1e9, 1e150, f64::MAX, f64::MIN];
    let infinite = [f64::INFINITY, f64::NEG_INFINITY];
    let kinds = extremes.len();
    // Slots 0..kinds are constant; the rest alternate between extremes, infinities and gaps.
    let slots = kinds * 2 + 3;
    let mut bank = bank(slots);
    let mut out = Scores::new(slots);
    for tick in 0..2000_usize {
        let values: Vec<f64> = (0..slots)
            .map(|slot| match slot {
                s if s < kinds => extremes[s],
                s if s < 2 * kinds => extremes[if tick % 7 == 3 { (s + tick) % kinds } else { s - kinds }],
                s if s == 2 * kinds => infinite[tick % 2],
                s if s == 2 * kinds + 1 => [f64::NAN, f64::INFINITY, 1.0][tick % 3],
                _ => f64::NAN,
            })
            .collect();
        // Times jump, repeat and run backwards.
        let time = [0, 10, 10, -500, 1 << 40, i64::from(i32::MIN)][tick % 6] + tick as i64;
        bank.advance(&Frame { time, values: &values }, &mut out);
        for slot in 0..slots {
            let got = (out.nlp[slot], out.score[slot], out.change[slot]);
            assert!(got.0.is_finite() && got.0 >= 0.0, "slot {slot} tick {tick}: {got:?}");
            assert!((0.0..1.0).contains(&got.1), "slot {slot} tick {tick}: {got:?}");
            assert!((0.0..=1.0).contains(&got.2), "slot {slot} tick {tick}: {got:?}");
            assert!(!out.residual[slot].is_infinite() && !out.expected[slot].is_infinite());
        }
    }
    for slot in 0..kinds {
        assert_eq!(out.nlp[slot], 0.0, "a constant series says nothing (slot {slot})");
    }
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
