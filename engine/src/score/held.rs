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
