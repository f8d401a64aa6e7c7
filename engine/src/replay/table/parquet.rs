//! Parquet, batch by batch within each row group: only the columns that are wanted are read.

use std::{fs::File, path::Path};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit},
};
use parquet::{
    arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};

use super::{Table, TableError, TableSource, Time};

/// Rows that are decoded at once.
const BATCH: usize = 8192;

pub(super) fn read(path: &Path, source: &TableSource<'_>, table: &mut Table) -> Result<(), TableError> {
    let failed = |error| TableError::Parquet { path: source.path.clone(), source: error };
    let file = File::open(path).map_err(|error| source.failed(error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let schema = builder.schema().clone();
    let time = times(&schema, source)?;
    let mut wanted: Vec<usize> = time.iter().map(|(index, _)| *index).collect();
    for (index, field) in schema.fields().iter().enumerate() {
        if wanted.first() == Some(&index) || source.is_ignored(field.name()) {
            continue;
        }
        if is_number(field.data_type()) {
            table.add_series(field.name(), source)?;
            wanted.push(index);
        } else {
            table.left_out.push(field.name().clone());
        }
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(failed)?;
    // What is read keeps the order of the file, whatever the order of the wish.
    let time = time.map(|(index, form)| (wanted.iter().filter(|&&other| other < index).count(), form));
    let mut row = 0;
    for batch in reader {
        let batch = batch.map_err(|error| failed(error.into()))?;
        let columns = Columns::of(&batch, time.as_ref()).map_err(failed)?;
        for index in 0..batch.num_rows() {
            row += 1;
            columns.push(index, row, source, table);
        }
    }
    Ok(())
}

/// How a column holds times.
#[derive(Clone, Copy)]
enum TimeForm {
    /// Whole parts of a second since the epoch, so many nanoseconds each.
    Ticks(i128),
    /// Text, or an epoch whose size tells its unit.
    Written,
}

/// Where the times are; nowhere, where rows have none.
fn times(schema: &Schema, source: &TableSource<'_>) -> Result<Option<(usize, TimeForm)>, TableError> {
    if source.options.step_seconds.is_some() {
        return Ok(None);
    }
    let name = &source.options.timestamp_column;
    let Some((index, field)) = schema.fields().find(name) else {
        let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(source.no_timestamp(&found));
    };
    let form = match plain(field.data_type()) {
        DataType::Timestamp(TimeUnit::Second, _) => TimeForm::Ticks(1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => TimeForm::Ticks(1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => TimeForm::Ticks(1000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimeForm::Ticks(1),
        DataType::Date32 => TimeForm::Ticks(86_400_000_000_000),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => TimeForm::Written,
        other if other.is_integer() || other.is_floating() => TimeForm::Written,
        other => {
            let (path, column) = (source.path.clone(), name.clone());
            return Err(TableError::NoTime { path, column, found: other.to_string() });
        }
    };
    Ok(Some((index, form)))
}

/// The type of the values behind a dictionary.
fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_number(kind: &DataType) -> bool {
    plain(kind).is_numeric()
}

/// A batch, ready to be taken row by row.
struct Columns {
    times: Option<(ArrayRef, TimeForm)>,
    values: Vec<ArrayRef>,
}

impl Columns {
    fn of(batch: &RecordBatch, time: Option<&(usize, TimeForm)>) -> Result<Columns, ParquetError> {
        let mut values = Vec::new();
        let mut times = None;
        for (index, column) in batch.columns().iter().enumerate() {
            match time {
                Some((at, form)) if *at == index => {
                    let kind = match form {
                        TimeForm::Ticks(_) => DataType::Int64,
                        TimeForm::Written => DataType::Utf8,
                    };
                    times = Some((cast(column, &kind)?, *form));
                }
                _ => values.push(cast(column, &DataType::Float64)?),
            }
        }
        Ok(Columns { times, values })
    }

    fn push(&self, index: usize, row: u64, source: &TableSource<'_>, table: &mut Table) {
        let place = format_args!("row {row}");
        let is_taken = match &self.times {
            Some((times, TimeForm::Ticks(nanos))) => {
                let ticks = times.is_valid(index).then(|| times.as_primitive::<Int64Type>().value(index));
                let time = ticks.and_then(|ticks| {
                    jiff::Timestamp::from_nanosecond(i128::from(ticks).checked_mul(*nanos)?).ok()
                });
                match time {
                    Some(time) => {
                        table.push(&Time { unix_ms: time.as_millisecond(), stamp: &time.to_string() })
                    }
                    None => table.refused.add(&source.path, place, "it has no time within the calendar"),
                }
                time.is_some()
            }
            Some((times, TimeForm::Written)) => {
                let stamp = times.is_valid(index).then(|| times.as_string::<i32>().value(index));
                source.row(stamp, place, table)
            }
            None => source.row(None, place, table),
        };
        if !is_taken {
            return;
        }
        for (series, column) in self.values.iter().enumerate() {
            if column.is_valid(index) {
                table.set(series, column.as_primitive::<Float64Type>().value(index));
            }
        }
    }
}
