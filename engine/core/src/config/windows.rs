//! Windows of time that are known beforehand: silences, and freezes of remediation.

use jiff::{Timestamp, ZonedDateTime, civil::Time, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Duration};
use crate::types::{LONGEST_DAYS, Matcher, Schedule, When};

/// A window of time, for what the matchers mean. Either once, `from` and `until`, or again and
/// again, `at` and `lasts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WindowConfig {
    /// Its name, which is shown as the reason.
    pub name: String,
    /// What it is for: every one must match. `entity=service/cart`, `measure=~"disk.*"`; labels are `entity`, `kind`, `name`,
    /// `measure`, `series` and the attributes of a series; operators `=`, `!=`, `=~`, `!~`, expressions anchored.
    #[serde(rename = "match")]
    pub matchers: Vec<Matcher>,
    /// Where it begins, once: `2026-12-01T22:00:00Z`, or `2026-12-01T22:00[Europe/Berlin]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where it ends, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The hour at which it begins: `22:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How long it lasts, up to 7 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// Days on which it begins; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// Time zone of `at` and `days`, by its name in the IANA database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl WindowConfig {
    /// The window, or what is wrong with it; `list` is the setting that errors name.
    pub(super) fn schedule(&self, list: &'static str) -> Result<Schedule, ConfigError> {
        self.read().map_err(|problem| {
            let window = if self.name.is_empty() { String::new() } else { format!("{:?}: ", self.name) };
            ConfigError::Value { field: list, problem: format!("{window}{problem}") }
        })
    }

    fn read(&self) -> Result<Schedule, String> {
        refuse_unless(!self.name.is_empty(), "name is empty: it is shown as the reason")?;
        let is_broad = self.matchers.is_empty();
        refuse_unless(!is_broad, "match is empty: name what it is for, `entity=~.*` for everything")?;
        let when = match (&self.from, &self.until, &self.at, self.lasts) {
            (Some(from), Some(until), None, None) => self.once(from, until)?,
            (None, None, Some(at), Some(lasts)) => self.daily(at, lasts)?,
            _ => return Err("give either `from` and `until`, or `at` and `lasts`".to_string()),
        };
        let (name, matchers, comment) = (self.name.clone(), self.matchers.clone(), self.comment.clone());
        Ok(Schedule { name, matchers, comment, when })
    }

    fn once(&self, from: &str, until: &str) -> Result<When, String> {
        let (from_ms, until_ms) = (time_ms(from)?, time_ms(until)?);
        refuse_unless(from_ms < until_ms, "until is not after `from`")?;
        let has_days = !self.days.is_empty() || self.zone.is_some();
        refuse_unless(!has_days, "days and `zone` belong to `at` and `lasts`")?;
        Ok(When::Once { from_ms, until_ms })
    }

    fn daily(&self, at: &str, lasts: Duration) -> Result<When, String> {
        let time: Result<Time, _> = at.parse();
        let at = time.map_err(|_| format!("at: {at:?} is no hour: write it like 22:00"))?;
        let lasts_ms = lasts.millis();
        let is_short = lasts_ms > 0 && lasts_ms <= LONGEST_DAYS * 86_400_000;
        refuse_unless(is_short, "lasts is not within 1ms..=7d")?;
        let name = self.zone.as_deref().ok_or("zone is missing: whose hour is it?")?;
        let zone = TimeZone::get(name)
            .map_err(|_| format!("zone: {name:?} is no time zone: write it like Europe/Berlin"))?;
        let mut days = [self.days.is_empty(); 7];
        self.days.iter().for_each(|day| days[*day as usize] = true);
        Ok(When::Daily { days, at, lasts_ms, zone })
    }
}

fn refuse_unless(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_string()) }
}

fn time_ms(text: &str) -> Result<i64, String> {
    let zoned = || text.parse::<ZonedDateTime>().map(|zoned| zoned.timestamp());
    let time = text.parse::<Timestamp>().or_else(|_| zoned());
    time.map(Timestamp::as_millisecond).map_err(|_| {
        format!("{text:?} is no time: write it like 2026-12-01T22:00:00Z or 2026-12-01T22:00[Europe/Berlin]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(yaml: &str) -> Result<Schedule, String> {
        let config: WindowConfig = serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())?;
        config.schedule("silences").map_err(|error| error.to_string())
    }

    #[test]
    fn windows_are_read() {
        let once = schedule(
            "{name: move, match: [kind=host], from: '2026-12-01T22:00[Europe/Berlin]', until: 2026-12-01T23:00:00Z}",
        );
        assert_eq!(
            once.unwrap().when,
            When::Once { from_ms: 1_796_158_800_000, until_ms: 1_796_166_000_000 }
        );
        let daily = schedule(
            "{name: backup, match: [name=orders], at: '22:00', lasts: 4h, days: [sat, sun], zone: Asia/Tokyo}",
        );
        let When::Daily { days, lasts_ms, .. } = daily.unwrap().when else { panic!("not daily") };
        assert_eq!((days, lasts_ms), ([false, false, false, false, false, true, true], 14_400_000));
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        for (yaml, problem) in [
            ("{match: [kind=host], at: '22:00', lasts: 1h, zone: UTC}", "silences: name is empty"),
            ("{name: a, at: '22:00', lasts: 1h, zone: UTC}", "\"a\": match is empty"),
            ("{name: a, match: [host], at: '22:00', lasts: 1h, zone: UTC}", "is no matcher"),
            ("{name: a, match: [kind=host], at: '22:00', zone: UTC}", "give either"),
            ("{name: a, match: [kind=host], at: '25:00', lasts: 1h, zone: UTC}", "no hour"),
            ("{name: a, match: [kind=host], at: '22:00', lasts: 8d, zone: UTC}", "7d"),
            ("{name: a, match: [kind=host], at: '22:00', lasts: 1h}", "whose hour"),
            ("{name: a, match: [kind=host], at: '22:00', lasts: 1h, zone: Mars}", "no time zone"),
            ("{name: a, match: [kind=host], from: today, until: 2026-12-01T22:00:00Z}", "is no time"),
            (
                "{name: a, match: [kind=host], from: 2026-12-01T22:00:00Z, until: 2026-12-01T22:00:00Z}",
                "not after",
            ),
        ] {
            let error = schedule(yaml).unwrap_err();
            assert!(error.contains(problem), "{yaml}: {error}");
        }
    }
}
