//! Scores, change points and anomalies as text.

use std::{io::Write, path::PathBuf};

use serde::Serialize;

use super::{OutputError, Table, plot::Picture};
use crate::{
    score::Scorer,
    types::{Anomaly, Incident},
};

/// −ln p as a score: the map of the detectors, for combined scores.
use foreshock_detectors::score_of;

/// Probability of a change point within the last few rows from which it is written.
const CHANGE: f64 = 0.5;

/// Where a replay writes to; each part is optional.
#[derive(Default)]
pub struct Sinks {
    /// One row per input row and series.
    pub scores: Option<Box<dyn Write>>,
    /// One row per change point.
    pub changes: Option<Box<dyn Write>>,
    /// One JSON object per revision of an anomaly.
    pub anomalies: Option<Box<dyn Write>>,
    /// One JSON object per revision of an incident.
    pub incidents: Option<Box<dyn Write>>,
}

/// Writes what a replay gives.
pub struct Outputs {
    sinks: Sinks,
    picture: Option<Picture>,
    /// Onset of the last change written, per series: one change is written once.
    last_onset: Vec<f64>,
}

impl Outputs {
    /// Outputs to these sinks, with their headers written.
    pub fn new(mut sinks: Sinks, plot: Option<PathBuf>) -> Result<Outputs, OutputError> {
        line(&mut sinks.scores, "scores", "timestamp,series,value,expected,lower,upper,score,anomaly")?;
        line(&mut sinks.changes, "change points", "timestamp,series,onset,probability")?;
        Ok(Outputs { sinks, picture: plot.map(Picture::new), last_onset: Vec::new() })
    }

    pub(super) fn row(
        &mut self,
        table: &Table,
        row: usize,
        scorer: &Scorer,
        open: f64,
    ) -> Result<(), OutputError> {
        let scores = scorer.scores();
        let (stamp, values) = (field(&table.stamps[row]), table.row(row));
        if row == 0 {
            self.last_onset = vec![f64::NEG_INFINITY; values.len()];
        }
        for (slot, series) in table.series.iter().enumerate() {
            let (value, known) = (number(values[slot]), !values[slot].is_nan());
            let score = if known { scores.score[slot] } else { 0.0 };
            let is_anomaly = u8::from(known && scores.nlp[slot] >= open);
            let band = [scores.expected[slot], scores.lower[slot], scores.upper[slot]].map(number);
            let text = format!("{stamp},{},{value},{},{score},{is_anomaly}", field(series), band.join(","));
            line(&mut self.sinks.scores, "scores", &text)?;
            let onset = scores.onset[slot];
            if known && scores.change[slot] >= CHANGE && onset > self.last_onset[slot] {
                self.last_onset[slot] = onset;
                let text = format!("{stamp},{},{onset},{}", field(series), scores.change[slot]);
                line(&mut self.sinks.changes, "change points", &text)?;
            }
        }
        if let Some(picture) = &mut self.picture {
            picture.row(scores, values, open);
        }
        self.entity_row(&stamp, table, scorer, open)
    }

    fn entity_row(
        &mut self,
        stamp: &str,
        table: &Table,
        scorer: &Scorer,
        open: f64,
    ) -> Result<(), OutputError> {
        if table.series.len() < 2 {
            return Ok(());
        }
        let strength = scorer.entity_scores().next().map_or(0.0, |(_, neg_log_p)| neg_log_p);
        let text = format!("{stamp},entity,,,,,{},{}", score_of(strength), u8::from(strength >= open));
        line(&mut self.sinks.scores, "scores", &text)
    }

    pub(super) fn anomalies(&mut self, revisions: &[Anomaly]) -> Result<(), OutputError> {
        revisions.iter().try_for_each(|anomaly| json(&mut self.sinks.anomalies, "anomalies", anomaly))
    }

    pub(super) fn incident(&mut self, incident: &Incident) -> Result<(), OutputError> {
        json(&mut self.sinks.incidents, "incidents", incident)
    }

    pub(super) fn draw(&mut self, table: &Table) -> Result<(), OutputError> {
        self.picture.as_mut().map_or(Ok(()), |picture| picture.draw(table))
    }

    /// Writes out what is still in memory.
    pub fn finish(mut self) -> Result<(), OutputError> {
        let parts = [
            (&mut self.sinks.scores, "scores"),
            (&mut self.sinks.changes, "change points"),
            (&mut self.sinks.anomalies, "anomalies"),
            (&mut self.sinks.incidents, "incidents"),
        ];
        for (sink, what) in parts {
            if let Some(sink) = sink {
                sink.flush().map_err(|source| OutputError::Write { what, source })?;
            }
        }
        Ok(())
    }
}

fn line(sink: &mut Option<Box<dyn Write>>, what: &'static str, text: &str) -> Result<(), OutputError> {
    match sink {
        Some(sink) => writeln!(sink, "{text}").map_err(|source| OutputError::Write { what, source }),
        None => Ok(()),
    }
}

fn json(
    sink: &mut Option<Box<dyn Write>>,
    what: &'static str,
    value: &impl Serialize,
) -> Result<(), OutputError> {
    let Some(sink) = sink else { return Ok(()) };
    let failed = |source| OutputError::Write { what, source };
    let text = serde_json::to_string(value).map_err(|error| failed(error.into()))?;
    writeln!(sink, "{text}").map_err(failed)
}

/// Missing numbers are empty cells.
fn number(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

/// A CSV field, quoted where it must be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}
