//! What every detector promises, whatever it computes, as checks that any bank can be put through:
//! [`series_bank`] and [`entity_bank`]. They panic at the first promise that is broken. They say nothing about accuracy.

use ndarray::Array2;

use crate::bank::{EntityBank, EntityScores, Frame, Scores, SeriesBank};
use crate::columns::Columns;

/// Values at the ends of what a float can be.
const EXTREMES: [f64; 10] = [0.0, -0.0, 5e-324, 1e-310, 1e-150, 1.0, -1e9, 1e150, f64::MAX, f64::MIN];
/// Seconds between two frames.
const STEP: i64 = 300;

/// Puts a bank through every promise of a [`SeriesBank`]. `make` gives a cold bank of so many slots; `ticks` is how long a stream
/// must be for the bank to have learnt, to have spoken, and to have dropped what it keeps for a while only.
///
/// # Panics
/// When a promise is broken: slots are independent; saving and loading is invisible at every cut; damaged columns are refused and change
/// nothing; a forgotten slot is a new one; growing leaves old slots alone; any input gives finite scores, a constant one none.
pub fn series_bank<B: SeriesBank>(make: impl Fn(usize) -> B, ticks: i64) {
    slots_are_independent(&make, ticks);
    saving_is_invisible(&make, ticks);
    damage_is_refused(&make, ticks);
    forgotten_is_new(&make, ticks);
    growing_disturbs_nobody(&make, ticks);
    extremes_are_finite(&make, ticks);
}

/// Puts a bank through every promise of an [`EntityBank`] of five features; see [`series_bank`].
///
/// # Panics
/// When a promise is broken: saving and loading is invisible at every cut; damaged columns are refused and change nothing; a forgotten row
/// is a new one; any input gives finite scores; attributions add up to 1 or 0.
pub fn entity_bank<B: EntityBank>(make: impl Fn(usize) -> B, ticks: i64) {
    entity_saving_is_invisible(&make, ticks);
    entity_forgotten_is_new(&make, ticks);
    entity_extremes_are_finite(&make, ticks);
}

/// Uniform in [0, 1) from any two numbers.
fn noise(a: u64, b: u64) -> f64 {
    let hash = (a ^ b << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    (hash.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1_u64 << 24) as f64
}

/// A repeatable stream: a wave that changes its period and its level now and then, noise, spikes, gaps.
fn value(slot: usize, tick: i64) -> f64 {
    let noise = noise(tick as u64, slot as u64);
    let period = if tick / 400 % 2 == 0 { 24 } else { 17 };
    let wave = (tick % period - period / 2).abs() as f64;
    let level = 10.0 * (slot as f64 + 1.0) + if tick / 700 % 2 == 1 { 30.0 } else { 0.0 };
    match (tick + slot as i64) % 97 {
        13 => f64::NAN,
        50 => level + 40.0 + noise,
        _ => level + wave + noise,
    }
}

fn values(slots: usize, tick: i64) -> Vec<f64> {
    (0..slots).map(|slot| value(slot, tick)).collect()
}

fn advance(bank: &mut impl SeriesBank, tick: i64, values: &[f64], out: &mut Scores) {
    bank.advance(&Frame { time: tick * STEP, values }, out);
}

/// Everything a frame gives for a slot, as bits.
fn bits(out: &Scores, slot: usize) -> [u64; 14] {
    [
        out.expected[slot].to_bits(),
        out.lower[slot].to_bits(),
        out.upper[slot].to_bits(),
        out.usual[slot].to_bits(),
        out.spread[slot].to_bits(),
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

fn slots_are_independent<B: SeriesBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let slots = 11;
    let mut together = make(slots);
    let mut alone: Vec<B> = (0..slots).map(|_| make(1)).collect();
    let (mut all, mut one) = (Scores::new(slots), Scores::new(1));
    for tick in 0..ticks {
        let values = values(slots, tick);
        advance(&mut together, tick, &values, &mut all);
        for slot in 0..slots {
            advance(&mut alone[slot], tick, &values[slot..=slot], &mut one);
            assert_eq!(bits(&all, slot), bits(&one, 0), "slots are independent: slot {slot}, tick {tick}");
        }
    }
}

fn saving_is_invisible<B: SeriesBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let slots = 3;
    let (mut straight, mut restored) = (make(slots), make(slots));
    let (mut a, mut b) = (Scores::new(slots), Scores::new(slots));
    for tick in 0..ticks {
        let values = values(slots, tick);
        advance(&mut straight, tick, &values, &mut a);
        let saved = restored.save();
        restored = make(0);
        restored.load(&saved).expect("a bank reads what it saved");
        assert_eq!(restored.save(), saved, "what was loaded is what was saved: tick {tick}");
        advance(&mut restored, tick, &values, &mut b);
        for slot in 0..slots {
            assert_eq!(bits(&a, slot), bits(&b, slot), "saving is invisible: slot {slot}, tick {tick}");
        }
    }
    assert_eq!(straight.save(), restored.save());
}

/// The same columns with one missing, and under another name.
fn damaged(good: &Columns) -> Vec<Columns> {
    let without = |column: usize| {
        let mut bad = good.clone();
        bad.columns.remove(column);
        bad
    };
    let mut all: Vec<Columns> = (0..good.columns.len()).map(without).collect();
    all.push(Columns { name: format!("not {}", good.name), ..good.clone() });
    all.push(Columns { version: good.version + 1, ..good.clone() });
    all
}

fn damage_is_refused<B: SeriesBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let mut bank = make(2);
    let mut out = Scores::new(2);
    (0..ticks.min(500)).for_each(|tick| advance(&mut bank, tick, &values(2, tick), &mut out));
    let good = bank.save();
    for bad in damaged(&good) {
        assert!(bank.load(&bad).is_err(), "damaged columns are refused: {}", bad.name);
    }
    assert_eq!(bank.save(), good, "a refused load changes nothing");
}

