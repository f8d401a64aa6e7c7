//! Ranks the causes of the 50 real faults of the Sock Shop: `cargo run --release -p foreshock-benches --bin rank`.
//!
//! `--record DATE` writes what is printed to `benches/record/DATE-rank.md` too.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use foreshock_benches::{
    paths,
    rank::{Fault, Variant, average_at_5, baro, foreshock, n_sigma, read},
};

const VARIANTS: [Variant; 4] = [
    Variant { name: "as recorded, a row a second", step: 1, normal: 1.0 },
    Variant { name: "a row every 5 s", step: 5, normal: 1.0 },
    Variant { name: "a row every 15 s", step: 15, normal: 1.0 },
    Variant { name: "the last quarter of the normal part", step: 1, normal: 0.25 },
];
/// Seconds by which the given time is late; none: it is found.
const TIMES: [(&str, Option<i64>); 4] =
    [("given", Some(0)), ("60 s late", Some(60)), ("120 s late", Some(120)), ("found", None)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(data) = paths::data() else { return Ok(()) };
    let arguments: Vec<String> = std::env::args().collect();
    let record = arguments.iter().position(|a| a == "--record").and_then(|at| arguments.get(at + 1));
    let faults = read(&data.join("sockshop"))?;
    let mut text = String::from(
        "Avg@5, CPU faults / memory faults, 25 each. BARO is its scorer, and its preparation of the columns.\n",
    );
    for variant in VARIANTS {
        writeln!(text, "\n## {}\n", variant.name)?;
        writeln!(text, "| time of the fault | foreshock | BARO | N-sigma |\n|---|---|---|---|")?;
        for (name, late) in TIMES {
            writeln!(text, "| {name} |{}", row(&faults, variant, late)?)?;
        }
    }
    print!("{text}");
    if let Some(date) = record {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("record/{date}-rank.md"));
        std::fs::write(&path, format!("# Root causes of the Sock Shop's faults, {date}\n\n{text}"))?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

/// One line of cells: ours, BARO's, N-sigma's.
fn row(faults: &[Fault], variant: Variant, late: Option<i64>) -> Result<String, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("metrics.csv");
    let mut sums: [BTreeMap<&str, (f64, f64)>; 3] = Default::default();
    for fault in faults {
        let varied = fault.varied(variant);
        varied.write(&path)?;
        let at_s = late.map(|late| varied.times[varied.normal] + late);
        let at = at_s.map(|at| varied.times.partition_point(|time| *time < at));
        let ranked = [
            Some(foreshock(&[&path], at_s.map(|at| at * 1000))?),
            at.map(|at| baro(&varied, at)),
            at.map(|at| n_sigma(&varied, at)),
        ];
        for (sums, ranked) in sums.iter_mut().zip(ranked) {
            let sum = sums.entry(&fault.kind).or_default();
            let average = ranked.map_or(f64::NAN, |ranked| average_at_5(&ranked, &fault.cause));
            *sum = (sum.0 + average, sum.1 + 1.0);
        }
    }
    let cell = |sums: &BTreeMap<&str, (f64, f64)>| {
        let means: Vec<String> = sums.values().map(|(sum, count)| format!("{:.3}", sum / count)).collect();
        if means.iter().any(|mean| mean == "NaN") {
            " – |".to_owned()
        } else {
            format!(" {} |", means.join(" / "))
        }
    };
    Ok(sums.iter().map(cell).collect())
}
