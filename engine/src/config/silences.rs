//! Maintenance windows: silences that are known beforehand.

use jiff::{Timestamp, ZonedDateTime, civil::Time, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Duration, engine::refuse_unless};
use crate::{
    silences::{LONGEST_DAYS, Schedule, When},
    types::Matcher,
};

/// A window in which what the matchers mean opens no incident and teaches no model. Either once, `from` and `until`, or again and
/// again, `at` and `lasts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceConfig {
    /// Its name, which is shown as the reason.
    pub name: String,
    /// What is silenced: every one must match. `entity=service/cart`, `measure=~"disk.*"`; labels are `entity`, `kind`, `name`,
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

impl SilenceConfig {
    /// The window, or what is wrong with it.
    pub(super) fn schedule(&self) -> Result<Schedule, ConfigError> {
        refuse_unless(!self.name.is_empty(), "silences.name", "is empty: it is shown as the reason")?;
        let is_broad = self.matchers.is_empty();
        refuse_unless(
            !is_broad,
            "silences.match",
            "is empty: name what is silenced, `series=~.*` for everything",
        )?;
        let when = match (&self.from, &self.until, &self.at, self.lasts) {
            (Some(from), Some(until), None, None) => self.once(from, until)?,
            (None, None, Some(at), Some(lasts)) => self.daily(at, lasts)?,
            _ => return Err(refused("silences", "give either `from` and `until`, or `at` and `lasts`")),
        };
        let (name, matchers, comment) = (self.name.clone(), self.matchers.clone(), self.comment.clone());
        Ok(Schedule { name, matchers, comment, when })
    }

    fn once(&self, from: &str, until: &str) -> Result<When, ConfigError> {
        let (from_ms, until_ms) = (time_ms("silences.from", from)?, time_ms("silences.until", until)?);
        refuse_unless(from_ms < until_ms, "silences.until", "is not after `from`")?;
        let has_days = !self.days.is_empty() || self.zone.is_some();
        refuse_unless(!has_days, "silences.days", "and `zone` belong to `at` and `lasts`")?;
        Ok(When::Once { from_ms, until_ms })
    }

    fn daily(&self, at: &str, lasts: Duration) -> Result<When, ConfigError> {
        let time: Result<Time, _> = at.parse();
        let at =
            time.map_err(|_| refused("silences.at", &format!("{at:?} is no hour: write it like 22:00")))?;
        let lasts_ms = lasts.millis();
        let is_short = lasts_ms > 0 && lasts_ms <= LONGEST_DAYS * 86_400_000;
        refuse_unless(is_short, "silences.lasts", "is not within 1ms..=7d")?;
        let name =
            self.zone.as_deref().ok_or_else(|| refused("silences.zone", "is missing: whose hour is it?"))?;
        let zone = TimeZone::get(name).map_err(|_| {
            refused("silences.zone", &format!("{name:?} is no time zone: write it like Europe/Berlin"))
        })?;
        let mut days = [self.days.is_empty(); 7];
        self.days.iter().for_each(|day| days[*day as usize] = true);
        Ok(When::Daily { days, at, lasts_ms, zone })
    }
}

fn refused(field: &'static str, problem: &str) -> ConfigError {
    ConfigError::Value { field, problem: problem.to_string() }
}

fn time_ms(field: &'static str, text: &str) -> Result<i64, ConfigError> {
    let zoned = || text.parse::<ZonedDateTime>().map(|zoned| zoned.timestamp());
    let time = text.parse::<Timestamp>().or_else(|_| zoned());
    time.map(Timestamp::as_millisecond).map_err(|_| {
        let problem = format!(
            "{text:?} is no time: write it like 2026-12-01T22:00:00Z or 2026-12-01T22:00[Europe/Berlin]"
        );
        ConfigError::Value { field, problem }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(yaml: &str) -> Result<Schedule, String> {
        let config: SilenceConfig = serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())?;
        config.schedule().map_err(|error| error.to_string())
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
            ("{match: [kind=host], at: '22:00', lasts: 1h, zone: UTC}", "silences.name"),
            ("{name: a, at: '22:00', lasts: 1h, zone: UTC}", "name what is silenced"),
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
