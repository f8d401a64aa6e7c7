//! `foreshock run` and `schema`: the engine on a real Kafka, and the references made from the code.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use foreshock_core::{
    config::{self, Config, ConfigError},
    types::{Anomaly, Incident, RemediationSignal},
};
use schemars::schema_for;

use super::{
    BadConfig, Ending, logging,
    output::{print, say},
};
use crate::{
    connect::ConnectError,
    measures,
    run::{Engine, RunError, RunOptions, metrics_markdown},
    sinks,
};

/// Run the engine on Kafka.
///
/// Example: foreshock run --config foreshock.yaml
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration; `foreshock schema --defaults` prints one to begin with.
    #[arg(long)]
    config: PathBuf,
    /// End once everything that is in the topics was read.
    #[arg(long)]
    until_end: bool,
}

/// Print the JSON Schema of the configuration, or another of the references that are made from the code.
///
/// Example: foreshock schema --topic incidents
#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Print every default as YAML instead.
    #[arg(long, group = "what")]
    defaults: bool,
    /// Print the configuration's reference as Markdown instead.
    #[arg(long, group = "what")]
    markdown: bool,
    /// Print the JSON Schema of a controller's configuration instead.
    #[cfg(feature = "controllers")]
    #[arg(long, group = "what")]
    controller: bool,
    /// Print the reference of a controller's configuration as Markdown instead.
    #[cfg(feature = "controllers")]
    #[arg(long, group = "what")]
    controller_markdown: bool,
    /// Print the JSON Schema of an output topic's records instead.
    #[arg(long, group = "what")]
    topic: Option<OutputTopic>,
    /// Print the reference of our own metrics as Markdown instead.
    #[arg(long, group = "what")]
    metrics: bool,
}

/// Output topics whose records are JSON. Those of the dead-letter topic are what was refused, as it came.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputTopic {
    Anomalies,
    Incidents,
    Signals,
}

/// Reads a configuration; what is wrong with it is the user's to mend.
pub(super) fn read(path: &std::path::Path) -> Result<Config, BadConfig> {
    let config = Config::read(path).map_err(|error: ConfigError| BadConfig(error.to_string()))?;
    measures::planned(&config).map_err(|error| BadConfig(format!("{}: {error}", path.display())))?;
    sinks::all(&config.sinks).map_err(|error| BadConfig(format!("{}: {error}", path.display())))?;
    Ok(config)
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let config = read(&arguments.config)?;
    logging::start(config.log.format, &config.log.level)?;
    let options = RunOptions { until_end: arguments.until_end, observer: None };
    let engine = match Engine::start(&config, options) {
        Err(
            error @ (RunError::Config(_)
            | RunError::Connect(ConnectError::Config(_))
            | RunError::Measures(_)
            | RunError::Policies(_)),
        ) => {
            return Err(BadConfig(error.to_string()).into());
        }
        started => started?,
    };
    tracing::info!(http = %engine.http(), grpc = %engine.grpc(), "running");
    stop_on_signal(engine.stopper())?;
    let report = engine.join()?;
    tracing::info!(records = report.counts.records, series = report.series, "stopped");
    Ok(Ending::Fine)
}

/// Asks for a stop on SIGINT and SIGTERM; a second one ends the process at once.
fn stop_on_signal(stop: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let wait = move || {
        for round in 0.. {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            if round > 0 {
                std::process::exit(130);
            }
            tracing::info!("stopping: writing a snapshot; once more to end at once");
            stop();
        }
    };
    std::thread::Builder::new().name("signals".to_string()).spawn(wait)?;
    Ok(())
}

pub(super) fn schema(arguments: &SchemaArguments) -> anyhow::Result<Ending> {
    let pretty = |schema: &schemars::Schema| serde_json::to_string_pretty(schema);
    #[cfg(feature = "controllers")]
    if arguments.controller {
        say(&pretty(&foreshock_controllers::schema())?)?;
        return Ok(Ending::Fine);
    } else if arguments.controller_markdown {
        print(&foreshock_controllers::markdown()?)?;
        return Ok(Ending::Fine);
    }
    if arguments.defaults {
        print(config::DEFAULTS)?;
    } else if arguments.markdown {
        print(&config::markdown()?)?;
    } else if arguments.metrics {
        print(&metrics_markdown()?)?;
    } else {
        let schema = match arguments.topic {
            None => config::schema(),
            Some(OutputTopic::Anomalies) => schema_for!(Anomaly),
            Some(OutputTopic::Incidents) => schema_for!(Incident),
            Some(OutputTopic::Signals) => schema_for!(RemediationSignal),
        };
        say(&pretty(&schema)?)?;
    }
    Ok(Ending::Fine)
}
