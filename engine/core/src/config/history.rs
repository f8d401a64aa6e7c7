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
    /// What Kafka still has from before the engine's first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaHistory>,
    /// Most values of a series that are kept of files and queries, the latest ones; at least 1.
    pub max_points: usize,
}

/// A stretch of the topics that is learnt from and not told of: no anomaly opens in it, no incident, and no signal is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaHistory {
    /// Where a partition without snapshot and committed offset begins, instead of `kafka.start`: at its first record that Kafka has
    /// from this time or later, RFC 3339.
    pub from: String,
    /// Event time from which the engine tells what it finds, RFC 3339; as a rule that of the first start.
    pub to: String,
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
            kafka: None,
            max_points: 20_000,
        }
    }
}

impl PrometheusHistory {
    /// The range in unix seconds.
    pub fn range(&self) -> Result<(i64, i64), ConfigError> {
        let begin = time("history.prometheus.from", &self.from)?;
        let end = time("history.prometheus.to", &self.to)?;
        refuse_unless(begin < end, "history.prometheus.to", "is not after from")?;
        Ok((begin.as_second(), end.as_second()))
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

impl KafkaHistory {
    /// The stretch in unix milliseconds.
    pub fn range_ms(&self) -> Result<(i64, i64), ConfigError> {
        let (begin, end) = (time("history.kafka.from", &self.from)?, time("history.kafka.to", &self.to)?);
        refuse_unless(begin < end, "history.kafka.to", "is not after from")?;
        Ok((begin.as_millisecond(), end.as_millisecond()))
    }
}

fn time(field: &'static str, text: &str) -> Result<jiff::Timestamp, ConfigError> {
    text.parse().map_err(|_| ConfigError::Value { field, problem: format!("{text:?} is no RFC 3339 time") })
}

impl HistoryConfig {
    /// Event time, unix milliseconds, before which nothing is told.
    pub(super) fn learn_until_ms(&self) -> i64 {
        // What cannot be read was refused when the file was.
        let range = self.kafka.as_ref().and_then(|kafka| kafka.range_ms().ok());
        range.map_or(i64::MIN, |(_, to_ms)| to_ms)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        refuse_unless(self.max_points > 0, "history.max_points", "is 0: nothing would be known")?;
        self.kafka.as_ref().map(KafkaHistory::range_ms).transpose()?;
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
        let stretch = |from: &str, to: &str| KafkaHistory { from: from.to_string(), to: to.to_string() };
        let two = stretch("2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z").range_ms().unwrap();
        assert_eq!(two, (1_767_225_600_000, 1_767_225_602_000));
        let text = |stretch: KafkaHistory| stretch.range_ms().unwrap_err().to_string();
        assert!(text(stretch("2w ago", "2026-01-01T00:00:00Z")).contains("\"2w ago\" is no RFC 3339 time"));
        assert!(text(stretch("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")).contains("is not after from"));
    }
}
