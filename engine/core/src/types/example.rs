//! What shows an anomaly to a person: a request by its trace, a line of log.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an example is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExampleKind {
    /// A request that failed.
    FailedRequest,
    /// The request of its tick that took longest.
    SlowRequest,
    /// A line of log that is an error.
    LogLine,
}

/// One request or line of an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// What it is of.
    pub kind: ExampleKind,
    /// Event time of its tick, unix milliseconds.
    pub time_ms: i64,
    /// The trace of a request, 32 hexadecimal digits; empty for a line.
    pub trace_id: String,
    /// What happened in words, or the line, redacted.
    pub text: String,
}

/// `a request failed after 3.20 s, trace 4bf92f3577b34da6a3ce929d0e0e4736`; a line alone.
impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trace_id.as_str() {
            "" => f.write_str(&self.text),
            trace => write!(f, "{}, trace {trace}", self.text),
        }
    }
}
