//! Explanations for people.

use super::NewPattern;
use crate::types::{Anomaly, SeriesDef};

/// `p95 rose to 0.84, expected 0.21 (0.12 to 0.30); residual 83 % and level 17 % spoke, p = 8.1e-4`.
pub(super) fn series(anomaly: &Anomaly) -> String {
    let Anomaly { measure, value, expected, lower, upper, detector, contributions, .. } = anomaly;
    let shares = contributions.iter().map(|(detector, share)| format!("{detector} {:.0} %", share * 100.0));
    let shares: Vec<String> = shares.collect();
    let speakers = if shares.is_empty() { detector.clone() } else { shares.join(" and ") };
    let direction = if value > expected { "rose to" } else { "fell to" };
    format!(
        "{measure} {direction} {}, expected {} ({} to {}); {speakers} spoke, p = {:.1e}",
        short(*value),
        short(*expected),
        short(*lower),
        short(*upper),
        (-anomaly.neg_log_p).exp()
    )
}

/// `requests:rate has been silent for 40.00 s, a value comes every 10.00 s as a rule, p = 8.1e-4`.
pub(super) fn silence(series: &SeriesDef, silent: f64, step: f64, neg_log_p: f64) -> String {
    format!(
        "{} has been silent for {} s, a value comes every {} s as a rule; absence spoke, p = {:.1e}",
        series.measure,
        short(silent),
        short(step),
        (-neg_log_p).exp()
    )
}

/// `its series are unusual together: requests:rate 61 %, errors:rate 30 %`.
pub(super) fn entity(attribution: &[(String, f64)]) -> String {
    let shares: Vec<String> =
        attribution.iter().take(3).map(|(name, share)| format!("{name} {:.0} %", share * 100.0)).collect();
    format!("its series are unusual together: {}", shares.join(", "))
}

/// `never seen before, error: label printer rejected <*>`.
pub(super) fn novelty(pattern: &NewPattern<'_>) -> String {
    let severity = match pattern.severity {
        21.. => "fatal",
        17..=20 => "error",
        13..=16 => "warning",
        _ => "info",
    };
    format!("a log line never seen before, {severity}: {}", pattern.example)
}

/// `system.filesystem.utilization meets its limit 1 in 3 h to 5 h, 0.8200 now; forecast spoke`.
pub(super) fn forecast(measure: &str, [earliest_s, latest_s]: [f64; 2], value: f64, limit: f64) -> String {
    let (from, to) = (long(earliest_s), long(latest_s));
    let when = if from == to { from } else { format!("{from} to {to}") };
    format!("{measure} meets its limit {} in {when}, {} now; forecast spoke", bare(limit), short(value))
}

/// A limit as people give it.
fn bare(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 { format!("{value:.0}") } else { short(value) }
}

/// A length of time in the largest unit of which there are two.
fn long(seconds: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(86_400.0, "days"), (3_600.0, "h"), (60.0, "min")];
    let unit = UNITS.into_iter().find(|(length, _)| seconds >= 2.0 * length);
    let (length, name) = unit.unwrap_or((60.0, "min"));
    format!("{:.0} {name}", (seconds / length).max(1.0))
}

/// Four significant digits at most, without an exponent where a person would write none.
fn short(value: f64) -> String {
    let size = value.abs();
    if size < 1e-12 {
        "0".to_string()
    } else if !(1e-3..1e9).contains(&size) {
        format!("{value:.2e}")
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (-2.6e-121, "0"),
            (0.25, "0.2500"),
            (12.345, "12.35"),
            (12345.6, "12346"),
            (2.5e12, "2.50e12"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }
}
