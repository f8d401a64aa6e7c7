//! A storm into the correlator: a hundred services that call one another all go wrong within a minute. Anomalies per second, from the first
//! tick to the last, at two sizes: twice the anomalies should take about twice the time.
//!
//!     cargo bench -p foreshock-benches --bench correlator

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use foreshock_core::{
    correlator::{Correlator, CorrelatorConfig, Event},
    types::{Anomaly, AnomalyKind, Edge, Entity, EntityKind, Id, MeasureRole, TickClosed},
};

const SERVICES: usize = 100;
const TICKS: usize = 6;
const SIZES: [usize; 2] = [6_000, 24_000];

fn service(at: usize) -> Entity {
    Entity::new(EntityKind::Service, format!("service-{}", at % SERVICES))
}

/// A tree of calls: each service calls two more.
fn edges() -> Vec<Edge> {
    let calls = (0..SERVICES).flat_map(|at| [(at, 2 * at + 1), (at, 2 * at + 2)]);
    let inside = calls.filter(|(_, callee)| *callee < SERVICES);
    inside
        .map(|(caller, callee)| Edge {
            caller: service(caller),
            callee: service(callee),
            calls: 50,
            errors: 0,
        })
        .collect()
}

fn anomaly(at: usize, time_ms: i64) -> Anomaly {
    let measures =
        ["http.server.errors:rate", "span.duration:p95", "process.cpu.utilization", "requests:rate"];
    let (entity, measure) = (service(at), measures[at / SERVICES % measures.len()]);
    let series = format!("{entity} {measure}{{route=/{at}}}");
    Anomaly {
        id: Id::of(&[&series, &time_ms.to_string()]),
        revision: 1,
        kind: AnomalyKind::Series,
        entity,
        series,
        measure: measure.to_string(),
        role: MeasureRole::named(measure),
        active: true,
        opened_ms: time_ms,
        onset_ms: time_ms - 10_000,
        updated_ms: time_ms,
        score: 0.9,
        ticks: 3,
        neg_log_p: 12.0,
        value: 9.0,
        expected: 1.0,
        lower: 0.5,
        upper: 1.5,
        detector: "residual".to_string(),
        explanation: String::new(),
        contributions: Vec::new(),
        attribution: Vec::new(),
    }
}

/// The minute of the storm, tick by tick.
fn storm(anomalies: usize) -> Vec<TickClosed> {
    let tick = |tick: usize| {
        let time_ms = 7_200_000 + 10_000 * tick as i64;
        let anomalies = (0..anomalies / TICKS).map(|at| anomaly(at, time_ms)).collect();
        TickClosed { time_ms, anomalies, edges: edges(), warm_series: 10_000, ..TickClosed::default() }
    };
    (0..TICKS).map(tick).collect()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storm");
    group.sample_size(10);
    for size in SIZES {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("{size} anomalies in a minute"), |bencher| {
            let fresh = || (Correlator::new(CorrelatorConfig::default()), storm(size));
            bencher.iter_batched(
                fresh,
                |(mut correlator, ticks)| {
                    let effects = ticks.into_iter().map(|tick| correlator.on_event(Event::Tick(tick)).len());
                    assert!(effects.sum::<usize>() > 0, "a storm is told of");
                    correlator
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
