//! `foreshock replay`: files in, scores, anomalies and change points out.

use std::{fs::File, io::BufWriter, path::PathBuf};

use anyhow::Context;
use clap::Args;

use super::{BadConfig, Ending};
use crate::replay::{Outputs, ReplayConfig, Sinks, Table, TableOptions, replay_lines, replay_table};

/// Score CSV files, or mine text logs, with the same code as `run`, without Kafka.
///
/// Example: foreshock replay cpu.csv --scores scores.csv --plot cpu.svg
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// CSV files with a header: a timestamp column and one column per series. With --templates: text logs.
    #[arg(required = true)]
    files: Vec<PathBuf>,
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
    /// Configuration whose detectors and incidents to use; without it the defaults.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Draw the series, its band and its anomalies (SVG).
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Name of the timestamp column.
    #[arg(long, default_value = "timestamp")]
    timestamp_column: String,
    /// Columns to leave out, for example labels. May be repeated.
    #[arg(long)]
    ignore_column: Vec<String>,
    /// The file has no timestamps: rows are taken as `--step` apart, beginning at the epoch.
    #[arg(long)]
    no_timestamp: bool,
    /// Seconds between rows without timestamps.
    #[arg(long, default_value_t = 60)]
    step: i64,
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
    if arguments.step < 1 {
        return Err(BadConfig(format!("--step is {}: give at least 1 second", arguments.step)).into());
    }
    if arguments.plot.is_some() && arguments.files.len() > 1 {
        return Err(BadConfig("--plot draws one file: give one".to_string()).into());
    }
    if let Some(mut out) = sink(&arguments.templates)? {
        for path in &arguments.files {
            let (lines, templates) = replay_lines(path, &mut *out)?;
            eprintln!("{}: {lines} lines, {templates} templates", path.display());
        }
        return Ok(Ending::Fine);
    }
    let options = TableOptions {
        timestamp_column: arguments.timestamp_column.clone(),
        ignore: arguments.ignore_column.clone(),
        step_seconds: arguments.no_timestamp.then_some(arguments.step),
    };
    let config = match &arguments.config {
        None => ReplayConfig::default(),
        Some(path) => {
            let pipeline = super::run::read(path)?.pipeline();
            ReplayConfig { score: pipeline.score, correlator: pipeline.correlator }
        }
    };
    let sinks = Sinks {
        scores: sink(&arguments.scores)?,
        changes: sink(&arguments.changes)?,
        anomalies: sink(&arguments.anomalies)?,
        incidents: sink(&arguments.incidents)?,
    };
    let mut outputs = Outputs::new(sinks, arguments.plot.clone())?;
    let mut found = 0;
    for path in &arguments.files {
        let table = Table::read(path, &options)?;
        let summary = replay_table(&table, &config, &mut outputs)?;
        found += summary.anomalies;
        eprintln!(
            "{}: {} rows, {} series, {} anomalies, {} incidents, {} unreadable values",
            path.display(),
            summary.rows,
            table.series.len(),
            summary.anomalies,
            summary.incidents,
            table.unreadable
        );
    }
    outputs.finish()?;
    Ok(if arguments.fail_on_anomaly && found > 0 { Ending::Findings } else { Ending::Fine })
}
