//! On a real Apache Kafka: `run` gives what `replay` gives, also when it is killed at any time, and bad records are
//! accounted for; no disk left means no commit; journals are cleared behind the snapshots.
//!
//! Does not prove anything about TLS and SASL (`kafka_secure.rs`), brokers that go away (`kafka_away.rs`) or several brokers.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::*;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

/// A file of real data whose rows are half an hour apart: 10,320 taxi counts of New York.
fn taxi() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("FORESHOCK_DATA").map_or(default, PathBuf::from);
    let path = data.join("nab/data/realKnownCause/nyc_taxi.csv");
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("FORESHOCK_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!required, "FORESHOCK_REQUIRE_DATA=1, but {} is no file", path.display());
    eprintln!("skipped: {} is no file, set FORESHOCK_DATA", path.display());
    None
}

/// A tick is a row, so that a frame is one too.
const HALF_HOURS: &str = "time: {tick: 30m, lateness: 1h, shards: 4}\nseries: {ttl: 100d}\nspans: {window: 30m}\ningest: {batch_records: 37}";

fn produce(broker: &str, file: &Path, topic: &str) {
    let output = foreshock()
        .args(["produce", "--brokers", broker, "--topic", topic])
        .arg(file)
        .output()
        .expect("foreshock starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What `replay` writes for the file under the same configuration: anomalies and incidents.
fn replay(file: &Path, config: &Path, folder: &Path) -> (Vec<String>, Vec<String>) {
    let (anomalies, incidents) = (folder.join("anomalies.ndjson"), folder.join("incidents.ndjson"));
    let output = foreshock()
        .args(["replay", "--config"])
        .arg(config)
        .arg("--anomalies")
        .arg(&anomalies)
        .arg("--incidents")
        .arg(&incidents)
        .arg(file)
        .output()
        .expect("foreshock starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = |path: &Path| -> Vec<String> {
        std::fs::read_to_string(path).expect("output").lines().map(str::to_string).collect()
    };
    (lines(&anomalies), lines(&incidents))
}

#[test]
fn run_gives_what_replay_gives_to_the_bit() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "same", "state", HALF_HOURS);
    create_topics(broker, &[("same-in", 1)]);
    produce(broker, &taxi, "same-in");
    ends_well(run(&config, true), &config, Duration::from_secs(120));
    let (anomalies, incidents) = replay(&taxi, &config, folder.path());
    assert!(anomalies.len() > 10, "{} anomalies", anomalies.len());
    assert_eq!(distinct(&read_topic(broker, "same-anomalies")), anomalies);
    assert_eq!(distinct(&read_topic(broker, "same-incidents")), incidents);
}

#[test]
fn what_kafka_has_of_the_past_is_learnt_and_not_told() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let (from, to) = ("2014-07-10 00:00:00", "2014-12-10 00:00:00");
    let stamp = |text: &str| format!("{}Z", text.replace(' ', "T"));
    let past = format!("history: {{kafka: {{from: '{}', to: '{}'}}}}", stamp(from), stamp(to));
    let learns = write_config(folder.path(), broker, "past", "state", &format!("{HALF_HOURS}\n{past}"));
    create_topics(broker, &[("past-in", 1)]);
    produce(broker, &taxi, "past-in");
    ends_well(run(&learns, true), &learns, Duration::from_secs(120));
    let found = distinct(&read_topic(broker, "past-anomalies"));

    // One that was there from `from` on, and was told of everything.
    let text = std::fs::read_to_string(&taxi).expect("file");
    let since = text.lines().enumerate().filter(|(index, line)| *index == 0 || *line >= from);
    let since: Vec<&str> = since.map(|(_, line)| line).collect();
    let cut = folder.path().join("nyc_taxi.csv");
    std::fs::write(&cut, since.join("\n")).expect("file");
    let (same, incidents) = replay(&cut, &learns, folder.path());
    assert_eq!(found, same, "replay of the same records gives the same");
    assert_eq!(distinct(&read_topic(broker, "past-incidents")), incidents);
    let tells = write_config(folder.path(), broker, "past", "state", HALF_HOURS);
    let (witnessed, _) = replay(&cut, &tells, folder.path());
    let to_ms = stamp(to).parse::<jiff::Timestamp>().expect("time").as_millisecond();
    let opened = |line: &str| {
        let anomaly: serde_json::Value = serde_json::from_str(line).expect("JSON");
        anomaly["opened_ms"].as_i64().expect("a time")
    };
    let (before, after): (Vec<_>, Vec<_>) = witnessed.iter().partition(|line| opened(line) < to_ms);
    assert!(before.len() > 2 && after.len() > 2, "{} before, {} after", before.len(), after.len());
    assert!(found.iter().all(|line| opened(line) >= to_ms), "nothing is told of the past");
    let lacked: Vec<_> = after.into_iter().filter(|line| !found.contains(line)).collect();
    assert!(
        lacked.is_empty(),
        "what is found after it is what a witness of the past finds; lacks {lacked:?}"
    );
}

