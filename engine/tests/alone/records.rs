//! `replay` of OTLP JSON lines: the whole pipeline, as `run` has it.
//!
//! Does not prove anything about Kafka: `tests/kafka` does.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;
use foreshock_core::{
    pipeline::{Effect, Event, Pipeline, PipelineConfig},
    types::{Record, Silence, Source, Word},
};
use foreshock_shop::{FaultKind, Scenario, Shop, ShopConfig};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use prost::Message;

/// What a replay came to: exit code, stdout, stderr.
fn replay(arguments: &[&str], files: &[PathBuf]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .arg("replay")
        .args(arguments)
        .args(files)
        .output()
        .expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A bad deploy in the simulated shop, some minutes after the series are known: the lines of each topic.
fn recorded() -> BTreeMap<&'static str, Vec<String>> {
    let scenario = Scenario::only(FaultKind::BadDeploy, 1000);
    let mut shop = Shop::new(ShopConfig { warmup_ticks: 140, scenario, ..ShopConfig::default() });
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    while !shop.finished() {
        for message in shop.step() {
            lines.entry(message.topic).or_default().push(as_json(message.topic, &message.payload));
        }
    }
    lines
}

fn as_json(topic: &str, payload: &[u8]) -> String {
    let json = match topic {
        "otlp_metrics" => {
            serde_json::to_string(&ExportMetricsServiceRequest::decode(payload).expect("metrics"))
        }
        "otlp_logs" => serde_json::to_string(&ExportLogsServiceRequest::decode(payload).expect("logs")),
        "otlp_spans" => serde_json::to_string(&ExportTraceServiceRequest::decode(payload).expect("spans")),
        _ => return String::from_utf8(payload.to_vec()).expect("a CloudEvent"),
    };
    json.expect("JSON")
}

fn write(folder: &Path, lines: &BTreeMap<&str, Vec<String>>) -> Vec<PathBuf> {
    let file = |(topic, lines): (&&str, &Vec<String>)| {
        let path = folder.join(format!("{topic}.jsonl"));
        fs::write(&path, lines.join("\n")).expect("file");
        path
    };
    lines.iter().map(file).collect()
}

/// The incidents that the pipeline finds when every topic is a partition.
fn found(lines: &BTreeMap<&str, Vec<String>>) -> String {
    let mut pipeline = Pipeline::new(PipelineConfig::default()).expect("pipeline");
    let source = |topic: &str| Source { topic: Arc::from(topic), partition: 0 };
    lines.keys().for_each(|topic| drop(pipeline.on_event(Event::Assign(source(topic)))));
    let mut effects = Vec::new();
    for (topic, lines) in lines {
        let record = |(offset, line): (i64, &String)| Record {
            offset,
            time_ms: -1,
            payload: Bytes::from(line.clone()),
            ..Record::default()
        };
        let records: Vec<Record> = (0..).zip(lines).map(record).collect();
        effects.extend(pipeline.on_event(Event::Records { source: &source(topic), records: &records }));
    }
    effects.extend(pipeline.on_event(Event::Flush));
    let incidents = effects.into_iter().filter_map(|effect| match effect {
        Effect::Incident(incident) => Some(serde_json::to_string(&incident).expect("JSON") + "\n"),
        _ => None,
    });
    incidents.collect()
}

