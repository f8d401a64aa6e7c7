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
    fn add(&mut self, duration_ns: u64, error: bool) {
        self.spans += 1;
        self.errors += u64::from(error);
        self.durations.add(duration_ns);
    }

    fn p95(&mut self) -> f64 {
        self.durations.quantile(0.95)
    }
}

/// Gathers while a tick closes.
#[derive(Debug, Default)]
pub(super) struct Found {
    calls: BTreeMap<(Arc<Entity>, Arc<Entity>), Counted>,
    own_by_entity: BTreeMap<Arc<Entity>, Counted>,
    own_by_operation: BTreeMap<u64, (Arc<SeriesDef>, Counted)>,
}

impl Found {
    pub(super) fn call(&mut self, caller: &Arc<Entity>, callee: &Arc<Entity>, duration_ns: u64, error: bool) {
        let pair = (Arc::clone(caller), Arc::clone(callee));
        self.calls.entry(pair).or_default().add(duration_ns, error);
    }

    /// The self time of a span of this operation.
    pub(super) fn own(&mut self, operation: &Arc<SeriesDef>, duration_ns: u64) {
        let by_operation = self.own_by_operation.entry(operation.key);
        let (_, counted) = by_operation.or_insert_with(|| (Arc::clone(operation), Counted::default()));
        counted.add(duration_ns, false);
        self.own_by_entity.entry(Arc::clone(&operation.entity)).or_default().add(duration_ns, false);
    }

    pub(super) fn output(mut self, tick_seconds: f64) -> TraceOutput {
        let mut out = TraceOutput::default();
        let mut set = |entity: &Arc<Entity>, measure: &str, attributes: Vec<(String, String)>, value: f64| {
            let series = Arc::new(SeriesDef::new(Arc::clone(entity), measure, attributes));
            out.values.push(Measured { series, value });
        };
        for ((caller, callee), counted) in &mut self.calls {
            let attributes = || vec![("callee".to_string(), callee.to_string())];
            let calls = counted.spans as f64;
            set(caller, "span.edge:rate", attributes(), calls / tick_seconds);
            if counted.spans >= ENOUGH {
                set(caller, "span.edge.errors:ratio", attributes(), counted.errors as f64 / calls);
            }
            if counted.spans >= ENOUGH_FOR_P95 {
                set(caller, "span.edge.duration:p95", attributes(), counted.p95());
            }
        }
        let by_operation = self.own_by_operation.values_mut();
        let operations = by_operation.map(|(series, own)| (&series.entity, series.attributes.clone(), own));
        let entities = self.own_by_entity.iter_mut().map(|(entity, own)| (entity, Vec::new(), own));
        let enough = |(.., own): &(_, _, &mut Counted)| own.spans >= ENOUGH_FOR_P95;
        for (entity, attributes, own) in operations.chain(entities).filter(enough) {
            set(entity, "span.self:p95", attributes, own.p95());
        }
        out.edges.extend(self.calls.iter().map(|((caller, callee), counted)| Edge {
            caller: (**caller).clone(),
            callee: (**callee).clone(),
            calls: counted.spans,
            errors: counted.errors,
        }));
        out
    }
}
