//! Scores the core tier on the Numenta Anomaly Benchmark: `cargo run --release -p foreshock-benches --bin nab`.
//!
//! One configuration for all series. `--files` adds a line per series.

use foreshock_benches::nab::{self, PROFILES, Series};
use foreshock_benches::paths;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(data) = paths::data() else { return Ok(()) };
    let series = nab::read(&data.join("nab"))?;
    let scores: Vec<Vec<f64>> = series.iter().map(nab::core_scores).collect();
    let parts: Vec<&Series> = series.iter().collect();
    let marks: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
    let all = nab::rows(&parts, &marks);
    println!(
        "{:<10} {:>7} {:>7} {:>9} {:>5} {:>6}",
        "profile", "score", "crossed", "threshold", "hits", "alarms"
    );
    for profile in PROFILES {
        let fitted = nab::fit(&all, profile);
        let crossed = nab::crossed(&series, &scores, profile);
        println!(
            "{:<10} {:>7.2} {crossed:>7.2} {:>9.4} {:>5} {:>6}",
            profile.name, fitted.percent, fitted.threshold, fitted.hits, fitted.alarms
        );
    }
    if std::env::args().any(|arg| arg == "--files") {
        let threshold = nab::fit(&all, PROFILES[0]).threshold;
        for (series, scores) in series.iter().zip(&scores) {
            println!("{}", line(series, scores, threshold));
        }
    }
    Ok(())
}

/// Windows hit and alarms outside them, for one series.
fn line(series: &Series, scores: &[f64], threshold: f64) -> String {
    let skipped = (scores.len() * 15 / 100).min(750);
    let spoken: Vec<usize> = (skipped..scores.len()).filter(|row| scores[*row] >= threshold).collect();
    let inside = |row: usize| series.windows.iter().any(|(first, last)| row >= *first && row <= *last);
    let alarms = spoken.iter().filter(|row| !inside(**row)).count();
    let windows: Vec<String> = series
        .windows
        .iter()
        .map(|&(first, last)| {
            let hit = spoken.iter().find(|row| **row >= first && **row <= last);
            let loudest = scores[first..=last].iter().copied().fold(0.0, f64::max);
            match hit {
                Some(row) => format!("{:.2}", (row - first) as f64 / (last - first + 1) as f64),
                None => format!("miss({loudest:.3})"),
            }
        })
        .collect();
    format!("{:<58} {:>6} rows {alarms:>4} alarms  {}", series.name, scores.len(), windows.join(" "))
}
