//! `foreshock diff`: what a change of the configuration does, before it is made.

use std::path::{Path, PathBuf};

use clap::Args;
use foreshock_core::{
    config::{Bytes, Config, Topic},
    types::{Incident, Record, Source},
};

use super::{
    BadConfig, Ending,
    files::Files,
    output::{say, talk},
    replay::{self, Inputs, Settings},
    screen::{cut, fit, json, time, width},
};
use crate::{
    diff::{Difference, Kind, compare},
    replay::{Feed, Outputs, Range, read_range},
};

/// Replay the same data under two configurations and show which incidents appear, vanish and move.
///
/// The data are files, as for `foreshock replay`, or what the topics of the first configuration had between two times, by the
/// records' own timestamps. Exit code 1: something differs.
///
/// Examples:
///   foreshock diff --config now.yaml --config next.yaml metrics.jsonl.gz traces.jsonl.gz
///   foreshock diff --config now.yaml --config next.yaml --topic-range 2026-12-01T08:00:00Z..2026-12-01T12:00:00Z
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// A configuration; give two, what is and what would be.
    #[arg(long, required = true)]
    config: Vec<PathBuf>,
    #[command(flatten)]
    files: Files,
    /// Read the topics of the first configuration between two times instead of files.
    #[arg(long, value_name = "FROM..UNTIL", conflicts_with = "files")]
    topic_range: Option<Range>,
    /// Most bytes of records that are read from topics.
    #[arg(long, default_value = "2GiB")]
    max_bytes: Bytes,
    /// Columns of tables are named by a service, this text and a measure.
    #[arg(long)]
    entity_separator: Option<String>,
    /// Also show what stays as it is.
    #[arg(long)]
    all: bool,
    /// Print JSON, one object per incident, with both sides in full.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let [before, after] = &arguments.config[..] else {
        let given = arguments.config.len();
        return Err(BadConfig(format!(
            "--config is given {given} times: give two, what is and what would be"
        ))
        .into());
    };
    let data = Data::of(arguments, before)?;
    let differences = compare(&data.incidents(before)?, &data.incidents(after)?);
    let count = |kind| differences.iter().filter(|difference| difference.kind == kind).count();
    let (appear, vanish, move_, stay) =
        (count(Kind::Appears), count(Kind::Vanishes), count(Kind::Moves), count(Kind::Stays));
    let width = width();
    if !arguments.json {
        say(&line(width, ["", "OPENED", "INCIDENT"]))?;
    }
    for difference in differences.iter().filter(|found| arguments.all || found.kind != Kind::Stays) {
        if arguments.json {
            say(&json(difference)?)?;
        } else {
            show(difference, width)?;
        }
    }
    talk!("{appear} appear, {vanish} vanish, {move_} move, {stay} stay");
    Ok(if appear + vanish + move_ > 0 { Ending::Findings } else { Ending::Fine })
}

/// What is replayed twice.
enum Data<'a> {
    Files(&'a Files, &'a Arguments),
    Records(Vec<(Source, Vec<Record>)>),
}

impl<'a> Data<'a> {
    fn of(arguments: &'a Arguments, first: &Path) -> anyhow::Result<Data<'a>> {
        match arguments.topic_range {
            None => Ok(Data::Files(&arguments.files, arguments)),
            Some(range) => {
                let Config { kafka, topics, .. } = super::run::read(first)?;
                let records = read_range(&kafka, &topics, range, arguments.max_bytes.0)?;
                let names: Vec<&str> = topics.iter().map(|Topic { name, .. }| name.as_str()).collect();
                let count: usize = records.iter().map(|(_, records)| records.len()).sum();
                talk!("{}: {count} records in {} partitions", names.join(", "), records.len());
                Ok(Data::Records(records))
            }
        }
    }

    /// The incidents that a configuration finds in it.
    fn incidents(&self, config: &Path) -> anyhow::Result<Vec<Incident>> {
        talk!("{}:", config.display());
        let mut settings = Settings::of(&super::run::read(config)?)?;
        let mut outputs = Outputs::keeping_incidents();
        match self {
            Data::Files(files, arguments) => {
                let entity_separator = arguments.entity_separator.clone();
                let options = crate::replay::TableOptions { entity_separator, ..files.options()? };
                let files = files.look(None, &options)?;
                replay::all(Inputs { files, options, past: None }, &mut settings, &mut outputs)?;
            }
            Data::Records(records) => {
                let feeds =
                    records.iter().map(|(source, records)| Feed::partition(source.clone(), records.clone()));
                replay::all_records(feeds.collect(), &mut settings, &mut outputs)?;
            }
        }
        Ok(outputs.into_incidents())
    }
}

fn show(difference: &Difference, width: usize) -> anyhow::Result<()> {
    let incident = difference.shown();
    say(&line(width, [difference.kind.name(), &time(incident.opened_ms), &incident.title]))?;
    difference.changes.iter().try_for_each(|change| say(&line(width, ["", "", &format!("  {change}")])))
}

fn line(width: usize, [kind, opened, incident]: [&str; 3]) -> String {
    let rest = width.saturating_sub(8 + 19 + 4).max(20);
    let line = format!("{}  {}  {}", fit(kind, 8), fit(opened, 19), cut(incident, rest));
    line.trim_end().to_string()
}
