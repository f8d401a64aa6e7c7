//! `foreshock check`: whether a configuration can be used, without starting the engine.

use std::path::PathBuf;

use clap::Args;
use foreshock_core::config::Config;

use super::{BadConfig, Ending, output::say};
use crate::{
    connect::{ConnectError, Connection},
    sinks::group_of,
};

/// Check a configuration; with --connect also brokers, rights and topics. Exit code 1: something is missing.
///
/// Example: foreshock check --config foreshock.yaml --connect
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration.
    #[arg(long)]
    config: PathBuf,
    /// Ask the brokers too.
    #[arg(long)]
    connect: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let config = super::run::read(&arguments.config)?;
    say(&format!("{}: valid", arguments.config.display()))?;
    let mut ending = Ending::Fine;
    if config.remediation.policies.is_empty() {
        say("remediation.policies: none, so that no signal is ever sent")?;
    }
    for name in config.sinks.names() {
        say(&format!("sink {name}: group {}", group_of(&config.kafka.group, &name)))?;
    }
    if arguments.connect {
        ending = connect(&config)?;
    }
    Ok(ending)
}

fn connect(config: &Config) -> anyhow::Result<Ending> {
    let reached = Connection::new(&config.kafka).and_then(|connection| connection.reach());
    let everything = match reached {
        Err(ConnectError::Config(error)) => return Err(BadConfig(error.to_string()).into()),
        reached => reached?,
    };
    let (brokers, topics) = (everything.brokers().len(), everything.topics().len());
    say(&format!("kafka: {brokers} brokers answer, {topics} topics are to be seen"))?;
    let partitions = |name: &str| {
        let topic = everything.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
        topic.map(|topic| topic.partitions().len())
    };
    let mut ending = Ending::Fine;
    for topic in &config.topics {
        match partitions(&topic.name) {
            Some(count) => say(&format!("topic {}: {count} partitions to read", topic.name))?,
            None => {
                let name = &topic.name;
                say(&format!(
                    "topic {name}: missing, or not ours to see; create it, or let its producer do so"
                ))?;
                ending = Ending::Findings;
            }
        }
    }
    let outputs = &config.outputs;
    for name in outputs.names() {
        match (partitions(name), outputs.create) {
            (Some(_), _) => say(&format!("topic {name}: there"))?,
            (None, true) => say(&format!("topic {name}: missing, `run` will create it"))?,
            (None, false) => {
                say(&format!("topic {name}: missing, and outputs.create is false: create it"))?;
                ending = Ending::Findings;
            }
        }
    }
    Ok(ending)
}
