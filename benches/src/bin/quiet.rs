//! Quiet when all is well: episodes per day on clean generated fleets for false-alarm budgets over two decades:
//! `cargo run --release -p foreshock-benches --bin quiet`.

use foreshock_benches::generated::fleet::Weekends;
use foreshock_benches::generated::quiet;

const SERIES: usize = 1_000;
const DAYS: usize = 30;
const BUDGETS: [f64; 7] = [0.5, 1.0, 3.0, 10.0, 30.0, 50.0, 100.0];

fn main() {
    println!(
        "{:<9} {:<5} {:>8} {:>12} {:>8} {:>12} {:>8}",
        "weekends", "seed", "budget", "at its word", "ratio", "pooled", "ratio"
    );
    for weekends in [Weekends::Gradual, Weekends::Abrupt] {
        for seed in 1..=3 {
            for spent in quiet::spend(SERIES, seed, weekends, DAYS, &BUDGETS) {
                let ratio = |episodes: f64| episodes / spent.budget;
                println!(
                    "{:<9} {seed:<5} {:>8.1} {:>12.2} {:>8.2} {:>12.2} {:>8.2}",
                    format!("{weekends:?}").to_lowercase(),
                    spent.budget,
                    spent.at_its_word,
                    ratio(spent.at_its_word),
                    spent.pooled,
                    ratio(spent.pooled)
                );
            }
        }
    }
}
