//! Intake against the shop's real OTLP bytes, cut and random bytes, and the table of encodings.

use arrow::{array::AsArray as _, datatypes::Int64Type};
use bytes::Bytes;
use proptest::prelude::*;

mod inferences;
mod otlp;
mod sightings;
mod webhooks;

use foreshock_shop::{Shop, ShopConfig};

use super::*;
use crate::types::batch::Signal;

fn record(offset: i64, payload: impl Into<Bytes>) -> Record {
    Record { offset, time_ms: 1_700_000_000_000, payload: payload.into(), ..Record::default() }
}

fn shop_records(topic: &str, ticks: usize) -> Vec<Record> {
    let mut shop = Shop::new(ShopConfig::default());
    let produced =
        (0..ticks).flat_map(|_| shop.step()).filter(|message| message.topic == topic).collect::<Vec<_>>();
    let numbered = produced.into_iter().enumerate();
    numbered
        .map(|(offset, message)| Record {
            offset: offset as i64,
            time_ms: message.time_ms,
            key: message.key.map(Bytes::from),
            headers: message.headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect(),
            payload: message.payload.into(),
        })
        .collect()
}

fn take(topic: &str, records: &[Record]) -> (Vec<Batch>, Vec<Reject>) {
    take_by(IntakeConfig::default(), topic, records)
}

fn take_by(config: IntakeConfig, topic: &str, records: &[Record]) -> (Vec<Batch>, Vec<Reject>) {
    let mut intake = Intake::new(topic, config);
    let mut taken = (Vec::new(), Vec::new());
    for effect in intake.on_event(Event::Records(records)) {
        match effect {
            Effect::Batch(batch) => taken.0.push(batch),
            Effect::Reject(reject) => taken.1.push(reject),
            Effect::Change(_) | Effect::Alert(_) | Effect::Sighting(_) => {}
        }
    }
    taken
}

#[test]
fn the_shop_is_understood() {
    let cases = [
        ("otlp_metrics", vec![Signal::Metrics, Signal::Histograms]),
        ("otlp_logs", vec![Signal::Logs]),
        ("otlp_spans", vec![Signal::Spans]),
    ];
    for (topic, signals) in cases {
        let (batches, rejects) = take(topic, &shop_records(topic, 3));
        assert!(rejects.is_empty(), "{topic}: {rejects:?}");
        assert_eq!(batches.iter().map(|batch| batch.signal).collect::<Vec<_>>(), signals);
        assert!(batches.iter().all(|batch| batch.rows.num_rows() > 30), "{topic}");
    }
}

#[test]
fn a_cut_record_leaves_nothing_behind() {
    for topic in ["otlp_metrics", "otlp_logs", "otlp_spans"] {
        let records = shop_records(topic, 1);
        let whole = records[0].clone();
        let cut =
            Record { offset: 1, payload: whole.payload.slice(..whole.payload.len() - 3), ..whole.clone() };
        let (batches, rejects) = take(topic, &[whole.clone(), cut]);
        let (alone, _) = take(topic, &[whole]);
        assert_eq!(rejects.len(), 1, "{topic}");
        assert_eq!((rejects[0].offset, rejects[0].reason), (1, RejectReason::Malformed));
        let rows = |batches: &[Batch]| batches.iter().map(|batch| batch.rows.clone()).collect::<Vec<_>>();
        assert_eq!(rows(&batches), rows(&alone), "{topic}");
    }
}

const UP: &str = r#"{"timestamp":"2023-11-14T22:13:20Z","value":"3.5","name":"up","labels":{"job":"cart"}}"#;
const LINE: &str = r#"{"message":"hello","level":"error","service":"cart"}"#;
const GAUGE: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000","asDouble":1.5}]}}]}]}]}"#;
const SUM: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1700000000000000000","asInt":"5"}]}}]}]}]}"#;
const ANSWER: &str = r#"{"model":"ranker","prediction":"yes","inputs":{"age":37}}"#;
const DEPLOY: &str = r#"{"specversion":"1.0","type":"dev.cdevents.service.deployed.0.2.0","source":"ci","id":"1","subject":"cart"}"#;
const GENERIC: &str = r#"{"id":"1","service":"cart","version":"v2"}"#;

