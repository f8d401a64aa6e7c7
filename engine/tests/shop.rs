//! The simulated shop through the whole pipeline, without a broker: what is found, and what is not said.

use std::sync::Arc;

use bytes::Bytes;
use foreshock::{
    demo::shop::{Shop, ShopConfig},
    pipeline::{Effect, Event, Pipeline, PipelineConfig},
    types::{Record, Source},
};

#[test]
fn explore() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let mut shop = Shop::new(ShopConfig { seed, ..ShopConfig::default() });
    let start = shop.now();
    let mut pipeline = Pipeline::new(PipelineConfig::default()).unwrap();
    let mut offsets = std::collections::BTreeMap::new();
    let began = std::time::Instant::now();
    let (mut anomalies, mut stepping, mut said) = (0, 0.0, 0);
    while !shop.finished() {
        let before = std::time::Instant::now();
        let produced = shop.step();
        stepping += before.elapsed().as_secs_f64();
        for message in produced {
            let source = Source { topic: Arc::from(message.topic), partition: 0 };
            let offset = offsets.entry(source.clone()).or_insert(0i64);
            let record = Record {
                offset: *offset,
                time_ms: message.time_ms,
                key: message.key.map(Bytes::from),
                headers: message.headers.into_iter().map(|(k, v)| (k, Bytes::from(v))).collect(),
                payload: Bytes::from(message.payload),
            };
            *offset += 1;
            for effect in pipeline.on_event(Event::Records { source: &source, records: &[record] }) {
                match effect {
                    Effect::Anomaly(a) => {
                        anomalies += 1;
                        if a.revision == 1 {
                            said += 1;
                            println!(
                                "    {:6} anomaly {} {} {:.2} {} on {}",
                                a.opened_ms / 1000 - start - 10800,
                                a.id,
                                a.series,
                                a.neg_log_p,
                                a.detector,
                                a.onset_ms / 1000 - start - 10800
                            );
                        }
                    }
                    Effect::Incident(i) => {
                        println!(
                            "{:6} {} r{} page={} {} members={} sev={:.2} suspects={:?} {}",
                            i.updated_ms / 1000 - start - 10800,
                            i.id,
                            i.revision,
                            i.page,
                            i.title,
                            i.members.len(),
                            i.severity,
                            i.suspects
                                .iter()
                                .map(|s| format!("{} {:.2}", s.entity.name, s.weight))
                                .collect::<Vec<_>>(),
                            i.why
                        );
                    }
                    Effect::DeadLetter { reject, .. } => println!("dead {reject:?}"),
                    Effect::Change(c) => println!("change {} {:?}", c.time_ms / 1000 - start - 10800, c),
                    _ => {}
                }
            }
        }
    }
    println!(
        "{:?} series {} anomalies {anomalies} opened {said} in {:?}, of it shop {stepping:.1} s",
        pipeline.counts(),
        pipeline.series(),
        began.elapsed()
    );
    for fault in shop.truth() {
        println!("{:?}", (fault.kind, fault.service, fault.start - start - 10800));
    }
}
