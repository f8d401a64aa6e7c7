//! `foreshock produce`: files into Kafka as OTLP.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use foreshock_core::config::KafkaConfig;

use super::{
    BadConfig, Ending,
    files::{Files, tell, tell_refused},
    output::talk,
};
use crate::{
    produce::FileProducer,
    replay::{Format, Input, Table},
};

/// Publish files to Kafka as OTLP: tables (one gauge per column), or OTLP JSON lines as they are.
///
/// Each row of a table (CSV, NDJSON, Parquet) is one record; its service is named like the file. OTLP JSON lines go to the
/// topics otlp_metrics, otlp_logs and otlp_spans, CloudEvents to changes.
///
/// Examples:
///   foreshock produce taxi.csv --brokers localhost:9092 --speed 3600
///   foreshock produce metrics.jsonl.gz traces.jsonl.gz --config foreshock.yaml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: Files,
    /// Configuration whose `kafka` section says how to connect.
    #[arg(long, conflicts_with = "brokers")]
    config: Option<PathBuf>,
    /// Brokers, as host:port, separated by commas.
    #[arg(long)]
    brokers: Option<String>,
    /// Topic for tables; records go to the topic of their signal.
    #[arg(long, default_value = "otlp_metrics")]
    topic: String,
    /// Event seconds per second; without it as fast as it goes.
    #[arg(long)]
    speed: Option<f64>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    if arguments.speed.is_some_and(|speed| !(speed > 0.0 && speed.is_finite())) {
        return Err(BadConfig("--speed must be above 0".to_string()).into());
    }
    let options = arguments.files.options()?;
    let kafka = match (&arguments.config, &arguments.brokers) {
        (Some(path), _) => super::run::read(path)?.kafka,
        (None, Some(brokers)) => KafkaConfig {
            brokers: brokers.split(',').map(str::to_string).collect(),
            ..KafkaConfig::default()
        },
        (None, None) => KafkaConfig::default(),
    };
    let mut producer = FileProducer::connect(&kafka, arguments.speed)?;
    for path in &arguments.files.files {
        let input = Input::open(path, arguments.files.format)?;
        let records = match input.format {
            Format::Otlp => {
                let (records, refused) = producer.records(path, input)?;
                tell_refused(&refused);
                records
            }
            Format::Csv | Format::Ndjson | Format::Parquet => {
                let table = Table::read_input(input, path, &options)?;
                tell(&table);
                producer.table(&table, &arguments.topic)?
            }
            Format::Text => bail!(
                "{} is a text log, and has no times that are understood: wrap its lines in OTLP JSON",
                path.display()
            ),
        };
        talk!("{}: {records} records", path.display());
    }
    producer.finish()?;
    Ok(Ending::Fine)
}
