//! Scores core tier, forest and their combination on the application server data:
//! `cargo run --release -p foreshock-benches --bin asd -- [PEERS]`.
//!
//! PEERS is the folder that `benches/peers/asd_scikit.py` has written: its scores go through the same scorers.
//! Thresholds are fitted on six servers and used on the other six, and the other way round; the last line of each score uses the
//! engine's own threshold.

use std::path::Path;

use foreshock_benches::asd::{self, Server};
use foreshock_benches::paths;

/// Longest buffer of the volume, in rows.
const BUFFER: usize = 100;
/// The engine opens an anomaly at this −ln p.
const OPEN: f64 = 6.95;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(data) = paths::data() else { return Ok(()) };
    let servers = asd::read(&data.join("asd"))?;
    let ours: Vec<asd::ServerScores> = servers.iter().map(asd::scores).collect();
    println!(
        "{:<22} {:>7} {:>7} {:>7} {:>7} {:>9} {:>9} {:>11}",
        "score", "VUS-PR", "AUC-PR", "best F1", "crossed", "hit", "reported", "alarms/day"
    );
    let column =
        |of: fn(&asd::ServerScores) -> &Vec<f64>| ours.iter().map(|s| of(s).clone()).collect::<Vec<_>>();
    print(&servers, "core tier, strongest", &column(|s| &s.core), Some(OPEN));
    print(&servers, "forest on residuals", &column(|s| &s.forest), Some(OPEN));
    print(&servers, "joint (deep tier)", &column(|s| &s.joint), Some(OPEN));
    print(&servers, "entity (engine)", &column(|s| &s.entity), Some(OPEN));
    if let Some(folder) = std::env::args().nth(1) {
        for (peer, name) in [("iforest", "scikit isolation forest"), ("pca", "scikit PCA")] {
            let scores: Result<Vec<_>, _> =
                servers.iter().map(|s| asd::peer(Path::new(&folder), peer, s)).collect();
            print(&servers, name, &scores?, None);
        }
    }
    print(&servers, "constant", &servers.iter().map(|s| vec![0.0; s.labels.len()]).collect::<Vec<_>>(), None);
    Ok(())
}

fn marks<'a>(servers: &'a [Server], scores: &'a [Vec<f64>]) -> Vec<(&'a [bool], &'a [f64])> {
    servers.iter().zip(scores).map(|(server, scores)| (server.labels.as_slice(), scores.as_slice())).collect()
}

fn print(servers: &[Server], name: &str, scores: &[Vec<f64>], open: Option<f64>) {
    let all = marks(servers, scores);
    let mean = |of: &dyn Fn(&[bool], &[f64]) -> f64| {
        all.iter().map(|(l, s)| of(l, s)).sum::<f64>() / all.len() as f64
    };
    let volume = mean(&|labels, scores| asd::vus_pr(labels, scores, BUFFER));
    let area = mean(&asd::auc_pr);
    let best = asd::tally(&all, asd::best_threshold(&all)).f1();
    let (first, second): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(place, _)| place % 2 == 0);
    let (first, second): (Vec<_>, Vec<_>) =
        (first.into_iter().map(|s| *s.1).collect(), second.into_iter().map(|s| *s.1).collect());
    let crossed = asd::tally(&second, asd::best_threshold(&first))
        .plus(&asd::tally(&first, asd::best_threshold(&second)));
    println!(
        "{name:<22} {volume:>7.3} {area:>7.3} {best:>7.3} {:>7.3} {:>4}/{:<4} {:>9} {:>11.2}",
        crossed.f1(),
        crossed.hit,
        crossed.events,
        crossed.reported,
        crossed.alarms_per_day()
    );
    if let Some(open) = open {
        let at = asd::tally(&all, open);
        println!(
            "{:<22} {:>7} {:>7} {:>7} {:>7.3} {:>4}/{:<4} {:>9} {:>11.2}",
            "  at 6.95",
            "",
            "",
            "",
            at.f1(),
            at.hit,
            at.events,
            at.reported,
            at.alarms_per_day()
        );
    }
}
