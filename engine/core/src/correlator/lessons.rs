//! What people's judgements teach. The list of adjustments is the truth: what they come to together is bounded, follows from it,
//! and what is taken off the list has no effect any more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::symptom::{self, Symptom};
use crate::types::{Adjustment, Anomaly, Entity, Feedback, Id, Incident, Lesson, Verdict};

/// Most adjustments that are kept; the oldest go.
const MOST: usize = 1000;

/// Evidence (−ln p) that a false alarm adds for its like, and that a useful incident and a missed one take off; all of them together
/// stay within the bounds.
const FALSE: f64 = 3.0;
const USEFUL: f64 = -1.0;
const MISSED: f64 = -1.5;
const EVIDENCE: std::ops::RangeInclusive<f64> = -3.0..=9.0;

/// Log odds that a known cause adds, and all of them at most.
const CAUSE: f64 = 1.0;
const MOST_ODDS: f64 = 2.0;

/// The list, and what hangs together by it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Lessons {
    adjustments: Vec<Adjustment>,
    together: BTreeSet<(Entity, Entity)>,
}

/// What a judgement teaches, and the title of the incident that it is about.
pub(super) struct Taught {
    title: String,
    lessons: Vec<Lesson>,
}

impl Lessons {
    pub(super) fn adjustments(&self) -> &[Adjustment] {
        &self.adjustments
    }

    /// Notes what a judgement teaches.
    pub(super) fn note(&mut self, time_ms: i64, feedback: &Feedback, taught: Taught) {
        let Feedback { by, verdict, comment, .. } = feedback;
        let said: Vec<&str> =
            [verdict.name(), &taught.title, comment].into_iter().filter(|part| !part.is_empty()).collect();
        let said = said.join(": ");
        let incident = feedback.incident.map(|id| id.to_string()).unwrap_or_default();
        for (at, lesson) in taught.lessons.into_iter().enumerate() {
            let id = Id::of(&["adjustment", &incident, &time_ms.to_string(), by, &said, &at.to_string()]);
            let adjustment = Adjustment { id, time_ms, by: by.clone(), said: said.clone(), lesson };
            if self.adjustments.iter().all(|known| known.id != id) {
                self.adjustments.push(adjustment);
            }
        }
        let over = self.adjustments.len().saturating_sub(MOST);
        self.adjustments.drain(..over);
        self.derive();
    }

    /// Takes an adjustment off the list.
    pub(super) fn undo(&mut self, id: Id) {
        self.adjustments.retain(|adjustment| adjustment.id != id);
        self.derive();
    }

    fn derive(&mut self) {
        let together = self.adjustments.iter().filter_map(|adjustment| match &adjustment.lesson {
            Lesson::Together { a, b } => Some((a.clone(), b.clone())),
            _ => None,
        });
        self.together = together.collect();
    }

    /// How much more evidence a group with this loudest sign needs.
    pub(super) fn evidence(&self, sign: &(Entity, Symptom)) -> f64 {
        let more = self.adjustments.iter().filter_map(|adjustment| match &adjustment.lesson {
            Lesson::Evidence { entity, symptom, more } => {
                let fits = symptom.as_deref().is_none_or(|symptom| symptom == sign.1.word());
                (entity.is(&sign.0) && fits).then_some(*more)
            }
            _ => None,
        });
        more.sum::<f64>().clamp(*EVIDENCE.start(), *EVIDENCE.end())
    }

    /// How much more an entity is believed to be the cause beside these others, and in how many incidents it was.
    pub(super) fn odds(&self, entity: &Entity, others: &[&Entity]) -> (f64, usize) {
        let (mut odds, mut times) = (0.0, 0);
        for adjustment in &self.adjustments {
            let Lesson::Cause { entity: cause, instead_of, odds: more } = &adjustment.lesson else {
                continue;
            };
            let has_other = |wanted: &Entity| others.iter().any(|other| other.is(wanted));
            if cause.is(entity) && instead_of.as_ref().is_none_or(has_other) {
                odds += more;
                times += 1;
            } else if instead_of.as_ref().is_some_and(|instead| instead.is(entity)) && has_other(cause) {
                odds -= more;
            }
        }
        (odds.clamp(-MOST_ODDS, MOST_ODDS), times)
    }

    /// Whether trouble of these two belongs together.
    pub(super) fn together(&self, a: &Entity, b: &Entity) -> bool {
        self.pairs().any(|(one, other)| one.is(a) && other.is(b) || one.is(b) && other.is(a))
    }

    /// Those whose trouble belongs together.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.together.iter().map(|(a, b)| (a, b))
    }
}

/// What a judgement of this incident teaches, `of` being the one that it is said to repeat.
pub(super) fn taught(feedback: &Feedback, about: Option<&Incident>, of: Option<&Incident>) -> Taught {
    let first = |incident: &Incident| incident.suspects.first().map(|suspect| suspect.entity.clone());
    let evidence = |more: f64| {
        let (entity, symptom) = sign(about?.members.iter().map(|member| &member.anomaly))?;
        Some(Lesson::Evidence { entity, symptom: Some(symptom.word().to_string()), more })
    };
    let cause = || {
        let (cause, blamed) = (feedback.entity.clone()?, first(about?));
        let instead_of = blamed.filter(|blamed| !blamed.is(&cause));
        Some(Lesson::Cause { entity: cause, instead_of, odds: CAUSE })
    };
    let repeats = || {
        let (a, b) = (first(about?)?, first(of?)?);
        (!a.is(&b)).then_some(Lesson::Together { a, b })
    };
    let missed = || Some(Lesson::Evidence { entity: feedback.entity.clone()?, symptom: None, more: MISSED });
    let lessons: Vec<Option<Lesson>> = match feedback.verdict {
        Verdict::Useful => vec![evidence(USEFUL), cause()],
        Verdict::False => vec![evidence(FALSE)],
        Verdict::Duplicate => vec![repeats()],
        Verdict::Missed => vec![missed()],
    };
    let title = about.map_or(String::new(), |incident| incident.title.clone());
    Taught { title, lessons: lessons.into_iter().flatten().collect() }
}

/// The loudest sign of these anomalies: whose, and of what.
pub(super) fn sign<'a>(anomalies: impl Iterator<Item = &'a Anomaly>) -> Option<(Entity, Symptom)> {
    let loudness = |anomaly: &Anomaly| (symptom::of(anomaly), super::evidence::strength(anomaly));
    let louder = |a: &&Anomaly, b: &&Anomaly| {
        let ((a_symptom, a_strength), (b_symptom, b_strength)) = (loudness(a), loudness(b));
        let is_sign = |symptom| symptom > Symptom::Traffic;
        is_sign(a_symptom)
            .cmp(&is_sign(b_symptom))
            .then(a_strength.total_cmp(&b_strength))
            .then_with(|| b.id.cmp(&a.id))
    };
    let loudest = anomalies.max_by(louder)?;
    Some((symptom::whose(loudest), symptom::of(loudest)))
}
