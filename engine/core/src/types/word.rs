//! What people say to the engine, beside what they say of signals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{hash::Id, series::Entity, silence::Silence};

/// One thing that a person says. It is written down before it takes effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Word {
    /// Somebody looks after an incident.
    Acknowledge {
        /// Which one.
        incident: Id,
        /// Who.
        by: String,
    },
    /// A person's judgement of an incident, or of its absence.
    Feedback(Feedback),
    /// Something is known to be otherwise than it should be.
    Silence(Silence),
    /// A silence ends now.
    EndSilence {
        /// Which one.
        silence: Id,
        /// Who.
        by: String,
    },
    /// The kill switch: nothing is remediated any more, or again.
    Halt {
        /// Whether remediation halts, or goes on.
        halt: bool,
        /// Who.
        by: String,
        /// Why.
        comment: String,
    },
    /// What a judgement taught is forgotten.
    Undo {
        /// Which adjustment.
        adjustment: Id,
        /// Who.
        by: String,
    },
}

/// A person's judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// Which incident; none was there when it was missed.
    pub incident: Option<Id>,
    /// Who says it.
    pub by: String,
    /// What it was worth.
    pub verdict: Verdict,
    /// The entity that was the cause, or that was missed.
    pub entity: Option<Entity>,
    /// The incident that it is a duplicate of.
    pub duplicate_of: Option<Id>,
    /// Anything else.
    pub comment: String,
}

/// What an incident was worth to the people who were told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was real and worth knowing.
    Useful,
    /// Nothing was wrong.
    False,
    /// It was part of another incident.
    Duplicate,
    /// There was none, and there should have been.
    Missed,
}

impl Verdict {
    /// Every verdict, in the order of declaration.
    pub const ALL: [Verdict; 4] = [Verdict::Useful, Verdict::False, Verdict::Duplicate, Verdict::Missed];

    /// The verdict as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Useful => "useful",
            Verdict::False => "false",
            Verdict::Duplicate => "duplicate",
            Verdict::Missed => "missed",
        }
    }
}

/// What a judgement changed. Every one is shown and can be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Adjustment {
    /// Hash of the judgement.
    pub id: Id,
    /// Event time at which it took effect, unix milliseconds.
    pub time_ms: i64,
    /// Who said so.
    pub by: String,
    /// What they said: `false alarm: 0a1b…`.
    pub said: String,
    /// What is otherwise since then.
    pub lesson: Lesson,
}

/// What is otherwise since a judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lesson {
    /// Incidents whose loudest sign is of this entity need so much more evidence (−ln p); less where it is negative.
    Evidence {
        /// Whose sign.
        entity: Entity,
        /// Which symptom; any when not given.
        symptom: Option<String>,
        /// How much more.
        more: f64,
    },
    /// Where this entity is a suspect beside the other, it is believed so much more (log odds), and the other so much less.
    Cause {
        /// Who was the cause.
        entity: Entity,
        /// Who was blamed.
        instead_of: Option<Entity>,
        /// How much.
        odds: f64,
    },
    /// Trouble of these two belongs together.
    Together {
        /// One.
        a: Entity,
        /// The other.
        b: Entity,
    },
}
