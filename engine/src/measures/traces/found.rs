//! What a tick's spans came to: calls by caller and callee, self times by operation and entity.

use std::{collections::BTreeMap, sync::Arc};

use super::super::durations::{Durations, ENOUGH};
use crate::types::{Edge, Entity, Measured, SeriesDef};

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

    /// What was gathered, and begins anew.
    pub(super) fn output(&mut self, tick_seconds: f64) -> TraceOutput {
        let Found { calls, own_by_entity, own_by_operation, spare } = self;
        let mut out = TraceOutput::default();
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
