//! When an anomaly opens, worsens and closes.

use std::collections::BTreeMap;

use foreshock_detectors::{Scores, score_of};
use serde::{Deserialize, Serialize};

use super::{
    FrameView, NewPattern, ScoreConfig,
    entities::{Entities, Judged},
    words,
};
use crate::types::{Anomaly, AnomalyKind, Entity, Id, SeriesDef};

/// −ln p that an open anomaly must gain to be worth a new revision.
const WORSE: f64 = 1.0;

/// The anomalies that are open, by slot and by entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct OpenAnomalies {
    slots: BTreeMap<u32, Open>,
    entities: BTreeMap<String, Open>,
    novelties: Vec<Anomaly>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    anomaly: Anomaly,
    calm: u32,
}

impl Open {
    /// One more scored tick without a new anomaly; gives the last revision once it is over.
    fn calmer(&mut self, config: &ScoreConfig, time_ms: i64) -> Option<Anomaly> {
        self.calm += 1;
        (self.calm >= config.calm_ticks).then(|| self.closed(time_ms))
    }

    fn closed(&self, time_ms: i64) -> Anomaly {
        let revision = self.anomaly.revision + 1;
        Anomaly { revision, active: false, updated_ms: time_ms, ..self.anomaly.clone() }
    }
}

impl OpenAnomalies {
    /// The series in this slot ended: so does its anomaly.
    pub(super) fn forget(&mut self, slot: u32, time_ms: i64) -> Option<Anomaly> {
        self.slots.remove(&slot).map(|open| open.closed(time_ms))
    }

    pub(super) fn novelty(&mut self, pattern: &NewPattern<'_>, time_ms: i64) -> Anomaly {
        let anomaly = open_novelty(pattern, time_ms);
        self.novelties.push(anomaly.clone());
        anomaly
    }

    /// Ends the anomalies of templates that are no longer new.
    pub(super) fn expire_novelties(&mut self, time_ms: i64, revisions: &mut Vec<Anomaly>) {
        let over = |anomaly: &mut Anomaly| time_ms - anomaly.opened_ms >= NOVELTY_MS;
        for anomaly in self.novelties.extract_if(.., over) {
            revisions.push(Open { anomaly, calm: 0 }.closed(time_ms));
        }
    }

    /// Takes the series' scores of one frame.
    pub(super) fn series(
        &mut self,
        config: &ScoreConfig,
        frame: &FrameView<'_>,
        scores: &Scores,
        revisions: &mut Vec<Anomaly>,
    ) {
        for (slot, value) in frame.values.iter().enumerate() {
            if value.is_nan() || !scores.warm[slot] {
                continue;
            }
            let (key, strength) = (slot as u32, scores.nlp[slot]);
            let known = self.slots.get_mut(&key);
            match (known, &frame.slots[slot]) {
                (None, Some(series)) if strength >= config.open => {
                    let anomaly = open_series(series, slot, frame, scores);
                    revisions.push(anomaly.clone());
                    self.slots.insert(key, Open { anomaly, calm: 0 });
                }
                (None, _) => {}
                (Some(open), _) => {
                    let outside = *value < scores.lower[slot] || *value > scores.upper[slot];
                    if strength >= open.anomaly.neg_log_p + WORSE {
                        open.anomaly.revision += 1;
                        strengthen(&mut open.anomaly, slot, frame, scores);
                        revisions.push(open.anomaly.clone());
                    }
                    if strength >= config.close || outside {
                        open.calm = 0;
                    } else if let Some(closed) = open.calmer(config, frame.time_ms) {
                        revisions.push(closed);
                        self.slots.remove(&key);
                    }
                }
            }
        }
    }

    /// Takes the entities' combined scores of one frame. An entity speaks for itself only where no single
    /// series of it does: the joint pattern is the news.
    pub(super) fn entities(
        &mut self,
        config: &ScoreConfig,
        frame: &FrameView<'_>,
        entities: &Entities,
        revisions: &mut Vec<Anomaly>,
    ) {
        let OpenAnomalies { slots, entities: known, .. } = self;
        let speaks = |entity: &Entity| slots.values().any(|open| open.anomaly.entity == *entity);
        for judged in entities.judged() {
            match known.get_mut(judged.name) {
                None if judged.neg_log_p >= config.open && !speaks(judged.entity) => {
                    let anomaly = open_entity(&judged, frame.time_ms);
                    revisions.push(anomaly.clone());
                    known.insert(judged.name.to_string(), Open { anomaly, calm: 0 });
                }
                None => {}
                Some(open) if judged.neg_log_p >= config.close => open.calm = 0,
                Some(open) => {
                    if let Some(closed) = open.calmer(config, frame.time_ms) {
                        revisions.push(closed);
                        known.remove(judged.name);
                    }
                }
            }
        }
    }
}

