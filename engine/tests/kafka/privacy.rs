//! What is secret in logs, attributes, names and changes stands in nothing that the engine writes or says: no topic but the dead letters
//! and what others wrote, no snapshot, no log, no page.

use std::path::Path;

use crate::support::*;

/// Planted everywhere.
const SECRETS: [&str; 4] =
    ["ghp_ABCDEFGHIJKLMNOPQRSTUVWX012345", "ann@example.org", "4111 1111 1111 1111", "hunter2"];

/// All of them in one text.
fn planted() -> String {
    let [token, email, card, password] = SECRETS;
    format!("{token} {email} {card} password={password}")
}

/// A gauge, a failed span and a log line of a tick, with secrets in every place that takes a text.
fn tick(tick: i64, latency: f64) -> [String; 3] {
    let planted = planted();
    let text = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let attributes = format!(r#""attributes":[{}]"#, text("user", &planted));
    let resource = format!(
        r#""resource":{{"attributes":[{},{},{}]}}"#,
        text("service.name", &format!("cart {planted}")),
        text("service.version", &format!("v{} {planted}", tick / 100)),
        text("host.name", &planted),
    );
    let nanos = (1_767_225_600 + 10 * tick) * 1_000_000_000;
    let severity = if latency > 100.0 { 17 } else { 9 };
    [
        format!(
            r#"{{"resourceMetrics":[{{{resource},"scopeMetrics":[{{"metrics":[{{"name":"latency","gauge":{{"dataPoints":[{{{attributes},"timeUnixNano":"{nanos}","asDouble":{latency}}}]}}}}]}}]}}]}}"#
        ),
        format!(
            r#"{{"resourceLogs":[{{{resource},"scopeLogs":[{{"logRecords":[{{{attributes},"timeUnixNano":"{nanos}","severityNumber":{severity},"body":{{"stringValue":"{} {planted}"}}}}]}}]}}]}}"#,
            if severity == 17 { "cannot charge" } else { "charged" }
        ),
        format!(
            r#"{{"resourceSpans":[{{{resource},"scopeSpans":[{{"spans":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"{:016x}","name":"add {planted}","kind":3,"attributes":[{}],"startTimeUnixNano":"{}","endTimeUnixNano":"{nanos}"}}]}}]}}]}}"#,
            tick + 1,
            text("peer.service", &planted),
            nanos - 5_000_000
        ),
    ]
}

/// Where secrets stand in a folder's files, but for the ones that planted them.
fn found_in(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found_in(&path, found);
        } else if path.extension().is_none_or(|extension| extension != "jsonl") {
            let bytes = std::fs::read(&path).expect("file");
            found.extend(secrets_in(&bytes).map(|secret| format!("{}: {secret}", path.display())));
        }
    }
}

fn secrets_in(bytes: &[u8]) -> impl Iterator<Item = &'static str> {
    SECRETS.into_iter().filter(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

#[test]
fn a_planted_secret_stands_nowhere() {
    // Others write to topics of these names too.
    let Some(own) = or_skip(Broker::start("privacy", &[])) else { return };
    let broker = own.address.as_str();
    let folder = tempfile::tempdir().expect("folder");
    let topics = "otlp_metrics, otlp_logs, otlp_spans, changes".split(", ");
    let config = write_config(folder.path(), broker, "privacy", "state", "");
    let text = std::fs::read_to_string(&config).expect("config");
    let read =
        "topics: [{name: otlp_metrics}, {name: otlp_logs}, {name: otlp_spans}, {name: changes, quiet: true}]";
    let text = text.replace("topics: [{name: privacy-in, encoding: otlp_metrics}]", read);
    std::fs::write(&config, text.replace("outputs: {", "outputs: {cdevents: privacy-cdevents, "))
        .expect("config");
    let there: Vec<(&str, i32)> = topics.map(|topic| (topic, 1)).collect();
    create_topics(broker, &there);
    let rows = |from: i64, until: i64, latency: f64| -> String {
        (from..until)
            .flat_map(|at| tick(at, latency + (at * 37 % 11) as f64 / 10.0))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let change = format!(
        r#"{{"specversion":"1.0","type":"dev.cdevents.service.upgraded.0.2.0","id":"c1","source":"/{0}","time":"2026-01-01T00:49:00Z","data":{{"subject":{{"id":"cart {0}"}},"customData":{{"version":"{0}"}}}}}}"#,
        planted()
    );
    let file = folder.path().join("told.jsonl");
    let told = [rows(0, 300, 20.0), change, rows(300, 360, 400.0), rows(360, 420, 20.0)];
    std::fs::write(&file, told.join("\n")).expect("file");
    produce(&config, "unused", &file);
    let engine = run(&config, true);
    ends_well(engine, &config, std::time::Duration::from_secs(120));

    let incidents = distinct(&read_topic(broker, "privacy-incidents"));
    let all = incidents.join("\n");
    for kept in ["cart <token> <email> <card> <secret>", "latency{user=", "cannot charge"] {
        assert!(all.contains(kept), "the story is told, without what is secret: {kept}: {all}");
    }
    let mut found = Vec::new();
    for topic in ["anomalies", "incidents", "signals", "journal", "decisions", "audit", "cdevents"] {
        for record in read_topic(broker, &format!("privacy-{topic}")) {
            found.extend(secrets_in(&record.payload).map(|secret| format!("{topic}: {secret}")));
        }
    }
    found_in(folder.path(), &mut found);
    assert!(found.is_empty(), "{found:#?}");
}