/// The taxi file as NDJSON and as OTLP JSON lines, each with a broken line in it.
fn in_json(taxi: &Path, folder: &Path) -> [PathBuf; 2] {
    let text = std::fs::read_to_string(taxi).expect("file");
    let (mut ndjson, mut otlp) = (String::new(), String::new());
    for row in text.lines().skip(1) {
        let (stamp, value) = row.split_once(',').expect("two columns");
        ndjson.push_str(&format!("{{\"timestamp\":\"{stamp}\",\"value\":{value}}}\n"));
        let time: jiff::Timestamp = format!("{}Z", stamp.replace(' ', "T")).parse().expect("time");
        otlp.push_str(&format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"nyc_taxi"}}}}]}},"scopeMetrics":[{{"metrics":[{{"name":"value","gauge":{{"dataPoints":[{{"timeUnixNano":"{}","asDouble":{value}}}]}}}}]}}]}}]}}"#,
            time.as_nanosecond()
        ));
        otlp.push('\n');
    }
    [("nyc_taxi.ndjson", ndjson), ("nyc_taxi.jsonl", otlp)].map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text + "{\"broken\":[\n").expect("file");
        path
    })
}

#[test]
fn every_format_that_is_produced_gives_what_replay_gives() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let [ndjson, otlp] = in_json(&taxi, folder.path());
    let config = write_config(folder.path(), broker, "json", "state", HALF_HOURS);
    let (expected, _) = replay(&taxi, &config, folder.path());
    create_topics(broker, &[("json-in", 1), ("otlp_metrics", 1)]);
    // OTLP JSON goes to the topic of its signal, whatever the topic of tables is.
    let [tables, records] = ["json-in, encoding: otlp_metrics", "otlp_metrics, encoding: otlp_json"];
    for (file, prefix, topic) in [(ndjson, "json", tables), (otlp, "otlp", records)] {
        assert_eq!(replay(&file, &config, folder.path()).0, expected, "{prefix}");
        produce(broker, &file, "json-in");
        let config = write_config(folder.path(), broker, prefix, prefix, HALF_HOURS);
        let text = std::fs::read_to_string(&config).expect("config");
        let input = format!("{prefix}-in, encoding: otlp_metrics");
        std::fs::write(&config, text.replace(&input, topic)).expect("config");
        ends_well(run(&config, true), &config, Duration::from_secs(120));
        assert_eq!(distinct(&read_topic(broker, &format!("{prefix}-anomalies"))), expected, "{prefix}");
    }
}

#[test]
fn a_topic_that_cannot_be_is_named() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let output = foreshock()
        .args(["produce", "--brokers", broker, "--topic", "no such topic"])
        .arg(taxi)
        .output()
        .expect("foreshock starts");
    assert_eq!(output.status.code(), Some(2));
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("cannot write to topic \"no such topic\""), "{talk}");
}

#[test]
fn killed_at_any_time_it_gives_the_same() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "killed", "state", HALF_HOURS);
    create_topics(broker, &[("killed-in", 1)]);
    let feeder = {
        let (broker, taxi) = (broker.to_string(), taxi.clone());
        // 10,320 half hours in some 25 s: the kills fall into the middle of the work.
        std::thread::spawn(move || {
            let speed = (10_320.0 * 1800.0 / 25.0).to_string();
            let status = foreshock()
                .args(["produce", "--brokers", &broker, "--topic", "killed-in", "--speed", &speed])
                .arg(&taxi)
                .status()
                .expect("foreshock starts");
            assert!(status.success());
        })
    };
    let mut random = 0x2545_F491_4F6C_DD1D_u64 ^ u64::from(std::process::id());
    println!("seed {random}");
    for _ in 0..10 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut engine = run(&config, false);
        std::thread::sleep(Duration::from_millis(800 + random % 2500));
        engine.kill().expect("kill -9");
        engine.wait().expect("wait");
    }
    feeder.join().expect("the file was produced");
    let lives = log(&config).matches(" assigned ").count();
    assert!(lives >= 8, "only {lives} of 10 lives had work: {}", log(&config));
    ends_well(run(&config, true), &config, Duration::from_secs(120));
    let (anomalies, incidents) = replay(&taxi, &config, folder.path());
    let found = distinct(&read_topic(broker, "killed-anomalies"));
    assert_eq!(set(&found), set(&anomalies));
    assert_eq!(set(&distinct(&read_topic(broker, "killed-incidents"))), set(&incidents));
}

