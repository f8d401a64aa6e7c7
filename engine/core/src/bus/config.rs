//! Settings of the bus.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::{Policy, PolicyError};
use crate::types::Schedule;

/// Settings of the bus.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusConfig {
    /// Which incident may cause which signal. The order decides.
    pub policies: Vec<Policy>,
    /// How much may be done at all.
    pub limits: Limits,
    /// When nothing may be done to what their matchers mean.
    #[serde(skip)]
    pub freezes: Vec<Schedule>,
    /// Event time after which the evidence behind a signal is too old to act on, 1 or more.
    pub max_signal_age_ms: i64,
    /// How long a lease lasts without Progress, 1..=86400.
    pub lease_seconds: u32,
    /// How many lost leases of a signal are made good by offering it again; one more ends it.
    pub redelivery_limit: u32,
    /// How long a signal rests after a lost lease.
    pub backoff: Backoff,
    /// For how long after success an incident must be watched before its recovery is believed, 0 or more.
    pub verify_after_ms: i64,
    /// Event time after success by which the incident must have resolved, `verify_after_ms` or more.
    pub verify_within_ms: i64,
    /// For how long signals are remembered, in event time; no signal is made for an incident that opened longer
    /// ago, so that what is forgotten is never made again. An hour or more.
    pub keep_ms: i64,
    /// Most signals that are remembered. At the limit no new signal is made.
    pub max_signals: u32,
    /// Most incidents that are watched. At the limit the one that was quiet longest waits for its next revision.
    pub max_incidents: u32,
    /// Most controllers that are connected. At the limit the next one is refused.
    pub max_controllers: u32,
    /// Most entities whose versions are remembered. At the limit the one that changed longest ago is forgotten.
    pub max_versions: u32,
}

impl Default for BusConfig {
    /// No policies: nothing is done to any system until the operator says so.
    fn default() -> BusConfig {
        BusConfig {
            policies: Vec::new(),
            limits: Limits::default(),
            freezes: Vec::new(),
            max_signal_age_ms: 15 * MINUTE_MS,
            lease_seconds: 60,
            redelivery_limit: 3,
            backoff: Backoff::default(),
            verify_after_ms: MINUTE_MS,
            verify_within_ms: 15 * MINUTE_MS,
            keep_ms: 7 * 24 * HOUR_MS,
            max_signals: 4096,
            max_incidents: 4096,
            max_controllers: 256,
            max_versions: 16_384,
        }
    }
}

/// How much may be done, whatever policies say: signals that change a system, dry runs left out. Absent: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most signals for one entity that are made within an hour of event time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_per_hour: Option<u32>,
    /// Most within an hour in one namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_per_hour: Option<u32>,
    /// Most within an hour altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet_per_hour: Option<u32>,
    /// Most signals for one entity that are carried out or verified at once; more wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_at_once: Option<u32>,
    /// Most at once in one namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_at_once: Option<u32>,
    /// Most at once altogether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet_at_once: Option<u32>,
}

/// How long something rests before it is tried again: `first_ms`, then twice as long each time, `max_ms` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// After the first loss.
    pub first_ms: u64,
    /// At most.
    pub max_ms: u64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { first_ms: 1000, max_ms: 60_000 }
    }
}

impl Backoff {
    /// The rest after this many losses, 1 or more, in milliseconds.
    pub fn after(&self, losses: u32) -> u64 {
        let factor = 1_u64.checked_shl(losses.saturating_sub(1)).unwrap_or(u64::MAX);
        self.first_ms.saturating_mul(factor).min(self.max_ms)
    }
}

/// Settings that contradict themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number is outside its bounds.
    #[error("{field} is {value}: set it to {bounds}")]
    Bounds {
        /// The setting.
        field: &'static str,
        /// What it is.
        value: i64,
        /// What it may be.
        bounds: String,
    },
    /// Two policies have one name.
    #[error("two policies are named {0:?}: rename one, the name is part of the id of their signals")]
    Twice(String),
    /// A policy contradicts itself.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl BusConfig {
    /// Whether the settings make sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        within("max_signal_age_ms", self.max_signal_age_ms, 1, i64::MAX)?;
        within("lease_seconds", self.lease_seconds.into(), 1, 86_400)?;
        within("verify_after_ms", self.verify_after_ms, 0, i64::MAX)?;
        within("verify_within_ms", self.verify_within_ms, self.verify_after_ms, i64::MAX)?;
        within("keep_ms", self.keep_ms, HOUR_MS, i64::MAX)?;
        within("max_signals", self.max_signals.into(), 1, u32::MAX.into())?;
        within("max_incidents", self.max_incidents.into(), 1, u32::MAX.into())?;
        within("max_controllers", self.max_controllers.into(), 1, u32::MAX.into())?;
        within("max_versions", self.max_versions.into(), 1, u32::MAX.into())?;
        let Limits { target_per_hour, namespace_per_hour, fleet_per_hour, .. } = &self.limits;
        let Limits { target_at_once, namespace_at_once, fleet_at_once, .. } = &self.limits;
        for (field, limit) in [
            ("limits.target_per_hour", target_per_hour),
            ("limits.namespace_per_hour", namespace_per_hour),
            ("limits.fleet_per_hour", fleet_per_hour),
            ("limits.target_at_once", target_at_once),
            ("limits.namespace_at_once", namespace_at_once),
            ("limits.fleet_at_once", fleet_at_once),
        ] {
            within(field, limit.unwrap_or(1).into(), 1, u32::MAX.into())?;
        }
        let mut names = BTreeSet::new();
        for policy in &self.policies {
            policy.check(self.keep_ms)?;
            if !names.insert(&policy.name) {
                return Err(ConfigError::Twice(policy.name.clone()));
            }
        }
        Ok(())
    }

    /// How long a lease lasts, in lease time.
    pub(super) fn lease_ms(&self) -> u64 {
        u64::from(self.lease_seconds) * 1000
    }
}

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;

fn within(field: &'static str, value: i64, low: i64, high: i64) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let bounds =
        if high == i64::MAX { format!("{low} or more") } else { format!("a number from {low} to {high}") };
    Err(ConfigError::Bounds { field, value, bounds })
}
