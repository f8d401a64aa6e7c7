//! `foreshock rank`: the contract of its files and of what it prints, and the real faults of the Sock Shop.
//!
//! Does not prove that other systems' faults are ranked as well: `benches` says how far the figures carry.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use foreshock::rank::{Bounds, Reader, rank};
use serde_json::Value;

const START: i64 = 1_700_000_000;
const FAULT: i64 = START + 300;
const END: i64 = START + 450;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .arg("rank")
        .args(arguments)
        .output()
        .expect("the binary starts")
}

fn ranked(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::str::from_utf8(&output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

/// A shop whose payment fails after a deploy: it is slow itself, its log has a new line, its callers only wait.
fn write_shop(folder: &Path) {
    let is_bad = |time: i64| time >= FAULT;
    let wobble = |time: i64, salt: i64| (time * 37 + salt * 11) % 7;
    let mut metrics =
        "timestamp,web_latency_90,cart_latency_90,cart_cpu,payment_cpu,payment_errors,bank_cpu\n".to_owned();
    let mut logs = "timestamp,service,message\n".to_owned();
    let mut traces =
        "trace_id,span_id,parent_span_id,service,operation,start_us,duration_us,status\n".to_owned();
    for time in START..END {
        let wait = if is_bad(time) { 400 } else { 0 };
        let errors = if is_bad(time) { 3 } else { 0 };
        writeln!(
            metrics,
            "{time},{},{},{},{},{errors},{}",
            120 + wait + wobble(time, 1),
            80 + wait + wobble(time, 2),
            20 + wobble(time, 3),
            30 + wobble(time, 4),
            10 + wobble(time, 5)
        )
        .expect("text");
        writeln!(logs, "{time},cart,added item {time} to basket").expect("text");
        if is_bad(time) && time % 3 == 0 {
            writeln!(logs, "{time},payment,\"rejected card, password=geheim{time}\"").expect("text");
            writeln!(logs, "{time},cart,cannot reach payment:8080: timeout").expect("text");
        }
        let micros = time * 1_000_000;
        let spans = [
            ("a", "", "web", 0, 120_000 + wait * 1000),
            ("b", "a", "cart", 5_000, 80_000 + wait * 1000),
            ("c", "b", "payment", 10_000, 30_000 + wait * 1000),
            ("d", "c", "bank", 12_000, 10_000),
        ];
        for (id, parent, service, offset, duration) in spans {
            writeln!(traces, "t{time},{id},{parent},{service},call,{},{duration},OK", micros + offset)
                .expect("text");
        }
    }
    fs::write(folder.join("metrics.csv"), metrics).expect("file");
    fs::write(folder.join("logs.csv"), logs).expect("file");
    fs::write(folder.join("traces.csv"), traces).expect("file");
    fs::write(folder.join("graph.csv"), "caller,callee\nweb,cart\ncart,payment\npayment,bank\n")
        .expect("file");
    let changes = format!("timestamp,service,kind,version\n{},payment,deploy,v2\n", FAULT - 30);
    fs::write(folder.join("changes.csv"), changes).expect("file");
}

#[test]
fn a_folder_of_everything_gives_the_cause_and_its_reasons() {
    let folder = tempfile::tempdir().expect("folder");
    write_shop(folder.path());
    let path = folder.path().to_str().expect("path");
    for more in
        [vec![], vec!["--at", "1700000300"], vec!["--at", "2023-11-14T22:18:20Z", "--from", "1700000100"]]
    {
        let output = run(&[&[path], more.as_slice()].concat());
        let suspects = ranked(&output);
        assert_eq!(suspects.len(), 4, "every service is ranked");
        for suspect in &suspects {
            let keys: Vec<&str> = suspect.as_object().expect("object").keys().map(String::as_str).collect();
            assert_eq!(keys, ["entity", "reasons", "score"]);
        }
        assert_eq!(suspects[0]["entity"], "payment", "{suspects:?}");
        let reasons = suspects[0]["reasons"].to_string();
        for word in ["deploy to v2, 30 s before", "self time", "trace t1700", "rejected card", "errors rose"]
        {
            assert!(
                more.is_empty() && word.starts_with("deploy") || reasons.contains(word),
                "{word}: {reasons}"
            );
        }
        assert!(!String::from_utf8_lossy(&output.stdout).contains("geheim"), "a secret came through");
    }
}

#[test]
fn each_kind_of_file_is_enough_by_itself() {
    let folder = tempfile::tempdir().expect("folder");
    write_shop(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    let graph = at("graph.csv");
    for (name, more) in
        [("metrics.csv", vec!["--graph", &graph]), ("logs.csv", vec![]), ("traces.csv", vec![])]
    {
        let suspects = ranked(&run(&[&[&at(name), "--at", "1700000300"], more.as_slice()].concat()));
        assert_eq!(suspects[0]["entity"], "payment", "{name}: {suspects:?}");
    }
}

#[test]
fn a_service_that_falls_silent_is_suspect() {
    let mut metrics = "timestamp,web_cpu,cart_cpu,cart_mem\n".to_owned();
    for time in START..END {
        let cart =
            if time < FAULT { format!("{},{}", 20 + time % 5, 300 + time % 7) } else { ",".to_owned() };
        writeln!(metrics, "{time},{},{cart}", 40 + time % 9).expect("text");
    }
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("metrics.csv"), metrics).expect("file");
    let suspects = ranked(&run(&[folder.path().to_str().expect("path"), "--at", "1700000300"]));
    assert_eq!(suspects[0]["entity"], "cart");
    assert!(
        suspects[0]["reasons"][0].as_str().is_some_and(|reason| reason.contains("cpu ceased, usually 22"))
    );
}

#[test]
fn otlp_lines_are_read() {
    let attribute = r#""attributes":[{"key":"service.name","value":{"stringValue":"SERVICE"}}]"#;
    let mut lines = String::new();
    for step in 0..60_u64 {
        let nanos = (1_700_000_000 + step * 10) * 1_000_000_000;
        for (service, value) in [("db", if step < 45 { 5 + step % 3 } else { 95 }), ("web", 7 + step % 2)] {
            let resource = attribute.replace("SERVICE", service);
            writeln!(
                lines,
                r#"{{"resourceMetrics":[{{"resource":{{{resource}}},"scopeMetrics":[{{"metrics":[{{"name":"cpu","gauge":{{"dataPoints":[{{"timeUnixNano":"{nanos}","asInt":"{value}"}}]}}}}]}}]}}]}}"#
            )
            .expect("text");
        }
    }
    lines.push_str("{\"resourceLogs\": 7}\n");
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("telemetry.jsonl"), lines).expect("file");
    let output = run(&[folder.path().to_str().expect("path")]);
    let suspects = ranked(&output);
    assert_eq!(suspects[0]["entity"], "db");
    assert!(
        suspects[0]["reasons"][0].as_str().is_some_and(|reason| reason.contains("cpu rose from 6.0 to 95"))
    );
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("telemetry.jsonl, line 121"), "{talk}");
}

