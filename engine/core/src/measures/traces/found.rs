//! What a tick's spans came to: calls by caller and callee, self times by operation and entity, and examples to look at.

use std::{collections::BTreeMap, sync::Arc};

use hashbrown::HashMap;

use super::{
    super::durations::{Durations, ENOUGH},
    window::Node,
};
use crate::types::{Edge, Entity, Example, ExampleKind, Measured, SeriesDef, StreamDef, StreamKind};

/// Spans in a tick from which their 95th percentile is not the longest of them. That one grows with their number, so
/// that more traffic would look like slower answers.
const ENOUGH_FOR_P95: u64 = 20;

/// What the spans of a tick came to, traces taken together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceOutput {
    /// Calls, sorted by (caller, callee), one per pair.
    pub edges: Vec<Edge>,
    /// Values of the callers' and of the services' own series, in a fixed order.
    pub values: Vec<Measured>,
    /// The request of each entity that took longest, and one that failed.
    pub examples: Vec<(Entity, Example)>,
}

/// Requests that somebody may want to look at: how long they took, and their traces. The longest of each sort.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    slowest: (u64, Trace),
    failed: (u64, Trace),
}

type Trace = [u8; 16];

impl Shown {
    fn add(&mut self, node: &Node) {
        let request = (node.duration_ns, node.trace);
        self.slowest = self.slowest.max(request);
        if node.error {
            self.failed = self.failed.max(request);
        }
    }

    fn join(self, other: Shown) -> Shown {
        Shown { slowest: self.slowest.max(other.slowest), failed: self.failed.max(other.failed) }
    }

    /// What is shown of it.
    fn examples(self, time_ms: i64) -> impl Iterator<Item = Example> {
        let sorts = [(ExampleKind::FailedRequest, self.failed), (ExampleKind::SlowRequest, self.slowest)];
        sorts.into_iter().filter(|(_, (_, trace))| *trace != Trace::default()).map(
            move |(kind, (duration_ns, trace))| {
                let took = words(duration_ns);
                let text = match kind {
                    ExampleKind::FailedRequest => format!("a request failed after {took}"),
                    _ => format!("a request took {took}"),
                };
                let trace_id = trace.iter().map(|byte| format!("{byte:02x}")).collect();
                Example { kind, time_ms, trace_id, text }
            },
        )
    }
}

