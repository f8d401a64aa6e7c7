//! Accuracy of what is shipped, on every labelled set: `cargo run --release -p foreshock-benches --bin accuracy [-- SET…]`.
//!
//! Default configuration, through `replay`'s own code. SETs are `nab tssb changes asd loghub2k hdfs100k drift generated quiet
//! quiet-real`; without any all are scored, those without data left out. `--python PYTHON` runs the peers in Python beside it (scikit-learn,
//! river, drain3), `--files` adds a line per file of `nab` and `tssb`, `--record FOLDER` writes what is printed to
//! `FOLDER/DATE-accuracy.md`, `--date DATE` names the day.

use std::{path::Path, process::Command, time::Instant};

use foreshock_benches::accuracy::{AccuracyError, Context, SETS, Section, markdown};
use foreshock_benches::paths;

type Failure = Box<dyn std::error::Error>;

/// What was asked for.
#[derive(Default)]
struct Arguments {
    sets: Vec<String>,
    python: Option<String>,
    record: Option<String>,
    date: Option<String>,
    files: bool,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, Failure> {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            let place = match word.as_str() {
                "--python" => &mut arguments.python,
                "--record" => &mut arguments.record,
                "--date" => &mut arguments.date,
                "--files" => {
                    arguments.files = true;
                    continue;
                }
                set if SETS.iter().any(|(name, _)| *name == set) => {
                    arguments.sets.push(word);
                    continue;
                }
                _ => {
                    let known = SETS.map(|(name, _)| name).join(", ");
                    return Err(format!("{word} is no set: give some of {known}").into());
                }
            };
            *place = Some(words.next().ok_or_else(|| format!("{word} needs a value"))?);
        }
        Ok(arguments)
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let context = Context { data: paths::data(), python: arguments.python.clone() };
    let mut sections: Vec<(&str, f64, Section)> = Vec::new();
    for (name, score) in SETS {
        if !arguments.sets.is_empty() && !arguments.sets.iter().any(|set| set == name) {
            continue;
        }
        let begin = Instant::now();
        let section = match score(&context) {
            Err(AccuracyError::NoData) if arguments.sets.is_empty() => {
                eprintln!("{name}: left out, no labelled data");
                continue;
            }
            section => section?,
        };
        let seconds = begin.elapsed().as_secs_f64();
        eprintln!("{name}: {seconds:.0} s");
        sections.push((name, seconds, section));
    }
    let date = match &arguments.date {
        Some(date) => date.clone(),
        None => output(Command::new("date").arg("+%F"))?,
    };
    let text = format!("{}{}", heading(&date, &arguments), markdown(&sections, arguments.files));
    println!("{text}");
    if let Some(folder) = &arguments.record {
        let path = Path::new(folder).join(format!("{date}-accuracy.md"));
        std::fs::write(&path, text)?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

/// What was run, and where.
fn heading(date: &str, arguments: &Arguments) -> String {
    let mut words: Vec<&str> = arguments.sets.iter().map(String::as_str).collect();
    words.extend(arguments.python.as_ref().map(|_| "--python PYTHON"));
    words.extend(arguments.files.then_some("--files"));
    let command = if words.is_empty() { String::new() } else { format!(" -- {}", words.join(" ")) };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "# Accuracy of what is shipped, {date}\n\n    cargo run --release -p foreshock-benches --bin accuracy{command}\n\n\
         {}, {threads} threads. One configuration, the default, for all sets; everything through `foreshock replay`'s own code but what is \
         named an adapter; causal. *Tier*: core runs for every series, deep for a bounded number of them. *Reached*: which of floor and \
         target holds.\n\n",
        processor()
    )
}

/// The processor's name, where Linux tells it.
fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(
        || std::env::consts::ARCH.to_string(),
        |name| name.trim_matches([' ', '\t', ':']).to_string(),
    )
}

fn output(command: &mut Command) -> Result<String, Failure> {
    Ok(String::from_utf8(command.output()?.stdout)?.trim().to_string())
}
