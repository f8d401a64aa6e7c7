//! Who is told of incidents: one thread per sink, and the topic of incidents as its outbox.
//!
//! ```text
//! outputs.incidents ─ Lane (consumer group <group>-sink-<name>) ─ Sink ─ Endpoint ─ HTTP
//! ```
//!
//! * `lane`: reads the topic in order, tries until it is taken, commits what was told
//! * `endpoint`: a request with its secrets; what an answer means
//! * `words`: an incident as text, and templates
//! * `alertmanager`, `slack`, `pagerduty`, `grafana`, `webhook`: what each of them is sent
//!
//! At least once and in order: the engine's own writing to the topic makes an incident durable before its offset counts as done, so that
//! nothing else need be. Repeats carry equal ids. A sink that is down holds back nobody but itself.

mod alertmanager;
mod endpoint;
mod grafana;
mod lane;
mod pagerduty;
mod slack;
#[cfg(test)]
mod tests;
mod webhook;
mod words;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use foreshock_core::{
    config::{Config, SinksConfig},
    types::{Incident, IncidentEvent},
};

use crate::connect::Connection;
use lane::{LaneError, Outbox};
pub(crate) use lane::{LaneMetrics, group_of};

/// Why sinks cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The topic of incidents cannot be read.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

/// Every sink at work. They stop when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Sinks {
    /// Starts every sink; the topic of incidents must exist.
    pub(crate) fn start(
        config: &Config,
        connection: &Connection,
        metrics: impl Fn(&str) -> LaneMetrics,
    ) -> Result<Sinks, SinkError> {
        let mut sinks = Sinks::default();
        let outbox = Outbox { connection, topic: &config.outputs.incidents, group: &config.kafka.group };
        for (name, sink) in all(&config.sinks)? {
            let (metrics, stop) = (metrics(&name), sinks.stop.clone());
            sinks.threads.push(lane::start(name, sink, outbox, metrics, stop)?);
        }
        Ok(sinks)
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a sink broke off: this is a bug");
            }
        }
    }
}

/// Something that is told of incidents, in the order of their revisions.
pub(crate) trait Sink: Send {
    /// Whether such an event is told at all.
    fn wants(&self, event: IncidentEvent) -> bool;

    /// Tells of an incident. `now_ms` is the clock's, unix milliseconds.
    fn tell(&mut self, incident: &Incident, now_ms: i64) -> Result<(), Failure>;

    /// Takes note of an incident that was told before the process started.
    fn recall(&mut self, _: &Incident) {}

    /// Tells again what has to be told again; called about every second.
    fn again(&mut self, _now_ms: i64) -> Result<(), Failure> {
        Ok(())
    }
}

/// Why a sink was not told. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Not now: tried again.
    #[error("{why}")]
    Later {
        /// What was wrong.
        why: String,
        /// Seconds to wait, where it said so.
        after: Option<u64>,
    },
    /// This will never be taken: counted, logged and left.
    #[error("{0}")]
    Never(String),
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("sinks: template of {sink:?}: {problem}")]
pub struct TemplateError {
    sink: String,
    problem: String,
}

/// A sink and its name.
pub(crate) type Named = (String, Box<dyn Sink>);

/// Every sink of the configuration.
pub(crate) fn all(config: &SinksConfig) -> Result<Vec<Named>, TemplateError> {
    let mut sinks: Vec<Named> = Vec::new();
    for sink in &config.alertmanager {
        for (name, replica) in sink.names().zip(&sink.replicas) {
            sinks.push((name, Box::new(alertmanager::Alertmanager::new(replica, sink.resend))));
        }
    }
    for sink in &config.slack {
        sinks.push((sink.name.clone(), Box::new(slack::Slack::new(sink)?)));
    }
    for sink in &config.pagerduty {
        sinks.push((sink.name.clone(), Box::new(pagerduty::PagerDuty::new(sink))));
    }
    for sink in &config.grafana {
        sinks.push((sink.name.clone(), Box::new(grafana::Grafana::new(sink))));
    }
    for sink in &config.webhook {
        sinks.push((sink.name.clone(), Box::new(webhook::Webhook::new(sink)?)));
    }
    Ok(sinks)
}
