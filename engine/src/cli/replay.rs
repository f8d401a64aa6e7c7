//! `foreshock replay`: files in, scores, anomalies, incidents and change points out.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::bail;
use clap::Args;
use foreshock_core::{
    config::Config,
    pipeline::PipelineConfig,
    types::{RowMeasures, TickRows},
};

use super::{
    BadConfig, Ending,
    files::{Files, Looked, tell, tell_refused},
    output::{Given, OutputFiles, refuse_shared, talk},
};
use crate::{
    history, measures,
    replay::{
        Feed, Format, Outputs, Sinks, SourceSummary, Table, TableOptions, replay_lines, replay_records,
        replay_table,
    },
};

/// Score files with the same code as `run`, or mine text logs, without Kafka.
///
/// Tables (CSV, NDJSON, Parquet) give one row of scores per row and series; the series of a table are one service.
/// OTLP JSON lines, as the Collector's file exporter writes them, go through the whole pipeline: one row of scores per
/// tick and series; CloudEvents in between or in a file of their own are deploys and other changes.
///
/// An output gets its name once the replay has ended well: until then the rows are beside it, in `.scores.csv.foreshock-part`
/// for `scores.csv`, and an earlier result is left as it is. `-`, devices and FIFOs are written at once.
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

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let files = &arguments.files;
    let options = TableOptions { entity_separator: arguments.entity_separator.clone(), ..files.options()? };
    let config = arguments.config.as_deref().map(super::run::read).transpose()?;
    arguments.refuse_shared(config.as_ref())?;
    if let Some(templates) = &arguments.templates {
        mine(files, templates)?;
        return Ok(Ending::Fine);
    }
    let inputs = files.look(None, &options)?;
    arguments.refuse_unfit(&inputs)?;
    let past = arguments.history.as_ref().map(|path| Table::read(path, None, &options)).transpose()?;
    let mut settings = config.as_ref().map_or_else(|| Ok(Settings::default()), Settings::of)?;
    let mut written = OutputFiles::default();
    let mut open = |path: &Option<PathBuf>| path.as_ref().map(|path| written.open(path)).transpose();
    let sinks = Sinks {
        scores: open(&arguments.scores)?,
        changes: open(&arguments.changes)?,
        anomalies: open(&arguments.anomalies)?,
        incidents: open(&arguments.incidents)?,
    };
    let mut outputs = Outputs::new(sinks, open(&arguments.plot)?)?;
    let found = all(Inputs { files: inputs, options, past: past.as_ref() }, &mut settings, &mut outputs)?;
    outputs.finish()?;
    written.finish()?;
    Ok(if arguments.fail_on_anomaly && found > 0 { Ending::Findings } else { Ending::Fine })
}

/// Writes the templates of text logs.
fn mine(files: &Files, templates: &Path) -> anyhow::Result<()> {
    let logs = files.look(Some(Format::Text), &TableOptions::default())?;
    let mut written = OutputFiles::default();
    let mut out = written.open(templates)?;
    for log in logs {
        let path = log.path;
        let (lines, templates) = replay_lines(log.open()?, path, &mut *out)?;
        talk!("{}: {lines} lines, {templates} templates", path.display());
    }
    drop(out);
    written.finish()
}

impl Arguments {
    /// Refuses outputs that would take an input, or one another, away.
    fn refuse_shared(&self, config: Option<&Config>) -> Result<(), BadConfig> {
        fn given<'a>(option: &'static str, path: &'a Option<PathBuf>) -> Option<Given<'a>> {
            path.as_ref().map(|path| Given { option, path })
        }
        let outputs = [
            given("--scores", &self.scores),
            given("--changes", &self.changes),
            given("--anomalies", &self.anomalies),
            given("--incidents", &self.incidents),
            given("--templates", &self.templates),
            given("--plot", &self.plot),
        ];
        let options = [given("--config", &self.config), given("--history", &self.history)];
        let past = config.into_iter().flat_map(|config| &config.history.files);
        let past = past.map(|path| Given { option: "history.files", path });
        let files = self.files.files.iter().map(|path| Given { option: "the input", path });
        let inputs: Vec<Given<'_>> = files.chain(options.into_iter().flatten()).chain(past).collect();
        let outputs: Vec<Given<'_>> = outputs.into_iter().flatten().collect();
        refuse_shared(&outputs, &inputs)
    }

