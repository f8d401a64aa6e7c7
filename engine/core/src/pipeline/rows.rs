//! The rows of a batch by tick, for measures that read rows.

use std::collections::BTreeMap;

use arrow::{
    array::{AsArray, UInt32Array},
    compute::take_record_batch,
    datatypes::Int64Type,
};

use crate::types::Batch;

/// Offset of the first row.
pub(super) fn first_offset(batch: &Batch) -> i64 {
    batch.rows.column(0).as_primitive::<Int64Type>().values().first().copied().unwrap_or(i64::MAX)
}

/// Splits a batch into those of its ticks, rows in their order. `tick_of` is asked with the offset and time of every
/// row, in their order; rows for which it gives none are left out.
pub(super) fn by_tick(batch: &Batch, mut tick_of: impl FnMut(i64, i64) -> Option<i64>) -> Vec<(i64, Batch)> {
    let offsets = batch.rows.column(0).as_primitive::<Int64Type>();
    let times = batch.rows.column(1).as_primitive::<Int64Type>();
    let mut places: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, (offset, time_ns)) in (0..).zip(offsets.values().iter().zip(times.values())) {
        if let Some(tick) = tick_of(*offset, *time_ns) {
            places.entry(tick).or_default().push(row);
        }
    }
    let part = |(tick, places): (i64, Vec<u32>)| {
        let rows = if places.len() == batch.rows.num_rows() {
            batch.rows.clone()
        } else {
            take_record_batch(&batch.rows, &UInt32Array::from(places)).expect("the rows are the batch's own")
        };
        (tick, Batch { rows, ..batch.clone() })
    };
    places.into_iter().map(part).collect()
}
