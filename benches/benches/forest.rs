//! The isolation forest: rows scored and rows learnt per second on one thread.
//!
//! Shape: 8 features, 100 trees of 256 rows, the sizes of the paper and of scikit-learn's defaults. Peer: a
//! plain forest of boxed nodes, walked row by row, grown from the same rows (scikit-learn, measured apart,
//! scores about 0.16 million rows per second on such a machine).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use foreshock_detectors::{EntityBank, EntityScores, ForestBank, ForestConfig};
use ndarray::Array2;

const FEATURES: usize = 8;

fn matrix(rows: usize, salt: u64) -> Array2<f64> {
    let mut state = salt;
    Array2::from_shape_simple_fn((rows, FEATURES), || {
        let mut sum = -3.0;
        for _ in 0..6 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (state >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum * 1.4
    })
}

/// The textbook's tree: one object per node.
enum Node {
    Leaf(f64),
    Cut { feature: usize, threshold: f64, sides: Box<[Node; 2]> },
}

fn grow(rows: &[usize], data: &Array2<f64>, depth: u32, state: &mut u64) -> Node {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let feature = (*state >> 33) as usize % FEATURES;
    let values = rows.iter().map(|row| data[[*row, feature]]);
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    if depth == 8 || rows.len() < 2 || low >= high {
        return Node::Leaf(f64::from(depth) + (rows.len() as f64).ln_1p());
    }
    let threshold = low + (high - low) * ((*state >> 11) as f64 / (1_u64 << 53) as f64);
    let (left, right): (Vec<usize>, Vec<usize>) =
        rows.iter().partition(|r| data[[**r, feature]] <= threshold);
    let sides = Box::new([grow(&left, data, depth + 1, state), grow(&right, data, depth + 1, state)]);
    Node::Cut { feature, threshold, sides }
}

fn walk(mut node: &Node, row: ndarray::ArrayView1<'_, f64>) -> f64 {
    loop {
        match node {
            Node::Leaf(length) => return *length,
            Node::Cut { feature, threshold, sides } => node = &sides[usize::from(row[*feature] > *threshold)],
        }
    }
}

fn forest(c: &mut Criterion) {
    let rows = 4_096;
    let data = matrix(rows, 1);
    let mut bank = ForestBank::new(ForestConfig::default(), FEATURES, rows);
    let mut out = EntityScores::default();
    bank.advance(0, data.view(), &mut out);
    let mut scores = Vec::new();

    let mut group = c.benchmark_group("isolation forest, 100 trees, 8 features, per row");
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function("foreshock, score", |b| b.iter(|| bank.raw_scores(data.view(), &mut scores)));
    group.bench_function("foreshock, score and learn", |b| {
        b.iter(|| bank.advance(0, data.view(), &mut out));
    });
    let mut state = 7;
    let trees: Vec<Node> = (0..100)
        .map(|tree| {
            let sample: Vec<usize> = (0..256).map(|k| (k * 16 + tree) % rows).collect();
            grow(&sample, &data, 0, &mut state)
        })
        .collect();
    group.bench_function("plain boxed trees, score", |b| {
        b.iter(|| {
            let total: f64 = data
                .rows()
                .into_iter()
                .map(|row| trees.iter().map(|tree| walk(tree, row)).sum::<f64>())
                .sum();
            black_box(total)
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = forest
}
criterion_main!(benches);
