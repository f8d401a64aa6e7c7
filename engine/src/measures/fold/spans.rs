//! Spans as rate, error ratio and duration by operation and entity, and as edges of the service graph.

use std::{collections::BTreeMap, sync::Arc};

use super::{Frame, FrameInput};
use crate::types::{Edge, SpanSample, StreamKind};

/// Spans in a tick from which their ratio and quantiles say something.
const ENOUGH: u64 = 5;

/// Durations by 64 steps per power of two: relative error below 1.6 %. Integers only, so that neither order
/// nor machine matters.
#[derive(Debug, Default)]
struct Durations {
    counts: BTreeMap<u32, u64>,
}

const STEPS_BITS: u32 = 6;

impl Durations {
    fn add(&mut self, nanos: u64) {
        *self.counts.entry(Self::bucket(nanos)).or_insert(0) += 1;
    }

    fn bucket(nanos: u64) -> u32 {
        let exponent = nanos.max(1).ilog2();
        let mantissa = match exponent.checked_sub(STEPS_BITS) {
            Some(shift) => nanos >> shift,
            None => nanos << (STEPS_BITS - exponent),
        };
        (exponent << STEPS_BITS) + (mantissa as u32 & ((1 << STEPS_BITS) - 1))
    }

    /// Middle of a bucket, seconds.
    fn seconds(bucket: u32) -> f64 {
        let (exponent, step) = (bucket >> STEPS_BITS, bucket & ((1 << STEPS_BITS) - 1));
        let share = 1.0 + (f64::from(step) + 0.5) / f64::from(1 << STEPS_BITS);
        share * f64::powi(2.0, exponent as i32) * 1e-9
    }

    fn quantile(&self, share: f64, total: u64) -> f64 {
        let mut left = (share * total as f64).ceil() as u64;
        for (bucket, count) in &self.counts {
            if left <= *count {
                return Self::seconds(*bucket);
            }
            left -= count;
        }
        f64::NAN
    }
}

#[derive(Debug, Default)]
struct Counted {
    stream: u64,
    spans: u64,
    errors: u64,
    durations: Durations,
}

impl Counted {
    fn add(&mut self, sample: &SpanSample) {
        self.stream = sample.stream;
        self.spans += 1;
        self.errors += u64::from(sample.error);
        self.durations.add(sample.duration_ns);
    }
}

pub(super) fn fold(inputs: &[FrameInput<'_>], frame: &mut Frame<'_>) {
    let mut operations: BTreeMap<u64, Counted> = BTreeMap::new();
    let mut entities: BTreeMap<u64, Counted> = BTreeMap::new();
    let mut edges = BTreeMap::new();
    for sample in inputs.iter().flat_map(|input| &input.samples.spans) {
        let Some(def) = frame.defs.get(&sample.stream) else { continue };
        match &def.kind {
            StreamKind::Spans { inbound: true, .. } => {
                operations.entry(def.series.key).or_default().add(sample);
                entities.entry(def.series.entity.key()).or_default().add(sample);
            }
            StreamKind::Spans { inbound: false, peer: Some(peer) } => {
                let pair = (Arc::clone(&def.series.entity), Arc::clone(peer));
                let edge: &mut (u64, u64) = edges.entry(pair).or_default();
                edge.0 += 1;
                edge.1 += u64::from(sample.error);
            }
            _ => {}
        }
    }
    for counted in operations.values() {
        publish(counted, true, frame);
    }
    for counted in entities.values() {
        publish(counted, false, frame);
    }
    frame.out.edges.extend(edges.into_iter().map(|((caller, callee), (calls, errors))| Edge {
        caller: (*caller).clone(),
        callee: (*callee).clone(),
        calls,
        errors,
    }));
}

fn publish(counted: &Counted, by_operation: bool, frame: &mut Frame<'_>) {
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
        set(3, "span.duration:p95", counted.durations.quantile(0.95, counted.spans));
    }
}
