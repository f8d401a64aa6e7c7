//! `foreshock rank`: whose fault an incident is, from files.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use foreshock_core::types::parse_time_ms;

use super::{
    BadConfig, Ending,
    files::tell_refused,
    output::{say, talk},
    screen,
};
use crate::rank::{Bounds, Reader, rank};

/// Rank the suspects of an incident from files: one JSON object per service, the most suspect first.
///
/// A folder holds any of `metrics.csv` (`timestamp`, then `<service>_<metric>`), `logs.csv` (`timestamp,service,message`),
/// `traces.csv` (`trace_id,span_id,parent_span_id,service,operation,start_us,duration_us,status`), `graph.csv` (`caller,callee`),
/// `changes.csv` (`timestamp,service,kind,version`), other tables of metrics, and OTLP JSON lines; `.gz` too. Files
/// are read as one of these by their names.
///
/// Examples:
///   foreshock rank incident/
///   foreshock rank normal.csv anomalous.csv --at 2026-11-25T10:14:00Z --graph calls.csv
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Folders and files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Who calls whom: a CSV file with `caller,callee`.
    #[arg(long)]
    graph: Option<PathBuf>,
    /// When the trouble began; without it the time is found. ISO 8601, or seconds to nanoseconds since the epoch.
    #[arg(long)]
    at: Option<String>,
    /// Where the normal part begins; without it, where the data does.
    #[arg(long)]
    from: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let time = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match parse_time_ms(text) {
            Some(time) => Ok(Some(time)),
            None => Err(BadConfig(format!("--{name} {text} is no time: give ISO 8601 or an epoch"))),
        },
    };
    let bounds = Bounds { from_ms: time("from", &arguments.from)?, at_ms: time("at", &arguments.at)? };
    if let (Some(from), Some(at)) = (bounds.from_ms, bounds.at_ms)
        && from >= at
    {
        return Err(BadConfig("--from is not before --at: there is no normal part".to_owned()).into());
    }
    let mut reader = Reader::default();
    arguments.files.iter().try_for_each(|path| reader.read(path))?;
    arguments.graph.iter().try_for_each(|path| reader.read_graph(path))?;
    if !reader.left_out.is_empty() {
        talk!("no numbers in {}: left out", reader.left_out.join(", "));
    }
    tell_refused(&reader.refused);
    let case = reader.into_case();
    if !case.unnamed().is_empty() {
        talk!("no service in {}: left out, name columns <service>_<metric>", case.unnamed().join(", "));
    }
    if case.is_reordered() {
        talk!("some rows lie before all that were given before them: taken as what came after those");
    }
    let Some(ranking) = rank(&case, bounds) else {
        bail!("there is no normal part before the trouble, or nothing after it: see --from and --at");
    };
    if bounds.at_ms.is_none() {
        talk!("{} signals; the trouble began at {}", case.signals(), screen::time(ranking.at_ms));
    }
    for suspect in &ranking.suspects {
        say(&screen::json(suspect)?)?;
    }
    Ok(Ending::Fine)
}
