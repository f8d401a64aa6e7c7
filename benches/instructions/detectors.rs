//! Instructions per point, row or call of the detectors' kernels: `cargo bench -p foreshock-instructions`, which wants Valgrind and
//! `cargo install gungraun-runner` in the version of `gungraun`.
//!
//! Counts do not depend on how busy a machine is, so that CI can hold them: each has a limit, a tenth above what was measured
//! when the limit was last set (Rust 1.95, x86-64 with AVX2; Valgrind has no AVX-512). A count above its limit fails. One that has
//! become lower for good is a reason to lower the limit. They say nothing of memory: that is `--bin roofline`.

#![allow(missing_docs, reason = "gungraun's macros make public items")]

use std::hint::black_box;

use foreshock_detectors::{
    AbsenceBank, CoreBank, CoreConfig, EntityBank, EntityScores, ForestBank, ForestConfig, Frame, JointBank,
    JointConfig, Scores, SegmentBank, SegmentConfig, SeriesBank,
};
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use ndarray::Array2;

#[path = "../src/shapes.rs"]
#[allow(dead_code, reason = "the timing benches use the rest")]
mod shapes;

const FEATURES: usize = 8;
/// Series or rows of a bank.
const WIDE: usize = 1_024;
/// Series of the deep tier, and the values that it has seen: its window is about half full.
const DEEP: usize = 4;
const SEEN: usize = 2_048;

/// At most so many instructions for each of `units`.
fn limit(each: u64, units: usize) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, each * units as u64)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// A bank, what it is to be shown next, and where its answer goes.
struct Shown<B> {
    bank: B,
    frames: Vec<Vec<f64>>,
    out: Scores,
    next: usize,
}

impl<B: SeriesBank> Shown<B> {
    fn new(bank: B, seen: usize) -> Self {
        let series = bank.slots();
        let mut shown = Shown { bank, frames: shapes::frames(series), out: Scores::new(series), next: 0 };
        shown.advance(seen);
        shown
    }

    fn advance(&mut self, ticks: usize) {
        for tick in self.next..self.next + ticks {
            let values = &self.frames[tick % self.frames.len()];
            self.bank.advance(&Frame { time: tick as i64 * 10, values }, &mut self.out);
        }
        self.next += ticks;
    }
}

fn core() -> Shown<CoreBank> {
    Shown::new(CoreBank::new(CoreConfig::default(), WIDE), 64)
}

fn absence() -> Shown<AbsenceBank> {
    Shown::new(AbsenceBank::new(WIDE), 64)
}

fn segment() -> Shown<SegmentBank> {
    Shown::new(SegmentBank::new(SegmentConfig::default(), DEEP), SEEN)
}

// Eight ticks, each a value for every series.
#[library_benchmark]
#[bench::per_point(args = (core()), config = limit(1_500, 8 * WIDE))]
fn core_tier(mut shown: Shown<CoreBank>) -> Shown<CoreBank> {
    shown.advance(8);
    black_box(shown)
}

#[library_benchmark]
#[bench::per_point(args = (absence()), config = limit(105, 8 * WIDE))]
fn absence_detector(mut shown: Shown<AbsenceBank>) -> Shown<AbsenceBank> {
    shown.advance(8);
    black_box(shown)
}

#[library_benchmark]
#[bench::per_point(args = (segment()), config = limit(97_000, 64 * DEEP))]
fn deep_tier(mut shown: Shown<SegmentBank>) -> Shown<SegmentBank> {
    shown.advance(64);
    black_box(shown)
}

/// A bank of entities, the rows that it is shown, and where its answer goes.
struct Rows<B> {
    bank: B,
    rows: Array2<f64>,
    out: EntityScores,
    scores: Vec<f64>,
}

impl<B: EntityBank> Rows<B> {
    fn new(bank: B, seen: usize) -> Self {
        let (rows, _) = shapes::rows(WIDE, FEATURES, 1);
        let mut shown = Rows { bank, rows, out: EntityScores::default(), scores: Vec::new() };
        (0..seen).for_each(|tick| shown.advance(tick));
        shown
    }

    fn advance(&mut self, tick: usize) {
        self.bank.advance(tick as i64 * 10, self.rows.view(), &mut self.out);
    }
}

fn forest() -> Rows<ForestBank> {
    Rows::new(ForestBank::new(ForestConfig::default(), FEATURES, WIDE), 8)
}

fn joint() -> Rows<JointBank> {
    Rows::new(JointBank::new(JointConfig::default(), FEATURES, WIDE), 8)
}

#[library_benchmark]
#[bench::per_row(args = (forest()), config = limit(7_500, WIDE))]
fn forest_scores(mut shown: Rows<ForestBank>) -> Rows<ForestBank> {
    shown.bank.raw_scores(shown.rows.view(), &mut shown.scores);
    black_box(shown)
}

#[library_benchmark]
#[bench::per_row(args = (forest()), config = limit(10_600, WIDE))]
fn forest_scores_and_learns(mut shown: Rows<ForestBank>) -> Rows<ForestBank> {
    shown.advance(8);
    black_box(shown)
}

#[library_benchmark]
#[bench::per_row(args = (joint()), config = limit(3_350, WIDE))]
fn joint_detector(mut shown: Rows<JointBank>) -> Rows<JointBank> {
    shown.advance(8);
    black_box(shown)
}

library_benchmark_group!(
    name = detectors,
    benchmarks =
        [core_tier, absence_detector, deep_tier, forest_scores, forest_scores_and_learns, joint_detector]
);
main!(library_benchmark_groups = detectors);
