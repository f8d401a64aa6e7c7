//! Incidents of generated estates: `cargo run --release -p foreshock-benches --bin incidents`.
//!
//! `--seeds N` (30) and `--services N` (12, 50 and 200) make it shorter; `--tell` shows every fault and false alarm;
//! `--record DATE` writes what is printed to `benches/record/DATE-incidents.md` too. `--keep FOLDER` writes down there what
//! the correlator is told, and where that is there already tells it the correlator alone: a run that was cut short goes
//! on, and another correlator is tried in seconds.

use std::{fmt::Write, path::Path, time::Instant};

use foreshock_benches::incidents::{KeepError, Kind, Outcome, Report, run, run_kept};
use rayon::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    const KNOWN: [&str; 5] = ["--seeds", "--services", "--tell", "--record", "--keep"];
    if let Some(unknown) =
        arguments.iter().skip(1).find(|a| a.starts_with("--") && !KNOWN.contains(&a.as_str()))
    {
        return Err(format!("{unknown} is not known: give some of {}", KNOWN.join(", ")).into());
    }
    let after = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let seeds: u64 = after("--seeds").map_or(Ok(30), |seeds| seeds.parse())?;
    let sizes =
        after("--services").map_or(Ok(vec![12, 50, 200]), |size| size.parse().map(|size| vec![size]))?;
    let keep = after("--keep").map(Path::new);
    if let Some(folder) = keep {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let tells = arguments.iter().any(|argument| argument == "--tell");
    let mut text = format!(
        "{seeds} seeds each: estate, story and noise differ. Ticks of 10 s, from the fault's beginning to the incident that calls \
         people, median / 95th percentile. Shipped configuration.\n"
    );
    for services in sizes {
        let began = Instant::now();
        let outcomes: Vec<Outcome> = (1..=seeds)
            .into_par_iter()
            .map(|seed| match keep {
                Some(folder) => run_kept(services, seed, folder),
                None => Ok(run(services, seed)),
            })
            .collect::<Result<_, KeepError>>()?;
        eprintln!("{services} services: {:.0} s", began.elapsed().as_secs_f64());
        if tells {
            outcomes.iter().zip(1..).for_each(|(outcome, seed)| tell(seed, outcome));
        }
        let all = Report::of(&outcomes, |_| true);
        let series = outcomes.iter().map(|outcome| outcome.size.1).sum::<usize>() / outcomes.len();
        writeln!(text, "\n## {services} services, about {series} series\n")?;
        writeln!(text, "| fault | found | cause first | cause in three | incidents per fault | ticks |")?;
        writeln!(text, "|---|---|---|---|---|---|")?;
        for kind in Kind::TROUBLE {
            writeln!(text, "{}", Report::of(&outcomes, |of| of == kind).row(&format!("{kind:?}")))?;
        }
        writeln!(text, "{}", all.row("**all**"))?;
        writeln!(
            text,
            "\nFalse incidents per simulated day {:.2}; anomalies per incident {:.1}.",
            all.false_per_day, all.compression
        )?;
    }
    print!("{text}");
    if let Some(date) = after("--record") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("record/{date}-incidents.md"));
        std::fs::write(&path, format!("# Incidents of generated estates, {date}\n\n{text}"))?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

fn tell(seed: u64, outcome: &Outcome) {
    for verdict in &outcome.verdicts {
        eprintln!(
            "{seed} {:?} of {}: {} incidents, ticks {:?}, place {:?}: {}",
            verdict.kind, verdict.cause, verdict.incidents, verdict.ticks, verdict.place, verdict.title
        );
    }
    outcome.false_alarms.iter().for_each(|alarm| eprintln!("{seed} FALSE {alarm}"));
}
