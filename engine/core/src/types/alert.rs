//! Alerts of other systems: rules that people wrote.

use serde::{Deserialize, Serialize};

use super::series::Entity;

/// How much somebody who wrote a rule cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlertSeverity {
    /// Nothing need be done.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody is woken.
    Critical,
}

/// An alert that fires, or that has ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alert {
    /// When it began to fire or ended, unix milliseconds.
    pub time_ms: i64,
    /// What is the same for all that is said of one alert: its labels, as the sender hashes them.
    pub fingerprint: String,
    /// When it began to fire, unix milliseconds.
    pub started_ms: i64,
    /// False once it has ended.
    pub firing: bool,
    /// The rule.
    pub name: String,
    /// What it is about.
    pub entity: Entity,
    /// How much it matters.
    pub severity: AlertSeverity,
    /// One line for people.
    pub summary: String,
    /// Who sent it: the webhook's name.
    pub source: String,
}
