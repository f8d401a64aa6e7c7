//! Little tables of samples and the values they must come to.

use super::*;
use crate::types::{EntityKind, MeasureRole, NumberPoint};

const SECOND: i64 = 1_000_000_000;

fn counter() -> Arc<StreamDef> {
    let entity = Arc::new(Entity::new(EntityKind::Service, "cart"));
    let series = Arc::new(SeriesDef::new(entity, "requests:rate", Vec::new()));
    Arc::new(StreamDef { key: 7, series, kind: StreamKind::CumulativeCounter })
}

fn fold() -> Fold {
    Fold::new(FoldConfig { series_ttl_ticks: 3, ..FoldConfig::default() })
}

/// Folds one tick of (seconds, start, value) points and gives the first value.
fn step(fold: &mut Fold, tick: i64, points: &[(i64, i64, f64)]) -> FoldOutput {
    let numbers = points.iter().map(|&(seconds, start, value)| NumberPoint {
        stream: 7,
        time_ns: seconds * SECOND,
        start_ns: start * SECOND,
        value,
    });
    let partial = Partial { defs: vec![counter()], numbers: numbers.collect(), ..Partial::default() };
    let mut out = FoldOutput::default();
    fold.fold(tick, &[&partial], &mut out);
    out
}

#[test]
fn the_first_rule_that_fits_gives_the_role() {
    let rule = |measure: &str, role| RoleRule { measure: measure.to_string(), role };
    let roles = vec![
        rule("other*", MeasureRole::Cpu),
        rule("requests*", MeasureRole::Saturation),
        rule("*", MeasureRole::Model),
    ];
    let mut fold = Fold::new(FoldConfig { roles, ..FoldConfig::default() });
    step(&mut fold, 10, &[(105, 1, 50.0)]);
    step(&mut fold, 11, &[(115, 1, 80.0)]);
    let role = |fold: &Fold| fold.slots()[0].as_ref().expect("a series").role;
    assert_eq!(role(&fold), MeasureRole::Saturation);
    // After a restart with another configuration that one holds.
    let section = fold.save("fold").expect("it can be saved");
    let plain = Fold::load(FoldConfig::default(), &section).expect("it can be read").expect("it is there");
    assert_eq!(role(&plain), MeasureRole::Traffic);
}

#[test]
fn cumulative_counters_become_rates() {
    // (points of the tick, expected rate; NaN is missing)
    type Row = (&'static [(i64, i64, f64)], f64);
    let table: [Row; 7] = [
        (&[(105, 1, 50.0)], f64::NAN),
        (&[(115, 1, 80.0)], 3.0),
        (&[(122, 1, 94.0), (125, 1, 100.0)], 2.0),
        (&[(145, 1, 160.0)], 3.0),
        (&[(155, 150, 25.0)], 2.5),
        (&[(165, 150, 5.0)], f64::NAN),
        (&[(165, 150, 5.0), (160, 150, 9.0)], f64::NAN),
    ];
    let mut fold = fold();
    for (points, expected) in table {
        let tick = points[0].0 / 10;
        let value = step(&mut fold, tick, points).values.first().copied().unwrap_or(f64::NAN);
        assert!(value == expected || (value.is_nan() && expected.is_nan()), "{points:?}: {value}");
    }
}

#[test]
fn a_series_ends_and_its_slot_is_used_again() {
    let mut fold = fold();
    step(&mut fold, 10, &[(105, 1, 50.0)]);
    assert_eq!(step(&mut fold, 11, &[(115, 1, 60.0)]).admitted, [0]);
    assert!(step(&mut fold, 14, &[]).forgotten.is_empty());
    assert_eq!(step(&mut fold, 15, &[]).forgotten, [0]);
    assert_eq!(step(&mut fold, 16, &[(165, 1, 60.0)]).admitted, [0]);
}

#[test]
fn saving_and_loading_changes_nothing() {
    let mut plain = fold();
    let mut saved = fold();
    for tick in 10..30 {
        let points = [(tick * 10 + 3, 1, (tick * tick) as f64)];
        let section = saved.save("fold").unwrap();
        saved = Fold::load(plain.config.clone(), &section).unwrap().unwrap();
        let (a, b) = (step(&mut plain, tick, &points), step(&mut saved, tick, &points));
        let bits = |out: &FoldOutput| out.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a), bits(&b), "tick {tick}");
    }
}
