//! The simulated shop through the whole pipeline, without a broker: what is found does not depend on how records
//! come in batches, nor on restarts, nor on the number of threads.
//!
//! Does not prove anything about Kafka: `tests/kafka` does.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use foreshock_core::{
    bus,
    config::Measure,
    pipeline::{Effect, Event, Pipeline, PipelineConfig, ThreadsConfig},
    types::{Record, RowMeasures as _, Source},
};
use foreshock_shop::{FaultKind, Scenario, Shop, ShopConfig};
use foreshock_sql::SqlMeasures;

/// A recorded run: a bad deploy some minutes after the series are known, as batches of one topic per tick.
fn recorded() -> Vec<(Source, Vec<Record>)> {
    let scenario = Scenario::only(FaultKind::BadDeploy, 1000);
    let mut shop = Shop::new(ShopConfig { warmup_ticks: 140, scenario, ..ShopConfig::default() });
    let mut offsets: BTreeMap<Source, i64> = BTreeMap::new();
    let mut batches = Vec::new();
    while !shop.finished() {
        let mut tick: BTreeMap<Source, Vec<Record>> = BTreeMap::new();
        for message in shop.step() {
            let source = Source { topic: Arc::from(message.topic), partition: 0 };
            let offset = offsets.entry(source.clone()).or_insert(0);
            let headers = message.headers.into_iter().map(|(key, value)| (key, Bytes::from(value)));
            let record = Record {
                offset: *offset,
                time_ms: message.time_ms,
                key: message.key.map(Bytes::from),
                headers: headers.collect(),
                payload: Bytes::from(message.payload),
            };
            *offset += 1;
            tick.entry(source).or_default().push(record);
        }
        batches.extend(tick);
    }
    batches
}

/// A measure that an operator could have written: payments that take long, as a share.
const SLOW: &str = "{name: 'payment.slow:ratio', by: [entity], sql: \"SELECT entity, \
    avg(CASE WHEN duration_seconds > 0.1 OR error THEN 1.0 ELSE 0.0 END) AS value FROM spans \
    WHERE inbound AND entity = 'service/payment' GROUP BY entity\"}";

fn config() -> PipelineConfig {
    let mut config = PipelineConfig::default();
    config.clock.shards = 8;
    config.queried = sql().signals();
    let policy = "[{name: undo, action: rollback, approval: none}]";
    config.bus.policies = serde_yaml_ng::from_str(policy).expect("policy");
    config
}

fn sql() -> SqlMeasures {
    let slow: Measure = serde_yaml_ng::from_str(SLOW).expect("measure");
    SqlMeasures::new(&[slow], 64 << 20).expect("plan")
}

/// A pipeline that reads all four topics, with what answers its queries.
struct Engine {
    pipeline: Pipeline,
    sql: SqlMeasures,
}

impl Engine {
    fn started(batches: &[(Source, Vec<Record>)]) -> Engine {
        Engine::with(config(), batches)
    }

    fn with(config: PipelineConfig, batches: &[(Source, Vec<Record>)]) -> Engine {
        let pipeline = Pipeline::new(config).expect("pipeline");
        let mut engine = Engine { pipeline, sql: sql() };
        engine.on_event(Event::Backlog(false));
        for (source, _) in batches.iter().take(8) {
            engine.on_event(Event::Assign(source.clone()));
        }
        engine
    }

    fn on_event(&mut self, event: Event<'_>) -> Vec<Effect> {
        let sql = &mut self.sql;
        self.pipeline.on_event_measured(event, |rows| {
            let answer = sql.measure(rows);
            assert!(answer.failures.is_empty(), "{:?}", answer.failures);
            answer.values
        })
    }

    /// Goes on from a snapshot, as after a crash; gives where to read on.
    fn restart(&mut self) -> Vec<foreshock_core::pipeline::Resume> {
        let (resume, sections) = (self.pipeline.resume(), self.pipeline.save().expect("snapshot"));
        self.pipeline = Pipeline::load(config(), &sections).expect("restored");
        self.on_event(Event::Backlog(false));
        resume
    }
}

/// What leaves the engine, as text; repeats of a revision are left out and must be equal.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    seen: BTreeMap<(String, u64), String>,
}

impl Told {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let (key, text) = match &effect {
                Effect::Anomaly(anomaly) => {
                    ((anomaly.id, u64::from(anomaly.revision)), format!("{anomaly:?}"))
                }
                Effect::Incident(incident) => ((incident.id, incident.revision), format!("{incident:?}")),
                Effect::Bus(bus::Effect::Signal(signal)) => {
                    ((signal.id, signal.revision), format!("{signal:?}"))
                }
                _ => continue,
            };
            let key = (key.0.to_string(), key.1);
            match self.seen.get(&key) {
                Some(known) => assert_eq!(*known, text),
                None => {
                    self.seen.insert(key, text.clone());
                    self.lines.push(text);
                }
            }
        }
    }
}

fn whole(batches: &[(Source, Vec<Record>)]) -> Told {
    let (mut engine, mut told) = (Engine::started(batches), Told::default());
    for (source, records) in batches {
        told.take(engine.on_event(Event::Records { source, records }));
    }
    told.take(engine.on_event(Event::Flush));
    told
}

