//! Speed beside other people's kernels, on one core:
//! `taskset -c 1 cargo run --release -p foreshock-benches --features peers --bin peers -- [--python PYTHON] [--record DATE]`.

use std::{fmt::Write, path::Path};

use foreshock_benches::{
    paths,
    peers::{Python, Table, tables},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(data) = paths::data() else { return Ok(()) };
    let arguments: Vec<String> = std::env::args().collect();
    let value = |flag: &str| arguments.iter().position(|a| a == flag).and_then(|at| arguments.get(at + 1));
    let python = value("--python").map(|path| Python(path.into()));
    if python.is_none() {
        eprintln!("without --python: no scikit-learn, isotree, river, rrcf, drain3, statsmodels");
    }
    let mut text = String::from(
        "\n`taskset -c 1 cargo run --release -p foreshock-benches --features peers --bin peers -- --python PYTHON`. One thread; the best of some runs.\nPeers do what their notes say: most of them less than ours, on one series where ours has a fleet.\n",
    );
    for table in tables(&data, python.as_ref())? {
        write_table(&mut text, &table)?;
    }
    print!("{text}");
    if let Some(date) = value("--record") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("record/{date}-peers.md"));
        std::fs::write(&path, format!("# Speed beside peers, one core, {date}\n{text}"))?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

/// Rates per second, and how many times as fast ours, the first line, is.
fn write_table(text: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(
        text,
        "\n## {}\n\n| who | {} per second | ours is faster by | |\n|---|---:|---:|---|",
        table.title, table.unit
    )?;
    let ours = table.lines.first().map_or(f64::NAN, |line| line.per_second);
    for line in &table.lines {
        let ratio = ours / line.per_second;
        let ratio = if ratio.is_finite() && ratio != 1.0 { format!("{ratio:.1}") } else { String::new() };
        writeln!(text, "| {} | {} | {ratio} | {} |", line.name, rate(line.per_second), line.note)?;
    }
    Ok(())
}

fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "–".to_owned(),
        rate if rate >= 1e9 => format!("{:.2} G", rate / 1e9),
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        rate => format!("{rate:.1}"),
    }
}
