//! Reads the past of series from files and from Prometheus. A source that cannot be had leaves its series cold: that is said, and
//! nothing else fails.

use std::{collections::BTreeMap, path::Path};

use foreshock_core::{
    config::{HistoryConfig, PrometheusHistory},
    score::History,
};
use foreshock_wire::http::client;
use serde::Deserialize;

use crate::replay::{Table, TableOptions};

/// Largest answer of Prometheus that is read: 256 MiB.
const MAX_ANSWER: u64 = 256 << 20;
/// Steps of one query: Prometheus refuses more than 11,000.
const MAX_STEPS: i64 = 10_000;

/// What could be had.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The past.
    pub history: History,
    /// Sources and series that could not be had, one line each, with what to do.
    pub problems: Vec<String>,
}

/// Why a query gave nothing. Never holds the token.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("cannot read the token file {path}: {source}")]
    Token { path: String, source: std::io::Error },
    #[error("{0}")]
    Http(#[from] ureq::Error),
    #[error("it answered {status}: {body}")]
    Refused { status: u16, body: String },
    #[error("its answer is none of /api/v1/query_range: {0}")]
    Answer(#[from] serde_json::Error),
    #[error(transparent)]
    Config(#[from] foreshock_core::config::ConfigError),
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// Reads everything that the configuration names.
pub fn load(config: &HistoryConfig) -> Loaded {
    let mut loaded = Loaded::default();
    for path in &config.files {
        loaded.file(path, &config.timestamp_column);
    }
    for query in &config.prometheus {
        if let Err(problem) = loaded.prometheus(query) {
            loaded.problems.push(format!("history.prometheus {}: {problem}", query.url));
        }
    }
    let dropped = loaded.history.shorten(config.max_points);
    if dropped > 0 {
        loaded.problems.push(format!("{dropped} old values are left out: history.max_points"));
    }
    loaded
}

impl Loaded {
    fn file(&mut self, path: &Path, timestamp_column: &str) {
        let options =
            TableOptions { timestamp_column: timestamp_column.to_string(), ..TableOptions::default() };
        let table = match Table::read(path, None, &options) {
            Ok(table) => table,
            Err(problem) => {
                self.problems.push(format!("history.files: {problem}"));
                return;
            }
        };
        let mut left_out = table.refused.count;
        for row in 0..table.rows() {
            for (name, value) in table.series.iter().zip(table.row(row)) {
                let taken = self.history.push(name, table.times_ms[row], *value);
                left_out += u64::from(!taken && !value.is_nan());
            }
        }
        if left_out > 0 {
            let path = path.display();
            self.problems
                .push(format!("history.files {path}: {left_out} values are left out, times must rise"));
        }
    }

    fn prometheus(&mut self, query: &PrometheusHistory) -> Result<(), QueryError> {
        let (from, to) = query.range()?;
        let step = i64::try_from(query.step.std().as_secs()).unwrap_or(i64::MAX);
        let (mut nameless, mut left_out, mut taken) = (0, 0, 0);
        let mut begin = from;
        while begin <= to {
            let end = begin.saturating_add(step.saturating_mul(MAX_STEPS)).min(to);
            let answer: Answer = serde_json::from_str(&ask(query, begin, end)?)?;
            for series in answer.data.result {
                let Some(name) = query.name(&series.metric) else {
                    nameless += 1;
                    continue;
                };
                for (seconds, value) in series.values {
                    let value: f64 = value.parse().unwrap_or(f64::NAN);
                    let is_taken = self.history.push(&name, (seconds * 1000.0) as i64, value);
                    taken += u64::from(is_taken);
                    left_out += u64::from(!is_taken && !value.is_nan());
                }
            }
            begin = end.saturating_add(step);
        }
        let (url, name) = (&query.url, &query.series);
        let mut problem = |words: String| self.problems.push(format!("history.prometheus {url}: {words}"));
        if nameless > 0 {
            problem(format!("{nameless} series lack a label of {name:?}, and are left out"));
        }
        if left_out > 0 {
            problem(format!("{left_out} values are left out: several series are named alike by {name:?}"));
        }
        if taken == 0 && nameless == 0 {
            problem(format!("{:?} has no value in this range", query.query));
        }
        Ok(())
    }
}

fn ask(query: &PrometheusHistory, from: i64, to: i64) -> Result<String, QueryError> {
    let mut request = client(None, None, query.timeout.std())
        .get(format!("{}/api/v1/query_range", query.url.trim_end_matches('/')))
        .query("query", &query.query)
        .query("start", from.to_string())
        .query("end", to.to_string())
        .query("step", format!("{}s", query.step.std().as_secs()));
    if let Some(path) = &query.token_file {
        let token = std::fs::read_to_string(path)
            .map_err(|source| QueryError::Token { path: path.display().to_string(), source })?;
        request = request.header("Authorization", format!("Bearer {}", token.trim()));
    }
    let mut response = request.call()?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string()?;
    if status != 200 {
        return Err(QueryError::Refused { status, body: body.chars().take(300).collect() });
    }
    Ok(body)
}
