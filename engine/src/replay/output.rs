//! Scores, change points, anomalies and incidents as text.

use std::{borrow::Cow, collections::BTreeMap, io::Write};

use foreshock_core::{
    pipeline::SeriesScore,
    score::{ChangePoint, ScoreConfig, Scorer},
    types::{Anomaly, Id, Incident},
};
use hashbrown::HashMap;
use serde::Serialize;

use super::{Table, plot::Picture};

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

/// An output that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the {what}: {source}")]
pub struct OutputError {
    pub(super) what: &'static str,
    pub(super) source: std::io::Error,
}

/// Writes what a replay gives.
pub struct Outputs {
    sinks: Sinks,
    picture: Option<Picture>,
    /// Onset of the last change written, by slot of a table or key of a series: one change is written once.
    last_onset: HashMap<u64, f64>,
    /// The latest revision of every incident, where somebody wants them.
    kept: Option<BTreeMap<Id, Incident>>,
}

/// What was said of a series in a row or tick.
struct Row<'a> {
    stamp: &'a str,
    series: &'a str,
    value: f64,
    band: [f64; 3],
    score: f64,
    is_anomaly: bool,
}

impl Outputs {
    /// Outputs to these sinks, with their headers written; the picture of a table to `plot`.
    pub fn new(mut sinks: Sinks, plot: Option<Box<dyn Write>>) -> Result<Outputs, OutputError> {
        line(&mut sinks.scores, "scores", "timestamp,series,value,expected,lower,upper,score,anomaly")?;
        line(&mut sinks.changes, "change points", "timestamp,series,onset,probability")?;
        Ok(Outputs { sinks, picture: plot.map(Picture::new), last_onset: HashMap::new(), kept: None })
    }

    /// Outputs that go nowhere but into [`Outputs::into_incidents`].
    pub fn keeping_incidents() -> Outputs {
        let kept = Some(BTreeMap::new());
        Outputs { sinks: Sinks::default(), picture: None, last_onset: HashMap::new(), kept }
    }

    /// The incidents that were kept, each at its latest revision, by their opening.
    pub fn into_incidents(self) -> Vec<Incident> {
        let mut kept: Vec<Incident> = self.kept.unwrap_or_default().into_values().collect();
        kept.sort_by_key(|incident| (incident.opened_ms, incident.id));
        kept
    }

    /// Whether a picture is drawn.
    pub fn draws(&self) -> bool {
        self.picture.is_some()
    }

    /// Whether scores or change points go anywhere.
    pub(super) fn wants_scores(&self) -> bool {
        self.sinks.scores.is_some() || self.sinks.changes.is_some()
    }

    pub(super) fn row(
        &mut self,
        table: &Table,
        row: usize,
        scorer: &Scorer,
        config: &ScoreConfig,
    ) -> Result<(), OutputError> {
        let (scores, open) = (scorer.scores(), config.open);
        let (stamp, values) = (field(table.stamp(row)), table.row(row));
        if row == 0 {
            self.last_onset.clear();
        }
        if let Some(picture) = &mut self.picture {
            picture.row(table, row, scores, config);
        }
        for (slot, (series, &value)) in table.series.iter().zip(values).enumerate() {
            let is_known = !value.is_nan();
            let strength = if is_known { scores.nlp[slot] } else { scorer.silence(slot) };
            self.score(&Row {
                stamp: &stamp,
                series,
                value,
                band: [scores.expected[slot], scores.lower[slot], scores.upper[slot]],
                score: score_of(strength),
                is_anomaly: strength >= open,
            })?;
            let found = scorer.change(slot);
            if is_known
                && self.change(&stamp, series, slot as u64, found)?
                && let Some(picture) = &mut self.picture
            {
                picture.change(table, row, slot, found);
            }
        }
        if table.series.len() < 2 {
            return Ok(());
        }
        if table.entity_separator.is_none() {
            let strength = scorer.entity_scores().next().map_or(0.0, |(_, neg_log_p)| neg_log_p);
            return self.entity(&stamp, "entity", strength, open);
        }
        scorer.entity_scores().try_for_each(|(name, strength)| self.entity(&stamp, name, strength, open))
    }

