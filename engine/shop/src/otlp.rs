//! Small builders of OTLP messages that the three signals share, and the resources of the shop.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::fleet::Pod;
use super::topology::{ENVIRONMENT, NAMESPACE, Service};

const SCHEMA_VERSION: &str = "1.0.0";

pub(super) fn value(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

pub(super) fn text(key: &str, content: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value(content)), ..KeyValue::default() }
}

pub(super) fn integer(key: &str, number: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(number)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The instrumentation scope of one of the shop's libraries.
pub(super) fn scope(name: &str) -> Option<InstrumentationScope> {
    let (name, version) = (name.to_owned(), SCHEMA_VERSION.to_owned());
    Some(InstrumentationScope { name, version, ..InstrumentationScope::default() })
}

/// The resource of a pod of one of the shop's services.
pub(super) fn pod_resource(service: &Service, pod: &Pod) -> Option<Resource> {
    let attributes = vec![
        text("service.name", service.name),
        text("service.version", pod.version.as_str()),
        text("service.instance.id", pod.instance.as_str()),
        text("k8s.namespace.name", NAMESPACE),
        text("k8s.deployment.name", service.name),
        text("k8s.pod.name", pod.name.as_str()),
        text("deployment.environment.name", ENVIRONMENT),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

/// The resource of the database or the queue.
pub(super) fn peer_resource(name: &str, version: &str) -> Option<Resource> {
    let attributes = vec![
        text("service.name", name),
        text("service.version", version),
        text("service.instance.id", format!("{name}-0")),
        text("k8s.namespace.name", NAMESPACE),
        text("k8s.statefulset.name", name),
        text("k8s.pod.name", format!("{name}-0")),
        text("deployment.environment.name", ENVIRONMENT),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

/// Unix nanoseconds of a moment `offset_ms` after `seconds`.
pub(super) fn nanos(seconds: i64, offset_ms: f64) -> u64 {
    let base = u64::try_from(seconds).unwrap_or(0) * 1_000_000_000;
    base + (offset_ms.max(0.0) * 1_000_000.0).round() as u64
}

/// A version 4 UUID of these bytes, as text.
pub(super) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A moment as RFC 3339 in UTC (civil date from days: Howard Hinnant's `civil_from_days`).
pub(super) fn rfc3339(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::{nanos, rfc3339, uuid};

    #[test]
    fn dates_are_right() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_772_409_600, "2026-03-02T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(rfc3339(seconds), expected);
        }
    }

    #[test]
    fn small_builders() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(nanos(3, 1.5), 3_001_500_000);
    }
}