#[test]
fn bad_records_are_accounted_for_and_the_rest_flows_on() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "poison", "state", HALF_HOURS);
    create_topics(broker, &[("poison-in", 1)]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("message.max.bytes", "15000000")
        // A record of 10 MiB gets past a broker that takes batches of 1 MB only when it is packed.
        .set("compression.type", "zstd")
        .create()
        .expect("producer");
    let poison: [(&str, Vec<u8>); 5] = [
        ("random bytes", (0..255).rev().collect()),
        ("truncated protobuf", vec![0x0a, 0x80, 0x01, 0x0a]),
        ("10 MiB", vec![0x0a; 10 << 20]),
        ("wrong encoding", b"{\"resourceMetrics\": 7}".to_vec()),
        ("no JSON", b"{\"resourceMetrics\": [".to_vec()),
    ];
    let spoil = || {
        for (name, payload) in &poison {
            let record = BaseRecord::to("poison-in").key(*name).payload(payload);
            producer.send(record).map_err(|(error, _)| error).expect(name);
        }
        producer.flush(Duration::from_secs(30)).expect("flush");
    };
    spoil();
    produce(broker, &taxi, "poison-in");
    spoil();
    ends_well(run(&config, true), &config, Duration::from_secs(120));
    let (anomalies, _) = replay(&taxi, &config, folder.path());
    assert_eq!(distinct(&read_topic(broker, "poison-anomalies")), anomalies);
    let dead = read_topic(broker, "poison-dead");
    assert_eq!(dead.len(), 2 * poison.len());
    let reasons: Vec<&str> = dead.iter().map(|record| record.headers["foreshock.reason"].as_str()).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == "too_large").count(), 2);
    assert_eq!(reasons.iter().filter(|reason| **reason == "malformed").count(), 8);
    for (index, record) in dead.iter().enumerate() {
        assert_eq!(record.headers["foreshock.topic"], "poison-in");
        assert_eq!(record.headers["foreshock.partition"], "0");
        let offset: usize = record.headers["foreshock.offset"].parse().expect("offset");
        let expected = if index < poison.len() { index } else { 10_320 + index };
        assert_eq!(offset, expected);
        let whole = &poison[index % poison.len()].1;
        assert_eq!(record.headers["foreshock.length"], whole.len().to_string());
        assert!(whole.starts_with(&record.payload), "the payload is kept, cut where it is too long");
    }
}

/// Six services, each the taxi file with another name and scale.
fn fleet(taxi: &Path, folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(taxi).expect("file");
    let service = |index: usize| {
        let scaled = text.lines().skip(1).map(|row| {
            let (stamp, value) = row.split_once(',').expect("two columns");
            let value: f64 = value.parse().expect("number");
            format!("{stamp},{}\n", value * (index + 1) as f64)
        });
        let path = folder.join(format!("service{index}.csv"));
        std::fs::write(&path, format!("timestamp,value\n{}", scaled.collect::<String>())).expect("file");
        path
    };
    (0..6).map(service).collect()
}

