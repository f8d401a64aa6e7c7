//! What a producer can do to the engine with one record: nothing to the others.
//!
//! The broker has Kafka's own limits. Does not prove what a decoder does with a record (`work`, fuzz targets).

use std::{path::Path, time::Duration};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint, ResourceMetrics,
        ScopeMetrics, exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message as _;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::support::*;

/// 2026-01-01T00:00:00Z, seconds.
const START: u64 = 1_767_225_600;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_string())) });
    KeyValue { key: key.to_string(), value, ..KeyValue::default() }
}

fn request(data: Data) -> Vec<u8> {
    let metrics = vec![Metric { name: "latency".to_string(), data: Some(data), ..Metric::default() }];
    let resource = Some(Resource { attributes: vec![text("service.name", "cart")], ..Resource::default() });
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// A gauge of the service `cart` at a tick of 10 s.
fn gauge(tick: u64, value: f64, attributes: Vec<KeyValue>) -> Vec<u8> {
    let point = NumberDataPoint {
        attributes,
        time_unix_nano: (START + 10 * tick) * 1_000_000_000,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    request(Data::Gauge(Gauge { data_points: vec![point] }))
}

/// A producer that packs what is sent between two calls of [`BaseProducer::flush`] into one batch.
fn packing(broker: &str, codec: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("compression.type", codec)
        .set("message.max.bytes", "1000000000")
        .set("batch.size", "1000000000")
        .set("batch.num.messages", "1000000")
        .set("queue.buffering.max.kbytes", "2000000")
        .set("queue.buffering.max.messages", "1000000")
        .set("linger.ms", "10000")
        .create()
        .expect("producer")
}

/// Hands a record over; it leaves with the next flush.
fn queue(producer: &BaseProducer, topic: &str, payload: &[u8]) {
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(payload);
    producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
}

fn flush(producer: &BaseProducer) {
    producer.flush(Duration::from_secs(60)).expect("the broker takes it");
}

/// Sends equal records as one batch.
fn send(producer: &BaseProducer, topic: &str, payload: &[u8], records: usize) {
    (0..records).for_each(|_| queue(producer, topic, payload));
    flush(producer);
}

/// The most memory that a process has had at a time, MiB.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// The records of a topic that an engine has read.
fn read_so_far(config: &Path, topic: &str) -> f64 {
    metric(config, &format!("foreshock_records_total{{topic=\"{topic}\"}}"))
}

#[test]
fn a_batch_that_cannot_be_unpacked_costs_itself() {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "bomb", "state", "");
    create_topics(broker, &[("bomb-in", 1)]);
    let plain = packing(broker, "none");
    let mut seed = 0x5DEE_CE66_D123_4567_u64;
    let mut random = |end: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % end as u64) as usize
    };
    let producers = ["zstd", "gzip", "lz4"].map(|codec| (codec, packing(broker, codec)));
    // Bytes, records and codec: first what was seen in the field, then more of its kind.
    let mut bombs = vec![(800 << 20, 1, 0), (800 << 20, 1, 1), (220 << 20, 1, 2)];
    for _ in 0..47 {
        let records = [1, 7, 100, 3_000][random(4)];
        bombs.push(((65 << 20) + random(8 << 20), records, random(3)));
    }
    let mut expected = Vec::new();
    let mut next = 0;
    for (place, (bytes, records, codec)) in (0..).zip(&bombs) {
        send(&plain, "bomb-in", &gauge(place, 1.0, Vec::new()), 1);
        let payload = vec![random(256) as u8; bytes / records];
        send(&producers[*codec].1, "bomb-in", &payload, *records);
        expected.push((next + 1, next + *records as i64, producers[*codec].0));
        next += 1 + *records as i64;
    }
    send(&plain, "bomb-in", &gauge(100, 1.0, Vec::new()), 1);
    let engine = run(&config, false);
    // Every batch counts for one record.
    let all = (2 * bombs.len() + 1) as f64;
    eventually("everything else is read", || read_so_far(&config, "bomb-in") == all);
    assert_eq!(
        metric(&config, "foreshock_rejected_records_total{reason=\"unreadable\"}"),
        bombs.len() as f64
    );
    assert_eq!(get(&config, "/readyz").map(|(status, _)| status), Some(200));
    let peak = peak_memory(engine.id());
    assert!(peak < 600, "{peak} MiB");
    terminate(&engine);
    ends_well(engine, &config, Duration::from_secs(20));
    let dead = read_topic(broker, "bomb-dead");
    let decided = read_topic(broker, "bomb-decisions");
    // What the engine's own snapshots need no more is ended by now.
    let decided = decided.iter().filter(|record| !record.payload.is_empty());
    let decided: Vec<serde_json::Value> =
        decided.map(|record| serde_json::from_slice(&record.payload).expect("JSON")).collect();
    assert_eq!(dead.len(), expected.len());
    for (record, (from, until, codec)) in dead.iter().zip(expected) {
        assert_eq!(record.headers["foreshock.offset"], from.to_string());
        let said = &record.headers["foreshock.detail"];
        assert!(said.starts_with(&format!("a {codec} batch of ")), "{said}");
        assert!(said.contains(&format!("offsets {from} to {until},")), "{said}");
        let skips = decided.iter().filter(|decision| decision["kind"] == "skip");
        let mut covered: Vec<(i64, i64)> = skips
            .map(|skip| (skip["from"].as_i64().expect("from"), skip["until"].as_i64().expect("until")))
            .collect();
        covered.retain(|(first, last)| *first >= from && *last <= until);
        let count: i64 = covered.iter().map(|(first, last)| last - first + 1).sum();
        assert_eq!(count, until - from + 1, "{covered:?}");
    }
}

