//! Floors on generated series and fleets: no data needed.

use foreshock_benches::generated::faults::{self, Kind};
use foreshock_benches::generated::fleet::Weekends;
use foreshock_benches::generated::quiet;
use foreshock_benches::generated::report::{Report, core_speaks, robust_speaks};

#[test]
fn the_core_tier_finds_faults_that_a_robust_z_score_does_not() {
    for (kind, recall) in [
        (Kind::Weekend, 0.9),
        (Kind::Spike, 0.85),
        (Kind::Seasons, 0.6),
        (Kind::LevelShift, 0.6),
        (Kind::WildPoint, 0.55),
    ] {
        let (mut core, mut robust) = (Report::default(), Report::default());
        for seed in 100..106 {
            let series = faults::series(kind, seed);
            core.add(&series, &core_speaks(&series));
            robust.add(&series, &robust_speaks(&series));
        }
        assert!(core.recall() > recall, "{kind:?}: recall {:.2}", core.recall());
        assert!(core.recall() > robust.recall(), "{kind:?}: peer {:.2}", robust.recall());
        assert!(core.false_per_week() < 3.0, "{kind:?}: {:.2} false a week", core.false_per_week());
    }
}

#[test]
fn a_clean_fleet_spends_its_budget_and_little_more() {
    for spent in quiet::spend(1_000, 9, Weekends::Gradual, 30, &[1.0, 10.0, 100.0]) {
        let ratio = spent.pooled / spent.budget;
        assert!((0.3..=1.5).contains(&ratio), "{spent:?}");
    }
}
