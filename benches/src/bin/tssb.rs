//! Scores the deep tier's change points on the Time Series Segmentation Benchmark:
//! `cargo run --release -p foreshock-benches --bin tssb`.
//!
//! One configuration, causal, window sizes found from the data. `--files` adds a line per series.

use foreshock_benches::{paths, tssb};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(data) = paths::data() else { return Ok(()) };
    let series = tssb::read(&data.join("tssb"))?;
    let files = std::env::args().any(|arg| arg == "--files");
    // Sums of deep tier, core tier and "there are none", over series of even and odd place in the list.
    let mut sums = [[0.0; 2]; 3];
    let mut delays = Vec::new();
    for (place, series) in series.iter().enumerate() {
        let rows = series.values.len();
        let deep = tssb::segment_changes(&series.values);
        let core = tssb::core_changes(&series.values);
        let onsets = |found: &[tssb::Found]| found.iter().map(|found| found.onset).collect::<Vec<_>>();
        let scores = [&onsets(&deep), &onsets(&core), &Vec::new()]
            .map(|found| tssb::covering(&series.changes, found, rows));
        for (sum, score) in sums.iter_mut().zip(scores) {
            sum[place % 2] += score;
        }
        delays.extend(deep.iter().map(|found| found.announced - found.onset));
        if files {
            let told: Vec<(usize, usize)> = deep.iter().map(|found| (found.onset, found.announced)).collect();
            let [deep, core, none] = scores.map(|score| 100.0 * score);
            println!(
                "{:<29} {rows:>6} rows  {deep:>5.1} {core:>5.1} {none:>5.1}  true {:?}",
                series.name, series.changes
            );
            println!("{:<29} onset and announcement {told:?}", "");
        }
    }
    let count = series.len() as f64;
    let even = series.len().div_ceil(2) as f64;
    println!("{:<10} {:>8} {:>6} {:>6}", "covering", "all", "even", "odd");
    for (name, sum) in ["deep tier", "core tier", "none"].iter().zip(sums) {
        let [all, even, odd] = [(sum[0] + sum[1]) / count, sum[0] / even, sum[1] / (count - even)];
        println!("{name:<10} {:>8.2} {:>6.2} {:>6.2}", 100.0 * all, 100.0 * even, 100.0 * odd);
    }
    delays.sort_unstable();
    let middle = delays.get(delays.len() / 2).copied().unwrap_or(0);
    println!("{} change points reported, median {middle} rows after their onset", delays.len());
    Ok(())
}