#[test]
fn a_bad_deploy_is_found_and_blamed_as_the_pipeline_does_it() {
    let lines = recorded();
    let folder = tempfile::tempdir().expect("temporary folder");
    let files = write(folder.path(), &lines);
    assert_eq!(files.len(), 4);
    let (code, incidents, talk) = replay(&["--incidents", "-", "--fail-on-anomaly"], &files);
    assert_eq!(code, Some(1), "{talk}");
    assert!(incidents.contains("payment: failing, after service.upgraded 2.0.0"), "{incidents}");
    assert_eq!(incidents, found(&lines));
    let (_, backwards, _) = replay(&["--incidents", "-"], &files.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(backwards, incidents, "the order of the files changes nothing");
}

/// A gauge, a log line and a span of one service in one tick each.
fn tick(tick: i64, latency: f64) -> [String; 3] {
    let resource = r#""resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]}"#;
    let nanos = (1_767_225_600 + 10 * tick) * 1_000_000_000;
    [
        format!(
            r#"{{"resourceMetrics":[{{{resource},"scopeMetrics":[{{"metrics":[{{"name":"latency","gauge":{{"dataPoints":[{{"timeUnixNano":"{nanos}","asDouble":{latency}}}]}}}}]}}]}}]}}"#
        ),
        format!(
            r#"{{"resourceLogs":[{{{resource},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{nanos}","severityNumber":9,"body":{{"stringValue":"item added"}}}}]}}]}}]}}"#
        ),
        format!(
            r#"{{"resourceSpans":[{{{resource},"scopeSpans":[{{"spans":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"{:016x}","name":"add","kind":2,"startTimeUnixNano":"{}","endTimeUnixNano":"{nanos}"}}]}}]}}]}}"#,
            tick + 1,
            nanos - 5_000_000
        ),
    ]
}

fn ticks(count: i64) -> Vec<String> {
    let latency = |index: i64| if index == 180 { 400.0 } else { 20.0 + (index * 37 % 11) as f64 / 10.0 };
    (0..count).flat_map(|index| tick(index, latency(index))).collect()
}

#[test]
fn scores_have_a_row_per_series_and_tick_and_prefixes_agree() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let scores = |count: i64| {
        let path = folder.path().join(format!("{count}.jsonl"));
        fs::write(&path, ticks(count).join("\n")).expect("file");
        let (code, scores, talk) = replay(&["--scores", "-"], &[path]);
        assert_eq!(code, Some(0), "{talk}");
        assert!(talk.contains(&format!("{} records, 0 refused lines", 3 * count)), "{talk}");
        assert!(talk.contains(&format!("\n{count} ticks, ")), "{talk}");
        scores
    };
    let whole = scores(200);
    let rows: Vec<Vec<&str>> = whole.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let places: Vec<(&str, &str)> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert!(places.is_sorted(), "in the order of ticks, then of series");
    let latency: Vec<&Vec<&str>> = rows.iter().filter(|row| row[1] == "service/cart latency").collect();
    assert_eq!(latency.len(), 200);
    assert_eq!(latency[180][..3], ["2026-01-01T00:30:00Z", "service/cart latency", "400"]);
    assert_eq!((latency[180][7], latency[179][7]), ("1", "0"));
    for measure in ["log.", "span:rate"] {
        assert!(rows.iter().any(|row| row[1].starts_with(&format!("service/cart {measure}"))), "{measure}");
    }
    let prefix = scores(150);
    assert!(whole.starts_with(&prefix), "a score depends on the ticks up to its own");
}

/// The incidents and what was left out, when records come so many at once and words at their time, or all of them before.
fn told(records: &[Record], at_once: usize, words: &[(i64, Word)], before: bool) -> Vec<String> {
    let source = Source { topic: Arc::from("otlp_metrics"), partition: 0 };
    let mut pipeline = Pipeline::new(PipelineConfig::default()).expect("pipeline");
    pipeline.on_event(Event::Assign(source.clone()));
    let mut waiting = words.to_vec();
    let mut effects = Vec::new();
    for records in records.chunks(at_once) {
        let closed_ms = pipeline.closed_ms().unwrap_or(i64::MIN);
        for (after_ms, word) in waiting.extract_if(.., |(after_ms, _)| before || *after_ms <= closed_ms) {
            effects.extend(pipeline.on_event(Event::Word { word, after_ms }));
        }
        effects.extend(pipeline.on_event(Event::Records { source: &source, records }));
    }
    let told = effects.into_iter().filter_map(|effect| match effect {
        Effect::Incident(incident) => Some(serde_json::to_string(&incident).expect("JSON")),
        Effect::Suppressed(suppressed) => Some(format!("{} {}", suppressed.time_ms, suppressed.why)),
        _ => None,
    });
    told.collect()
}

