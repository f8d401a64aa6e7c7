//! Series that are judged and not learnt: while one is silenced its values are not what they should be.
//!
//! Each is judged by a copy of its model, which is thrown away; to the model itself, and to all that look at it in other
//! ways, the value is missing.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank};

/// Room for one frame, used again.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What the copies say, by the order of the held slots.
    scores: Scores,
    /// The values of a frame without those that are held.
    learnt: Vec<f64>,
}

impl Held {
    /// Judges the values of the held slots by copies of their models.
    pub(super) fn judge(&mut self, config: &CoreConfig, models: &CoreBank, frame: &Frame<'_>, held: &[u32]) {
        if held.is_empty() {
            return;
        }
        let mut copies = CoreBank::new(config.clone(), held.len());
        for (at, &slot) in held.iter().enumerate() {
            copies.adopt(at, models, slot as usize);
        }
        let values: Vec<f64> = held.iter().map(|&slot| frame.values[slot as usize]).collect();
        copies.advance(&Frame { time: frame.time, values: &values }, &mut self.scores);
    }

    /// The values that may be learnt.
    pub(super) fn without<'a>(&'a mut self, values: &'a [f64], held: &[u32]) -> &'a [f64] {
        if held.is_empty() {
            return values;
        }
        self.learnt.clear();
        self.learnt.extend_from_slice(values);
        held.iter().for_each(|&slot| self.learnt[slot as usize] = f64::NAN);
        &self.learnt
    }

    /// Adds what the copies say to what is said of the others.
    pub(super) fn join(&self, scores: &mut Scores, held: &[u32]) {
        for (at, &slot) in held.iter().enumerate() {
            scores.adopt(slot as usize, &self.scores, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{FrameView, ScoreConfig, Scorer};
    use crate::types::{Entity, EntityKind, SeriesDef};

    /// Two series of the same values around 10, but around 50 from `from` to `until`, while the first is held. Gives the scorer, and
    /// in which ticks each had an anomaly that opened.
    fn run(from: i64, until: i64, end: i64) -> (Scorer, [Vec<i64>; 2]) {
        let entity = |name: &str| Arc::new(Entity::new(EntityKind::Service, name));
        let slots = ["a", "b"].map(|name| Some(Arc::new(SeriesDef::new(entity(name), "load", Vec::new()))));
        let mut scorer = Scorer::new(ScoreConfig::default());
        let mut opened = [Vec::new(), Vec::new()];
        for tick in 0..end {
            let moved = (from..until).contains(&tick);
            let value = (tick * 7919 % 11) as f64 / 10.0 + if moved { 50.0 } else { 10.0 };
            let revisions = scorer.frame(FrameView {
                time_ms: tick * 10_000,
                values: &[value, value],
                slots: &slots,
                admitted: if tick == 0 { &[0, 1] } else { &[] },
                forgotten: &[],
                deep_room: 2,
                held: if moved { &[0] } else { &[] },
            });
            for anomaly in revisions.iter().filter(|anomaly| anomaly.revision == 1) {
                opened[usize::from(anomaly.entity.name == "b")].push(tick);
            }
        }
        (scorer, opened)
    }

    #[test]
    fn what_is_held_is_judged_and_not_learnt() {
        // Six hours of maintenance: long enough for the one that is not held to take it for the new normal.
        let (from, until) = (2_000, 4_160);
        let (scorer, [held, other]) = run(from, until, until);
        let expected = &scorer.scores().expected;
        assert!((expected[0] - 10.5).abs() < 2.0, "{expected:?}");
        assert!((expected[1] - 50.5).abs() < 5.0, "{expected:?}");
        assert_eq!(held, [from], "judged");
        assert_eq!(other, [from]);
        // Afterwards it is as it was: nothing is strange about it.
        let (_, [held, other]) = run(from, until, until + 300);
        assert_eq!(held, [from]);
        assert!(other.len() > 1, "{other:?}");
    }
}
