//! Windows of the configuration: once, or again and again at an hour of some days in a time zone.

use jiff::{Timestamp, ToSpan, civil::Time, tz::TimeZone};

use super::{Entity, Matcher, Silence};

/// A window that is known beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// What is silenced.
    pub matchers: Vec<Matcher>,
    /// Why.
    pub comment: String,
    /// When.
    pub when: When,
}

/// When a window is open.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Once.
    Once {
        /// Where it begins, unix milliseconds.
        from_ms: i64,
        /// Where it ends, unix milliseconds.
        until_ms: i64,
    },
    /// From an hour of the clock on, for a time. An hour that a day does not have, since the clock is put forward, is the one after
    /// it; of one that it has twice the first is taken.
    Daily {
        /// Days on which it begins, from Monday on.
        days: [bool; 7],
        /// The hour.
        at: Time,
        /// How long it lasts, milliseconds, at most [`LONGEST_DAYS`].
        lasts_ms: i64,
        /// Whose hour and whose days.
        zone: TimeZone,
    },
}

/// Longest window that comes again, days.
pub const LONGEST_DAYS: i64 = 7;

impl Schedule {
    /// The silence that holds at this time, if one does.
    pub fn at(&self, time_ms: i64) -> Option<Silence> {
        let (from_ms, until_ms) = self.when.around(time_ms)?;
        Some(Silence::new(self.matchers.clone(), from_ms, until_ms, self.name.clone(), self.comment.clone()))
    }

    /// Whether it holds at this time for this entity, whatever of it.
    pub fn means(&self, entity: &Entity, time_ms: i64) -> bool {
        self.when.around(time_ms).is_some() && Matcher::all_mean_entity(&self.matchers, entity)
    }
}

impl When {
    /// The window around this time.
    fn around(&self, time_ms: i64) -> Option<(i64, i64)> {
        let holds = |(from_ms, until_ms): &(i64, i64)| (*from_ms..*until_ms).contains(&time_ms);
        match self {
            When::Once { from_ms, until_ms } => Some((*from_ms, *until_ms)).filter(holds),
            When::Daily { days, at, lasts_ms, zone } => {
                let today = Timestamp::from_millisecond(time_ms).ok()?.to_zoned_datetime(zone.clone()).date();
                (0..=LONGEST_DAYS).find_map(|back| {
                    let day = today.checked_sub(back.days()).ok()?;
                    let begins = days[usize::try_from(day.weekday().to_monday_zero_offset()).ok()?];
                    let from =
                        day.to_datetime(*at).to_zoned_datetime(zone.clone()).ok().filter(|_| begins)?;
                    let from_ms = from.timestamp().as_millisecond();
                    Some((from_ms, from_ms + lasts_ms)).filter(holds)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn open(when: &When, text: &str) -> bool {
        when.around(ms(text)).is_some()
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let mut days = [false; 7];
        days[4] = true;
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let when = When::Daily { days, at: Time::constant(22, 0, 0, 0), lasts_ms: 4 * 3_600_000, zone };
        // Friday, 27 November 2026, 22:00 in Berlin is 21:00 UTC.
        for (time, is_open) in [
            ("2026-11-27T20:59:59Z", false),
            ("2026-11-27T21:00:00Z", true),
            ("2026-11-28T00:59:59Z", true),
            ("2026-11-28T01:00:00Z", false),
            ("2026-11-28T22:00:00Z", false),
            ("2026-12-04T23:00:00Z", true),
        ] {
            assert_eq!(open(&when, time), is_open, "{time}");
        }
    }

    #[test]
    fn clocks_that_are_put_forward_and_back_move_it() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let daily =
            When::Daily { days: [true; 7], at: Time::constant(2, 30, 0, 0), lasts_ms: 3_600_000, zone };
        // 8 March 2026 has no 02:30: 03:30 EDT, 07:30 UTC. On 1 November it is 02:30 EST, 07:30 UTC; the day before EDT, 06:30.
        for (time, is_open) in [
            ("2026-03-08T07:29:00Z", false),
            ("2026-03-08T07:31:00Z", true),
            ("2026-03-08T08:31:00Z", false),
            ("2026-10-31T06:45:00Z", true),
            ("2026-11-01T06:45:00Z", false),
            ("2026-11-01T07:45:00Z", true),
        ] {
            assert_eq!(open(&daily, time), is_open, "{time}");
        }
    }

    #[test]
    fn what_comes_once_comes_once() {
        let when = When::Once { from_ms: ms("2026-01-01T00:00:00Z"), until_ms: ms("2026-01-01T01:00:00Z") };
        assert!(open(&when, "2026-01-01T00:59:00Z"));
        assert!(!open(&when, "2026-01-01T01:00:00Z") && !open(&when, "2027-01-01T00:30:00Z"));
    }
}
