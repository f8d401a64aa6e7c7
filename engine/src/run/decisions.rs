//! What does not come from the telemetry, written down before it takes effect, and read again at the start.

use std::collections::BTreeSet;

use foreshock_core::{
    pipeline::{Idle, Resume},
    types::{Id, Section, Source, Word, section::SectionError},
};
use serde::{Deserialize, Serialize};

use super::skips::Skip;

/// One decision. One record of the topic `foreshock.internal.decisions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Decision {
    /// A silent partition holds no tick open.
    Idle(Idle),
    /// What a person said, of incidents or silences.
    Said {
        /// What.
        word: Word,
        /// The tick after whose end it was said, unix milliseconds.
        after_ms: i64,
    },
    /// Records that could not be unpacked are left out.
    Skip(Skip),
}

impl Decision {
    /// The tick after whose end it was made; `None` where an offset says when it takes effect.
    pub(super) fn after_ms(&self) -> Option<i64> {
        match self {
            Decision::Idle(_) | Decision::Skip(_) => None,
            Decision::Said { after_ms, .. } => Some(*after_ms),
        }
    }

    /// Its key in the journal, which begins with the name of the engine that wrote it.
    pub(super) fn key(&self, engine: &str) -> Result<String, serde_json::Error> {
        Ok(format!("{engine}/{}", Id::of(&["decision", &serde_json::to_string(self)?])))
    }
}

/// Whether a key is one of this engine's.
pub(super) fn is_ours(key: &str, engine: &str) -> bool {
    key.rsplit_once('/').is_some_and(|(writer, _)| writer == engine)
}

/// What a snapshot has of the decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Included {
    /// Where the partitions are read again.
    pub(super) resume: Vec<Resume>,
    /// End of its latest closed tick, unix milliseconds.
    pub(super) closed_ms: Option<i64>,
    /// Keys of the decisions that were made after that tick and before the snapshot.
    pub(super) keys: BTreeSet<String>,
}

const NAME: &str = "decisions";
const VERSION: u32 = 1;

impl Included {
    /// Whether the state of the snapshot does not have the decision's effect.
    pub(super) fn lacks(&self, key: &str, decision: &Decision) -> bool {
        let is_read_again = |source: &Source, offset: i64| {
            let resume = self.resume.iter().find(|resume| resume.source == *source);
            resume.is_none_or(|resume| offset >= resume.offset)
        };
        match decision {
            Decision::Idle(idle) => is_read_again(&idle.source, idle.offset),
            Decision::Skip(skip) => is_read_again(&skip.source, skip.until),
            Decision::Said { after_ms, .. } => {
                let closed_ms = self.closed_ms.unwrap_or(i64::MIN);
                *after_ms > closed_ms || (*after_ms == closed_ms && !self.keys.contains(key))
            }
        }
    }

    /// The part of it that goes into the snapshot as a section of its own.
    pub(super) fn save(&self) -> Result<Section, SectionError> {
        Section::save(NAME, VERSION, &self.keys)
    }

    /// Takes that section, if it is this one.
    pub(super) fn load(&mut self, section: &Section) -> Result<(), SectionError> {
        if section.name == NAME {
            self.keys = section.load(VERSION)?.unwrap_or_default();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn word() -> Word {
        Word::Acknowledge { incident: Id(7), by: "ann".to_string() }
    }

    fn included() -> Included {
        let source = Source { topic: Arc::from("metrics"), partition: 0 };
        let resume = Resume { source, offset: 100, newest_ns: 0 };
        Included { resume: vec![resume], closed_ms: Some(5000), keys: BTreeSet::from(["me/1".to_string()]) }
    }

    #[test]
    fn a_snapshot_lacks_what_came_after_it() {
        let acknowledge = |after_ms| Decision::Said { word: word(), after_ms };
        let idle = |partition, offset| {
            let source = Source { topic: Arc::from("metrics"), partition };
            Decision::Idle(Idle { source, offset, newest_ns: 0 })
        };
        let skip = |partition, until| {
            let source = Source { topic: Arc::from("metrics"), partition };
            Decision::Skip(Skip { source, from: 0, until, why: String::new() })
        };
        for (decision, key, lacks) in [
            (acknowledge(4000), "me/2", false),
            (acknowledge(5000), "me/1", false),
            (acknowledge(5000), "me/2", true),
            (acknowledge(6000), "me/2", true),
            (idle(0, 99), "me/2", false),
            (idle(0, 100), "me/2", true),
            (idle(1, 0), "me/2", true),
            (skip(0, 99), "me/2", false),
            (skip(0, 100), "me/2", true),
            (skip(1, 0), "me/2", true),
        ] {
            assert_eq!(included().lacks(key, &decision), lacks, "{decision:?} {key}");
        }
    }

    #[test]
    fn keys_survive_in_the_snapshot() {
        let mut loaded = Included::default();
        loaded.load(&included().save().unwrap()).unwrap();
        assert_eq!(loaded.keys, included().keys);
        loaded.load(&Section::save("of another", VERSION, &()).unwrap()).unwrap();
        assert_eq!(loaded.keys, included().keys);
    }

    #[test]
    fn keys_name_their_engine() {
        let decision = Decision::Said { word: word(), after_ms: 1 };
        for engine in ["", "foreshock-0", "a/b"] {
            let key = decision.key(engine).unwrap();
            assert!(is_ours(&key, engine) && !is_ours(&key, "other"), "{key}");
        }
        assert!(!is_ours("decision", ""));
    }
}
