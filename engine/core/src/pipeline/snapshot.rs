//! Everything that is needed to go on after a restart, saved at a tick barrier: sections one after the other, so that no more than
//! a few are held at once.

use std::sync::mpsc;

use serde::{Deserialize, Serialize};

use super::{
    Pipeline, PipelineConfig, Resume, due::Due, partition::Partition, places::Places, shard::Shard,
    sightings::Sightings,
};
use crate::{
    bus::{self, Bus},
    correlator::Correlator,
    measures::Traces,
    score::RestoreError,
    types::{Section, section::SectionError},
};

/// A snapshot that cannot be written or restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A stage could not be written.
    #[error(transparent)]
    Section(#[from] SectionError),
    /// A stage refused its state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The bus refused its settings or its state.
    #[error(transparent)]
    Bus(#[from] bus::LoadError),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

#[derive(Serialize, Deserialize)]
struct Own {
    closed: i64,
    due: Due,
    sightings: Sightings,
    places: Places,
}

const VERSION: u32 = 3;
/// Where the partitions resume.
const RESUME: &str = "resume";
const RESUME_VERSION: u32 = 1;
/// Name of a partition of traces, before its index.
const TRACES: &str = "traces/";
/// Shards that are saved before their turn.
const AHEAD: usize = 2;

impl Pipeline {
    /// Where each partition resumes when the state as it is now is restored: open ticks are read again.
    pub fn resume(&self) -> Vec<Resume> {
        self.partitions.values().map(Partition::resume_point).collect()
    }

    /// Saves everything at a tick barrier and gives it away section by section, in an order that is always the same. The next shards are saved
    /// while one is taken.
    pub fn save_each<E: From<SnapshotError>>(
        &self,
        mut take: impl FnMut(Section) -> Result<(), E>,
    ) -> Result<(), E> {
        let decide = &self.decide;
        let own = Own {
            closed: self.closed,
            due: decide.due.clone(),
            sightings: decide.sightings.clone(),
            places: decide.places.clone(),
        };
        let traces = (0..).zip(&self.traces);
        let first = [
            Section::save(RESUME, RESUME_VERSION, &self.resume()),
            Section::save("pipeline", VERSION, &own),
            decide.silences.save("silences"),
            decide.correlator.save("correlator"),
            decide.bus.save(),
        ]
        .into_iter()
        .chain(traces.map(|(index, traces): (usize, _)| traces.save(format!("{TRACES}{index}"))));
        let (sender, saved) = mpsc::sync_channel(AHEAD);
        let shards = &self.shards;
        std::thread::scope(|scope| {
            // When nobody takes them any more there is nothing left to do.
            let save = move || shards.iter().map(Shard::save).all(|saved| sender.send(saved).is_ok());
            let thread = std::thread::Builder::new().name("snapshot".to_string());
            thread.spawn_scoped(scope, save).map_err(SnapshotError::Thread)?;
            for section in first {
                take(section.map_err(SnapshotError::from)?)?;
            }
            for sections in saved {
                sections.map_err(SnapshotError::from)?.into_iter().try_for_each(&mut take)?;
            }
            Ok(())
        })
    }

    /// As [`Pipeline::save_each`], all sections at once.
    pub fn save(&self) -> Result<Vec<Section>, SnapshotError> {
        let mut sections = Vec::new();
        self.save_each::<SnapshotError>(|section| {
            sections.push(section);
            Ok(())
        })?;
        Ok(sections)
    }

    /// Restores what [`Pipeline::save_each`] gave, as it comes. Sections that nobody knows are left out.
    pub fn load_each<E: From<SnapshotError>>(
        config: PipelineConfig,
        sections: impl IntoIterator<Item = Result<Section, E>>,
    ) -> Result<Pipeline, E> {
        let new = Pipeline::new(config).map_err(|error| SnapshotError::from(bus::LoadError::from(error)));
        let mut pipeline = new?;
        let mut shard = Vec::new();
        for section in sections {
            pipeline.load_section(section?, &mut shard)?;
        }
        pipeline.load_shard(&mut shard)?;
        let control = pipeline.decide.control(pipeline.closed.saturating_add(1));
        pipeline.shards.obey(&control);
        Ok(pipeline)
    }

    /// As [`Pipeline::load_each`], from all sections at once.
    pub fn load(config: PipelineConfig, sections: &[Section]) -> Result<Pipeline, SnapshotError> {
        Pipeline::load_each(config, sections.iter().cloned().map(Ok))
    }

    /// Restores a section; one of a shard once those of the next begin, for its own belong together.
    fn load_section(&mut self, section: Section, shard: &mut Vec<Section>) -> Result<(), SnapshotError> {
        match section.name.as_str() {
            RESUME => {
                for resume in section.load::<Vec<Resume>>(RESUME_VERSION)?.unwrap_or_default() {
                    self.partition(&resume.source).resume(&resume);
                }
            }
            "pipeline" => {
                if let Some(own) = section.load::<Own>(VERSION)? {
                    let decide = &mut self.decide;
                    self.closed = own.closed;
                    (decide.due, decide.sightings) = (own.due, own.sightings);
                    decide.places = own.places.fitted(self.config.clock.shards);
                    let is_closed = self.closed > i64::MIN;
                    decide.closed_ms =
                        is_closed.then(|| (self.closed + 1) * self.config.clock.tick_ns / 1_000_000);
                }
            }
            "silences" => self.decide.silences.load(&section)?,
            "correlator" => {
                self.decide.correlator = Correlator::load(self.config.correlator.clone(), &section)?;
            }
            "bus" => self.decide.bus = Bus::load(self.config.bus.clone(), &section)?,
            name if name.starts_with(TRACES) => {
                let index =
                    name[TRACES.len()..].parse().ok().and_then(|index: usize| self.traces.get_mut(index));
                if let Some(traces) = index {
                    *traces = Traces::load(self.config.traces, &section)?;
                }
            }
            name => {
                let is_next = |known: &Section| shard_of(&known.name) != shard_of(name);
                if shard.first().is_some_and(is_next) {
                    self.load_shard(shard)?;
                }
                shard.push(section);
            }
        }
        Ok(())
    }

    /// Restores the shard that these sections are of, and lets go of them.
    fn load_shard(&mut self, sections: &mut Vec<Section>) -> Result<(), SnapshotError> {
        let index = sections.first().and_then(|section| shard_of(&section.name));
        if let Some(shard) = index.and_then(|index| self.shards.get_mut(index)) {
            shard.load(self.config.fold.clone(), self.config.score.clone(), sections)?;
        }
        sections.clear();
        Ok(())
    }
}

/// The shard that a section is of.
fn shard_of(name: &str) -> Option<usize> {
    name.strip_prefix("shard/")?.split('/').next()?.parse().ok()
}
