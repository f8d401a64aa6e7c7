//! Points in time as people and machines write them.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// ISO 8601 (with or without an offset, `T` or a space), or seconds, milliseconds, microseconds or nanoseconds
/// since the epoch, told apart by their size. Gives unix milliseconds.
pub fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<f64>() {
        let scale = match number.abs() {
            size if !size.is_finite() => return None,
            size if size < 1e11 => 1000.0,
            size if size < 1e14 => 1.0,
            size if size < 1e17 => 1e-3,
            _ => 1e-6,
        };
        return Some((number * scale).round() as i64);
    }
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp.as_millisecond());
    }
    let civil: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(civil).ok().map(Timestamp::as_millisecond)
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
            ("1396310400000000", Some(1_396_310_400_000)),
            ("1396310400000000000", Some(1_396_310_400_000)),
            ("yesterday", None),
            ("inf", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time_ms(text), expected, "{text}");
        }
    }
}