#[test]
fn wrong_input_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    fs::create_dir(at("empty")).expect("folder");
    fs::write(at("logs.csv"), "timestamp,text\n1,a\n").expect("file");
    fs::write(at("metrics.csv"), "timestamp,a_cpu,total\n1700000000,1,1\n1700000001,2,1\nsoon,3,1\n")
        .expect("file");
    let cases = [
        (vec![at("nowhere")], 2, "nowhere"),
        (vec![at("empty")], 2, "empty holds none of metrics.csv"),
        (vec![at("logs.csv")], 2, "logs.csv has no column service"),
        (vec![at("metrics.csv"), "--at".to_owned(), "soon".to_owned()], 64, "--at soon is no time"),
        (vec![at("metrics.csv"), "--at".to_owned(), "1600000000".to_owned()], 2, "no normal part"),
        (vec![at("metrics.csv")], 0, "soon"),
        (vec![at("metrics.csv")], 0, "no service in total: left out"),
        (vec![], 64, "FILES"),
    ];
    for (arguments, code, words) in cases {
        let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {talk}");
        assert!(talk.contains(words), "{arguments:?}: {talk}");
    }
}

#[test]
fn the_real_faults_of_the_sock_shop_are_found() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("FORESHOCK_DATA").map_or(default, PathBuf::from).join("sockshop");
    if !data.is_dir() {
        let required = std::env::var("FORESHOCK_REQUIRE_DATA").is_ok_and(|value| value == "1");
        assert!(!required, "FORESHOCK_REQUIRE_DATA=1, but {} is no folder", data.display());
        eprintln!("skipped: {} is no folder, set FORESHOCK_DATA", data.display());
        return;
    }
    // Time of the fault in seconds after the true one, or found; Avg@5 over the 50 faults.
    for (late_s, floor) in [(Some(0), 0.99), (Some(60), 0.98), (None, 0.95)] {
        let mut sum = 0.0;
        for kind in fs::read_dir(&data)
            .expect("data")
            .map(|entry| entry.expect("entry").path())
            .filter(|path| path.is_dir())
        {
            let name = kind.file_name().expect("name").to_string_lossy().into_owned();
            let (cause, _) = name.rsplit_once('-').expect("service-fault");
            for number in 1..=5 {
                let [normal, fault] =
                    ["normal.csv", "anomalous.csv"].map(|name| kind.join(number.to_string()).join(name));
                let text = fs::read_to_string(&fault).expect("file");
                let first = text.lines().nth(1).and_then(|line| line.split(',').next()).expect("a row");
                let at_ms = late_s.map(|late| (first.parse::<i64>().expect("seconds") + late) * 1000);
                let mut reader = Reader::default();
                reader.read(&normal).and_then(|()| reader.read(&fault)).expect("tables");
                let ranking = rank(&reader.into_case(), Bounds { from_ms: None, at_ms }).expect("two parts");
                let place =
                    ranking.suspects.iter().position(|suspect| suspect.entity == cause).expect("ranked");
                sum += 5_usize.saturating_sub(place) as f64 / 5.0;
            }
        }
        assert!(sum / 50.0 >= floor, "late by {late_s:?}: Avg@5 is {}", sum / 50.0);
    }
}
