//! Spans as rate, error ratio and duration by operation and entity. Who calls whom is `traces`' business.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::durations::{Durations, ENOUGH},
    Frame, FrameInput, Latency,
    by_key::{ByKey, Reset},
};
use crate::types::{Entity, SpanSample, StreamDef, StreamKind, Traffic};

/// Memory for a tick.
#[derive(Debug, Default)]
pub(super) struct Spans {
    operations: ByKey<Counted>,
    entities: ByKey<Counted>,
    timed: Timed,
}

/// Requests by whether they were answered in time, where somebody asks for that.
#[derive(Debug, Default)]
struct Timed {
    asked: Vec<Latency>,
    by_entity: BTreeMap<u64, Vec<InTime>>,
}

#[derive(Debug)]
struct InTime {
    entity: Arc<Entity>,
    latency_ns: u64,
    requests: u64,
    /// Those that failed or took longer.
    errors: u64,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    stream: u64,
    spans: u64,
    errors: u64,
    durations: Durations,
}

impl Reset for Counted {
    fn reset(&mut self) {
        self.spans = 0;
        self.errors = 0;
        self.durations.clear();
    }
}

impl Counted {
    fn add(&mut self, sample: &SpanSample) {
        self.stream = sample.stream;
        self.spans += 1;
        self.errors += u64::from(sample.error);
        self.durations.add(sample.duration_ns);
    }
}

impl Timed {
    fn define(&mut self, def: &StreamDef) {
        let entity = &def.series.entity;
        let mut in_time: Vec<InTime> = Vec::new();
        for Latency { latency_ns, .. } in self.asked.iter().filter(|asked| asked.entity.is(entity)) {
            // Several may ask the same.
            if in_time.iter().all(|known| known.latency_ns != *latency_ns) {
                let (entity, latency_ns) = (entity.clone(), *latency_ns);
                in_time.push(InTime { entity, latency_ns, requests: 0, errors: 0 });
            }
        }
        if !in_time.is_empty() {
            self.by_entity.insert(def.series.entity_key, in_time);
        }
    }

    fn add(&mut self, sample: &SpanSample, entity_key: u64) {
        for in_time in self.by_entity.get_mut(&entity_key).into_iter().flatten() {
            in_time.requests += 1;
            in_time.errors += u64::from(sample.error || sample.duration_ns > in_time.latency_ns);
        }
    }

    /// What this tick came to; nothing of it is left.
    fn take(&mut self) -> impl Iterator<Item = Traffic> {
        let answered = self.by_entity.values_mut().flatten().filter(|in_time| in_time.requests > 0);
        answered.map(|in_time| Traffic {
            entity: (*in_time.entity).clone(),
            latency_ns: Some(in_time.latency_ns),
            requests: std::mem::take(&mut in_time.requests),
            errors: std::mem::take(&mut in_time.errors),
        })
    }
}

impl Spans {
    pub(super) fn new(latencies: Vec<Latency>) -> Spans {
        Spans { timed: Timed { asked: latencies, ..Timed::default() }, ..Spans::default() }
    }

    pub(super) fn define(&mut self, def: &StreamDef) {
        self.timed.define(def);
    }

    pub(super) fn fold(&mut self, inputs: &[FrameInput<'_>], frame: &mut Frame<'_>) {
        let Spans { operations, entities, timed } = self;
        operations.clear();
        entities.clear();
        for sample in inputs.iter().flat_map(|input| &input.samples.spans) {
            let Some(def) = frame.defs.get(&sample.stream) else { continue };
            if let StreamKind::Spans { inbound: true, .. } = &def.kind {
                operations.entry(def.series.key).add(sample);
                entities.entry(def.series.entity_key).add(sample);
                timed.add(sample, def.series.entity_key);
            }
        }
        for (_, counted) in operations.sorted() {
            publish(counted, true, frame);
        }
        for (_, counted) in entities.sorted() {
            if let Some(def) = frame.stream(counted.stream) {
                let entity = (*def.series.entity).clone();
                let (requests, errors) = (counted.spans, counted.errors);
                frame.out.traffic.push(Traffic { entity, latency_ns: None, requests, errors });
            }
            publish(counted, false, frame);
        }
        frame.out.traffic.extend(timed.take());
    }
}

fn publish(counted: &mut Counted, by_operation: bool, frame: &mut Frame<'_>) {
    let Some(def) = frame.stream(counted.stream) else { return };
    // The entity's own series are derived from the entity, whichever operation came last.
    let base = match by_operation {
        true => Arc::clone(&def.series),
        false => frame.derive(&def.series, 0, || "span".to_string(), Vec::new),
    };
    let attributes = || base.attributes.clone();
    let spans = counted.spans as f64;
    let per_second = 1.0 / frame.tick_seconds;
    let mut set = |part: u64, measure: &str, value: f64| {
        let series = frame.derive(&base, part, || measure.to_string(), attributes);
        frame.set(&series, value);
    };
    set(1, "span:rate", spans * per_second);
    if counted.spans >= ENOUGH {
        set(2, "span.errors:ratio", counted.errors as f64 / spans);
        set(3, "span.duration:p95", counted.durations.quantile(0.95));
    }
}