/// Each format: its topic, a record, what it is in the end (rows of a signal, or something told), and whether it is found by itself.
fn fixtures() -> Vec<(Encoding, &'static str, Record, &'static str, bool)> {
    let shop = |topic| shop_records(topic, 1).remove(0);
    let mut webhook = record(0, GENERIC);
    webhook.headers = [(WEBHOOK, "generic"), (RECEIVER, "here")]
        .map(|(name, value)| (name.to_string(), Bytes::from_static(value.as_bytes())))
        .into();
    vec![
        (Encoding::OtlpMetrics, "otlp_metrics", shop("otlp_metrics"), "Metrics", true),
        (Encoding::OtlpLogs, "otlp_logs", shop("otlp_logs"), "Logs", true),
        (Encoding::OtlpSpans, "otlp_spans", shop("otlp_spans"), "Spans", true),
        (Encoding::OtlpJson, "any", record(0, GAUGE), "Metrics", true),
        (Encoding::OtlpJson, "otlp_metrics", record(0, SUM), "Metrics", true),
        (Encoding::PrometheusJson, "metrics", record(0, UP), "Metrics", true),
        (Encoding::JsonLines, "app", record(0, LINE), "Logs", true),
        (Encoding::Text, "app", record(0, "ERROR: no room"), "Logs", false),
        (Encoding::Inferences, "any", record(0, ANSWER), "Metrics", true),
        (Encoding::CloudEvents, "changes", record(0, DEPLOY), "Change", true),
        (Encoding::Webhook, "changes", webhook, "Change", true),
    ]
}

#[test]
fn every_format_is_found_and_read() {
    let fixtures = fixtures();
    for encoding in Encoding::ALL.into_iter().filter(|encoding| *encoding != Encoding::Auto) {
        assert!(fixtures.iter().any(|fixture| fixture.0 == encoding), "{encoding:?} has no fixture");
    }
    for (encoding, topic, record, expected, is_found) in fixtures {
        for configured in [encoding, Encoding::Auto] {
            let config = IntakeConfig { encoding: configured, ..IntakeConfig::default() };
            let mut intake = Intake::new(topic, config);
            let effects = intake.on_event(Event::Records(std::slice::from_ref(&record)));
            let told = effects.iter().find_map(|effect| match effect {
                Effect::Batch(batch) => Some(format!("{:?}", batch.signal)),
                Effect::Change(_) => Some("Change".to_string()),
                Effect::Reject(reject) => Some(reject.reason.name().to_string()),
                Effect::Alert(_) | Effect::Sighting(_) => None,
            });
            let expected =
                if configured == Encoding::Auto && !is_found { "unknown_encoding" } else { expected };
            assert_eq!(told.as_deref(), Some(expected), "{encoding:?} as {configured:?}: {effects:?}");
        }
    }
}

#[test]
fn what_is_of_no_format_is_refused() {
    for payload in [r#"{"what":"is this"}"#, "\u{0}\u{1}"] {
        let (batches, rejects) = take("any", &[record(0, payload)]);
        assert_eq!((batches.len(), rejects.len()), (0, 1), "{payload}: {rejects:?}");
    }
}

/// A point that says so holds nothing, whatever its kind: a producer's way to say that a series has ended.
#[test]
fn a_point_without_a_recorded_value_is_left_out() {
    let points = [
        r#""gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000","asDouble":1.5,"flags":FLAGS}]}"#,
        r#""histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1700000000000000000","count":"3","explicitBounds":[1],"bucketCounts":["1","2"],"flags":FLAGS}]}"#,
        r#""exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1700000000000000000","count":"3","scale":1,"positive":{"bucketCounts":["1","2"]},"flags":FLAGS}]}"#,
        r#""summary":{"dataPoints":[{"timeUnixNano":"1700000000000000000","count":"3","quantileValues":[{"quantile":0.5,"value":2}],"flags":FLAGS}]}"#,
    ];
    for point in points {
        let rows = |flags: &str| {
            let metric = format!("{{\"name\":\"m\",{}}}", point.replace("FLAGS", flags));
            let payload = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#);
            let (batches, rejects) = take("any", &[record(0, payload)]);
            assert!(rejects.is_empty(), "{rejects:?}");
            batches.iter().map(|batch| batch.rows.num_rows()).sum::<usize>()
        };
        assert!(rows("0") > 0 && rows("2") > 0, "{point}");
        assert_eq!((rows("1"), rows("3")), (0, 0), "{point}");
    }
}

