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

use super::support::*;

/// 2026-01-01T00:00:00Z, seconds.
const START: u64 = 1_767_225_600;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_string())) });
    KeyValue { key: key.to_string(), value, ..KeyValue::default() }
}

fn request(data: Data) -> Vec<u8> {
    let metrics = vec![Metric { name: "queue.depth".to_string(), data: Some(data), ..Metric::default() }];
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

/// Sends equal records as one batch.
fn send(producer: &BaseProducer, topic: &str, payload: &[u8], records: usize) {
    for _ in 0..records {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(payload);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(60)).expect("the broker takes it");
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
    let decided: Vec<serde_json::Value> =
        decided.iter().map(|record| serde_json::from_slice(&record.payload).expect("JSON")).collect();
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
            "subject": "cart", "time": time(200 + index / 400), "data": { "version": format!("v{index}") },
        });
        let payload = event.to_string().into_bytes();
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to("large-changes").payload(&payload);
        producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
    }
    producer.flush(Duration::from_secs(60)).expect("the broker takes them");
    for tick in 0..280 {
        let value = if tick < 250 { 100.0 + (tick * 7 % 5) as f64 } else { 9_000.0 };
        send(&producer, "large-in", &gauge(tick, value, vec![text("query", &long)]), 1);
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
        series.starts_with("service/cart queue.depth{query=xxx") && series.len() < 2000,
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

#[test]
fn a_partition_that_stands_still_is_told_and_goes_on_when_it_can() {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let config = write_config(folder.path(), broker, "stands", "state", "time: {idle_after: 2s}");
    let whole = std::fs::read_to_string(&config).expect("config");
    let small = "options: {receive.message.max.bytes: '100600', fetch.max.bytes: '100000', message.max.bytes: '100000', ";
    std::fs::write(&config, whole.replace("options: {", small)).expect("config");
    create_topics(broker, &[("stands-in", 1)]);
    let producer = packing(broker, "none");
    send(&producer, "stands-in", &gauge(0, 1.0, Vec::new()), 1);
    // The broker gives the first batch whole, however large it is: this one is more than the engine takes.
    send(&producer, "stands-in", &gauge(1, 1.0, vec![text("query", &"x".repeat(800_000))]), 1);
    send(&producer, "stands-in", &gauge(2, 1.0, Vec::new()), 1);
    let engine = run(&config, false);
    let ready = || get(&config, "/readyz").unwrap_or_default();
    eventually("not ready", || ready() == (503, "stands-in[0] stands still at offset 1\n".to_string()));
    assert_eq!(metric(&config, "foreshock_standing_partitions"), 1.0);
    assert!(log(&config).contains("stands still"), "{}", log(&config));
    terminate(&engine);
    ends_well(engine, &config, Duration::from_secs(20));
    std::fs::write(&config, whole).expect("config");
    let engine = run(&config, false);
    eventually("the rest is read", || read_so_far(&config, "stands-in") >= 2.0);
    eventually("ready", || ready().0 == 200);
    terminate(&engine);
    ends_well(engine, &config, Duration::from_secs(20));
}
