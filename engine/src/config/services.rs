//! What operators know of their services: what they promise, and whom they need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, engine::refuse_unless};
use crate::{
    correlator::{Dependence, Objective},
    types::Entity,
};

/// A share of an entity's requests that is to succeed. How fast its error budget is spent says how severe an incident is. Who answers
/// requests, is called by nobody else and has no objective here is taken to promise 99.9 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloConfig {
    /// Its name, in what is said of incidents.
    pub name: String,
    /// Whose requests: `service/checkout`.
    pub entity: String,
    /// The share in percent, above 0 and below 100: 99.9.
    pub objective: f64,
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
        Ok(Objective { name: self.name.clone(), entity, objective: self.objective / 100.0 })
    }
}

impl DependsConfig {
    pub(super) fn dependence(&self) -> Result<Dependence, ConfigError> {
        Ok(Dependence { from: entity("depends.from", &self.from)?, on: entity("depends.on", &self.on)? })
    }
}
