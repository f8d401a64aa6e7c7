//! `foreshock policy test`: what the policies of a configuration make of an incident, without an engine.

use std::{io::Read as _, path::PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use foreshock_core::{
    bus::{Bus, Effect, Event},
    types::Incident,
};

use super::{
    BadConfig, Ending,
    output::say,
    screen::{json, plain},
};

/// Try policies before they count.
///
/// Example: foreshock incidents show 00c0ffee00000007 --json | foreshock policy test - --config foreshock.yaml
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say of each policy what it would do about an incident, or why nothing. Exit code 1: no policy would do anything.
    Test {
        /// The incident, as JSON: a record of the topic foreshock.incidents. `-` is stdin.
        incident: PathBuf,
        /// The configuration with the policies.
        #[arg(long)]
        config: PathBuf,
        /// Event time that is taken for now, for freezes: 2026-12-01T22:00:00Z. Else the incident's own.
        #[arg(long)]
        at: Option<jiff::Timestamp>,
        /// Print JSON, one object per line: the signals that would be made.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let What::Test { incident: file, config, at, json: as_json } = &arguments.what;
    let config = super::run::read(config)?;
    let mut text = String::new();
    match file.to_str() {
        Some("-") => drop(std::io::stdin().read_to_string(&mut text)?),
        _ => {
            text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
    }
    let name = file.display();
    let incident: Incident = serde_json::from_str(&text)
        .map_err(|error| BadConfig(format!("{name} holds no incident: {error}")))?;
    let now_ms = at.map_or(incident.updated_ms, jiff::Timestamp::as_millisecond);
    let mut bus = Bus::new(config.pipeline().bus)?;
    bus.on_event(Event::Tick { time_ms: now_ms, catching_up: false });
    let mut ending = Ending::Findings;
    for effect in bus.on_event(Event::Incident(incident)) {
        match effect {
            Effect::Signal(signal) => {
                ending = Ending::Fine;
                if *as_json {
                    say(&json(&signal)?)?;
                    continue;
                }
                let asks = config.remediation.policies.iter().find(|policy| policy.name == signal.policy);
                let asks = asks.map(|policy| policy.asks()).unwrap_or_default();
                let (action, target) = (signal.action.name(), &signal.target);
                let attributes = signal.attributes.iter().map(|(key, value)| format!("{key}={value}"));
                let attributes = attributes.collect::<Vec<_>>().join(" ");
                say(&plain(&format!("{}: {action} {target}; asks: {asks}; {attributes}", signal.policy)))?;
            }
            Effect::Declined { policy, why, .. } if !as_json => {
                say(&plain(&format!("{policy}: nothing: {why}")))?
            }
            _ => {}
        }
    }
    Ok(ending)
}
