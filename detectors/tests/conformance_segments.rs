//! What the deep tier's change points promise as a series bank. Says nothing about accuracy.

use foreshock_detectors::{Frame, Scores, SegmentBank, SegmentConfig, SeriesBank};

/// A window so short that values are dropped from it.
fn bank(slots: usize) -> SegmentBank {
    SegmentBank::new(SegmentConfig { window: 600, ..SegmentConfig::default() }, slots)
}

/// A repeatable stream: a wave that changes its period and its level now and then, noise, spikes, gaps.
fn value(slot: usize, tick: i64) -> f64 {
    let hash = (tick as u64 ^ (slot as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let noise = (hash.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1u64 << 24) as f64;
    let period = if tick / 400 % 2 == 0 { 24 } else { 17 };
    let wave = (tick % period - period / 2).abs() as f64;
    let level = 10.0 * (slot as f64 + 1.0) + if tick / 700 % 2 == 1 { 30.0 } else { 0.0 };
    match (tick + slot as i64) % 97 {
        13 => f64::NAN,
        50 => level + 40.0 + noise,
        _ => level + wave + noise,
    }
}

fn frame(slots: usize, tick: i64) -> Vec<f64> {
    (0..slots).map(|slot| value(slot, tick)).collect()
}

/// Everything a frame gives, as bits.
fn bits(out: &Scores, slot: usize) -> [u64; 6] {
    [
        out.nlp[slot].to_bits(),
        out.score[slot].to_bits(),
        out.change[slot].to_bits(),
        out.onset[slot].to_bits(),
        out.speaker[slot] as u64,
        u64::from(out.warm[slot]),
    ]
}

#[test]
fn slots_are_independent() {
    let slots = 5;
    let mut together = bank(slots);
    let mut alone: Vec<SegmentBank> = (0..slots).map(|_| bank(1)).collect();
    let (mut all, mut one) = (Scores::new(slots), Scores::new(1));
    let mut found = 0.0;
    for tick in 0..2_500 {
        let values = frame(slots, tick);
        together.advance(&Frame { time: tick * 300, values: &values }, &mut all);
        found += all.change.iter().sum::<f64>();
        for slot in 0..slots {
            alone[slot].advance(&Frame { time: tick * 300, values: &values[slot..=slot] }, &mut one);
            assert_eq!(bits(&all, slot), bits(&one, 0), "slot {slot} tick {tick}");
        }
    }
    assert!(found >= 5.0, "the stream has changes to be found, only {found} were");
}

#[test]
fn saving_and_loading_is_invisible_at_every_cut() {
    let slots = 3;
    let (mut straight, mut restored) = (bank(slots), bank(slots));
    let (mut a, mut b) = (Scores::new(slots), Scores::new(slots));
    for tick in 0..1_600 {
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
fn damaged_columns_are_refused_and_change_nothing() {
    let mut bank = bank(2);
    let mut out = Scores::new(2);
    for tick in 0..500 {
        bank.advance(&Frame { time: tick, values: &frame(2, tick) }, &mut out);
    }
    let good = bank.save();
    for column in 0..good.columns.len() {
        let mut bad = good.clone();
        bad.columns.remove(column);
        assert!(bank.load(&bad).is_err(), "without {}", good.columns[column].0);
    }
    let mut foreign = good.clone();
    foreign.name = "core".to_owned();
    assert!(bank.load(&foreign).is_err());
    assert_eq!(bank.save(), good);
}

#[test]
fn a_forgotten_slot_is_a_new_slot_and_growing_leaves_old_slots_alone() {
    let gone = 1;
    let (mut used, mut fresh) = (bank(2), bank(1));
    let (mut a, mut b) = (Scores::new(2), Scores::new(1));
    for tick in 0..600 {
        used.advance(&Frame { time: tick * 300, values: &frame(2, tick) }, &mut a);
    }
    used.forget(gone);
    used.grow(3);
    for tick in 600..1_900 {
        let values = frame(3, tick);
        used.advance(&Frame { time: tick * 300, values: &values }, &mut a);
        fresh.advance(&Frame { time: tick * 300, values: &values[gone..=gone] }, &mut b);
        assert_eq!(bits(&a, gone), bits(&b, 0), "tick {tick}");
    }
}

#[test]
fn extreme_inputs_give_finite_scores() {
    let extremes = [0.0, -0.0, 5e-324, 1e-310, 1e-150, 1.0, -1e9, 1e150, f64::MAX, f64::MIN];
    let kinds = extremes.len();
    let slots = kinds * 2 + 3;
    let mut bank = bank(slots);
    let mut out = Scores::new(slots);
    for tick in 0..2_000_usize {
        let values: Vec<f64> = (0..slots)
            .map(|slot| match slot {
                s if s < kinds => extremes[s],
                s if s < 2 * kinds => extremes[if tick % 7 == 3 { (s + tick) % kinds } else { s - kinds }],
                s if s == 2 * kinds => [f64::INFINITY, f64::NEG_INFINITY][tick % 2],
                s if s == 2 * kinds + 1 => [f64::NAN, f64::INFINITY, 1.0][tick % 3],
                _ => f64::NAN,
            })
            .collect();
        let time = [0, 10, 10, -500, 1 << 40, i64::from(i32::MIN)][tick % 6] + tick as i64;
        bank.advance(&Frame { time, values: &values }, &mut out);
        for slot in 0..slots {
            let got = (out.nlp[slot], out.score[slot], out.change[slot]);
            assert!(got.0.is_finite() && got.0 >= 0.0, "slot {slot} tick {tick}: {got:?}");
            assert!(
                (0.0..1.0).contains(&got.1) && (0.0..=1.0).contains(&got.2),
                "slot {slot} tick {tick}: {got:?}"
            );
            assert!(!out.onset[slot].is_infinite());
            assert!(
                slot >= kinds || out.change[slot] == 0.0,
                "a constant series has no change (slot {slot})"
            );
        }
    }
}

#[test]
fn a_change_between_two_constants_is_found() {
    let mut bank = bank(1);
    let mut out = Scores::new(1);
    let mut onsets = Vec::new();
    for tick in 0..2_200_i64 {
        bank.advance(&Frame { time: tick, values: &[if tick < 1_000 { 7.0 } else { 9.0 }] }, &mut out);
        if out.change[0] > 0.0 {
            onsets.push(out.onset[0]);
        }
    }
    assert!(onsets.len() == 1 && (onsets[0] - 1_000.0).abs() <= 5.0, "{onsets:?}");
}
