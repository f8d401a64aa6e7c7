//! Policies, leases and verification, as people write them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Duration, WindowConfig};
use crate::bus::{Backoff, BusConfig, Limits, Policy};

/// Policies, leases and verification. Without policies no signal is ever sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemediationConfig {
    /// Which incident may cause which signal. The order decides.
    pub policies: Vec<Policy>,
    /// How much may be done, whatever policies say.
    pub limits: Limits,
    /// Windows in which nothing is done to the targets that their matchers mean: `kind`, `name`, `entity`.
    pub freezes: Vec<WindowConfig>,
    /// Event time after which the evidence behind a signal is too old to act on.
    pub max_signal_age: Duration,
    /// How long a lease lasts without progress, 1 s to 1 day.
    pub lease: Duration,
    /// How many lost leases of a signal are made good by offering it again.
    pub redelivery_limit: u32,
    /// How long a signal rests after its first lost lease; twice as long after each further one.
    pub backoff: Duration,
    /// Longest rest.
    pub max_backoff: Duration,
    /// For how long after success an incident is watched before its recovery is believed.
    pub verify_after: Duration,
    /// Time after success by which the incident must have resolved.
    pub verify_within: Duration,
    /// For how long signals are remembered, an hour or more.
    pub keep: Duration,
    /// Most signals that are remembered. At the limit no new signal is made.
    pub max_signals: u32,
    /// Most incidents that are watched.
    pub max_incidents: u32,
    /// Most controllers that are connected. At the limit the next one is refused.
    pub max_controllers: u32,
    /// Most entities whose versions are remembered.
    pub max_versions: u32,
}

const FREEZES: &str = "remediation.freezes";

impl Default for RemediationConfig {
    fn default() -> RemediationConfig {
        let own = BusConfig::default();
        let seconds = |millis: i64| Duration::from_secs(millis as u64 / 1000);
        RemediationConfig {
            policies: own.policies,
            limits: own.limits,
            freezes: Vec::new(),
            max_signal_age: seconds(own.max_signal_age_ms),
            lease: Duration::from_secs(own.lease_seconds.into()),
            redelivery_limit: own.redelivery_limit,
            backoff: Duration::from_secs(own.backoff.first_ms / 1000),
            max_backoff: Duration::from_secs(own.backoff.max_ms / 1000),
            verify_after: seconds(own.verify_after_ms),
            verify_within: seconds(own.verify_within_ms),
            keep: seconds(own.keep_ms),
            max_signals: own.max_signals,
            max_incidents: own.max_incidents,
            max_controllers: own.max_controllers,
            max_versions: own.max_versions,
        }
    }
}

impl RemediationConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |error: crate::bus::ConfigError| ConfigError::Value {
            field: "remediation",
            problem: error.to_string(),
        };
        self.freezes.iter().try_for_each(|freeze| freeze.schedule(FREEZES).map(drop))?;
        self.bus().check().map_err(refuse)
    }

    /// The settings of the bus.
    pub(super) fn bus(&self) -> BusConfig {
        BusConfig {
            policies: self.policies.clone(),
            limits: self.limits.clone(),
            // What cannot be read was refused when the file was.
            freezes: self.freezes.iter().filter_map(|freeze| freeze.schedule(FREEZES).ok()).collect(),
            max_signal_age_ms: self.max_signal_age.millis(),
            lease_seconds: u32::try_from(self.lease.std().as_secs()).unwrap_or(u32::MAX),
            redelivery_limit: self.redelivery_limit,
            backoff: Backoff {
                first_ms: self.backoff.millis().unsigned_abs(),
                max_ms: self.max_backoff.millis().unsigned_abs(),
            },
            verify_after_ms: self.verify_after.millis(),
            verify_within_ms: self.verify_within.millis(),
            keep_ms: self.keep.millis(),
            max_signals: self.max_signals,
            max_incidents: self.max_incidents,
            max_controllers: self.max_controllers,
            max_versions: self.max_versions,
        }
    }
}
