//! Silences: which of them hold, those of the configuration and those that people gave.
//!
//! Pure: time is given. What a silence does is others' work: the shards hold its series back from learning, the correlator
//! opens no incident for what it means.

use serde::{Deserialize, Serialize};

use crate::types::{Id, Schedule, Section, Silence, section::SectionError};

/// Most silences that people gave and that are not over.
pub const MOST: usize = 10_000;

/// How long one that is over is still listed.
const LISTED_MS: i64 = 86_400_000;

/// Everything that is silenced, now or later.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    schedules: Vec<Schedule>,
    told: Told,
    /// How many held when somebody last asked.
    holding: usize,
}

/// What people gave, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Told(Vec<Silence>);

impl Silences {
    /// Silences of the configuration alone.
    pub fn new(schedules: Vec<Schedule>) -> Silences {
        Silences { schedules, ..Silences::default() }
    }

    /// Takes a silence. One that is known, or beyond [`MOST`], is left out.
    pub fn take(&mut self, silence: Silence) {
        let told = &mut self.told.0;
        if told.len() < MOST && told.iter().all(|known| known.id != silence.id) {
            told.push(silence);
        }
    }

    /// Ends a silence at this time.
    pub fn end(&mut self, id: Id, time_ms: i64) {
        for silence in self.told.0.iter_mut().filter(|silence| silence.id == id) {
            silence.until_ms = silence.until_ms.min(time_ms.max(silence.from_ms));
        }
    }

    /// Those that hold at this time, in order of their ids; forgets those that were over long before it.
    pub fn hold(&mut self, time_ms: i64) -> Vec<Silence> {
        self.told.0.retain(|silence| silence.until_ms + LISTED_MS > time_ms);
        let scheduled = self.schedules.iter().filter_map(|schedule| schedule.at(time_ms));
        let told = self.told.0.iter().filter(|silence| silence.holds(time_ms)).cloned();
        let mut holding: Vec<Silence> = scheduled.chain(told).collect();
        holding.sort_by_key(|silence| silence.id);
        self.holding = holding.len();
        holding
    }

    /// How many held in the latest tick.
    pub fn holding(&self) -> usize {
        self.holding
    }

    /// What people gave and what of the configuration holds at this time, by their beginning.
    pub fn list(&self, time_ms: i64) -> Vec<Silence> {
        let scheduled = self.schedules.iter().filter_map(|schedule| schedule.at(time_ms));
        let mut all: Vec<Silence> = self.told.0.iter().cloned().chain(scheduled).collect();
        all.sort_by_key(|silence| (silence.from_ms, silence.id));
        all
    }

    /// What people gave, oldest first.
    pub fn given(&self) -> &[Silence] {
        &self.told.0
    }

    /// Takes these for what people gave.
    pub fn replace(&mut self, given: Vec<Silence>) {
        self.told = Told(given);
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.told.0.len() >= MOST
    }

    /// One that people gave.
    pub fn get(&self, id: Id) -> Option<&Silence> {
        self.told.0.iter().find(|silence| silence.id == id)
    }

    /// Saves what people gave.
    pub fn save(&self, name: &str) -> Result<Section, SectionError> {
        Section::save(name, 1, &self.told)
    }

    /// Restores what [`Silences::save`] gave.
    pub fn load(&mut self, section: &Section) -> Result<(), SectionError> {
        self.told = section.load(1)?.unwrap_or_default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(from_ms: i64, until_ms: i64) -> Silence {
        let matchers = vec!["entity=service/cart".parse().unwrap()];
        Silence::new(matchers, from_ms, until_ms, "ann".to_string(), String::new())
    }

    #[test]
    fn what_people_gave_holds_until_it_ends() {
        let mut silences = Silences::default();
        let (first, second) = (silence(100, 300), silence(200, 400));
        for silence in [&first, &second, &first] {
            silences.take(silence.clone());
        }
        let holding = |silences: &mut Silences, at| -> Vec<Id> {
            silences.hold(at).iter().map(|silence| silence.id).collect()
        };
        assert!(holding(&mut silences, 99).is_empty());
        assert_eq!(holding(&mut silences, 100), [first.id]);
        assert_eq!(holding(&mut silences, 250).len(), 2);
        silences.end(first.id, 260);
        assert_eq!(holding(&mut silences, 260), [second.id]);
        let mut restored = Silences::default();
        restored.load(&silences.save("silences").unwrap()).unwrap();
        assert_eq!(restored.list(260), silences.list(260));
        assert_eq!(holding(&mut restored, 400 + LISTED_MS), []);
        assert!(restored.list(0).is_empty(), "long over");
    }
}
