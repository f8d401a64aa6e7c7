//! Spans as rate, error ratio and duration by operation and entity. Who calls whom is `traces`' business.

use std::sync::Arc;

use super::{
    super::durations::{Durations, ENOUGH},
    Frame, FrameInput,
    by_key::{ByKey, Reset},
};
use crate::types::{SpanSample, StreamKind, Traffic};

/// Memory for a tick.
#[derive(Debug, Default)]
pub(super) struct Spans {
    operations: ByKey<Counted>,
    entities: ByKey<Counted>,
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

impl Spans {
    pub(super) fn fold(&mut self, inputs: &[FrameInput<'_>], frame: &mut Frame<'_>) {
        let Spans { operations, entities } = self;
        operations.clear();
        entities.clear();
        for sample in inputs.iter().flat_map(|input| &input.samples.spans) {
            let Some(def) = frame.defs.get(&sample.stream) else { continue };
            if let StreamKind::Spans { inbound: true, .. } = &def.kind {
                operations.entry(def.series.key).add(sample);
                entities.entry(def.series.entity_key).add(sample);
            }
        }
        for (_, counted) in operations.sorted() {
            publish(counted, true, frame);
        }
        for (_, counted) in entities.sorted() {
            if let Some(def) = frame.stream(counted.stream) {
                let entity = (*def.series.entity).clone();
                frame.out.traffic.push(Traffic { entity, requests: counted.spans, errors: counted.errors });
            }
            publish(counted, false, frame);
        }
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
