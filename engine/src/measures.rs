//! Operators' own measures, as far as this build has them.

use foreshock_core::{
    config::Config,
    types::{RowMeasures, RowMeasuresError},
};

/// The measures of a configuration, planned.
#[cfg(feature = "sql")]
pub(crate) fn planned(config: &Config) -> Result<Box<dyn RowMeasures>, RowMeasuresError> {
    let measures = foreshock_sql::SqlMeasures::new(&config.measures, config.series.sql_memory())?;
    Ok(Box::new(measures))
}

/// The measures of a configuration: none, in a build without SQL.
#[cfg(not(feature = "sql"))]
pub(crate) fn planned(config: &Config) -> Result<Box<dyn RowMeasures>, RowMeasuresError> {
    match config.measures.first() {
        None => Ok(Box::new(foreshock_core::types::NoRowMeasures)),
        Some(measure) => Err(RowMeasuresError::Measure {
            name: measure.name.clone(),
            problem: "this build has no SQL: build with the feature `sql`, which is on by default"
                .to_string(),
        }),
    }
}