    /// The combined score of an entity.
    fn entity(&mut self, stamp: &str, name: &str, strength: f64, open: f64) -> Result<(), OutputError> {
        self.score(&Row {
            stamp,
            series: name,
            value: f64::NAN,
            band: [f64::NAN; 3],
            score: score_of(strength),
            is_anomaly: strength >= open,
        })
    }

    /// The scores of one tick of a pipeline.
    pub(super) fn tick(
        &mut self,
        time_ms: i64,
        series: &[SeriesScore],
        open: f64,
    ) -> Result<(), OutputError> {
        let stamp = jiff::Timestamp::from_millisecond(time_ms)
            .map_or_else(|_| time_ms.to_string(), |time| time.to_string());
        for score in series {
            self.score(&Row {
                stamp: &stamp,
                series: &score.series.name,
                value: score.value,
                band: [score.expected, score.lower, score.upper],
                score: score.score,
                is_anomaly: score.neg_log_p >= open,
            })?;
            self.change(&stamp, &score.series.name, score.series.key, score.change)?;
        }
        Ok(())
    }

    fn score(&mut self, row: &Row<'_>) -> Result<(), OutputError> {
        if self.sinks.scores.is_none() {
            return Ok(());
        }
        let [expected, lower, upper] = row.band.map(number);
        let (stamp, series, value) = (row.stamp, field(row.series), number(row.value));
        let (score, anomaly) = (row.score, u8::from(row.is_anomaly));
        let text = format!("{stamp},{series},{value},{expected},{lower},{upper},{score},{anomaly}");
        line(&mut self.sinks.scores, "scores", &text)
    }

    /// Writes a change point, and says whether it is one that was not written before.
    fn change(
        &mut self,
        stamp: &str,
        series: &str,
        key: u64,
        found: ChangePoint,
    ) -> Result<bool, OutputError> {
        let ChangePoint { probability, onset } = found;
        let last = self.last_onset.get(&key).copied().unwrap_or(f64::NEG_INFINITY);
        if probability < CHANGE || onset <= last || onset.is_nan() {
            return Ok(false);
        }
        self.last_onset.insert(key, onset);
        let text = format!("{stamp},{},{onset},{probability}", field(series));
        line(&mut self.sinks.changes, "change points", &text)?;
        Ok(true)
    }

    pub(super) fn anomalies(&mut self, revisions: &[Anomaly]) -> Result<(), OutputError> {
        revisions.iter().try_for_each(|anomaly| json(&mut self.sinks.anomalies, "anomalies", anomaly))
    }

    pub(super) fn incident(&mut self, incident: &Incident) -> Result<(), OutputError> {
        if let Some(kept) = &mut self.kept {
            kept.insert(incident.id, incident.clone());
        }
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
                sink.flush().map_err(|source| OutputError { what, source })?;
            }
        }
        Ok(())
    }
}

fn line(sink: &mut Option<Box<dyn Write>>, what: &'static str, text: &str) -> Result<(), OutputError> {
    match sink {
        Some(sink) => writeln!(sink, "{text}").map_err(|source| OutputError { what, source }),
        None => Ok(()),
    }
}

fn json(
    sink: &mut Option<Box<dyn Write>>,
    what: &'static str,
    value: &impl Serialize,
) -> Result<(), OutputError> {
    let Some(sink) = sink else { return Ok(()) };
    let failed = |source| OutputError { what, source };
    let text = serde_json::to_string(value).map_err(|error| failed(error.into()))?;
    writeln!(sink, "{text}").map_err(failed)
}

/// Missing numbers are empty cells.
fn number(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

/// A CSV field, quoted where it must be.
fn field(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}