/// After a restart many ticks are read again at once, and words that were said between them must not wait for the last.
#[test]
fn words_said_before_a_restart_take_effect_after_their_tick() {
    let latency = |index: i64| 20.0 + (index * 37 % 11) as f64 / 10.0 + if index < 180 { 0.0 } else { 400.0 };
    let record = |index: i64| Record {
        offset: index,
        time_ms: -1,
        payload: Bytes::from(tick(index, latency(index))[0].clone()),
        ..Record::default()
    };
    let records: Vec<Record> = (0..240).map(record).collect();
    let at_ms = |tick: i64| (1_767_225_600 + 10 * tick) * 1000;
    let silence = Silence::new(Vec::new(), at_ms(0), at_ms(1000), "ann".to_string(), "new disks".to_string());
    let end = Word::EndSilence { silence: silence.id, by: "ann".to_string() };
    let words = [(at_ms(170), Word::Silence(silence)), (at_ms(200), end)];
    let live = told(&records, 1, &words, false);
    assert!(live[0].ends_with("silenced by ann: new disks"), "{live:?}");
    assert!(live.last().is_some_and(|last| last.contains("latency")), "{live:?}");
    for at_once in [7, records.len()] {
        assert_eq!(told(&records, at_once, &words, true), live);
    }
}

/// Requests that fail never and take too long are what an objective of latency is about, and no other.
#[test]
fn slow_answers_spend_the_budget_of_a_latency() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let spans = |tick: i64| {
        let millis = if tick < 200 { 20 } else { 500 };
        let end = (1_767_225_600 + 10 * tick) * 1_000_000_000;
        let span = |index: i64| {
            let start = end - (millis + (tick * 37 + index * 11) % 7) * 1_000_000;
            format!(
                r#"{{"traceId":"{0:032x}","spanId":"{0:016x}","name":"add","kind":2,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}"}}"#,
                100 * tick + index + 1
            )
        };
        let spans: Vec<String> = (0..20).map(span).collect();
        format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"cart"}}}}]}},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
            spans.join(",")
        )
    };
    let lines: Vec<String> = (0..240).map(spans).collect();
    let input = folder.path().join("spans.jsonl");
    fs::write(&input, lines.join("\n")).expect("file");
    let harm = |slos: &str| {
        let config = folder.path().join("foreshock.yaml");
        fs::write(&config, format!("slos: [{slos}]")).expect("file");
        let config = config.display().to_string();
        let (_, incidents, talk) =
            replay(&["--config", &config, "--incidents", "-"], std::slice::from_ref(&input));
        let last = incidents.lines().last().unwrap_or_else(|| panic!("no incident: {talk}"));
        let incident: serde_json::Value = serde_json::from_str(last).expect("JSON");
        incident["harm"]["why"].as_str().unwrap_or_default().to_string()
    };
    let fast = "{name: cart-fast, entity: service/cart, objective: 99, latency: 300ms}";
    assert!(harm(fast).contains("cart-fast spends its error budget"), "{}", harm(fast));
    for other in ["", "{name: cart-fast, entity: service/cart, objective: 99, latency: 1s}"] {
        assert_eq!(harm(other), "100 % of the user-facing requests are touched", "{other}");
    }
}

#[test]
fn bad_lines_are_told_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut lines = ticks(5);
    lines.insert(4, r#"{"resourceMetrics":7}"#.to_string());
    lines.extend((0..9).map(|_| "{\"resourceSpans\":[{".to_string()));
    let path = folder.path().join("mixed.jsonl");
    fs::write(&path, lines.join("\n")).expect("file");
    let (code, _, talk) = replay(&[], std::slice::from_ref(&path));
    assert_eq!(code, Some(0), "{talk}");
    assert!(talk.contains("mixed.jsonl, line 5: "), "{talk}");
    assert!(talk.contains("refused: 5 more\n"), "{talk}");
    assert!(talk.contains("15 records, 10 refused lines"), "{talk}");
    let nothing = folder.path().join("nothing.jsonl");
    fs::write(&nothing, "{\"resourceSpans\":[{\n").expect("file");
    let (code, _, talk) = replay(&[], &[nothing]);
    assert_eq!(code, Some(2), "{talk}");
    assert!(talk.contains("nothing.jsonl has no record that can be read; the first problem: "), "{talk}");
    let (code, _, talk) = replay(&["--plot", "x.svg"], &[path]);
    assert_eq!(code, Some(64), "{talk}");
}
