//! Calls and self times as values of the callers' and of the services' own series; requests to look at.

use std::{collections::BTreeMap, sync::Arc};

use super::Frame;
use crate::types::{
    Edge, Entity, Example, ExampleKind, Partial, RequestExamples, SeriesDef, Timings, durations::ENOUGH,
};

/// Spans in a tick from which their 95th percentile is not the longest of them. That one grows with their number, so
/// that more traffic would look like slower answers.
const ENOUGH_FOR_P95: u64 = 20;

/// Folds what came of traces, in the order of names.
pub(super) fn fold(partials: &[&Partial], frame: &mut Frame<'_>) {
    calls(partials, frame);
    self_times(partials, frame);
    examples(partials, frame);
}

fn calls(partials: &[&Partial], frame: &mut Frame<'_>) {
    let mut calls: BTreeMap<(&Arc<Entity>, &Arc<Entity>), Timings> = BTreeMap::new();
    for call in partials.iter().flat_map(|partial| &partial.calls) {
        calls.entry((&call.caller, &call.callee)).or_default().merge(&call.timings);
    }
    for ((caller, callee), mut timings) in calls {
        let tick_seconds = frame.tick_seconds;
        let mut set = |measure: &str, value: f64| {
            let attributes = vec![("callee".to_string(), callee.to_string())];
            frame.set(&Arc::new(SeriesDef::new(Arc::clone(caller), measure, attributes)), value);
        };
        let Timings { count, errors, durations } = &mut timings;
        set("span.edge:rate", *count as f64 / tick_seconds);
        if *count >= ENOUGH {
            set("span.edge.errors:ratio", *errors as f64 / *count as f64);
            set("span.edge.duration:mean", durations.mean());
        }
        if *count >= ENOUGH_FOR_P95 {
            set("span.edge.duration:p95", durations.quantile(0.95));
        }
        frame.out.edges.push(Edge {
            caller: Entity::clone(caller),
            callee: Entity::clone(callee),
            calls: timings.count,
            errors: timings.errors,
        });
    }
}

fn self_times(partials: &[&Partial], frame: &mut Frame<'_>) {
    let mut by_operation: BTreeMap<u64, (&SeriesDef, Timings)> = BTreeMap::new();
    let mut by_entity: BTreeMap<&Arc<Entity>, Timings> = BTreeMap::new();
    for own in partials.iter().flat_map(|partial| &partial.self_times) {
        let operation = &own.operation;
        let known = by_operation.entry(operation.key).or_insert_with(|| (operation, Timings::default()));
        known.1.merge(&own.timings);
        by_entity.entry(&operation.entity).or_default().merge(&own.timings);
    }
    let operations = by_operation.into_values();
    let operations = operations.map(|(series, own)| (&series.entity, series.attributes.clone(), own));
    let entities = by_entity.into_iter().map(|(entity, own)| (entity, Vec::new(), own));
    let enough = |(.., own): &(_, _, Timings)| own.count >= ENOUGH_FOR_P95;
    for (entity, attributes, mut own) in operations.chain(entities).filter(enough) {
        let series = SeriesDef::new(Arc::clone(entity), "span.self:p95", attributes);
        frame.set(&Arc::new(series), own.durations.quantile(0.95));
    }
}

fn examples(partials: &[&Partial], frame: &mut Frame<'_>) {
    let mut by_entity: BTreeMap<&Arc<Entity>, RequestExamples> = BTreeMap::new();
    for (entity, examples) in partials.iter().flat_map(|partial| &partial.examples) {
        let known = by_entity.entry(entity).or_default();
        *known = known.merged(*examples);
    }
    let time_ms = frame.tick * frame.tick_ns / 1_000_000;
    for (entity, examples) in by_entity {
        let sorts =
            [(ExampleKind::FailedRequest, examples.failed), (ExampleKind::SlowRequest, examples.slowest)];
        for (kind, (duration_ns, trace)) in sorts.into_iter().filter(|(_, (_, trace))| *trace != [0; 16]) {
            let took = words(duration_ns);
            let text = match kind {
                ExampleKind::FailedRequest => format!("a request failed after {took}"),
                _ => format!("a request took {took}"),
            };
            let trace_id = trace.iter().map(|byte| format!("{byte:02x}")).collect();
            let example = Example { kind, time_ms, trace_id, text };
            frame.out.examples.push((Entity::clone(entity), example));
        }
    }
}

/// A duration for people: `3.20 s`, `45.0 ms`.
fn words(duration_ns: u64) -> String {
    let seconds = duration_ns as f64 * 1e-9;
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}
