//! Judgements, adjustments, silences and what was suppressed.

use foreshock_core::types::{Adjustment, Feedback, Lesson, Member, Silence, Suppressed, Verdict};
use foreshock_proto::v1;

use super::{
    Invalid, entity, id,
    incident::{member, member_from},
    some,
};

/// A verdict as it stands in messages.
pub fn verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Useful => v1::Verdict::Useful,
        Verdict::False => v1::Verdict::False,
        Verdict::Duplicate => v1::Verdict::Duplicate,
        Verdict::Missed => v1::Verdict::Missed,
    }
}

/// A judgement out of a request, once its parts go together.
pub fn feedback_from(request: v1::FeedbackRequest) -> Result<Feedback, Invalid> {
    let verdict = match v1::Verdict::try_from(request.verdict) {
        Ok(v1::Verdict::Useful) => Verdict::Useful,
        Ok(v1::Verdict::False) => Verdict::False,
        Ok(v1::Verdict::Duplicate) => Verdict::Duplicate,
        Ok(v1::Verdict::Missed) => Verdict::Missed,
        Ok(v1::Verdict::Unspecified) | Err(_) => return Err(Invalid::Enum("verdict", request.verdict)),
    };
    let optional_id = |text: String| some(text).as_deref().map(id).transpose();
    let feedback = Feedback {
        incident: match verdict {
            Verdict::Missed => optional_id(request.id)?,
            _ => Some(id(&request.id)?),
        },
        by: request.by,
        verdict,
        entity: some(request.cause).as_deref().map(entity).transpose()?,
        duplicate_of: optional_id(request.duplicate_of)?,
        comment: request.comment,
    };
    match verdict {
        Verdict::Duplicate if feedback.duplicate_of.is_none() => {
            Err(Invalid::Missing("duplicate_of", "the incident that it was part of"))
        }
        Verdict::Missed if feedback.entity.is_none() => {
            Err(Invalid::Missing("cause", "the entity that was in trouble"))
        }
        _ => Ok(feedback),
    }
}

/// An adjustment as a message.
pub fn adjustment(adjustment: &Adjustment) -> v1::Adjustment {
    let lesson = match &adjustment.lesson {
        Lesson::Evidence { entity, symptom, more } => v1::adjustment::Lesson::Evidence(v1::MoreEvidence {
            entity: entity.to_string(),
            symptom: symptom.clone().unwrap_or_default(),
            more: *more,
        }),
        Lesson::Cause { entity, instead_of, odds } => v1::adjustment::Lesson::Cause(v1::KnownCause {
            entity: entity.to_string(),
            instead_of: instead_of.as_ref().map(ToString::to_string).unwrap_or_default(),
            odds: *odds,
        }),
        Lesson::Together { a, b } => {
            v1::adjustment::Lesson::Together(v1::Together { a: a.to_string(), b: b.to_string() })
        }
    };
    v1::Adjustment {
        id: adjustment.id.to_string(),
        time_unix_ms: adjustment.time_ms,
        by: adjustment.by.clone(),
        said: adjustment.said.clone(),
        lesson: Some(lesson),
    }
}

/// An adjustment out of a message.
pub fn adjustment_from(message: v1::Adjustment) -> Result<Adjustment, Invalid> {
    let lesson = match message.lesson.ok_or(Invalid::Missing("lesson", "one of its kinds"))? {
        v1::adjustment::Lesson::Evidence(evidence) => Lesson::Evidence {
            entity: entity(&evidence.entity)?,
            symptom: some(evidence.symptom),
            more: evidence.more,
        },
        v1::adjustment::Lesson::Cause(cause) => Lesson::Cause {
            entity: entity(&cause.entity)?,
            instead_of: some(cause.instead_of).as_deref().map(entity).transpose()?,
            odds: cause.odds,
        },
        v1::adjustment::Lesson::Together(pair) => {
            Lesson::Together { a: entity(&pair.a)?, b: entity(&pair.b)? }
        }
    };
    let (id, time_ms) = (id(&message.id)?, message.time_unix_ms);
    Ok(Adjustment { id, time_ms, by: message.by, said: message.said, lesson })
}

/// A silence as a message.
pub fn silence(silence: &Silence) -> v1::Silence {
    v1::Silence {
        id: silence.id.to_string(),
        matchers: silence.matchers.iter().map(ToString::to_string).collect(),
        from_unix_ms: silence.from_ms,
        until_unix_ms: silence.until_ms,
        by: silence.by.clone(),
        comment: silence.comment.clone(),
    }
}

/// A silence out of a message.
pub fn silence_from(message: v1::Silence) -> Result<Silence, Invalid> {
    let matchers = message.matchers.iter().map(|text| text.parse().map_err(Invalid::Matcher));
    let (from_ms, until_ms) = (message.from_unix_ms, message.until_unix_ms);
    if from_ms > until_ms {
        return Err(Invalid::Interval(from_ms, until_ms));
    }
    Ok(Silence::new(matchers.collect::<Result<_, _>>()?, from_ms, until_ms, message.by, message.comment))
}

/// What was suppressed as a message.
pub fn suppressed(suppressed: &Suppressed) -> v1::Suppressed {
    let Suppressed { time_ms, anomaly, why } = suppressed.clone();
    let anomaly = Some(member(&Member { anomaly, because: String::new() }));
    v1::Suppressed { time_unix_ms: time_ms, anomaly, why }
}

/// What was suppressed out of a message.
pub fn suppressed_from(message: v1::Suppressed) -> Result<Suppressed, Invalid> {
    let anomaly = message.anomaly.ok_or(Invalid::Missing("anomaly", "the anomaly"))?;
    let anomaly = member_from(anomaly)?.anomaly;
    Ok(Suppressed { time_ms: message.time_unix_ms, anomaly, why: message.why })
}
