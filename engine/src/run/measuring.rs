//! SQL measures at work: what fails is counted, and said once until it works again.

use std::{sync::Arc, time::Instant};

use super::metrics::{MeasureName, Metrics};
use crate::{
    sql::SqlMeasures,
    types::{Measured, TickRows},
};

pub(super) struct Measuring {
    sql: SqlMeasures,
    metrics: Metrics,
    /// Measures that failed in the latest tick.
    failing: Vec<Arc<str>>,
}

impl Measuring {
    pub(super) fn new(sql: SqlMeasures, metrics: &Metrics) -> Measuring {
        Measuring { sql, metrics: metrics.clone(), failing: Vec::new() }
    }

    /// The values of every measure in a tick; one that fails has none.
    pub(super) fn measure(&mut self, rows: &TickRows) -> Vec<Measured> {
        let began = Instant::now();
        let answer = self.sql.measure(rows);
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
