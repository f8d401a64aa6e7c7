//! On a real Apache Kafka that is stopped and started again: the engine waits, says so once, goes on where it was, and
//! ends when it is asked to.
//!
//! Does not prove anything about several brokers, or networks that swallow packets.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::*;

/// Half a day of two rhythms with a fault in each half, ten seconds a row.
fn write_rows(folder: &Path, name: &str, rows: std::ops::Range<usize>) -> PathBuf {
    let fault = |index: usize| if index % 2000 >= 1900 { 300.0 } else { 0.0 };
    write_latency(folder, name, rows.map(|index| two_rhythms(index, fault(index))))
}

/// Lines of `replay`'s output of this kind for the whole file.
fn replay(file: &Path, config: &Path, folder: &Path, what: &str) -> Vec<String> {
    let path = folder.join(format!("{what}.ndjson"));
    let mut command = foreshock();
    command.args(["replay", "--config"]).arg(config).arg(format!("--{what}")).arg(&path).arg(file);
    let output = command.output().expect("foreshock starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(&path).expect("output").lines().map(str::to_string).collect()
}

fn answers(config: &Path, path: &str, status: u16) -> bool {
    get(config, path).is_some_and(|(found, _)| found == status)
}

fn resident_bytes(engine: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("number") << 10
}

fn interrupt(engine: &Running) {
    let id = engine.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
}

#[test]
fn the_engine_outlives_its_broker() {
    let Some(broker) = or_skip(Broker::start("away", &[])) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let extra = "time: {lateness: 10s, idle_after: 2s}";
    let config = write_config(folder.path(), &broker.address, "away", "state", extra);
    let text = std::fs::read_to_string(&config).expect("config");
    std::fs::write(&config, text.replace("outputs: {", "outputs: {flush_within: 4s, ")).expect("config");
    create_topics(&broker.address, &[("away-in", 1)]);
    produce(&config, "away-in", &write_rows(folder.path(), "first", 0..2000));
    let engine = run(&config, false);
    eventually("the first half is read", || metric(&config, "foreshock_ticks_total") >= 1995.0);
    assert!(answers(&config, "/readyz", 200) && answers(&config, "/livez", 200));
    let before = resident_bytes(&engine);

    broker.stop();
    eventually("not ready while kafka is away", || answers(&config, "/readyz", 503));
    // Long enough for silence to be decided on, snapshots to be due, and librdkafka to try again many times.
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        assert!(answers(&config, "/livez", 200), "alive while kafka is away");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(metric(&config, "foreshock_kafka_away") == 1.0);
    // Who reads waits for nobody.
    assert!(answers(&config, "/status", 200) && answers(&config, "/topology", 200));
    assert!(resident_bytes(&engine) < before + (64 << 20), "memory grows while kafka is away");
    let said = log(&config);
    assert_eq!(said.matches("kafka is away: the engine waits").count(), 1, "{said}");
    let warnings = said.matches(" WARN ").count();
    assert!(warnings <= 10, "{warnings} warnings: {said}");

    broker.start_again();
    eventually("ready again", || answers(&config, "/readyz", 200));
    assert_eq!(log(&config).matches("kafka is back").count(), 1, "{}", log(&config));
    produce(&config, "away-in", &write_rows(folder.path(), "second", 2000..3950));
    eventually("the second half is read", || metric(&config, "foreshock_ticks_total") >= 3945.0);
    let incidents = distinct(&read_topic(&broker.address, "away-incidents"));
    let incident: serde_json::Value =
        serde_json::from_str(incidents.last().expect("an incident")).expect("JSON");

    // A stop while something waits for Kafka: it waits as long as it says, and then says what that means.
    broker.stop();
    eventually("away again", || answers(&config, "/readyz", 503));
    let grpc = log(&config).split("grpc=").last().expect("address").lines().next().expect("line").to_string();
    let mut acknowledge = foreshock();
    acknowledge.args(["incidents", "ack", incident["id"].as_str().expect("id"), "--by", "ann", "--endpoint"]);
    acknowledge.arg(format!("http://{grpc}")).stdout(Stdio::null()).stderr(Stdio::null());
    let _asking = Running(acknowledge.spawn().expect("foreshock starts"));
    std::thread::sleep(Duration::from_secs(1));
    interrupt(&engine);
    let began = Instant::now();
    let code = exit_code(engine, &config, Duration::from_secs(15));
    let took = began.elapsed();
    assert_eq!(code, Some(2), "{}", log(&config));
    assert!(took >= Duration::from_secs(3), "it waits for flush_within: {took:?}, {}", log(&config));
    assert!(log(&config).contains("kafka is away, and outputs.flush_within is over"), "{}", log(&config));

    // A stop while nothing waits: it ends at once, and well. Then the rest, and nothing is missing.
    broker.start_again();
    let engine = run(&config, false);
    eventually("it is there again", || log(&config).matches("running http=").count() == 2);
    eventually("ready", || answers(&config, "/readyz", 200));
    eventually("all was written", || metric(&config, "foreshock_snapshots_total") >= 2.0);
    broker.stop();
    eventually("away once more", || answers(&config, "/readyz", 503));
    interrupt(&engine);
    ends_well(engine, &config, Duration::from_secs(15));
    broker.start_again();
    ends_well(run(&config, true), &config, Duration::from_secs(60));
    let whole = write_rows(folder.path(), "whole", 0..3950);
    for what in ["anomalies", "incidents"] {
        let expected = replay(&whole, &config, folder.path(), what);
        assert!(!expected.is_empty());
        assert_eq!(
            set(&distinct(&read_topic(&broker.address, &format!("away-{what}")))),
            set(&expected),
            "{what}"
        );
    }
}
