//! `foreshock replay`: files in, scores, anomalies, incidents and change points out.

use std::{
    collections::BTreeSet,
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    BadConfig, Ending,
    files::{Files, tell, tell_refused},
};
use crate::{
    config::Config,
    history,
    pipeline::PipelineConfig,
    replay::{
        Feed, Format, Input, Outputs, Sinks, SourceSummary, Table, TableOptions, replay_lines,
        replay_records, replay_table,
    },
    sql::SqlMeasures,
    types::TickRows,
};

/// Score files with the same code as `run`, or mine text logs, without Kafka.
///
/// Tables (CSV, NDJSON, Parquet) give one row of scores per row and series; the series of a table are one service.
/// OTLP JSON lines, as the Collector's file exporter writes them, go through the whole pipeline: one row of scores per
/// tick and series; CloudEvents in between or in a file of their own are deploys and other changes.
///
/// Examples:
///   foreshock replay cpu.csv --scores scores.csv --plot cpu.svg
///   foreshock replay metrics.parquet --changes changes.csv
///   foreshock replay metrics.jsonl.gz traces.jsonl.gz deploys.jsonl --incidents incidents.ndjson
///   foreshock replay app.log --templates templates.csv
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: Files,
    /// Write `timestamp,series,value,expected,lower,upper,score,anomaly` here; `-` is stdout.
    #[arg(long)]
    scores: Option<PathBuf>,
    /// Write change points here: `timestamp,series,onset,probability`; `-` is stdout.
    #[arg(long)]
    changes: Option<PathBuf>,
    /// Write anomalies here, one JSON object per line; `-` is stdout.
    #[arg(long)]
    anomalies: Option<PathBuf>,
    /// Write incidents with members and ranked suspects here, one JSON object per revision; `-` is stdout.
    #[arg(long)]
    incidents: Option<PathBuf>,
    /// The files are plain text logs: write `line,template_id,template` here, one row per line; `-` is stdout.
    #[arg(long, conflicts_with_all = ["scores", "changes", "anomalies", "incidents", "plot", "config"])]
    templates: Option<PathBuf>,
    /// Configuration whose ticks, detectors and incidents to use; without it the defaults.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Draw the series of a table, its band, scores, anomalies and changes (SVG).
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Columns of tables are named by a service, this text and a measure (`checkout/cpu` has `/`); without it a table is one
    /// service, named like its file.
    #[arg(long)]
    entity_separator: Option<String>,
    /// A table of the past, with the same columns: it is learnt first, so that the seasons are known from the first row on.
    #[arg(long)]
    history: Option<PathBuf>,
    /// Exit with 1 when an anomaly was found.
    #[arg(long)]
    fail_on_anomaly: bool,
}

type Sink = Box<dyn std::io::Write>;

fn sink(path: &Option<PathBuf>) -> anyhow::Result<Option<Sink>> {
    let Some(path) = path else { return Ok(None) };
    if path.as_os_str() == "-" {
        return Ok(Some(Box::new(BufWriter::new(std::io::stdout()))));
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Some(Box::new(BufWriter::new(file))))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let files = &arguments.files;
    let options = TableOptions { entity_separator: arguments.entity_separator.clone(), ..files.options()? };
    if arguments.plot.is_some() && files.files.len() > 1 {
        return Err(BadConfig("--plot draws one file: give one".to_string()).into());
    }
    if let Some(mut out) = sink(&arguments.templates)? {
        for path in &files.files {
            let input = Input::open(path, files.format.or(Some(Format::Text)))?;
            let (lines, templates) = replay_lines(input, path, &mut *out)?;
            eprintln!("{}: {lines} lines, {templates} templates", path.display());
        }
        return Ok(Ending::Fine);
    }
    let mut settings = Settings::read(arguments.config.as_deref())?;
    let sinks = Sinks {
        scores: sink(&arguments.scores)?,
        changes: sink(&arguments.changes)?,
        anomalies: sink(&arguments.anomalies)?,
        incidents: sink(&arguments.incidents)?,
    };
    let past = arguments.history.as_ref().map(|path| Table::read(path, None, &options)).transpose()?;
    let mut outputs = Outputs::new(sinks, arguments.plot.clone())?;
    let found = all(&Inputs { files, options, past: past.as_ref() }, &mut settings, &mut outputs)?;
    outputs.finish()?;
    Ok(if arguments.fail_on_anomaly && found > 0 { Ending::Findings } else { Ending::Fine })
}