#[test]
fn names_of_a_megabyte_and_twenty_thousand_changes_fit_into_kafkas_own_limits() {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "large", "state", "");
    let text_of = std::fs::read_to_string(&config).expect("config");
    let topics = "topics: [{name: large-in, encoding: otlp_metrics}, {name: large-changes, quiet: true}]";
    let own = text_of.replace("topics: [{name: large-in, encoding: otlp_metrics}]", topics);
    assert_ne!(own, text_of);
    std::fs::write(&config, own).expect("config");
    create_topics(broker, &[("large-in", 1), ("large-changes", 1)]);
    let (producer, long) = (packing(broker, "zstd"), "x".repeat(1_200_000));
    let time =
        |tick: u64| jiff::Timestamp::from_second((START + 10 * tick) as i64).expect("a time").to_string();
    for index in 0..20_000_u64 {
        let event = serde_json::json!({
            "specversion": "1.0", "type": "dev.cdevents.service.deployed.0.2.0", "source": "ci", "id": format!("deploy-{index}"),
            "subject": "cart", "time": time(320 + index / 400), "data": { "version": format!("v{index}") },
        });
        queue(&producer, "large-changes", &event.to_string().into_bytes());
    }
    flush(&producer);
    for tick in 0..400 {
        let fault = if tick < 370 { 0.0 } else { 500.0 };
        let value = 120.0 + 20.0 * (tick as f64 / 60.0).sin() + (tick * 7919 % 101) as f64 / 25.0 + fault;
        queue(&producer, "large-in", &gauge(tick, value, vec![text("query", &long)]));
        // Together they would be a batch that is left out.
        if tick % 20 == 19 {
            flush(&producer);
        }
    }
    ends_well(run(&config, true), &config, Duration::from_secs(120));
    let anomalies = distinct(&read_topic(broker, "large-anomalies"));
    let incidents = distinct(&read_topic(broker, "large-incidents"));
    assert!(!anomalies.is_empty() && !incidents.is_empty(), "{}", log(&config));
    for line in anomalies.iter().chain(&incidents) {
        assert!(line.len() < 1_000_000, "{} bytes", line.len());
    }
    let incident: serde_json::Value = serde_json::from_str(incidents.last().expect("one")).expect("JSON");
    let changes = incident["changes"].as_array().expect("changes");
    assert_eq!(changes.len(), 100);
    assert_eq!(changes.last().expect("one")["version"], "v19999");
    let series = incident["members"][0]["anomaly"]["series"].as_str().expect("a series");
    assert!(
        series.starts_with("service/cart latency{query=xxx") && series.len() < 2000,
        "{} bytes",
        series.len()
    );
}

