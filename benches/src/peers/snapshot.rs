//! The core tier's state of a million series to bytes and back, beside the same state through serde, a struct per series.

use std::hint::black_box;

use foreshock_detectors::{ColumnData, CoreBank, CoreConfig, Frame, Scores, SeriesBank};
use serde::{Deserialize, Serialize};

use super::{Line, Table};
use crate::shapes::{best, frames};

pub(super) const TITLE: &str = "snapshot of 1 million series, bytes of state";
const SERIES: usize = 1_000_000;

/// A series' state as one object: as many numbers as the columns have for it.
#[derive(Clone, Serialize, Deserialize)]
struct Series {
    values: Vec<f64>,
}

pub(super) fn table() -> Table {
    let mut bank = CoreBank::new(CoreConfig::default(), SERIES);
    let mut out = Scores::new(SERIES);
    for (tick, values) in frames(SERIES).iter().enumerate() {
        bank.advance(&Frame { time: tick as i64 * 10, values }, &mut out);
    }
    let columns = bank.save();
    let width: usize = columns.columns.iter().map(|(_, column)| bytes(column)).sum::<usize>() / SERIES / 8;
    let mut section = foreshock_core::score::pack(columns.clone());
    let total = section.as_ref().map_or(0, |section| section.bytes.len()) as f64;
    let packing = total / best(2, || section = foreshock_core::score::pack(columns.clone()));
    let copying = total / best(2, || drop(black_box(columns.clone())));
    let unpacking = match &section {
        Ok(section) => {
            total
                / best(2, || {
                    black_box(foreshock_core::score::unpack(section).is_ok());
                })
        }
        Err(_) => f64::NAN,
    };
    drop((columns, bank));

    // A tenth of the series: objects of their own are many.
    let objects: Vec<Series> =
        (0..SERIES / 10).map(|s| Series { values: (0..width).map(|at| (s * at) as f64).collect() }).collect();
    let size = (objects.len() * width * 8) as f64;
    let mut bytes = Vec::new();
    let writing = size / best(2, || bytes = postcard::to_allocvec(&objects).unwrap_or_default());
    let reading = size
        / best(2, || {
            black_box(postcard::from_bytes::<Vec<Series>>(&bytes).is_ok());
        });
    // Time per byte of the copy that `pack` is given each round is not its own.
    let packing = 1.0 / (1.0 / packing - 1.0 / copying).max(f64::MIN_POSITIVE);
    let lines = vec![
        Line::new("foreshock, columns to bytes", packing, "little-endian columns, checked when read"),
        Line::new("serde with postcard, write", writing, "a struct per series, the same numbers"),
        Line::new("foreshock, bytes to columns", unpacking, ""),
        Line::new("serde with postcard, read", reading, ""),
        Line::new("memory to memory", copying, "a copy of the columns"),
    ];
    Table { title: TITLE, unit: "bytes", lines }
}

fn bytes(column: &ColumnData) -> usize {
    match column {
        ColumnData::F64(values) => 8 * values.len(),
        ColumnData::F32(values) => 4 * values.len(),
        ColumnData::U64(values) => 8 * values.len(),
        ColumnData::U32(values) => 4 * values.len(),
        ColumnData::U8(values) => values.len(),
    }
}