fn open_series(series: &SeriesDef, slot: usize, frame: &FrameView<'_>, scores: &Scores) -> Anomaly {
    let opened = frame.time_ms;
    let onset = scores.onset[slot];
    let onset_ms = if onset.is_finite() { (onset * 1000.0) as i64 } else { opened };
    let mut anomaly = Anomaly {
        id: Id::of(&["series", &series.name, &opened.to_string()]),
        revision: 1,
        kind: AnomalyKind::Series,
        entity: (*series.entity).clone(),
        series: series.name.clone(),
        measure: series.measure.clone(),
        active: true,
        opened_ms: opened,
        onset_ms: onset_ms.clamp(opened - MAX_ONSET_MS, opened),
        updated_ms: opened,
        score: 0.0,
        neg_log_p: 0.0,
        value: f64::NAN,
        expected: f64::NAN,
        lower: f64::NAN,
        upper: f64::NAN,
        detector: String::new(),
        explanation: String::new(),
        attribution: Vec::new(),
    };
    strengthen(&mut anomaly, slot, frame, scores);
    anomaly
}

/// How long a template counts as new: ten minutes.
const NOVELTY_MS: i64 = 600_000;

/// −ln p given to a new template by its severity: nothing else is known of it. Errors speak like a series that
/// is clearly abnormal, warnings and others more softly.
fn novelty_strength(severity: u8) -> f64 {
    match severity {
        17.. => 9.0,
        13..=16 => 5.0,
        _ => 2.0,
    }
}

fn open_novelty(pattern: &NewPattern<'_>, time_ms: i64) -> Anomaly {
    let series = format!("{} log.template {}", pattern.entity, pattern.template);
    let neg_log_p = novelty_strength(pattern.severity);
    Anomaly {
        id: Id::of(&["template", &series, &time_ms.to_string()]),
        revision: 1,
        kind: AnomalyKind::NewTemplate,
        entity: pattern.entity.clone(),
        series,
        measure: "log.template:new".to_string(),
        active: true,
        opened_ms: time_ms,
        onset_ms: time_ms,
        updated_ms: time_ms,
        score: score_of(neg_log_p),
        neg_log_p,
        value: 1.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        detector: "novelty".to_string(),
        explanation: words::novelty(pattern),
        attribution: Vec::new(),
    }
}

/// An onset longer ago than this belongs to another story: one hour.
const MAX_ONSET_MS: i64 = 3_600_000;

fn strengthen(anomaly: &mut Anomaly, slot: usize, frame: &FrameView<'_>, scores: &Scores) {
    anomaly.updated_ms = frame.time_ms;
    anomaly.neg_log_p = scores.nlp[slot];
    anomaly.score = scores.score[slot];
    anomaly.value = frame.values[slot];
    anomaly.expected = scores.expected[slot];
    anomaly.lower = scores.lower[slot];
    anomaly.upper = scores.upper[slot];
    anomaly.detector = scores.speaker[slot].as_str().to_string();
    anomaly.explanation = words::series(anomaly);
}

fn open_entity(judged: &Judged<'_>, time_ms: i64) -> Anomaly {
    Anomaly {
        id: Id::of(&["entity", judged.name, &time_ms.to_string()]),
        revision: 1,
        kind: AnomalyKind::Entity,
        entity: judged.entity.clone(),
        series: judged.name.to_string(),
        measure: "entity".to_string(),
        active: true,
        opened_ms: time_ms,
        onset_ms: time_ms,
        updated_ms: time_ms,
        score: score_of(judged.neg_log_p),
        neg_log_p: judged.neg_log_p,
        value: judged.neg_log_p,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        detector: "forest".to_string(),
        explanation: words::entity(&judged.attribution),
        attribution: judged.attribution.clone(),
    }
}
