//! What operators know of their services: what they promise, and whom they need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Duration, engine::refuse_unless};
use crate::{
    correlator::{Dependence, Objective},
    measures::Latency,
    types::Entity,
};

/// A share of an entity's requests that is to succeed, and in time where it says so. How fast its error budget is spent says how severe
/// an incident is. Who answers requests, is called by nobody else and has no objective here is taken to promise 99.9 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloConfig {
    /// Its name, in what is said of incidents.
    pub name: String,
    /// Whose requests: `service/checkout`.
    pub entity: String,
    /// The share in percent, above 0 and below 100: 99.9.
    pub objective: f64,
    /// Longest time that a good answer takes: `300ms`; absent: however long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Duration>,
}

/// An entity needs another that no span shows it to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependsConfig {
    /// Who: `service/checkout`.
    pub from: String,
    /// Whom it needs: `database/orders`.
    pub on: String,
}

fn entity(field: &'static str, text: &str) -> Result<Entity, ConfigError> {
    Entity::from_name(text).ok_or_else(|| {
        let problem = format!("{text:?} is no entity: write it as kind and name, like service/checkout");
        ConfigError::Value { field, problem }
    })
}

impl SloConfig {
    pub(super) fn objective(&self) -> Result<Objective, ConfigError> {
        refuse_unless(!self.name.is_empty(), "slos.name", "is empty")?;
        let holds = self.objective > 0.0 && self.objective < 100.0;
        refuse_unless(holds, "slos.objective", "is not above 0 and below 100: write 99.9 for 99.9 %")?;
        let entity = entity("slos.entity", &self.entity)?;
        let is_long = self.latency.is_none_or(|latency| latency.nanos() > 0);
        refuse_unless(is_long, "slos.latency", "is 0: no answer comes in no time")?;
        let (name, objective) = (self.name.clone(), self.objective / 100.0);
        Ok(Objective { name, entity, latency_ns: self.latency_ns(), objective })
    }

    fn latency_ns(&self) -> Option<u64> {
        self.latency.map(|latency| latency.nanos().unsigned_abs())
    }

    /// What is to be counted for it, beside failures.
    pub(super) fn latency(&self) -> Option<Latency> {
        let entity = Entity::from_name(&self.entity)?;
        Some(Latency { entity, latency_ns: self.latency_ns()? })
    }
}

impl DependsConfig {
    pub(super) fn dependence(&self) -> Result<Dependence, ConfigError> {
        Ok(Dependence { from: entity("depends.from", &self.from)?, on: entity("depends.on", &self.on)? })
    }
}