#[test]
fn two_engines_share_the_partitions_and_give_what_one_gives() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let one = write_config(folder.path(), broker, "shared", "one", HALF_HOURS);
    let two = write_config(folder.path(), broker, "shared", "two", HALF_HOURS);
    create_topics(broker, &[("shared-in", 2)]);
    let engines = [run(&one, false), run(&two, false)];
    eventually("each engine has one partition", || {
        [&one, &two].iter().all(|config| {
            let log = log(config);
            log.matches(" assigned ").count() == log.matches(" revoked ").count() + 1
        })
    });
    // Every service's rows lie in one partition, since its name is the key.
    let files = fleet(&taxi, folder.path());
    let mut command = foreshock();
    command.args(["produce", "--brokers", broker, "--topic", "shared-in"]).args(&files);
    assert!(command.output().expect("foreshock starts").status.success());
    let alone = write_config(folder.path(), broker, "alone", "alone", HALF_HOURS);
    let text = std::fs::read_to_string(&alone).expect("config").replace("alone-in", "shared-in");
    std::fs::write(&alone, text).expect("config");
    ends_well(run(&alone, true), &alone, Duration::from_secs(120));
    let expected = distinct(&read_topic(broker, "alone-anomalies"));
    // The last two ticks are open as long as nothing newer comes: only an engine at its end closes them.
    let closed = |line: &&String| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        value["updated_ms"].as_i64().expect("time") < 1_422_747_000_000 - 4 * 1_800_000
    };
    let expected: Vec<String> = expected.iter().filter(closed).cloned().collect();
    assert!(expected.len() > 10, "{} anomalies", expected.len());
    let together = || {
        distinct(&read_topic(broker, "shared-anomalies")).iter().filter(closed).cloned().collect::<Vec<_>>()
    };
    eventually("both engines have given everything", || together().len() >= expected.len());
    assert_eq!(set(&together()), set(&expected));
    for (engine, config) in engines.into_iter().zip([&one, &two]) {
        terminate(&engine);
        ends_well(engine, config, Duration::from_secs(30));
    }
}

/// Codecs of the record batches in a topic's only partition, as Kafka numbers them.
fn codecs(data: &Path, topic: &str) -> BTreeSet<u8> {
    let log = std::fs::read(data.join(format!("{topic}-0/00000000000000000000.log"))).expect("segment");
    let (mut found, mut at) = (BTreeSet::new(), 0);
    // A batch: offset (8 bytes), length (4), epoch (4), magic (1), checksum (4), attributes (2), and more.
    while at + 23 <= log.len() {
        found.insert(log[at + 22] & 7);
        at += 12 + u32::from_be_bytes(log[at + 8..at + 12].try_into().expect("four bytes")) as usize;
    }
    found
}

#[test]
fn every_compression_is_read() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "packed", "state", HALF_HOURS);
    create_topics(broker, &[("packed-in", 1)]);
    let text = std::fs::read_to_string(&taxi).expect("file");
    let rows: Vec<&str> = text.lines().skip(1).collect();
    for (part, codec) in rows.chunks(rows.len().div_ceil(4)).zip(["gzip", "snappy", "lz4", "zstd"]) {
        let parts = folder.path().join(codec);
        std::fs::create_dir(&parts).expect("folder");
        let file = parts.join("nyc_taxi.csv");
        std::fs::write(&file, format!("timestamp,value\n{}\n", part.join("\n"))).expect("file");
        let sender = parts.join("sender.yaml");
        let options = format!("kafka: {{brokers: ['{broker}'], options: {{compression.type: {codec}}}}}\n");
        std::fs::write(&sender, options).expect("config");
        let mut command = foreshock();
        command.args(["produce", "--topic", "packed-in", "--config"]).arg(&sender).arg(&file);
        let output = command.output().expect("foreshock starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    if let Some(data) = kafka_data() {
        assert_eq!(codecs(&data, "packed-in"), BTreeSet::from([1, 2, 3, 4]));
    }
    ends_well(run(&config, true), &config, Duration::from_secs(120));
    let (anomalies, _) = replay(&taxi, &config, folder.path());
    assert_eq!(distinct(&read_topic(broker, "packed-anomalies")), anomalies);
}

/// The offset that a group has committed for partition 0.
fn committed(broker: &str, group: &str, topic: &str) -> Offset {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker).set("group.id", group);
    let consumer: BaseConsumer = client.create().expect("consumer");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, 0);
    let found = consumer.committed_offsets(asked, Duration::from_secs(10)).expect("offsets");
    found.elements()[0].offset()
}

/// An engine whose files may not grow beyond some bytes: the disk is full for it until `prlimit` says otherwise.
fn run_without_room(config: &Path, bytes: u64) -> Running {
    let script = r#"trap '' XFSZ; exec prlimit --fsize="$1": "$2" run --config "$3""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", &bytes.to_string(), env!("CARGO_BIN_EXE_foreshock")]).arg(config);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("sh starts");
    // The log is a file too, so that somebody else must write it.
    let mut said = child.stderr.take().expect("stderr");
    let mut log = std::fs::File::create(config.with_extension("log")).expect("log");
    std::thread::spawn(move || std::io::copy(&mut said, &mut log));
    Running(child)
}

