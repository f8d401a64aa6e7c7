//! Operators' own measures at work: what fails is counted, and said once until it works again.

use std::{sync::Arc, time::Instant};

use foreshock_core::types::{Measured, RowMeasures, TickRows};

use super::metrics::{MeasureName, Metrics};

pub(super) struct Measuring {
    measures: Box<dyn RowMeasures>,
    metrics: Metrics,
    /// Measures that failed in the latest tick.
    failing: Vec<Arc<str>>,
}

impl Measuring {
    pub(super) fn new(measures: Box<dyn RowMeasures>, metrics: &Metrics) -> Measuring {
        Measuring { measures, metrics: metrics.clone(), failing: Vec::new() }
    }

    /// The values of every measure in a tick; one that fails has none.
    pub(super) fn measure(&mut self, rows: &TickRows) -> Vec<Measured> {
        let began = Instant::now();
        let answer = self.measures.measure(rows);
        for (name, problem) in &answer.failures {
            self.metrics.measure_failures.get_or_create(&MeasureName::of(name)).inc();
            if !self.failing.contains(name) {
                tracing::warn!(measure = &**name, problem, "no value");
            }
        }
        self.failing = answer.failures.into_iter().map(|(name, _)| name).collect();
        for (name, dropped) in answer.dropped {
            self.metrics.measure_dropped.get_or_create(&MeasureName::of(&name)).inc_by(dropped);
        }
        self.metrics.measuring.inc_by(began.elapsed().as_secs_f64());
        answer.values
    }
}
