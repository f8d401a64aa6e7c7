//! Precision, recall and delay of the core tier on generated series with known faults:
//! `cargo run --release -p foreshock-benches --bin generated`.
//!
//! Default configuration, the engine's threshold, beside a robust z-score over the last week.

use foreshock_benches::generated::faults::{self, KINDS};
use foreshock_benches::generated::report::{Report, core_speaks, robust_speaks};

/// Series of each kind.
const SERIES: u64 = 20;

fn main() {
    println!(
        "{:<13} {:<9} {:>9} {:>7} {:>9} {:>11} {:>6}",
        "kind", "detector", "hit", "recall", "precision", "false/week", "delay"
    );
    let mut totals = [Report::default(), Report::default()];
    for kind in KINDS {
        let mut reports = [Report::default(), Report::default()];
        for seed in 0..SERIES {
            let series = faults::series(kind, seed);
            for (at, speaks) in [core_speaks(&series), robust_speaks(&series)].iter().enumerate() {
                reports[at].add(&series, speaks);
                totals[at].add(&series, speaks);
            }
        }
        print(&format!("{kind:?}"), &reports);
    }
    print("all", &totals);
}

fn print(kind: &str, reports: &[Report; 2]) {
    for (detector, report) in ["core tier", "robust z"].iter().zip(reports) {
        let delay = report.delay().map_or("-".to_owned(), |ticks| ticks.to_string());
        println!(
            "{kind:<13} {detector:<9} {:>4}/{:<4} {:>7.2} {:>9.2} {:>11.2} {delay:>6}",
            report.hit,
            report.faults,
            report.recall(),
            report.precision(),
            report.false_per_week()
        );
    }
}
