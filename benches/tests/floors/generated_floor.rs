//! Floors on generated series and fleets, through `replay`: no data needed.

use foreshock_benches::accuracy::{faults::speaks, quiet};
use foreshock_benches::generated::faults::{self, Kind};
use foreshock_benches::generated::fleet::Weekends;
use foreshock_benches::generated::report::{Report, robust_speaks};

#[test]
fn faults_are_found_that_a_robust_z_score_does_not_find() {
    for (kind, recall) in [
        (Kind::Weekend, 0.9),
        (Kind::Spike, 0.85),
        (Kind::Seasons, 0.6),
        (Kind::LevelShift, 0.6),
        (Kind::WildPoint, 0.4),
    ] {
        let (mut ours, mut robust) = (Report::default(), Report::default());
        for seed in 100..106 {
            let series = faults::series(kind, seed);
            ours.add(&series, &speaks(&series).unwrap());
            robust.add(&series, &robust_speaks(&series));
        }
        assert!(ours.recall() > recall, "{kind:?}: recall {:.2}", ours.recall());
        assert!(ours.recall() > robust.recall(), "{kind:?}: peer {:.2}", robust.recall());
        assert!(ours.false_per_week() < 3.0, "{kind:?}: {:.2} false a week", ours.false_per_week());
    }
}

/// A fifth of the fleet that the `accuracy` command has, and the budgets that it can tell.
#[test]
fn a_clean_fleet_spends_its_budget_and_little_more() {
    let budgets = [3.0, 10.0];
    let table = quiet::fleet(200, 9, Weekends::Gradual, 28).unwrap();
    let ratios = quiet::ratios(&table, &budgets, 14).unwrap();
    for (budget, ratio) in budgets.iter().zip(ratios) {
        println!("{budget} a day: {ratio:.2}");
        assert!((0.3..=1.5).contains(&ratio), "{budget} a day: spent {ratio:.2} times");
    }
}
