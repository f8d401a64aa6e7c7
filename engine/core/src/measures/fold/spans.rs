//! Spans as rate, error ratio and duration by operation and entity. Who calls whom is `traces`' business.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Frame,
    by_key::{ByKey, Reset},
};
use crate::types::{Partial, Requests, Timings, Traffic, durations::ENOUGH};

/// Memory for a tick.
#[derive(Debug, Default)]
pub(super) struct Spans {
    operations: ByKey<Counted>,
    entities: ByKey<Counted>,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    stream: u64,
    timings: Timings,
}

impl Reset for Counted {
    fn reset(&mut self) {
        self.timings.clear();
    }
}

impl Counted {
    fn add(&mut self, requests: &Requests) {
        self.stream = requests.stream;
        self.timings.merge(&requests.timings);
    }
}

/// Requests of an entity that were to be answered in such a time.
#[derive(Debug, Default)]
struct Asked {
    latency_ns: u64,
    requests: u64,
    /// Those that failed or took longer.
    late: u64,
}

impl Spans {
    pub(super) fn fold(&mut self, partials: &[&Partial], frame: &mut Frame<'_>) {
        let Spans { operations, entities } = self;
        operations.clear();
        entities.clear();
        // By entity, in the order in which the configuration asks.
        let mut asked: BTreeMap<u64, Vec<Asked>> = BTreeMap::new();
        for requests in partials.iter().flat_map(|partial| &partial.requests) {
            let Some(def) = frame.defs.get(&requests.stream) else { continue };
            operations.entry(def.series.key).add(requests);
            entities.entry(def.series.entity_key).add(requests);
            for (latency_ns, late) in &requests.late {
                let of_entity = asked.entry(def.series.entity_key).or_default();
                let known = of_entity.iter().position(|asked| asked.latency_ns == *latency_ns);
                let at = known.unwrap_or_else(|| {
                    of_entity.push(Asked { latency_ns: *latency_ns, ..Asked::default() });
                    of_entity.len() - 1
                });
                of_entity[at].requests += requests.timings.count;
                of_entity[at].late += late;
            }
        }
        for (_, counted) in operations.sorted() {
            publish(counted, true, frame);
        }
        let mut answered = Vec::new();
        for (entity_key, counted) in entities.sorted() {
            if let Some(def) = frame.stream(counted.stream) {
                let entity = &*def.series.entity;
                let (requests, errors) = (counted.timings.count, counted.timings.errors);
                let all = Traffic { entity: entity.clone(), latency_ns: None, requests, errors };
                frame.out.traffic.push(all);
                answered.extend(asked.remove(entity_key).into_iter().flatten().map(|asked| Traffic {
                    entity: entity.clone(),
                    latency_ns: Some(asked.latency_ns),
                    requests: asked.requests,
                    errors: asked.late,
                }));
            }
            publish(counted, false, frame);
        }
        frame.out.traffic.append(&mut answered);
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
    let Timings { count, errors, durations } = &mut counted.timings;
    let spans = *count as f64;
    let per_second = 1.0 / frame.tick_seconds;
    let mut set = |part: u64, measure: &str, value: f64| {
        let series = frame.derive(&base, part, || measure.to_string(), attributes);
        frame.set(&series, value);
    };
    set(1, "span:rate", spans * per_second);
    if *count >= ENOUGH {
        set(2, "span.errors:ratio", *errors as f64 / spans);
        set(3, "span.duration:p95", durations.quantile(0.95));
    }
}