fn forgotten_is_new<B: SeriesBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let (slots, gone) = (10, 8);
    let (mut used, mut fresh) = (make(slots), make(1));
    let (mut a, mut b) = (Scores::new(slots), Scores::new(1));
    (0..ticks / 3).for_each(|tick| advance(&mut used, tick, &values(slots, tick), &mut a));
    used.forget(gone);
    for tick in ticks / 3..ticks {
        let values = values(slots, tick);
        advance(&mut used, tick, &values, &mut a);
        advance(&mut fresh, tick, &values[gone..=gone], &mut b);
        assert_eq!(bits(&a, gone), bits(&b, 0), "a forgotten slot is a new one: tick {tick}");
    }
}

fn growing_disturbs_nobody<B: SeriesBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let (mut grown, mut large) = (make(3), make(20));
    let (mut a, mut b) = (Scores::default(), Scores::default());
    for tick in 0..ticks / 2 {
        if tick == 100 {
            grown.grow(20);
        }
        let values = values(20, tick);
        let slots = grown.slots();
        advance(&mut grown, tick, &values[..slots], &mut a);
        advance(&mut large, tick, &values, &mut b);
        for slot in 0..3 {
            assert_eq!(bits(&a, slot), bits(&b, slot), "growing disturbs nobody: slot {slot}, tick {tick}");
        }
    }
    assert_eq!(grown.slots(), 20, "a bank has the slots that it was given");
}

/// The first slots are constant; the rest alternate between extremes, infinities and gaps.
fn extreme(slot: usize, tick: usize) -> f64 {
    let kinds = EXTREMES.len();
    match slot {
        s if s < kinds => EXTREMES[s],
        s if s < 2 * kinds => EXTREMES[if tick % 7 == 3 { (s + tick) % kinds } else { s - kinds }],
        s if s == 2 * kinds => [f64::INFINITY, f64::NEG_INFINITY][tick % 2],
        s if s == 2 * kinds + 1 => [f64::NAN, f64::INFINITY, 1.0][tick % 3],
        _ => f64::NAN,
    }
}

fn extremes_are_finite<B: SeriesBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let kinds = EXTREMES.len();
    let slots = kinds * 2 + 3;
    let mut bank = make(slots);
    let mut out = Scores::new(slots);
    for tick in 0..ticks as usize {
        let values: Vec<f64> = (0..slots).map(|slot| extreme(slot, tick)).collect();
        // Times jump, repeat and run backwards.
        let time = [0, 10, 10, -500, 1 << 40, i64::from(i32::MIN)][tick % 6] + tick as i64;
        bank.advance(&Frame { time, values: &values }, &mut out);
        for slot in 0..slots {
            let got = (out.nlp[slot], out.score[slot], out.change[slot]);
            let at = format!("slot {slot}, tick {tick}: {got:?}");
            assert!(got.0.is_finite() && got.0 >= 0.0, "-ln p is finite and at least 0: {at}");
            assert!((0.0..1.0).contains(&got.1), "a score is within [0, 1): {at}");
            assert!((0.0..=1.0).contains(&got.2), "the probability of a change is one: {at}");
            for number in [out.residual[slot], out.expected[slot], out.onset[slot]] {
                assert!(!number.is_infinite(), "nothing is infinite: {at}, {number}");
            }
            let silent = slot >= kinds || got.2 < 0.5;
            assert!(silent, "a constant series has no change: {at}");
        }
    }
    for slot in 0..kinds {
        assert_eq!(out.nlp[slot], 0.0, "a constant series says nothing: slot {slot}");
    }
}

