//! Change points on generated series with known truth, and on series without any:
//! `cargo run --release -p foreshock-benches --bin changes`.
//!
//! Beside the deep tier: the core tier, augurs (which sees the whole series) and "there are none".
//! F1 with a margin of 5 rows and covering are means over series; both count the start as found.

use augurs::changepoint::{Detector, NormalGammaDetector};
use foreshock_benches::generated::changes::{self, CHANGING, STEADY, Series};
use foreshock_benches::tssb::{self, Found};

/// Series of each kind, and how many of them augurs gets: it is slow.
const SERIES: u64 = 40;
const FOR_AUGURS: u64 = 10;
const MARGIN: usize = 5;
/// A report within this many rows of a change is about it: its delay counts.
const ABOUT: usize = 50;

fn main() {
    println!(
        "{:<11} {:<10} {:>6} {:>9} {:>9} {:>9} {:>7}",
        "kind", "detector", "F1", "covering", "reported", "per 1e5", "delay"
    );
    for kind in CHANGING.into_iter().chain(STEADY) {
        let all: Vec<Series> = (0..SERIES).map(|seed| changes::series(kind, seed)).collect();
        let name = format!("{kind:?}").to_lowercase();
        line(&name, "deep tier", &all, tssb::segment_changes);
        line(&name, "core tier", &all, tssb::core_changes);
        line(&name, "augurs", &all[..FOR_AUGURS as usize], |values| {
            let rows = NormalGammaDetector::default().detect_changepoints(values);
            // It sees the whole series, so a change has no time of report.
            rows.into_iter().filter(|row| *row > 0).map(|onset| Found { onset, announced: onset }).collect()
        });
        line(&name, "none", &all, |_| Vec::new());
    }
}

fn line(kind: &str, detector: &str, all: &[Series], detect: impl Fn(&[f64]) -> Vec<Found>) {
    let (mut f1, mut covering, mut reported) = (0.0, 0.0, 0);
    let mut delays = Vec::new();
    for series in all {
        let found = detect(&series.values);
        let onsets: Vec<usize> = found.iter().map(|found| found.onset).collect();
        f1 += tssb::f1(&series.changes, &onsets, MARGIN);
        covering += tssb::covering(&series.changes, &onsets, series.values.len());
        reported += found.len();
        for change in &series.changes {
            let about = found.iter().find(|found| found.onset.abs_diff(*change) <= ABOUT);
            delays.extend(about.map(|found| found.announced.saturating_sub(*change)));
        }
    }
    delays.sort_unstable();
    let count = all.len() as f64;
    let rate = reported as f64 * 1e5 / (count * changes::ROWS as f64);
    let delay = delays.get(delays.len() / 2).map_or("-".to_owned(), usize::to_string);
    println!(
        "{kind:<11} {detector:<10} {:>6.3} {:>9.3} {reported:>9} {rate:>9.1} {delay:>7}",
        f1 / count,
        covering / count
    );
}
