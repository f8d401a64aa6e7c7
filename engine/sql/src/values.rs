//! The rows of a result as values of series.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Float64Type, SchemaRef},
    error::ArrowError,
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use foreshock_core::{
    config::Measure,
    types::{Entity, MAX_ATTRIBUTES, MAX_NAME, Measured, SeriesDef, cut, cut_attributes},
};

/// Column that names the entity.
const ENTITY: &str = "entity";

/// How the columns of a result are read.
#[derive(Debug)]
pub(super) struct Values {
    name: String,
    /// Columns that tell series apart, with their names.
    by: Vec<(usize, String)>,
    value: usize,
    /// Entity where no column names it.
    entity: Arc<Entity>,
    max_series: usize,
}

/// The labels of a row, and its number.
type Row = (Vec<Option<String>>, f64);

impl Values {
    /// Finds the columns that a measure names in the schema of its result.
    pub(super) fn new(measure: &Measure, schema: &SchemaRef) -> Result<Values, String> {
        let names =
            || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        let find = |what: &str, name: &str| {
            schema
                .index_of(name)
                .map_err(|_| format!("{what} names {name:?}, but the result has {}", names()))
        };
        let value = find("value", &measure.value)?;
        let kind = schema.field(value).data_type();
        if !kind.is_numeric() {
            return Err(format!("{} is no number but {kind}", measure.value));
        }
        let by = measure.by.iter().map(|name| Ok((find("by", name)?, name.clone())));
        Ok(Values {
            name: measure.name.clone(),
            by: by.collect::<Result<_, String>>()?,
            value,
            entity: Arc::new(Entity::parse(&measure.entity)),
            max_series: measure.max_series,
        })
    }

    /// The values of a result, in order of their labels, and how many rows were left out: a repeat of the same
    /// labels, or more than `max_series`. Null, infinite and NaN are missing.
    pub(super) fn of(&self, result: &[RecordBatch]) -> Result<(Vec<Measured>, u64), ArrowError> {
        let mut rows: Vec<Row> = Vec::new();
        for batch in result {
            self.read(batch, &mut rows)?;
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let all = rows.len();
        rows.dedup_by(|later, first| later.0 == first.0);
        rows.truncate(self.max_series);
        let dropped = (all - rows.len()) as u64;
        Ok((rows.into_iter().map(|row| self.measured(row)).collect(), dropped))
    }

    fn read(&self, batch: &RecordBatch, rows: &mut Vec<Row>) -> Result<(), ArrowError> {
        let options = FormatOptions::default();
        let by = self.by.iter().map(|(column, _)| {
            let column = batch.column(*column);
            Ok((column.logical_nulls(), ArrayFormatter::try_new(column, &options)?))
        });
        let by = by.collect::<Result<Vec<_>, ArrowError>>()?;
        let numbers = cast(batch.column(self.value), &DataType::Float64)?;
        for (row, number) in numbers.as_primitive::<Float64Type>().iter().enumerate() {
            let Some(number) = number.filter(|number| number.is_finite()) else { continue };
            let label = |(nulls, texts): &(Option<arrow::buffer::NullBuffer>, ArrayFormatter<'_>)| {
                let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                (!is_null).then(|| texts.value(row).to_string())
            };
            rows.push((by.iter().map(label).collect(), number));
        }
        Ok(())
    }

    fn measured(&self, (labels, value): Row) -> Measured {
        let mut entity = Arc::clone(&self.entity);
        let mut attributes = Vec::new();
        for ((_, name), label) in self.by.iter().zip(labels) {
            match label {
                Some(label) if name == ENTITY => entity = Arc::new(Entity::parse(&cut(&label, MAX_NAME))),
                Some(label) => attributes.push((name.clone(), label)),
                None => {}
            }
        }
        let attributes = cut_attributes(attributes, MAX_NAME, MAX_ATTRIBUTES);
        Measured { series: Arc::new(SeriesDef::new(entity, self.name.clone(), attributes)), value }
    }
}