/// A duration for people: `3.20 s`, `45.0 ms`.
fn words(duration_ns: u64) -> String {
    let seconds = duration_ns as f64 * 1e-9;
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

#[derive(Debug, Default)]
struct Counted {
    spans: u64,
    errors: u64,
    durations: Durations,
}

impl Counted {
    fn with(spare: &mut Vec<Durations>) -> Counted {
        let mut durations = spare.pop().unwrap_or_default();
        durations.clear();
        Counted { durations, ..Counted::default() }
    }

    fn add(&mut self, duration_ns: u64, error: bool) {
        self.spans += 1;
        self.errors += u64::from(error);
        self.durations.add(duration_ns);
    }

    fn p95(&mut self) -> f64 {
        self.durations.quantile(0.95)
    }
}

/// Gathers while a tick closes; the memory of durations is used again.
#[derive(Debug, Default)]
pub(super) struct Found {
    calls: BTreeMap<(Arc<Entity>, Arc<Entity>), Counted>,
    own_by_entity: BTreeMap<Arc<Entity>, Counted>,
    own_by_operation: BTreeMap<u64, (Arc<SeriesDef>, Counted)>,
    /// By stream.
    shown: HashMap<u64, Shown>,
    spare: Vec<Durations>,
}

impl Found {
    pub(super) fn call(&mut self, caller: &Arc<Entity>, callee: &Arc<Entity>, duration_ns: u64, error: bool) {
        let pair = (Arc::clone(caller), Arc::clone(callee));
        let counted = self.calls.entry(pair).or_insert_with(|| Counted::with(&mut self.spare));
        counted.add(duration_ns, error);
    }

    /// The self time of a span of this operation.
    pub(super) fn own(&mut self, operation: &Arc<SeriesDef>, duration_ns: u64) {
        let Found { own_by_entity, own_by_operation, spare, .. } = self;
        let by_operation = own_by_operation.entry(operation.key);
        let (_, counted) = by_operation.or_insert_with(|| (Arc::clone(operation), Counted::with(spare)));
        counted.add(duration_ns, false);
        let by_entity = own_by_entity.entry(Arc::clone(&operation.entity));
        by_entity.or_insert_with(|| Counted::with(spare)).add(duration_ns, false);
    }

    /// A span that came in this tick. One without a trace cannot be looked up.
    pub(super) fn see(&mut self, node: &Node) {
        if node.trace != Trace::default() {
            self.shown.entry(node.stream).or_default().add(node);
        }
    }

    /// What was seen of those who answer requests: entities, and peers that are called.
    fn examples(
        &mut self,
        defs: &HashMap<u64, Arc<StreamDef>>,
        time_ms: i64,
    ) -> impl Iterator<Item = (Entity, Example)> {
        let mut by_entity: BTreeMap<Arc<Entity>, Shown> = BTreeMap::new();
        for (stream, shown) in self.shown.drain() {
            let Some(def) = defs.get(&stream) else { continue };
            let answers = match &def.kind {
                StreamKind::Spans { inbound: true, .. } => &def.series.entity,
                StreamKind::Spans { peer: Some(peer), .. } => peer,
                _ => continue,
            };
            let known = by_entity.entry(Arc::clone(answers)).or_default();
            *known = known.join(shown);
        }
        by_entity.into_iter().flat_map(move |(entity, shown)| {
            shown.examples(time_ms).map(move |example| (Entity::clone(&entity), example))
        })
    }

    /// What was gathered in the tick that begins then, and begins anew.
    pub(super) fn output(
        &mut self,
        defs: &HashMap<u64, Arc<StreamDef>>,
        time_ms: i64,
        tick_seconds: f64,
    ) -> TraceOutput {
        let mut out =
            TraceOutput { examples: self.examples(defs, time_ms).collect(), ..TraceOutput::default() };
        let Found { calls, own_by_entity, own_by_operation, spare, .. } = self;
        let mut set = |entity: &Arc<Entity>, measure: &str, attributes: Vec<(String, String)>, value: f64| {
            let series = Arc::new(SeriesDef::new(Arc::clone(entity), measure, attributes));
            out.values.push(Measured { series, value });
        };
        for ((caller, callee), counted) in &mut *calls {
            let attributes = || vec![("callee".to_string(), callee.to_string())];
            let count = counted.spans as f64;
            set(caller, "span.edge:rate", attributes(), count / tick_seconds);
            if counted.spans >= ENOUGH {
                set(caller, "span.edge.errors:ratio", attributes(), counted.errors as f64 / count);
                set(caller, "span.edge.duration:mean", attributes(), counted.durations.mean());
            }
            if counted.spans >= ENOUGH_FOR_P95 {
                set(caller, "span.edge.duration:p95", attributes(), counted.p95());
            }
        }
        let operations = own_by_operation.values_mut();
        let operations = operations.map(|(series, own)| (&series.entity, series.attributes.clone(), own));
        let entities = own_by_entity.iter_mut().map(|(entity, own)| (entity, Vec::new(), own));
        let enough = |(.., own): &(_, _, &mut Counted)| own.spans >= ENOUGH_FOR_P95;
        for (entity, attributes, own) in operations.chain(entities).filter(enough) {
            set(entity, "span.self:p95", attributes, own.p95());
        }
        out.edges.extend(calls.iter().map(|((caller, callee), counted)| Edge {
            caller: (**caller).clone(),
            callee: (**callee).clone(),
            calls: counted.spans,
            errors: counted.errors,
        }));
        while let Some((_, counted)) = calls.pop_first() {
            spare.push(counted.durations);
        }
        while let Some((_, counted)) = own_by_entity.pop_first() {
            spare.push(counted.durations);
        }
        while let Some((_, (_, counted))) = own_by_operation.pop_first() {
            spare.push(counted.durations);
        }
        out
    }
}