    /// Refuses files that these outputs are not for, before anything is written.
    fn refuse_unfit(&self, inputs: &[Looked<'_>]) -> anyhow::Result<()> {
        if self.plot.is_some() && inputs.len() > 1 {
            return Err(BadConfig("--plot draws one file: give one".to_string()).into());
        }
        for Looked { path, format, .. } in inputs {
            let path = path.display();
            match format {
                Format::Otlp if self.plot.is_some() => {
                    return Err(BadConfig(format!("--plot draws a table, and {path} holds records")).into());
                }
                Format::Text => bail!("{path} is a text log: see `foreshock replay --templates FILE`"),
                Format::Csv | Format::Ndjson | Format::Parquet | Format::Otlp => {}
            }
        }
        Ok(())
    }
}

/// How to look at what is replayed.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) pipeline: PipelineConfig,
    measures: Option<Box<dyn RowMeasures>>,
}

impl Settings {
    pub(super) fn of(config: &Config) -> anyhow::Result<Settings> {
        let measures = measures::planned(config)?;
        let mut pipeline = PipelineConfig { queried: measures.signals(), ..config.pipeline() };
        let past = history::load(&config.history);
        past.problems.iter().for_each(|problem| talk!("{problem}"));
        pipeline.score.history = Arc::new(past.history);
        Ok(Settings { pipeline, measures: Some(measures) })
    }
}

/// What is replayed.
pub(super) struct Inputs<'a> {
    pub(super) files: Vec<Looked<'a>>,
    pub(super) options: TableOptions,
    /// Shown to the detectors before a table.
    pub(super) past: Option<&'a Table>,
}

/// Replays files, tables each by itself and records as one stream; gives the number of anomalies.
pub(super) fn all(
    inputs: Inputs<'_>,
    settings: &mut Settings,
    outputs: &mut Outputs,
) -> anyhow::Result<usize> {
    let Inputs { files, options, past } = inputs;
    let mut found = 0;
    let mut records = Vec::new();
    for file in files {
        let path = file.path;
        let input = file.open()?;
        match input.format {
            Format::Csv | Format::Ndjson | Format::Parquet => {
                let table = Table::read_input(input, path, &options)?;
                found += scored(path, &table, past, &settings.pipeline, outputs)?;
            }
            Format::Otlp => records.push(Feed::file(path, input)),
            Format::Text => bail!("{} is a text log, which has no scores", path.display()),
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
            talk!("the history has no column {}: cold", strange.join(", "));
        }
    }
    let summary = replay_table(table, past, config, outputs)?;
    talk!(
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
    let Settings { pipeline, measures } = settings;
    let mut failing: BTreeSet<String> = BTreeSet::new();
    let mut measure = |rows: &TickRows| {
        let answer = measures.as_mut().map(|own| own.measure(rows)).unwrap_or_default();
        for (name, problem) in answer.failures {
            if failing.insert(name.to_string()) {
                talk!("measure {name} has no value: {problem}");
            }
        }
        answer.values
    };
    let summary = replay_records(feeds, pipeline, &mut measure, outputs)?;
    for SourceSummary { name, records, refused, what } in &summary.sources {
        tell_refused(refused);
        talk!("{name}: {records} records, {} refused {what}", refused.count);
    }
    talk!(
        "{} ticks, {} series, {} anomalies, {} incidents, {} late values",
        summary.ticks,
        summary.series,
        summary.anomalies,
        summary.incidents,
        summary.late
    );
    Ok(summary.anomalies)
}
