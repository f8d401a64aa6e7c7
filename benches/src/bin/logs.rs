//! Scores template mining and session detection: `taskset -c 1 cargo run --release -p foreshock-benches --bin logs`.
//!
//! One configuration for all systems. `--drain3 PYTHON` runs drain3 of that Python beside it, `--record DATE` writes
//! what is printed to `benches/record/DATE-logs.md` too.

use std::{fmt::Write, path::Path};

use foreshock_benches::logs::{self, Judged, Mined, System};
use foreshock_benches::paths;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(data) = paths::data() else { return Ok(()) };
    let arguments: Vec<String> = std::env::args().collect();
    let value = |flag: &str| arguments.iter().position(|a| a == flag).and_then(|at| arguments.get(at + 1));
    let systems = logs::read_systems(&data.join("loghub2k"))?;
    let mut columns = vec![
        ("foreshock", systems.iter().map(logs::mine).collect::<Vec<_>>()),
        ("plain Drain", systems.iter().map(logs::mine_with_drain).collect()),
    ];
    if let Some(python) = value("--drain3") {
        columns.push(("drain3", logs::drain3(python, &systems)?));
    }
    let mut text = String::new();
    templates(&mut text, &systems, &columns)?;
    speed(&mut text, &columns)?;
    let [train, test] = logs::numbered([
        &logs::read_sessions(&data.join("hdfs100k/train.ndjson"))?,
        &logs::read_sessions(&data.join("hdfs100k/test.ndjson"))?,
    ]);
    let rows = [
        ("session bank, taught by the training part", logs::by_session_bank(&train, &test, false)),
        ("session bank, learning on while it judges", logs::by_session_bank(&train, &test, true)),
        ("peer: counts of no normal session", logs::by_counts(&train, &test)),
        ("the most that event sequences allow, labels known", logs::ceiling(&test)),
    ];
    sessions(&mut text, &rows)?;
    print!("{text}");
    if let Some(date) = value("--record") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("record/{date}-logs.md"));
        std::fs::write(&path, format!("# Logs, default configuration, {date}\n\n{text}"))?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

fn templates(text: &mut String, systems: &[System], columns: &[(&str, Vec<Mined>)]) -> std::fmt::Result {
    writeln!(text, "## Lines to templates: 16 systems of 2,000 lines, one configuration\n")?;
    writeln!(
        text,
        "Grouping accuracy on the message alone. *At once*: by the id that a line got when it came; the"
    )?;
    writeln!(text, "main figure counts templates that became one as one. *Templates*: made / at the end.\n")?;
    write!(text, "| system | true templates |")?;
    for (name, _) in columns {
        write!(text, " {name} | at once | templates |")?;
    }
    writeln!(text, "\n|---|---|{}", "---|---|---|".repeat(columns.len()))?;
    for (row, system) in systems.iter().enumerate() {
        let mut truth = system.truth.clone();
        truth.sort_unstable();
        truth.dedup();
        write!(text, "| {} | {} |", system.name, truth.len())?;
        for (_, mined) in columns {
            let Mined { accuracy, at_once, made, templates, .. } = mined[row];
            write!(text, " {accuracy:.4} | {at_once:.4} | {made} / {templates} |")?;
        }
        writeln!(text)?;
    }
    write!(text, "| **mean** | |")?;
    for (_, mined) in columns {
        let mean = |of: fn(&Mined) -> f64| mined.iter().map(of).sum::<f64>() / mined.len() as f64;
        write!(text, " **{:.4}** | {:.4} | |", mean(|one| one.accuracy), mean(|one| one.at_once))?;
    }
    writeln!(text, "\n")
}

fn speed(text: &mut String, columns: &[(&str, Vec<Mined>)]) -> std::fmt::Result {
    writeln!(
        text,
        "Million lines per second on one core, all systems in turn: while learning the 2,000 lines, and when"
    )?;
    writeln!(text, "all is known (drain3: while learning).\n")?;
    writeln!(text, "| | learning | steady |\n|---|---|---|")?;
    for (name, mined) in columns {
        let rate = |of: fn(&Mined) -> f64| 1e-6 * mined.len() as f64 / mined.iter().map(of).sum::<f64>();
        writeln!(text, "| {name} | {:.2} | {:.2} |", rate(|one| one.learning), rate(|one| one.steady))?;
    }
    writeln!(text)
}

fn sessions(text: &mut String, rows: &[(&str, Judged)]) -> std::fmt::Result {
    writeln!(text, "## Sessions to alarms: HDFS blocks of the first 100,000 lines\n")?;
    writeln!(
        text,
        "| | precision | recall | F1 | hits | false alarms | missed |\n|---|---|---|---|---|---|---|"
    )?;
    for (name, judged) in rows {
        let Judged { hits, false_alarms, missed } = judged;
        let (precision, recall, f1) = (judged.precision(), judged.recall(), judged.f1());
        writeln!(
            text,
            "| {name} | {precision:.3} | {recall:.3} | {f1:.3} | {hits} | {false_alarms} | {missed} |"
        )?;
    }
    Ok(())
}
