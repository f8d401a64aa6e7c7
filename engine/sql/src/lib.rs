//! Operators' measures in SQL: DataFusion over the rows of a tick.
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
// The same files again: what they measure in tests is only there where they are compiled for tests.
#[cfg(test)]
#[path = "../../core/src/chance.rs"]
mod chance;
#[cfg(test)]
#[path = "../../core/src/stack.rs"]
mod stack;
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
#[cfg(not(test))]
use foreshock_core::stack::with_stack;
use foreshock_core::{
    config::Measure,
    types::{BatchSignal, RowMeasures, RowMeasuresError, RowsMeasured, TickRows},
};

use plan::Planned;
#[cfg(test)]
use stack::with_stack;

/// Every SQL measure of a configuration, planned.
#[derive(Debug)]
pub struct SqlMeasures {
    runtime: tokio::runtime::Runtime,
    measures: Vec<Planned>,
}

impl SqlMeasures {
    /// Plans the measures; at work they share `memory` bytes.
    pub fn new(measures: &[Measure], memory: usize) -> Result<SqlMeasures, RowMeasuresError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(start)?;
        let environment = environment(memory).map_err(start)?;
        let plan = |measure: &Measure| {
            runtime
                .block_on(Planned::new(measure, &environment))
                .map_err(|problem| RowMeasuresError::Measure { name: measure.name.clone(), problem })
        };
        let measures =
            with_stack(|| measures.iter().map(plan).collect::<Result<Vec<Planned>, RowMeasuresError>>())
                .map_err(start)??;
        Ok(SqlMeasures { runtime, measures })
    }

    fn run(&mut self, rows: &TickRows) -> RowsMeasured {
        let mut answer = RowsMeasured::default();
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

impl RowMeasures for SqlMeasures {
    fn signals(&self) -> Vec<BatchSignal> {
        let mut signals: Vec<BatchSignal> = self.measures.iter().map(Planned::signal).collect();
        signals.sort_unstable();
        signals.dedup();
        signals
    }

    fn measure(&mut self, rows: &TickRows) -> RowsMeasured {
        if self.measures.is_empty() {
            return RowsMeasured::default();
        }
        let names: Vec<Arc<str>> = self.measures.iter().map(Planned::name).collect();
        with_stack(|| self.run(rows)).unwrap_or_else(|error| {
            let failed = |name| (name, format!("there is no thread for it: {error}"));
            RowsMeasured { failures: names.into_iter().map(failed).collect(), ..RowsMeasured::default() }
        })
    }
}

fn start(error: impl ToString) -> RowMeasuresError {
    RowMeasuresError::Start(error.to_string())
}

fn environment(memory: usize) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
}
