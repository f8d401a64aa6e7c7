//! Durations and sizes as people write them: `10s`, `1h 30m`, `64MiB`; names, URLs and secrets as they give them.

use std::{fmt, path::Path, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{ConfigError, engine::refuse_unless};

/// A length of time: `10s`, `1h 30m`, `250ms`, `7d` (a day is 24 hours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct Duration(std::time::Duration);

/// A number of bytes: `64MiB`, `1MB`, `512`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct Bytes(pub u64);

impl Duration {
    /// Whole seconds.
    pub const fn from_secs(seconds: u64) -> Duration {
        Duration(std::time::Duration::from_secs(seconds))
    }

    /// As the standard library has it.
    pub const fn std(self) -> std::time::Duration {
        self.0
    }

    /// In milliseconds.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// In nanoseconds.
    pub fn nanos(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Duration, String> {
        let refuse = |_| format!("{text:?} is no duration: write it like 10s, 5m or 1d 12h");
        let span: jiff::Span = text.parse().map_err(refuse)?;
        let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(refuse)?;
        let duration = std::time::Duration::try_from(signed);
        duration.map(Duration).map_err(|_| format!("{text:?} is negative"))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX);
        write!(f, "{signed:#}")
    }
}

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let trimmed = text.trim();
        let unit = UNITS.iter().find_map(|(unit, factor)| Some((trimmed.strip_suffix(unit)?, *factor)));
        let (number, factor) = unit.unwrap_or((trimmed, 1));
        let bytes = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        bytes.map(Bytes).ok_or_else(|| format!("{text:?} is no size: write it like 64MiB"))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: &u64| self.0 > 0 && self.0.is_multiple_of(*factor);
        let unit = UNITS[..3].iter().rev().find(|(_, factor)| fits(factor));
        match unit {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// The first line of a file: how secrets are given.
pub fn first_line(path: &Path) -> Result<String, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_string())
}

/// Whether a URL of plain HTTP stays on this machine, so that secrets may go over it.
pub fn is_plain_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Before an @ stands a user, not the host.
    !authority.contains('@')
        && ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
            authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':'))
        })
}

/// Whether a text may name a sink or a receiver.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Refuses what is no URL of HTTP, and one that holds a user; `instead` says how a user is given.
pub(super) fn check_url(field: &'static str, url: &str, instead: &str) -> Result<(), ConfigError> {
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    refuse_unless(is_http, field, "does not begin with http:// or https://")?;
    let authority = url.split('/').nth(2).unwrap_or_default();
    refuse_unless(!authority.contains('@'), field, &format!("holds a user: give {instead}"))
}

/// Text or a bare number, as YAML gives it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                match Written::deserialize(deserializer)? {
                    Written::Text(text) => text.parse().map_err(D::Error::custom),
                    Written::Number(number) => number.to_string().parse().map_err(D::Error::custom),
                }
            }
        }
    };
}

as_text!(Duration);
as_text!(Bytes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_this_machine() {
        for url in ["http://127.0.0.1:7117", "http://localhost", "http://localhost/a?b#c", "http://[::1]:1/"]
        {
            assert!(is_plain_loopback(url), "{url}");
        }
        for url in [
            "https://localhost",
            "http://localhost.example.org",
            "http://127.0.0.10",
            "http://127.0.0.1@example.org/",
            "http://localhost:1@example.org",
            "http://example.org/http://localhost",
            "localhost",
        ] {
            assert!(!is_plain_loopback(url), "{url}");
        }
    }
}