#[test]
fn times_as_they_are_stated() {
    let at = |stated: &str, time_ms: i64| {
        let payload = format!(r#"{{"message":"hello","time":{stated}}}"#);
        let (batches, rejects) = take("app", &[Record { time_ms, ..record(0, payload) }]);
        let time = |batch: &Batch| batch.rows.column(1).as_primitive::<Int64Type>().value(0);
        batches.first().map(time).ok_or_else(|| rejects[0].reason)
    };
    let at_13_20 = 1_700_000_000_123_000_000;
    for stated in [
        "\"2023-11-14T22:13:20.123Z\"",
        "1700000000.123",
        "1700000000123",
        "1700000000123000",
        "1700000000123000000",
    ] {
        assert_eq!(at(stated, 1_700_000_000_000), Ok(at_13_20), "{stated}");
    }
    for stated in ["\"9999-12-31T00:00:00Z\"", "18446744073709551615", "1e300", "\"soon\"", "null", "[]"] {
        assert_eq!(at(stated, 1_700_000_000_000), Err(RejectReason::BadTime), "{stated}");
    }
    let text = IntakeConfig { encoding: Encoding::Text, ..IntakeConfig::default() };
    let (_, rejects) = take_by(text, "app", &[Record { time_ms: i64::MAX, ..record(0, "a line") }]);
    assert_eq!(rejects[0].reason, RejectReason::BadTime);
}

#[test]
fn events_ahead_of_their_record_are_refused() {
    let payload = r#"{"timestamp":"2024-11-14T22:13:20Z","value":"3.5","name":"up","labels":{}}"#;
    let (batches, rejects) = take("metrics", &[record(0, payload)]);
    assert!(batches.is_empty());
    assert_eq!(rejects[0].reason, RejectReason::BadTime);
}

#[test]
fn a_cdevent_is_a_change() {
    let mut shop = Shop::new(ShopConfig::default());
    let mut intake = Intake::new("changes", IntakeConfig::default());
    let events = (0..1300).flat_map(|_| shop.step()).filter(|message| message.topic == "changes");
    let changes: Vec<Change> = events
        .flat_map(|message| {
            let headers =
                message.headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
            let record = Record { headers, ..record(0, message.payload) };
            intake.on_event(Event::Records(&[record]))
        })
        .map(|effect| match effect {
            Effect::Change(change) => change,
            other => panic!("{other:?}"),
        })
        .collect();
    let said: Vec<String> =
        changes.iter().map(|c| format!("{} {} {}", c.kind, c.entity, c.version)).collect();
    assert!(said.iter().any(|text| text.starts_with("service.upgraded service/payment 2.0.0")), "{said:?}");
}

#[test]
fn a_change_names_a_namespace_where_its_subject_does() {
    for (id, named) in [
        (r#""payment""#, "service/payment"),
        (r#""shop/payment""#, "service/shop/payment"),
        (r#""/shop/payment""#, "service/payment"),
        (r#""https://example.com/apps/payment""#, "service/payment"),
        (r#""shop/""#, "service/unknown"),
        (r#""""#, "service/deployer"),
    ] {
        let event = format!(
            r#"{{"specversion":"1.0","type":"dev.cdevents.service.deployed.0.2.0","id":"1","source":"ci/deployer","time":"2026-01-01T00:00:00Z","data":{{"subject":{{"id":{id}}}}}}}"#
        );
        let effects =
            Intake::new("changes", IntakeConfig::default()).on_event(Event::Records(&[record(0, event)]));
        assert!(
            matches!(effects.as_slice(), [Effect::Change(change)] if change.entity.to_string() == named),
            "{id}: {effects:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn random_bytes_are_data(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        for topic in ["otlp_metrics", "otlp_logs", "otlp_spans", "otlp_json", "x"] {
            take(topic, &[record(0, payload.clone())]);
        }
    }
}
