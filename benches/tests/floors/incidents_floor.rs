//! Incidents of generated estates do not fall below their floors, and the generator does not tell what it knows.
//!
//! Small estates and few seeds: `--bin incidents` has the figures.

use foreshock_benches::incidents::{Kind, Outcome, Report, World, run};
use rayon::prelude::*;

#[test]
fn incidents_stay_above_their_floors() {
    let outcomes: Vec<Outcome> = (1..=2_u64).into_par_iter().map(|seed| run(12, seed)).collect();
    let report = Report::of(&outcomes, |_| true);
    assert!(report.found >= 0.85, "{report:?}");
    assert!(report.cause_first >= 0.75, "{report:?}");
    assert!(report.cause_in_three >= 0.80, "{report:?}");
    assert!(report.incidents_per_fault <= 1.2, "{report:?}");
    assert!(report.false_per_day <= 1.0, "{:?}", outcomes[0].false_alarms);
}

#[test]
fn what_an_estate_tells_holds_no_label_and_depends_on_the_seed_alone() {
    let mut kinds = Kind::TROUBLE.to_vec();
    kinds.extend([Kind::Surge, Kind::HarmlessDeploy]);
    let labels: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}").to_ascii_lowercase()).collect();
    let (mut world, mut again) = (World::new(12, 3), World::new(12, 3));
    let mut ticks = 0;
    while let Some((_, told)) = world.step() {
        ticks += 1;
        if ticks <= 1_300 {
            assert!(again.step().is_some_and(|(_, other)| other == told), "tick {ticks}");
        }
        for message in told.iter().flatten() {
            let text: String = String::from_utf8_lossy(message).to_ascii_lowercase();
            // However its words are joined; but what numbers look like as text is nothing that anybody wrote.
            let bare = text.replace(['-', '_', ' ', '.'], "");
            let leak = labels.iter().find(|label| bare.contains(label.as_str()));
            assert_eq!(leak, None, "{text}");
        }
    }
    assert!(ticks > 5_000, "{ticks}");
}
