//! What real OpenTelemetry SDKs export (`fixtures/otlp/spans.py`) as calls and self times: from bytes, through intake
//! and measures.
//!
//! Does not prove anything about other SDKs: they write the same messages by the same specification.

use std::path::Path;

use bytes::Bytes;
use foreshock_core::{
    intake::{self, Intake, IntakeConfig},
    measures::{Accumulator, Columns, Fold, FoldConfig, FoldOutput, Routes, TraceConfig, Traces},
    types::{Edge, Entity, Record, TraceSpans},
};

const TICK_NS: i64 = 10_000_000_000;

/// The spans of one exported message, read as a partition of its own.
fn exported(service: &str) -> TraceSpans {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/otlp/{service}.bin"));
    let payload = Bytes::from(std::fs::read(path).expect("fixture"));
    let record = Record { time_ms: 1_700_000_001_000, payload, ..Record::default() };
    let mut intake = Intake::new("otlp_spans", IntakeConfig::default());
    let (mut accumulator, mut routes) = (Accumulator::default(), Routes::new(1, 1, &FoldConfig::default()));
    for effect in intake.on_event(intake::Event::Records(&[record])) {
        match effect {
            intake::Effect::Batch(batch) => {
                assert!(!routes.learn(&batch));
                let columns = Columns::of(&batch);
                (0..batch.rows.num_rows()).for_each(|row| accumulator.add(0, &columns, row, &mut routes));
            }
            other => panic!("{other:?}"),
        }
    }
    accumulator.traces.remove(0)
}

/// What a tick came to: calls, and values by the names of their series.
struct Told {
    edges: Vec<Edge>,
    values: Vec<(String, f64)>,
}

/// What the tick of these spans and the next come to.
fn closed(partitions: &[TraceSpans]) -> [Told; 2] {
    let mut traces = Traces::new(TraceConfig { tick_ns: TICK_NS, ..TraceConfig::default() });
    let tick = partitions[0].spans[0].time_ns / TICK_NS;
    let mut told = |tick: i64, sources: &[TraceSpans]| {
        let mut fold = Fold::new(FoldConfig { tick_ns: TICK_NS, ..FoldConfig::default() });
        let mut out = FoldOutput::default();
        fold.fold(tick, &traces.close(tick, sources, 1).values().collect::<Vec<_>>(), &mut out);
        let names = fold.slots().iter().flatten().map(|series| series.name.clone());
        Told { edges: out.edges, values: names.zip(out.values).collect() }
    };
    [told(tick, partitions), told(tick + 1, &[])]
}

/// A value by the name of its series, rounded to three digits after the point.
fn value(found: &Told, name: &str) -> Option<String> {
    let (_, value) = found.values.iter().find(|(series, _)| series == name)?;
    Some(format!("{value:.3}"))
}

#[test]
fn a_callee_is_known_by_its_own_name() {
    let (shop, cart) = (exported("shop"), exported("cart"));
    assert_eq!((shop.spans.len(), cart.spans.len()), (40, 60));
    for partitions in [[shop.clone(), cart.clone()], [cart, shop]] {
        let [found, next] = closed(&partitions);
        let edges: Vec<_> = found
            .edges
            .iter()
            .chain(&next.edges)
            .map(|e| (&e.caller, &e.callee, e.calls, e.errors))
            .collect();
        let (shop, cart, postgres) = (
            Entity::parse("service/shop"),
            Entity::parse("service/cart"),
            Entity::parse("database/postgres"),
        );
        assert_eq!(edges, [(&shop, &cart, 20, 4), (&cart, &postgres, 20, 0)]);
        let cases = [
            (&found, "service/shop span.edge:rate{callee=service/cart}", "2.000"),
            (&found, "service/shop span.edge.errors:ratio{callee=service/cart}", "0.200"),
            (&found, "service/shop span.edge.duration:p95{callee=service/cart}", "0.040"),
            (&next, "service/cart span.edge.duration:p95{callee=database/postgres}", "0.020"),
            (&next, "service/shop span.self:p95", "0.020"),
            (&next, "service/shop span.self:p95{operation=/}", "0.020"),
            (&next, "service/cart span.self:p95", "0.016"),
        ];
        for (output, name, expected) in cases {
            assert_eq!(value(output, name).as_deref(), Some(expected), "{name} of {:#?}", output.values);
        }
    }
}
