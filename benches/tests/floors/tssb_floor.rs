//! The change points that `replay` writes do not fall below their floor, and do better than "there are none".

use foreshock_benches::accuracy::changes::{Found, found};
use foreshock_benches::generated::changes::{self, Kind, STEADY, Series};
use foreshock_benches::{paths, tssb};

fn onsets(values: &[f64]) -> Vec<usize> {
    found(values).expect("a series that can be replayed").iter().map(|found| found.onset).collect()
}

/// Every third series, so that the test is quick; the `accuracy` command has all 75.
#[test]
fn covering_stays_above_its_floor() {
    let Some(data) = paths::data() else { return };
    let series: Vec<tssb::Series> = tssb::read(&data.join("tssb")).unwrap().into_iter().step_by(3).collect();
    assert_eq!(series.len(), 25);
    let mean = |found: fn(&[f64]) -> Vec<usize>| {
        let one = |one: &tssb::Series| {
            let found = found(&one.values);
            tssb::covering(&one.changes, &found, one.values.len())
        };
        100.0 * series.iter().map(one).sum::<f64>() / 25.0
    };
    let (ours, none) = (mean(onsets), mean(|_| Vec::new()));
    println!("covering {ours:.2}, none {none:.2}");
    assert!(
        ours > 80.0,
        "covering {ours:.2}, floor 80; none scores {none:.2}, of all 75 BOCD 44.9, PELT 58.1"
    );
}

#[test]
fn a_report_depends_on_the_past_alone() {
    let made = changes::series(Kind::Level, 5);
    let whole = found(&made.values).unwrap();
    let (last, before) = whole.split_last().unwrap();
    assert_eq!(found(&made.values[..last.announced]).unwrap(), before);
    assert_eq!(found(&made.values[..=last.announced]).unwrap(), whole);
}

#[test]
fn what_changes_is_found_where_it_changes() {
    let floors = [
        (Kind::Level, 0.9),
        (Kind::Spread, 0.8),
        (Kind::Slope, 0.65),
        (Kind::Period, 0.4),
        (Kind::Shape, 0.4),
    ];
    for (kind, floor) in floors {
        let made: Vec<Series> = (100..110).map(|seed| changes::series(kind, seed)).collect();
        let f1 = |found: fn(&[f64]) -> Vec<usize>| {
            made.iter().map(|s| tssb::f1(&s.changes, &found(&s.values), 5)).sum::<f64>() / made.len() as f64
        };
        let (ours, none) = (f1(onsets), f1(|_| Vec::new()));
        assert!(ours > floor && ours > none, "{kind:?}: {ours:.3}, none {none:.3}");
    }
}

#[test]
fn where_nothing_changes_little_is_reported() {
    let kinds = STEADY.into_iter().filter(|kind| *kind != Kind::Walk);
    let reported: Vec<Found> = kinds
        .flat_map(|kind| (100..108).map(move |seed| changes::series(kind, seed)))
        .flat_map(|series| found(&series.values).unwrap())
        .collect();
    // 120,000 values.
    assert!(reported.len() <= 2, "changes reported in series without any: {reported:?}");
}