/// The record on which an engine of before did not come to an end, and others of its kind.
#[test]
fn a_scale_beyond_what_opentelemetry_allows_is_refused() {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "scale", "state", "");
    create_topics(broker, &[("scale-in", 1)]);
    let producer = packing(broker, "none");
    let buckets = |bucket_counts| Some(Buckets { offset: 0, bucket_counts });
    let histogram = |scale: i32| {
        let point = ExponentialHistogramDataPoint {
            time_unix_nano: START * 1_000_000_000,
            count: 10,
            scale,
            positive: buckets(vec![5, 5]),
            ..ExponentialHistogramDataPoint::default()
        };
        request(Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality: 1,
        }))
    };
    let (fine, wrong) = ([-10, 0, 20], [i32::MAX, 21, -11, i32::MIN, 100_000_000]);
    for scale in fine.iter().chain(&wrong) {
        send(&producer, "scale-in", &histogram(*scale), 1);
    }
    ends_well(run(&config, true), &config, Duration::from_secs(30));
    let dead = read_topic(broker, "scale-dead");
    let said: Vec<&str> = dead.iter().map(|record| record.headers["foreshock.detail"].as_str()).collect();
    let meant: Vec<String> = wrong
        .iter()
        .map(|scale| format!("an exponential histogram's scale is {scale}: give -10 to 20"))
        .collect();
    assert_eq!(said, meant);
}

/// Overwrites bytes of a batch in a broker's segment: the batch at this place, from this byte on.
fn damage(topic: &str, batch: usize, from: usize, bytes: &[u8]) {
    let path = kafka_data().expect("our own broker").join(format!("{topic}-0/00000000000000000000.log"));
    let mut segment = std::fs::read(&path).expect("a segment");
    let mut at = 0;
    for _ in 0..batch {
        let length = segment[at + 8..at + 12].try_into().map(u32::from_be_bytes).expect("four bytes");
        at += 12 + length as usize;
    }
    segment[at + from..at + from + bytes.len()].copy_from_slice(bytes);
    // In place: the broker holds the file open.
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the segment");
    std::os::unix::fs::FileExt::write_all_at(&file, &segment, 0).expect("written");
}

/// Bytes of a batch before its records (Kafka's protocol guide, "Record Batch").
const HEAD: usize = 61;

#[test]
fn a_batch_that_a_disk_has_damaged_costs_itself() {
    let Some(broker) = kafka() else { return };
    if kafka_data().is_none() {
        return eprintln!("skipped: the broker of FORESHOCK_KAFKA is not ours to damage");
    }
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "bent", "state", "");
    create_topics(broker, &[("bent-in", 1)]);
    let codecs = ["gzip", "snappy", "lz4", "zstd"];
    let plain = packing(broker, "none");
    for (tick, codec) in (0..).zip(codecs) {
        send(&plain, "bent-in", &gauge(tick, 1.0, Vec::new()), 1);
        send(&packing(broker, codec), "bent-in", &gauge(tick, 1.0, vec![text("pod", &"x".repeat(500))]), 5);
    }
    send(&plain, "bent-in", &gauge(9, 1.0, Vec::new()), 1);
    (0..codecs.len()).for_each(|place| damage("bent-in", 2 * place + 1, HEAD, &[0xff; 4]));
    ends_well(run(&config, true), &config, Duration::from_secs(60));
    let dead = read_topic(broker, "bent-dead");
    let said: Vec<&str> = dead.iter().map(|record| record.headers["foreshock.detail"].as_str()).collect();
    assert_eq!(said.len(), codecs.len(), "{said:?}");
    for ((place, codec), said) in (0..).zip(codecs).zip(said) {
        let (from, until) = (6 * place + 1, 6 * place + 5);
        assert!(
            said.starts_with(&format!("a {codec} batch"))
                && said.contains(&format!("offsets {from} to {until},")),
            "{said}"
        );
    }
}

#[test]
fn a_partition_that_stands_still_is_told() {
    let Some(broker) = kafka() else { return };
    if kafka_data().is_none() {
        return eprintln!("skipped: the broker of FORESHOCK_KAFKA is not ours to damage");
    }
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "stands", "state", "time: {idle_after: 2s}");
    create_topics(broker, &[("stands-in", 1)]);
    let producer = packing(broker, "none");
    (0..3).for_each(|tick| send(&producer, "stands-in", &gauge(tick, 1.0, Vec::new()), 1));
    // The length of the record: more than there is.
    damage("stands-in", 1, HEAD, &[0xff, 0xff, 0xff, 0x7f]);
    let engine = run(&config, false);
    let ready = || get(&config, "/readyz").unwrap_or_default();
    eventually("not ready", || ready() == (503, "stands-in[0] stands still at offset 1\n".to_string()));
    assert_eq!(metric(&config, "foreshock_standing_partitions"), 1.0);
    assert!(log(&config).contains("stands still"), "{}", log(&config));
    assert_eq!(get(&config, "/livez").map(|(status, _)| status), Some(200));
    terminate(&engine);
    ends_well(engine, &config, Duration::from_secs(20));
}
