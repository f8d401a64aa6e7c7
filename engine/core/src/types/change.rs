//! Change events: deploys, configs, flags and models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::series::Entity;

/// Something was changed on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// When it happened, unix milliseconds.
    pub time_ms: i64,
    /// Id of the event at its source; repeats of it are the same change.
    pub id: String,
    /// `service.deployed`, `service.upgraded`, `service.rolledback`, `model.promoted` and the like.
    pub kind: String,
    /// What was changed.
    pub entity: Entity,
    /// The version after the change; empty when not given.
    pub version: String,
    /// Where the event came from.
    pub source: String,
}
