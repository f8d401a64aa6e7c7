//! What an anomaly says when it opens, and when it gets stronger.

use foreshock_detectors::{Scores, Speaker, score_of};

use super::{FrameView, NewPattern, entities::Judged, words};
use crate::types::{Anomaly, AnomalyKind, Id, MeasureRole, SeriesDef, anomaly::template_series};

pub(super) fn open_series(
    series: &SeriesDef,
    slot: usize,
    frame: &FrameView<'_>,
    scores: &Scores,
) -> Anomaly {
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
        role: series.role,
        active: true,
        opened_ms: opened,
        onset_ms: onset_ms.clamp(opened - MAX_ONSET_MS, opened),
        updated_ms: opened,
        ticks: 1,
        score: 0.0,
        neg_log_p: 0.0,
        value: f64::NAN,
        expected: f64::NAN,
        lower: f64::NAN,
        upper: f64::NAN,
        detector: String::new(),
        explanation: String::new(),
        contributions: Vec::new(),
        attribution: Vec::new(),
    };
    strengthen(&mut anomaly, slot, frame, scores);
    anomaly
}

/// What severity takes from the surprise of a new template: new warnings and infos come with every change.
fn mildness(severity: u8) -> f64 {
    match severity {
        17.. => 0.0,
        13..=16 => 4.0,
        _ => 6.0,
    }
}

pub(super) fn open_novelty(pattern: &NewPattern<'_>, time_ms: i64) -> Anomaly {
    let series = template_series(pattern.entity, pattern.template);
    let neg_log_p = (pattern.neg_log_p - mildness(pattern.severity)).max(0.0);
    Anomaly {
        id: Id::of(&["template", &series, &time_ms.to_string()]),
        revision: 1,
        kind: AnomalyKind::NewTemplate,
        entity: pattern.entity.clone(),
        series,
        measure: "log.template:new".to_string(),
        role: MeasureRole::Load,
        active: true,
        opened_ms: time_ms,
        onset_ms: time_ms,
        updated_ms: time_ms,
        ticks: 1,
        score: score_of(neg_log_p),
        neg_log_p,
        value: 1.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        detector: "novelty".to_string(),
        explanation: words::novelty(pattern),
        contributions: Vec::new(),
        attribution: Vec::new(),
    }
}

/// An onset longer ago than this belongs to another story: one hour.
const MAX_ONSET_MS: i64 = 3_600_000;

pub(super) fn strengthen(anomaly: &mut Anomaly, slot: usize, frame: &FrameView<'_>, scores: &Scores) {
    anomaly.updated_ms = frame.time_ms;
    anomaly.neg_log_p = scores.nlp[slot];
    anomaly.score = scores.score[slot];
    anomaly.value = frame.values[slot];
    let within = (scores.lower[slot]..=scores.upper[slot]).contains(&frame.values[slot]);
    (anomaly.expected, anomaly.lower, anomaly.upper) = if within {
        let (usual, spread) = (scores.usual[slot], scores.spread[slot]);
        (usual, usual - spread, usual + spread)
    } else {
        (scores.expected[slot], scores.lower[slot], scores.upper[slot])
    };
    anomaly.detector = scores.speaker[slot].as_str().to_string();
    anomaly.contributions.clear();
    if scores.second[slot] != Speaker::None {
        let both = scores.contributions(slot).map(|(speaker, share)| (speaker.as_str().to_string(), share));
        anomaly.contributions.extend(both);
    }
    anomaly.explanation = words::series(anomaly);
}

/// `silence` is how long the series has been silent and how far apart its values are as a rule, in seconds.
pub(super) fn open_silence(
    series: &SeriesDef,
    silence: (f64, f64),
    neg_log_p: f64,
    opened_ms: i64,
) -> Anomaly {
    let (silent, step) = silence;
    Anomaly {
        id: Id::of(&["absence", &series.name, &opened_ms.to_string()]),
        revision: 1,
        kind: AnomalyKind::Absence,
        entity: (*series.entity).clone(),
        series: series.name.clone(),
        measure: series.measure.clone(),
        role: series.role,
        active: true,
        opened_ms,
        onset_ms: opened_ms - ((silent - step).max(0.0) * 1000.0) as i64,
        updated_ms: opened_ms,
        ticks: 1,
        score: score_of(neg_log_p),
        neg_log_p,
        value: silent,
        expected: step,
        lower: 0.0,
        upper: step,
        detector: Speaker::Absence.as_str().to_string(),
        explanation: words::silence(series, silent, step, neg_log_p),
        contributions: Vec::new(),
        attribution: Vec::new(),
    }
}

pub(super) fn open_entity(judged: &Judged<'_>, time_ms: i64) -> Anomaly {
    let attribution = judged.attribution();
    Anomaly {
        id: Id::of(&["entity", judged.name, &time_ms.to_string()]),
        revision: 1,
        kind: AnomalyKind::Entity,
        entity: judged.entity.clone(),
        series: judged.name.to_string(),
        measure: "entity".to_string(),
        role: MeasureRole::Other,
        active: true,
        opened_ms: time_ms,
        onset_ms: time_ms,
        updated_ms: time_ms,
        ticks: 1,
        score: score_of(judged.neg_log_p),
        neg_log_p: judged.neg_log_p,
        value: judged.neg_log_p,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        detector: judged.speaker.as_str().to_string(),
        contributions: judged.contributions(),
        explanation: words::entity(&attribution),
        attribution,
    }
}
