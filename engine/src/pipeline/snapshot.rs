//! Everything that is needed to go on after a restart, saved at a tick barrier.

use serde::{Deserialize, Serialize};

use super::{Pipeline, PipelineConfig, Resume, due::Due, partition::Partition, sightings::Sightings};
use crate::{
    bus::{self, Bus},
    correlator::Correlator,
    measures::Traces,
    score::RestoreError,
    types::Section,
};

/// Everything that is needed to go on after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Form of this struct.
    pub version: u32,
    /// Where each partition resumes.
    pub resume: Vec<Resume>,
    /// State of the stages.
    pub sections: Vec<Section>,
}

/// A snapshot that cannot be written or restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A stage could not be written.
    #[error(transparent)]
    Section(#[from] crate::types::section::SectionError),
    /// A stage refused its state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The bus refused its settings or its state.
    #[error(transparent)]
    Bus(#[from] bus::LoadError),
    /// Another version of the engine wrote it.
    #[error(
        "the snapshot has version {found}, this engine reads {SNAPSHOT_VERSION}: start cold, or use the engine that wrote it"
    )]
    Version {
        /// Version found.
        found: u32,
    },
}

/// Version of [`Snapshot`].
pub const SNAPSHOT_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Own {
    closed: i64,
    due: Due,
    sightings: Sightings,
}

const VERSION: u32 = 2;

impl Pipeline {
    /// Saves everything, at a tick barrier: open ticks are read again from the resume offsets.
    pub fn save(&self) -> Result<Snapshot, SnapshotError> {
        let own = Own { closed: self.closed, due: self.due.clone(), sightings: self.sightings.clone() };
        let mut sections = vec![
            Section::save("pipeline", VERSION, &own)?,
            self.traces.save("traces")?,
            self.silences.save("silences")?,
            self.correlator.save("correlator")?,
            self.bus.save()?,
        ];
        for shard in &self.shards {
            sections.extend(shard.save()?);
        }
        let resume = self.partitions.values().map(Partition::resume_point).collect();
        Ok(Snapshot { version: SNAPSHOT_VERSION, resume, sections })
    }

    /// Restores what [`Pipeline::save`] gave.
    pub fn load(config: PipelineConfig, snapshot: &Snapshot) -> Result<Pipeline, SnapshotError> {
        if snapshot.version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version { found: snapshot.version });
        }
        let mut pipeline = Pipeline::new(config).map_err(bus::LoadError::from)?;
        let config = pipeline.config.clone();
        for section in &snapshot.sections {
            if section.name == "pipeline"
                && let Some(own) = section.load::<Own>(VERSION)?
            {
                Own { closed: pipeline.closed, due: pipeline.due, sightings: pipeline.sightings } = own;
            } else if section.name == "traces" {
                pipeline.traces = Traces::load(config.traces, section)?;
            } else if section.name == "silences" {
                pipeline.silences.load(section)?;
            } else if section.name == "correlator" {
                pipeline.correlator = Correlator::load(config.correlator.clone(), section)?;
            } else if section.name == "bus" {
                pipeline.bus = Bus::load(config.bus.clone(), section)?;
            }
        }
        for shard in &mut pipeline.shards {
            shard.load(config.fold.clone(), config.score.clone(), &snapshot.sections)?;
        }
        for resume in &snapshot.resume {
            pipeline.partition(&resume.source).resume(resume);
        }
        Ok(pipeline)
    }
}
