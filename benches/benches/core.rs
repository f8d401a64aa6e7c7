//! The core tier: points per second on one thread, beside augurs' change-point detector and MSTL.
//!
//! Shapes: 1,000 series stay in the second-level cache, 100,000 are a middling fleet and stream from memory.
//! Peers do less (change point only, or decomposition only) and are given series of their own.

use std::hint::black_box;

use augurs::changepoint::{Detector, NormalGammaDetector};
use augurs::mstl::MSTLModel;
use augurs::prelude::*;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

/// A value that looks like telemetry: a wave, noise, now and then a spike or a gap.
fn value(series: usize, tick: usize) -> f64 {
    let hash = ((series as u64) << 32 ^ tick as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let noise = (hash.rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / 16_777_216.0;
    match hash >> 54 {
        0 => f64::NAN,
        1 => 90.0,
        _ => 20.0 + (tick as f64 / 40.0).sin() * 5.0 + noise * 4.0,
    }
}

fn core(c: &mut Criterion) {
    println!("core tier: {} bytes of state per series", CoreBank::bytes_per_series());
    let mut group = c.benchmark_group("core tier, per point");
    for series in [1_000, 100_000] {
        let frames: Vec<Vec<f64>> =
            (0..8).map(|tick| (0..series).map(|s| value(s, tick)).collect()).collect();
        let mut bank = CoreBank::new(CoreConfig::default(), series);
        let mut out = Scores::new(series);
        let mut tick = 0;
        for _ in 0..64 {
            bank.advance(&Frame { time: tick * 10, values: &frames[tick as usize % 8] }, &mut out);
            tick += 1;
        }
        group.throughput(Throughput::Elements(series as u64));
        group.bench_function(BenchmarkId::new("foreshock", series), |b| {
            b.iter(|| {
                bank.advance(&Frame { time: tick * 10, values: &frames[tick as usize % 8] }, &mut out);
                tick += 1;
            });
        });
    }
    let points = 2_000;
    let one: Vec<f64> = (0..points).map(|tick| value(3, tick)).filter(|v| !v.is_nan()).collect();
    group.throughput(Throughput::Elements(one.len() as u64));
    group.bench_function("augurs change point, one series", |b| {
        b.iter(|| NormalGammaDetector::default().detect_changepoints(black_box(&one)));
    });
    // A refit gives one new expected value, whatever the length of the history.
    group.throughput(Throughput::Elements(1));
    group.bench_function("augurs MSTL, refit per point, one series", |b| {
        b.iter(|| MSTLModel::naive(vec![288]).fit(black_box(&one)));
    });
    group.finish();
}

fn snapshot(c: &mut Criterion) {
    let series = 10_000;
    let mut bank = CoreBank::new(CoreConfig::default(), series);
    let mut out = Scores::new(series);
    for tick in 0..40 {
        let values: Vec<f64> = (0..series).map(|s| value(s, tick)).collect();
        bank.advance(&Frame { time: tick as i64 * 10, values: &values }, &mut out);
    }
    let saved = bank.save();
    let mut group = c.benchmark_group("core tier, snapshot");
    group.throughput(Throughput::Bytes((series * CoreBank::bytes_per_series()) as u64));
    group.bench_function("save", |b| b.iter(|| bank.save()));
    group.bench_function("load", |b| b.iter(|| bank.load(&saved).map_err(|e| e.to_string())));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = core, snapshot
}
criterion_main!(benches);