#[test]
fn the_bad_deploy_is_found_blamed_and_a_signal_is_made() {
    let told = whole(&recorded());
    let has = |parts: &[&str]| told.lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has(&["Incident {", "page: true", "title: \"payment: failing, after service.upgraded 2.0.0"]));
    assert!(has(&["RemediationSignal {", "action: Rollback", "name: \"payment\""]));
    // No span names it as a peer: it is known by its own spans' parents.
    assert!(has(&["Anomaly {", "service/checkout span.edge.errors:ratio{callee=service/payment}"]));
    assert!(has(&["Incident {", "calls service/payment"]), "members say how they are related");
    assert!(has(&["Anomaly {", "payment.slow:ratio"]), "the measure in SQL is a series like any other");
}

#[test]
fn the_topology_is_what_the_shop_calls() {
    let batches = recorded();
    let mut engine = Engine::started(&batches);
    for (source, records) in &batches {
        engine.on_event(Event::Records { source, records });
    }
    let calls = |engine: &Engine| -> Vec<String> {
        let topology = engine.pipeline.correlator().topology();
        topology.map(|(caller, callee, calls)| format!("{caller} {callee} {calls:.3}")).collect()
    };
    let found = calls(&engine);
    let is_call = |pair: &str| found.iter().any(|call| call.starts_with(pair));
    assert!(is_call("service/checkout service/payment "), "{found:?}");
    assert!(!is_call("service/payment service/checkout "), "nobody calls back");
    engine.restart();
    assert_eq!(calls(&engine), found, "it survives a restart");
}

#[test]
fn batch_boundaries_and_the_order_of_partitions_change_nothing() {
    let batches = recorded();
    let expected = whole(&batches);
    let (mut engine, mut told) = (Engine::started(&batches), Told::default());
    // Record by record, the topics of a tick in the opposite order, logs a few ticks behind.
    let (logs, others): (Vec<_>, Vec<_>) =
        batches.iter().partition(|(source, _)| &*source.topic == "otlp_logs");
    let mut logs = logs.into_iter();
    for (index, tick) in others.chunk_by(|a, b| a.0 < b.0).enumerate() {
        for (source, records) in tick.iter().rev() {
            for record in records {
                told.take(engine.on_event(Event::Records { source, records: std::slice::from_ref(record) }));
            }
        }
        if index >= 3
            && let Some((source, records)) = logs.next()
        {
            told.take(engine.on_event(Event::Records { source, records }));
        }
    }
    for (source, records) in logs {
        told.take(engine.on_event(Event::Records { source, records }));
    }
    told.take(engine.on_event(Event::Flush));
    assert_eq!(told.lines, expected.lines);
}

/// Every effect, and the state at the end, to the bit.
#[test]
fn the_number_of_threads_changes_nothing() {
    let batches = recorded();
    let run = |count: usize| {
        let threads = ThreadsConfig { count, from_samples: 0 };
        let mut engine = Engine::with(PipelineConfig { threads, ..config() }, &batches);
        let events = batches.iter().map(|(source, records)| Event::Records { source, records });
        let effects: Vec<String> = events
            .chain([Event::Flush])
            .flat_map(|event| engine.on_event(event))
            .map(|effect| format!("{effect:?}"))
            .collect();
        (effects, engine.pipeline.counts(), engine.pipeline.save().expect("snapshot"))
    };
    let (effects, counts, snapshot) = run(1);
    assert!(effects.len() > 200 && counts.scored > 10_000, "{} effects, {counts:?}", effects.len());
    for count in [2, 3] {
        let (other, counted, saved) = run(count);
        assert!(other == effects, "{count} threads give other effects");
        assert_eq!(counted, counts);
        assert!(saved == snapshot, "{count} threads give another state");
    }
}

#[test]
fn a_restart_after_every_event_changes_nothing() {
    let batches = recorded();
    let expected = whole(&batches);
    let (mut engine, mut told) = (Engine::started(&batches), Told::default());
    let mut read: BTreeMap<Source, Vec<Record>> = BTreeMap::new();
    for (source, records) in &batches {
        told.take(engine.on_event(Event::Records { source, records }));
        read.entry(source.clone()).or_default().extend(records.iter().cloned());
        for resume in engine.restart() {
            let Some(known) = read.get(&resume.source) else { continue };
            let from = known.partition_point(|record| record.offset < resume.offset);
            let records = &known[from..];
            told.take(engine.on_event(Event::Records { source: &resume.source, records }));
        }
    }
    told.take(engine.on_event(Event::Flush));
    assert_eq!(told.lines, expected.lines);
}

/// Nobody tells of the deploy: it is seen in the versions that the telemetry names, and blamed all the same.
#[test]
fn a_deploy_that_nobody_told_of_is_seen_and_blamed() {
    let batches: Vec<_> = recorded().into_iter().filter(|(source, _)| &*source.topic != "changes").collect();
    let mut engine = Engine::started(&batches);
    let mut effects: Vec<Effect> = Vec::new();
    for (source, records) in &batches {
        effects.extend(engine.on_event(Event::Records { source, records }));
    }
    effects.extend(engine.on_event(Event::Flush));
    let changes: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Change(change) => Some(change),
            _ => None,
        })
        .collect();
    let [change] = changes[..] else { panic!("{changes:?}") };
    assert_eq!((change.source.as_str(), change.entity.name.as_str()), ("telemetry", "payment"));
    let blamed = effects.iter().any(|effect| match effect {
        Effect::Incident(incident) => {
            let first = incident.suspects.first();
            first.is_some_and(|suspect| suspect.change.as_ref() == Some(change))
        }
        _ => false,
    });
    assert!(blamed, "{change:?}");
}
