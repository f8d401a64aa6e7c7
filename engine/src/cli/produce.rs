//! `foreshock produce`: files into Kafka as OTLP.

use std::path::PathBuf;

use clap::Args;

use super::{BadConfig, Ending};
use crate::{config::KafkaConfig, produce::FileProducer, replay::TableOptions};

/// Publish files to Kafka as OTLP: CSV (one gauge per column) or OTLP JSON, one request per line.
///
/// Example: foreshock produce taxi.csv --brokers localhost:9092 --speed 3600
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// CSV files (.csv), or files of OTLP JSON lines.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Configuration whose `kafka` section says how to connect.
    #[arg(long, conflicts_with = "brokers")]
    config: Option<PathBuf>,
    /// Brokers, as host:port, separated by commas.
    #[arg(long)]
    brokers: Option<String>,
    /// Topic for CSV files; OTLP JSON goes to the topic of its signal.
    #[arg(long, default_value = "otlp_metrics")]
    topic: String,
    /// Event seconds per second; without it as fast as it goes.
    #[arg(long)]
    speed: Option<f64>,
    /// Name of the timestamp column.
    #[arg(long, default_value = "timestamp")]
    timestamp_column: String,
    /// Columns to leave out. May be repeated.
    #[arg(long)]
    ignore_column: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    if arguments.speed.is_some_and(|speed| !(speed > 0.0 && speed.is_finite())) {
        return Err(BadConfig("--speed must be above 0".to_string()).into());
    }
    let kafka = match (&arguments.config, &arguments.brokers) {
        (Some(path), _) => super::run::read(path)?.kafka,
        (None, Some(brokers)) => KafkaConfig {
            brokers: brokers.split(',').map(str::to_string).collect(),
            ..KafkaConfig::default()
        },
        (None, None) => KafkaConfig::default(),
    };
    let options = TableOptions {
        timestamp_column: arguments.timestamp_column.clone(),
        ignore: arguments.ignore_column.clone(),
        step_seconds: None,
    };
    let mut producer = FileProducer::connect(&kafka, arguments.speed)?;
    for path in &arguments.files {
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let records = if is_csv {
            producer.csv(path, &options, &arguments.topic)?
        } else {
            producer.otlp_json(path)?
        };
        eprintln!("{}: {records} records", path.display());
    }
    Ok(Ending::Fine)
}