#[test]
fn without_room_for_snapshots_nothing_is_committed_and_work_goes_on() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "full", "state", HALF_HOURS);
    create_topics(broker, &[("full-in", 1)]);
    produce(broker, &taxi, "full-in");
    let engine = run_without_room(&config, 2048);
    eventually("all is read", || metric(&config, "foreshock_ticks_total") >= 10_300.0);
    let failures = metric(&config, "foreshock_snapshot_failures_total");
    eventually("snapshots fail", || metric(&config, "foreshock_snapshot_failures_total") >= failures + 2.0);
    assert!(log(&config).contains("no snapshot"), "{}", log(&config));
    assert_eq!(metric(&config, "foreshock_snapshots_total"), 0.0);
    assert_eq!(committed(broker, "full", "full-in"), Offset::Invalid);
    let mut left: Vec<String> = std::fs::read_dir(folder.path().join("state"))
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
        .collect();
    left.retain(|name| !["lock", "audit.ndjson"].contains(&name.as_str()));
    assert!(left.is_empty(), "a failed snapshot leaves nothing behind: {left:?}");

    let id = engine.id().to_string();
    let more = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited:unlimited"]).status();
    assert!(more.expect("prlimit").success());
    eventually("snapshots are written", || metric(&config, "foreshock_snapshots_total") >= 1.0);
    let is_committed =
        || matches!(committed(broker, "full", "full-in"), Offset::Offset(offset) if offset > 10_000);
    eventually("offsets are committed", is_committed);
    terminate(&engine);
    ends_well(engine, &config, Duration::from_secs(30));
    ends_well(run(&config, true), &config, Duration::from_secs(60));
    let (anomalies, incidents) = replay(&taxi, &config, folder.path());
    assert_eq!(distinct(&read_topic(broker, "full-anomalies")), anomalies);
    assert_eq!(distinct(&read_topic(broker, "full-incidents")), incidents);
}

/// A signal that was verified in January 2014, half a year before the taxis begin.
const OLD_SIGNAL: &str = r#"{"id":"00000000000000aa","revision":3,"state":"verified","action":"restart",
 "target":{"kind":"service","name":"shop/cart"},"attributes":{},"incident":"00000000000000bb","policy":"p",
 "dry_run":false,"created_ms":1388534400000,"expires_ms":1388535300000,"reason":"","note":"","fencing_token":1,
 "attempts":1,"updated_ms":1388534500000,"holder":"c","accepted":true}"#;

#[test]
fn journals_are_cleared_behind_the_snapshots() {
    let (Some(broker), Some(taxi)) = (kafka(), taxi()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let extra = HALF_HOURS.replace("shards: 4", "shards: 4, idle_after: 1s");
    let config = write_config(folder.path(), broker, "cleared", "state", &extra);
    create_topics(broker, &[("cleared-in", 2), ("cleared-journal", 1)]);
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker).create().expect("producer");
    let record = BaseRecord::to("cleared-journal").key("00000000000000aa").payload(OLD_SIGNAL);
    producer.send(record).map_err(|(error, _)| error).expect("record");
    producer.flush(Duration::from_secs(30)).expect("flush");

    // One partition speaks, the other is silent, which is decided and written down.
    let engine = run(&config, false);
    let files = fleet(&taxi, folder.path());
    produce(broker, &files[0], "cleared-in");
    let journal = |topic: &str| read_topic(broker, topic);
    eventually("a silence is decided", || !journal("cleared-decisions").is_empty());
    let first = journal("cleared-decisions").remove(0);
    assert!(first.key.starts_with("state/") && !first.payload.is_empty(), "{first:?}");
    // The silent one speaks: once it is read on, and three snapshots know it, the decision is needed no more.
    for file in &files[1..] {
        produce(broker, file, "cleared-in");
    }
    let ended = |topic: &str, key: &str| {
        journal(topic).iter().any(|record| record.key == key && record.payload.is_empty())
    };
    eventually("the decision is ended", || ended("cleared-decisions", &first.key));
    eventually("the signal is ended", || ended("cleared-journal", "00000000000000aa"));
    let snapshots = metric(&config, "foreshock_snapshots_total");
    assert!(snapshots >= 3.0, "after {snapshots} snapshots: an older one that is kept may need it");
    terminate(&engine);
    ends_well(engine, &config, Duration::from_secs(30));
    // The journals are read again.
    ends_well(run(&config, true), &config, Duration::from_secs(60));
}
