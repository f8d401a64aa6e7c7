//! Series, point by point.

use std::hint::black_box;

use augurs::{
    changepoint::{Detector, NormalGammaDetector},
    mstl::MSTLModel,
    prelude::*,
};
use changepoint::{BocpdLike, BocpdTruncated};
use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};
use rv::prelude::NormalGamma;

use super::{Line, Table, plain::PlainSeries};
use crate::shapes::{best, frames, value};

pub(super) const TITLE: &str = "core tier, per point";
const SERIES: usize = 100_000;

pub(super) fn table() -> Table {
    let frames = frames(SERIES);
    let mut bank = CoreBank::new(CoreConfig::default(), SERIES);
    let mut out = Scores::new(SERIES);
    let mut tick = 0;
    let mut run = |count: usize| {
        for _ in 0..count {
            bank.advance(&Frame { time: tick * 10, values: &frames[tick as usize % 8] }, &mut out);
            tick += 1;
        }
    };
    run(16);
    let ours = (8 * SERIES) as f64 / best(5, || run(8));

    let mut plain: Vec<Box<PlainSeries>> = (0..SERIES).map(|_| PlainSeries::new()).collect();
    let simple = (8 * SERIES) as f64
        / best(5, || {
            for frame in &frames {
                let sum: f64 =
                    plain.iter_mut().zip(frame).map(|(series, value)| series.advance(*value)).sum();
                black_box(sum);
            }
        });

    let mut banks: Vec<CoreBank> = (0..1_000).map(|_| CoreBank::new(CoreConfig::default(), 1)).collect();
    let mut one_out = Scores::new(1);
    let mut time = 0;
    let apart = (8 * banks.len()) as f64
        / best(3, || {
            for frame in &frames {
                time += 10;
                for (bank, value) in banks.iter_mut().zip(frame) {
                    bank.advance(&Frame { time, values: std::slice::from_ref(value) }, &mut one_out);
                }
            }
        });

    let one: Vec<f64> = (0..2_000).map(|tick| value(3, tick)).collect();
    let points = one.len() as f64;
    let augurs = points
        / best(3, || {
            black_box(NormalGammaDetector::default().detect_changepoints(black_box(&one)));
        });
    let bocpd = points
        / best(3, || {
            let prior = NormalGamma::new_unchecked(20.0, 1.0, 1.0, 1.0);
            let mut detector = BocpdTruncated::new(250.0, prior);
            one.iter().for_each(|value| drop(black_box(detector.step(value).to_vec())));
        });
    let mstl = 1.0
        / best(3, || {
            black_box(MSTLModel::naive(vec![288]).fit(black_box(&one)).is_ok());
        });
    let lines = vec![
        Line::new("foreshock", ours, "seasons, change point, calibrated score; 100,000 series"),
        Line::new(
            "foreshock, one object per series",
            apart,
            "the same tier, each series a bank of its own; 1,000 series",
        ),
        Line::new(
            "plain objects",
            simple,
            "our own, one boxed object per series: Holt-Winters of one season and a z-score, no more",
        ),
        Line::new(
            "crate changepoint 0.15, BocpdTruncated",
            bocpd,
            "change points alone; one series in the cache",
        ),
        Line::new("augurs change point", augurs, "change points alone, in batch; one series"),
        Line::new("augurs MSTL, refit per point", mstl, "decomposition alone, of 2,000 points"),
    ];
    Table { title: TITLE, unit: "points", lines }
}