/// Features of the entities that banks are tried with.
pub const FEATURES: usize = 5;

/// Three features move together, two are noise; row 2 breaks out now and then.
fn matrix(rows: usize, tick: i64) -> Array2<f64> {
    Array2::from_shape_fn((rows, FEATURES), |(row, feature)| {
        let noise = 2.0 * noise(tick as u64 * 1000 + (row * 10 + feature) as u64, 7) - 1.0;
        if row == 2 && tick % 50 == 49 && feature == 3 {
            25.0
        } else if (tick + row as i64) % 41 == 7 && feature == 1 {
            f64::NAN
        } else {
            noise + if feature < 3 { (tick % 7) as f64 * 0.1 } else { 0.0 }
        }
    })
}

fn entity_bits(out: &EntityScores, row: usize) -> Vec<u64> {
    let numbers = [out.nlp[row], out.score[row]];
    let numbers = numbers.iter().chain(out.attribution.row(row)).map(|number| number.to_bits());
    numbers.chain([u64::from(out.warm[row])]).collect::<Vec<_>>()
}

fn entity_saving_is_invisible<B: EntityBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let rows = 6;
    let (mut straight, mut restored) = (make(rows), make(rows));
    let (mut a, mut b) = (EntityScores::default(), EntityScores::default());
    for tick in 0..ticks {
        let values = matrix(rows, tick);
        straight.advance(tick * STEP, values.view(), &mut a);
        let saved = restored.save();
        restored = make(0);
        restored.load(&saved).expect("a bank reads what it saved");
        assert_eq!(restored.save(), saved, "what was loaded is what was saved: tick {tick}");
        restored.advance(tick * STEP, values.view(), &mut b);
        for row in 0..rows {
            let same = entity_bits(&a, row) == entity_bits(&b, row);
            assert!(same, "saving is invisible: row {row}, tick {tick}");
        }
    }
    let good = straight.save();
    for bad in damaged(&good) {
        assert!(straight.load(&bad).is_err(), "damaged columns are refused: {}", bad.name);
    }
    assert_eq!(straight.save(), good, "a refused load changes nothing");
}

/// One bank forgets a row; a copy of it gets one more and is given the same values there: what the class has learnt stays.
fn entity_forgotten_is_new<B: EntityBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let mut used = make(3);
    let mut out = EntityScores::default();
    (0..ticks / 2).for_each(|tick| used.advance(tick * STEP, matrix(3, tick).view(), &mut out));
    let mut grown = make(0);
    grown.load(&used.save()).expect("a bank reads what it saved");
    grown.grow(4);
    used.forget(2);
    let (mut a, mut b) = (EntityScores::default(), EntityScores::default());
    for tick in ticks / 2..ticks / 2 + 2 {
        let values = matrix(3, tick);
        let mut moved = Array2::from_elem((4, FEATURES), f64::NAN);
        for (from, to) in [(0, 0), (1, 1), (2, 3)] {
            moved.row_mut(to).assign(&values.row(from));
        }
        used.advance(tick * STEP, values.view(), &mut a);
        grown.advance(tick * STEP, moved.view(), &mut b);
        assert_eq!(a.nlp[2].to_bits(), b.nlp[3].to_bits(), "a forgotten row is a new one: tick {tick}");
    }
}

fn entity_extremes_are_finite<B: EntityBank>(make: &impl Fn(usize) -> B, ticks: i64) {
    let extremes = [0.0, 5e-324, -1e-310, 1e9, -1e150, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let mut bank = make(4);
    let mut out = EntityScores::default();
    for tick in 0..ticks as usize {
        let values = Array2::from_shape_fn((4, FEATURES), |(row, feature)| {
            extremes[(tick * (row + 1) + feature * row) % extremes.len()]
        });
        bank.advance(tick as i64 * STEP, values.view(), &mut out);
        for row in 0..4 {
            let (nlp, score) = (out.nlp[row], out.score[row]);
            assert!(nlp.is_finite() && nlp >= 0.0, "-ln p is finite and at least 0: row {row}, tick {tick}");
            assert!((0.0..1.0).contains(&score), "a score is within [0, 1): row {row}, tick {tick}");
            let total: f64 = out.attribution.row(row).sum();
            let adds_up = total == 0.0 || (total - 1.0).abs() < 1e-9;
            assert!(adds_up, "attributions add up to 1 or 0: {total}, row {row}, tick {tick}");
        }
    }
}
