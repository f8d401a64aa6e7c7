//! The deep tier's change points do not fall below their floor, and do better than "there are none".

use foreshock_benches::generated::changes::{self, Kind, STEADY};
use foreshock_benches::{paths, tssb};

#[test]
fn deep_tier_stays_above_its_floor() {
    let Some(data) = paths::data() else { return };
    let series = tssb::read(&data.join("tssb")).unwrap();
    assert_eq!(series.len(), 75);
    let scores = series.iter().map(|series| {
        let found: Vec<usize> =
            tssb::segment_changes(&series.values).iter().map(|found| found.onset).collect();
        tssb::covering(&series.changes, &found, series.values.len())
    });
    let mean = 100.0 * scores.sum::<f64>() / 75.0;
    assert!(mean > 80.0, "covering {mean:.2}, floor 80; none scores 40.1, BOCD 44.9, PELT 58.1");
}

#[test]
fn a_report_depends_on_the_past_alone() {
    let made = changes::series(Kind::Level, 5);
    let whole = tssb::segment_changes(&made.values);
    let (last, before) = whole.split_last().unwrap();
    let part = tssb::segment_changes(&made.values[..last.announced]);
    assert_eq!(part, before);
    assert_eq!(tssb::segment_changes(&made.values[..=last.announced]), whole);
}

#[test]
fn what_changes_is_found_where_it_changes() {
    for (kind, floor) in [(Kind::Level, 0.85), (Kind::Spread, 0.7)] {
        let made: Vec<_> = (100..110).map(|seed| changes::series(kind, seed)).collect();
        let f1 = |found: fn(&[f64]) -> Vec<usize>| {
            made.iter().map(|s| tssb::f1(&s.changes, &found(&s.values), 5)).sum::<f64>() / made.len() as f64
        };
        let deep = f1(|values| tssb::segment_changes(values).iter().map(|found| found.onset).collect());
        let none = f1(|_| Vec::new());
        assert!(deep > floor && deep > none, "{kind:?}: {deep:.3}, none {none:.3}");
    }
}

#[test]
fn where_nothing_changes_little_is_reported() {
    let kinds = STEADY.into_iter().filter(|kind| *kind != Kind::Walk);
    let reported: usize = kinds
        .flat_map(|kind| (100..108).map(move |seed| changes::series(kind, seed)))
        .map(|series| tssb::segment_changes(&series.values).len())
        .sum();
    // 120,000 values.
    assert!(reported <= 2, "{reported} changes reported in series without any");
}
