//! Forecasts of resources that will be used up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, engine::refuse_unless};
use crate::{
    score::{ForecastConfig, Limit, Side},
    types::Matcher,
};

/// Resources that will be used up are told of before they are. Without a word here: utilizations of memory, disks, volumes and the
/// like, up to 1, and what is free of them, down to 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForecastsConfig {
    /// Most series that are looked at, 3.5 kB each; 0: none.
    pub max_series: usize,
    /// Limits of series that are not known by their names. The first that means a series counts.
    pub limits: Vec<LimitConfig>,
}

/// The limit of some series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Which series: every one must match, as in `silences`.
    #[serde(rename = "match")]
    pub matchers: Vec<Matcher>,
    /// Where it is, in the unit of the series.
    pub limit: f64,
    /// Whether what is used grows up to it from `below`, or what is left falls down to it from `above`.
    #[serde(default)]
    pub side: LimitSide,
}

/// From which side a limit is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitSide {
    /// What is used grows up to it.
    #[default]
    Below,
    /// What is left falls down to it.
    Above,
}

/// Series that are looked at when nothing is said.
const MAX_SERIES: usize = 4096;

impl Default for ForecastsConfig {
    fn default() -> ForecastsConfig {
        ForecastsConfig { max_series: MAX_SERIES, limits: Vec::new() }
    }
}

impl ForecastsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for limit in &self.limits {
            refuse_unless(!limit.matchers.is_empty(), "forecasts.limits.match", "is empty: name the series")?;
            refuse_unless(limit.limit.is_finite(), "forecasts.limits.limit", "is no number")?;
        }
        Ok(())
    }

    /// The settings of each of so many shards.
    pub(super) fn settings(&self, shards: usize) -> ForecastConfig {
        let limit = |limit: &LimitConfig| Limit {
            matchers: limit.matchers.clone(),
            limit: limit.limit,
            side: match limit.side {
                LimitSide::Below => Side::Below,
                LimitSide::Above => Side::Above,
            },
        };
        let limits = self.limits.iter().map(limit).collect();
        ForecastConfig { max_series: self.max_series.div_ceil(shards), limits }
    }
}
