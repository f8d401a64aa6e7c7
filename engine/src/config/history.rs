//! Where the past of series comes from.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Duration, engine::refuse_unless, units::check_url};

/// What is already known of series that are new to the engine: they start with their seasons. It is read at every start, so keep it
/// as it is as long as the engine's state lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// CSV, NDJSON or Parquet: a timestamp, and a column per series with the engine's name of it
    /// (`service/cart http.server.request.duration:p95{http.route=/add}`).
    pub files: Vec<PathBuf>,
    /// Name of the files' column of times.
    pub timestamp_column: String,
    /// Range queries to Prometheus or what speaks its API.
    pub prometheus: Vec<PrometheusHistory>,
    /// Most values of a series that are kept, the latest ones; at least 1.
    pub max_points: usize,
}

/// A range query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusHistory {
    /// Where, for example `http://prometheus:9090`.
    pub url: String,
    /// PromQL, with the same meaning as the engine's measure: rates per second for counters, the quantile for histograms.
    pub query: String,
    /// Begin of the range, RFC 3339. Begin and end are fixed, so that every start reads the same.
    pub from: String,
    /// Its end, RFC 3339.
    pub to: String,
    /// Distance of two values, at least 1 s; the engine's own (`time.tick`, or the exporter's interval) is best.
    pub step: Duration,
    /// The engine's name of a series, with labels in braces: `service/{job} process.cpu.utilization`.
    pub series: String,
    /// File with a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Longest wait for the answer.
    #[serde(default = "wait")]
    pub timeout: Duration,
}

fn wait() -> Duration {
    Duration::from_secs(30)
}

impl Default for HistoryConfig {
    fn default() -> HistoryConfig {
        HistoryConfig {
            files: Vec::new(),
            timestamp_column: "timestamp".to_string(),
            prometheus: Vec::new(),
            max_points: 20_000,
        }
    }
}

impl PrometheusHistory {
    /// The range in unix seconds.
    pub fn range(&self) -> Result<(i64, i64), ConfigError> {
        let seconds = |field, text: &str| {
            let time: Result<jiff::Timestamp, _> = text.parse();
            time.map(jiff::Timestamp::as_second)
                .map_err(|_| ConfigError::Value { field, problem: format!("{text:?} is no RFC 3339 time") })
        };
        let range =
            (seconds("history.prometheus.from", &self.from)?, seconds("history.prometheus.to", &self.to)?);
        refuse_unless(range.0 < range.1, "history.prometheus.to", "is not after from")?;
        Ok(range)
    }

    /// The engine's name of a series with these labels; `None` where one is missing.
    pub fn name(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        let mut name = String::new();
        let mut rest = self.series.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            name.push_str(before);
            let (label, after) = after.split_once('}')?;
            // `{http.route=/add}` is part of a series' name.
            match label.contains('=') {
                true => name.push_str(&format!("{{{label}}}")),
                false => name.push_str(labels.get(label)?),
            }
            rest = after;
        }
        name.push_str(rest);
        Some(name)
    }
}

impl HistoryConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        refuse_unless(self.max_points > 0, "history.max_points", "is 0: nothing would be known")?;
        for query in &self.prometheus {
            query.range()?;
            refuse_unless(query.step >= Duration::from_secs(1), "history.prometheus.step", "is below 1s")?;
            check_url("history.prometheus.url", &query.url, "a token_file")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_labels() {
        let query = |series: &str| PrometheusHistory {
            url: "http://p".to_string(),
            query: "up".to_string(),
            from: "2026-01-01T00:00:00Z".to_string(),
            to: "2026-01-02T00:00:00Z".to_string(),
            step: Duration::from_secs(60),
            series: series.to_string(),
            token_file: None,
            timeout: wait(),
        };
        let labels = BTreeMap::from([("job".to_string(), "cart".to_string())]);
        let name = |series: &str| query(series).name(&labels);
        assert_eq!(name("service/{job} cpu").as_deref(), Some("service/cart cpu"));
        assert_eq!(
            name("service/{job} d:p95{http.route=/a}").as_deref(),
            Some("service/cart d:p95{http.route=/a}")
        );
        assert_eq!(name("service/{pod} cpu"), None);
        assert_eq!(query("x").range().unwrap(), (1_767_225_600, 1_767_312_000));
        let backwards = PrometheusHistory { to: "2025-01-01T00:00:00Z".to_string(), ..query("x") };
        assert!(backwards.range().unwrap_err().to_string().contains("is not after from"));
    }
}
