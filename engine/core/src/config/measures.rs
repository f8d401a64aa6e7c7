//! Operators' own measures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// A measure in SQL, over the rows of a tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Name of the measure, as in `checkout.slow:ratio`; no two are equal.
    pub name: String,
    /// One `SELECT` with aggregates from one of the tables `metrics`, `histograms`, `logs` and `spans`.
    pub sql: String,
    /// Columns of the result that tell series apart. `entity` names their entity; the others are attributes.
    #[serde(default)]
    pub by: Vec<String>,
    /// Column of the result that holds the number; null is missing.
    #[serde(default = "value")]
    pub value: String,
    /// Entity of the series where `by` has no `entity`, as kind/name.
    #[serde(default = "everything")]
    pub entity: String,
    /// Most rows that are taken from a tick's result, in order of `by`; more are counted and left out.
    #[serde(default = "max_series")]
    pub max_series: usize,
}

fn value() -> String {
    "value".to_string()
}

fn everything() -> String {
    "other/everything".to_string()
}

fn max_series() -> usize {
    1000
}

/// Refuses names that are empty or there twice, and limits of 0. What the SQL says is checked when it is planned.
pub(super) fn check(measures: &[Measure]) -> Result<(), ConfigError> {
    let refuse = |field, problem: String| Err(ConfigError::Value { field, problem });
    for (index, measure) in measures.iter().enumerate() {
        if measure.name.trim().is_empty() {
            return refuse("measures.name", "is empty: give the measure a name".to_string());
        }
        if measures[..index].iter().any(|other| other.name == measure.name) {
            return refuse("measures.name", format!("{:?} is there twice", measure.name));
        }
        if measure.max_series == 0 {
            return refuse("measures.max_series", format!("of {:?} is 0: give at least 1", measure.name));
        }
    }
    Ok(())
}