/// How to look at what is replayed.
pub(super) struct Settings {
    pub(super) pipeline: PipelineConfig,
    sql: Option<SqlMeasures>,
}

impl Settings {
    /// Those of a configuration; without one the defaults.
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Settings> {
        match path {
            None => Ok(Settings { pipeline: PipelineConfig::default(), sql: None }),
            Some(path) => Settings::of(&super::run::read(path)?),
        }
    }

    pub(super) fn of(config: &Config) -> anyhow::Result<Settings> {
        let sql = SqlMeasures::new(&config.measures, config.series.sql_memory())?;
        let mut pipeline = PipelineConfig { queried: sql.signals(), ..config.pipeline() };
        let past = history::load(&config.history);
        past.problems.iter().for_each(|problem| eprintln!("{problem}"));
        pipeline.score.history = Arc::new(past.history);
        Ok(Settings { pipeline, sql: Some(sql) })
    }
}

/// What is replayed.
pub(super) struct Inputs<'a> {
    pub(super) files: &'a Files,
    pub(super) options: TableOptions,
    /// Shown to the detectors before a table.
    pub(super) past: Option<&'a Table>,
}

/// Replays files, tables each by itself and records as one stream; gives the number of anomalies.
pub(super) fn all(
    inputs: &Inputs<'_>,
    settings: &mut Settings,
    outputs: &mut Outputs,
) -> anyhow::Result<usize> {
    let Inputs { files, options, past } = inputs;
    let mut found = 0;
    let mut records = Vec::new();
    for path in &files.files {
        let input = Input::open(path, files.format)?;
        match input.format {
            Format::Csv | Format::Ndjson | Format::Parquet => {
                let table = Table::read_input(input, path, options)?;
                found += scored(path, &table, *past, &settings.pipeline, outputs)?;
            }
            Format::Otlp if outputs.draws() => {
                let path = path.display();
                return Err(BadConfig(format!("--plot draws a table, and {path} holds records")).into());
            }
            Format::Otlp => records.push(Feed::file(path, input)),
            Format::Text => {
                bail!("{} is a text log: see `foreshock replay --templates FILE`", path.display())
            }
        }
    }
    if !records.is_empty() {
        found += all_records(records, settings, outputs)?;
    }
    Ok(found)
}

/// Replays a table; gives the number of anomalies.
fn scored(
    path: &Path,
    table: &Table,
    past: Option<&Table>,
    config: &PipelineConfig,
    outputs: &mut Outputs,
) -> anyhow::Result<usize> {
    tell(table);
    if let Some(past) = past {
        let strange: Vec<&str> =
            table.series.iter().filter(|name| !past.series.contains(name)).map(String::as_str).collect();
        if !strange.is_empty() {
            eprintln!("the history has no column {}: cold", strange.join(", "));
        }
    }
    let summary = replay_table(table, past, config, outputs)?;
    eprintln!(
        "{}: {} rows, {} series, {} anomalies, {} incidents, {} unreadable values, {} refused rows",
        path.display(),
        summary.rows,
        table.series.len(),
        summary.anomalies,
        summary.incidents,
        table.unreadable,
        table.refused.count
    );
    Ok(summary.anomalies)
}

/// Replays records as one stream; gives the number of anomalies.
pub(super) fn all_records(
    feeds: Vec<Feed>,
    settings: &mut Settings,
    outputs: &mut Outputs,
) -> anyhow::Result<usize> {
    let Settings { pipeline, sql } = settings;
    let mut failing: BTreeSet<String> = BTreeSet::new();
    let mut measure = |rows: &TickRows| {
        let answer = sql.as_mut().map(|sql| sql.measure(rows)).unwrap_or_default();
        for (name, problem) in answer.failures {
            if failing.insert(name.to_string()) {
                eprintln!("measure {name} has no value: {problem}");
            }
        }
        answer.values
    };
    let summary = replay_records(feeds, pipeline, &mut measure, outputs)?;
    for SourceSummary { name, records, refused, what } in &summary.sources {
        tell_refused(refused);
        eprintln!("{name}: {records} records, {} refused {what}", refused.count);
    }
    eprintln!(
        "{} ticks, {} series, {} anomalies, {} incidents, {} late values",
        summary.ticks, summary.series, summary.anomalies, summary.incidents, summary.late
    );
    Ok(summary.anomalies)
}
