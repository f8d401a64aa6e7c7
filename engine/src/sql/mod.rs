//! Operators' measures in SQL: DataFusion over the rows of a tick. Part of the shell, because DataFusion is async.
//!
//! * `bounds`: how long, deep and large a measure may be
//! * `plan`: what may be said, and the plan that is made of it once
//! * `tables`: the tables and their columns
//! * `values`: rows of a result as values of series
//!
//! Equal rows give equal values, whatever the batches: a tick's rows are put together in (partition, offset) order,
//! one partition works on them, and nothing that reads a clock or a random source is let through.

mod bounds;
mod plan;
mod tables;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use datafusion::{
    error::DataFusionError,
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
};

use crate::{
    config::Measure,
    stack::with_stack,
    types::{BatchSignal, Measured, TickRows},
};

use plan::Planned;

/// A measure that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// What it says is refused.
    #[error("measures: {name:?}: {problem}")]
    Measure {
        /// Name of the measure.
        name: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// The engine behind it does not start.
    #[error("cannot start SQL: {0}")]
    Start(#[from] DataFusionError),
    /// Its runtime does not start.
    #[error("cannot start SQL: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Every SQL measure of a configuration, planned.
#[derive(Debug)]
pub struct SqlMeasures {
    runtime: tokio::runtime::Runtime,
    measures: Vec<Planned>,
}

/// What the measures made of a tick.
#[derive(Debug, Default)]
pub struct Answer {
    /// Values, in order of measures and labels.
    pub values: Vec<Measured>,
    /// Measures that failed, with what was wrong; they have no value in this tick.
    pub failures: Vec<(Arc<str>, String)>,
    /// Rows of results that were left out, by measure: repeats of the same labels, or more than `max_series`.
    pub dropped: Vec<(Arc<str>, u64)>,
}

impl SqlMeasures {
    /// Plans the measures; at work they share `memory` bytes.
    pub fn new(measures: &[Measure], memory: usize) -> Result<SqlMeasures, SqlError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let environment = environment(memory)?;
        let plan = |measure: &Measure| {
            runtime
                .block_on(Planned::new(measure, &environment))
                .map_err(|problem| SqlError::Measure { name: measure.name.clone(), problem })
        };
        let measures = with_stack(|| measures.iter().map(plan).collect::<Result<Vec<Planned>, SqlError>>())??;
        Ok(SqlMeasures { runtime, measures })
    }

    /// Kinds of rows that any measure reads.
    pub fn signals(&self) -> Vec<BatchSignal> {
        let mut signals: Vec<BatchSignal> = self.measures.iter().map(Planned::signal).collect();
        signals.sort_unstable();
        signals.dedup();
        signals
    }

    /// Runs every measure over the rows of a tick.
    pub fn measure(&mut self, rows: &TickRows) -> Answer {
        if self.measures.is_empty() {
            return Answer::default();
        }
        let names: Vec<Arc<str>> = self.measures.iter().map(Planned::name).collect();
        with_stack(|| self.run(rows)).unwrap_or_else(|error| {
            let failed = |name| (name, format!("there is no thread for it: {error}"));
            Answer { failures: names.into_iter().map(failed).collect(), ..Answer::default() }
        })
    }

    fn run(&mut self, rows: &TickRows) -> Answer {
        let mut answer = Answer::default();
        for planned in &mut self.measures {
            match self.runtime.block_on(planned.run(&rows.batches)) {
                Ok((values, dropped)) => {
                    answer.values.extend(values);
                    answer.dropped.extend((dropped > 0).then(|| (planned.name(), dropped)));
                }
                Err(error) => answer.failures.push((planned.name(), error.strip_backtrace())),
            }
        }
        answer
    }
}

fn environment(memory: usize) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
}
