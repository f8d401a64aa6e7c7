//! What people say, on a real Apache Kafka: a silence keeps an incident from opening, what was said survives a kill, a judgement is
//! learnt from and can be undone, incidents go out as CDEvents, and a change of the configuration is tried on what the topics had.

use std::path::{Path, PathBuf};

use crate::support::*;
use serde_json::Value;

/// Where [`two_rhythms`] begin, unix seconds.
const START: i64 = 1_767_225_600;

/// Two rhythms every ten seconds, far too high within the fault.
fn rows(folder: &Path, name: &str, ticks: std::ops::Range<usize>, fault: std::ops::Range<usize>) -> PathBuf {
    let row = |tick: usize| two_rhythms(tick, if fault.contains(&tick) { 200.0 } else { 0.0 });
    write_latency(folder, name, ticks.map(row))
}

/// Runs a command against the engine and gives what it prints.
fn say(grpc: &str, arguments: &[&str]) -> String {
    let output = foreshock().args(arguments).args(["--endpoint", grpc]).output().expect("foreshock starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{err}");
    out.into_owned()
}

/// Starts an engine for the `nth` time; gives where it serves gRPC.
fn start(config: &Path, nth: usize) -> (Running, String) {
    let engine = run(config, false);
    eventually("it serves", || log(config).matches("running http=").count() == nth);
    let said = log(config);
    let address = said.rsplit("grpc=").next().and_then(|rest| rest.split_whitespace().next());
    (engine, format!("http://{}", address.expect("address")))
}

fn incidents(broker: &str, topic: &str) -> Vec<Value> {
    distinct(&read_topic(broker, topic))
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn people_are_heard() {
    hears("people", "1s");
}

/// What was said is written down, and takes effect again at its time when everything is read again.
#[test]
fn people_are_heard_without_snapshots() {
    hears("people-read-again", "1h");
}

fn hears(prefix: &str, snapshots_every: &str) {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, prefix, "state", "");
    let [input, found, cdevents] = ["in", "incidents", "cdevents"].map(|topic| format!("{prefix}-{topic}"));
    let text = std::fs::read_to_string(&config).expect("config");
    let text = text.replace("outputs: {", &format!("outputs: {{cdevents: {cdevents}, "));
    std::fs::write(&config, text.replace("every: 1s", &format!("every: {snapshots_every}"))).expect("config");
    create_topics(broker, &[(&input, 1)]);
    let (engine, endpoint) = start(&config, 1);
    // What the engine has read again after a restart it says in its status.
    let tick_is = |tick: i64| {
        let reached = (START + tick * 10) * 1000;
        eventually("the tick is closed", || {
            let status = get(&config, "/status").map(|(_, body)| body).unwrap_or_default();
            let status: Value = serde_json::from_str(&status).unwrap_or_default();
            status["tick_ms"].as_i64().is_some_and(|tick_ms| tick_ms >= reached)
        });
    };

    // Calm, then a silence, then a fault below it.
    produce(&config, &input, &rows(folder.path(), "calm", 0..900, 0..0));
    tick_is(890);
    let given = say(
        &endpoint,
        &[
            "silences",
            "add",
            "entity=service/latency",
            "--for",
            "1h",
            "--by",
            "ann",
            "--comment",
            "new disks",
            "--json",
        ],
    );
    let silence: Value = serde_json::from_str(&given).expect("JSON");
    produce(&config, &input, &rows(folder.path(), "calm", 900..960, 900..960));
    tick_is(950);
    eventually("it is left out", || metric(&config, "foreshock_suppressed_anomalies_total") >= 1.0);
    let left_out = say(&endpoint, &["incidents", "list", "--suppressed"]);
    assert!(left_out.contains("silenced by ann: new disks"), "{left_out}");
    assert_eq!(incidents(broker, &found).len(), 0);

    // It survives, and can be ended: what still goes on is an incident then.
    drop(engine);
    let (engine, endpoint) = start(&config, 2);
    let id = silence["id"].as_str().expect("id");
    eventually("the silence is there again", || say(&endpoint, &["silences", "list"]).contains(id));
    tick_is(950);
    say(&endpoint, &["silences", "end", id, "--by", "ann"]);
    produce(&config, &input, &rows(folder.path(), "calm", 960..990, 960..990));
    eventually("it is an incident", || !incidents(broker, &found).is_empty());
    let incident = incidents(broker, &found).remove(0);
    let id = incident["id"].as_str().expect("id");

    // A false alarm: learnt, shown, and taken back.
    let learnt = say(&endpoint, &["incidents", "feedback", id, "--false", "--by", "ann"]);
    assert!(learnt.contains("needs +3.0 evidence"), "{learnt}");
    drop(engine);
    let (engine, endpoint) = start(&config, 3);
    let adjustments = || say(&endpoint, &["incidents", "adjustments", "--json"]);
    eventually("it is still learnt", || !adjustments().is_empty());
    let adjustment: Value = serde_json::from_str(&adjustments()).expect("JSON");
    assert_eq!(adjustment["lesson"]["evidence"]["more"], 3.0, "{adjustment}");
    say(&endpoint, &["incidents", "undo", adjustment["id"].as_str().expect("id"), "--by", "ann"]);
    assert_eq!(adjustments(), "");

    // Over: CDEvents have said both.
    produce(&config, &input, &rows(folder.path(), "calm", 990..1200, 0..0));
    let events = || -> Vec<Value> {
        let events = read_topic(broker, &cdevents);
        events.iter().map(|event| serde_json::from_slice(&event.payload).expect("JSON")).collect()
    };
    let kinds = || {
        events()
            .iter()
            .map(|event| event["type"].as_str().unwrap_or_default().to_string())
            .collect::<Vec<_>>()
    };
    eventually("it is resolved", || kinds().iter().any(|kind| kind.contains("incident.resolved")));
    assert_eq!(kinds()[0], "dev.cdevents.incident.detected.0.2.0");
    assert_eq!(events()[0]["data"]["subject"]["content"]["environment"]["id"], "default");
    terminate(&engine);
    ends_well(engine, &config, std::time::Duration::from_secs(30));

    // What a window in the configuration would have done with the same records.
    let other = folder.path().join("other.yaml");
    let window = "silences: [{name: disks, match: [entity=service/latency], from: 2025-12-31T00:00:00Z, until: 2026-01-02T00:00:00Z}]\n";
    std::fs::write(&other, std::fs::read_to_string(&config).expect("config") + window).expect("config");
    let diff = |range: &str| {
        let (config, other) = (config.display().to_string(), other.display().to_string());
        let output = foreshock()
            .args(["diff", "--config", &config, "--config", &other, "--topic-range", range])
            .output();
        let output = output.expect("foreshock starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    // The records' own times are event times: `produce` gives them these.
    let (code, out, err) = diff("2026-01-01T00:00:00Z..2026-01-01T04:00:00Z");
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("vanishes") && err.contains("0 appear, 1 vanish, 0 move, 0 stay"), "{out}{err}");
    let (code, out, err) = diff("2026-01-01T00:10:00Z..2026-01-01T00:40:00Z");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("180 records"), "{err}");
}
