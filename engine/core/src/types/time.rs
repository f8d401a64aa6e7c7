//! Points in time as people and machines write them.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// ISO 8601 (with or without an offset, UTC without; `T` or a space), or an epoch as [`epoch_ns`] takes it. Gives unix nanoseconds;
/// `None` also for what is beyond them: before 1677, after 2262.
pub fn parse_time_ns(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return epoch_ns(whole as f64, Some(whole));
    }
    if let Ok(number) = text.parse::<f64>() {
        return epoch_ns(number, None);
    }
    let stamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    i64::try_from(stamp.as_nanosecond()).ok()
}

/// The same in milliseconds, the nearest.
pub fn parse_time_ms(text: &str) -> Option<i64> {
    parse_time_ns(text).map(|time_ns| (time_ns.div_euclid(500_000) + 1).div_euclid(2))
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by their size: only what lies
/// within nanoseconds, from 1677 to 2262, is a time. A fraction is good for microseconds; `whole` is the number without one, which is exact.
pub fn epoch_ns(number: f64, whole: Option<i64>) -> Option<i64> {
    let size = number.abs();
    let unit: i32 = [1e11, 1e14, 1e17].iter().map(|bound| if size < *bound { 1000 } else { 1 }).product();
    match whole {
        Some(whole) => whole.checked_mul(i64::from(unit)),
        None if size < 1e19 => i64::try_from((number * f64::from(unit) / 1000.0).round() as i128 * 1000).ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_common_form() {
        let cases = [
            ("2014-04-01 00:00:00", Some(1_396_310_400_000)),
            ("2014-04-01T00:00:00Z", Some(1_396_310_400_000)),
            ("2014-04-01T02:00:00+02:00", Some(1_396_310_400_000)),
            ("1396310400", Some(1_396_310_400_000)),
            ("1396310400.25", Some(1_396_310_400_250)),
            ("1396310400000", Some(1_396_310_400_000)),
            ("1396310400000.6", Some(1_396_310_400_001)),
            ("1396310400000000", Some(1_396_310_400_000)),
            ("1396310400000000000", Some(1_396_310_400_000)),
            ("-1.0005", Some(-1_000)),
            ("-1.0006", Some(-1_001)),
            ("yesterday", None),
            ("inf", None),
            ("NaN", None),
            ("9223372036854775807", Some(9_223_372_036_855)),
            ("9223372036854775808", None),
            ("99999999999", None),
            ("2300-01-01T00:00:00Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time_ms(text), expected, "{text}");
        }
        assert_eq!(parse_time_ns("1396310400123456789"), Some(1_396_310_400_123_456_789));
        assert_eq!(parse_time_ns("2014-04-01T00:00:00.123456789Z"), Some(1_396_310_400_123_456_789));
    }
}
