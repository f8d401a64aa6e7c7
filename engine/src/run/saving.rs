//! Snapshots in their order with outputs, offsets and journals.

use std::time::{Instant, SystemTime};

use foreshock_core::pipeline::{Resume, SnapshotError};

use super::{
    RunError,
    core::Core,
    decisions::{Decision, Included},
};

impl Core {
    /// Takes a snapshot; one that fails is counted and tried again later, and nothing is committed.
    pub(super) fn try_snapshot(&mut self) -> Result<(), RunError> {
        if self.link.is_away() {
            // It could not be written, and waiting for that would keep everybody else waiting.
            return Ok(());
        }
        match self.snapshot() {
            Ok(()) => Ok(()),
            Err(RunError::Lost(lost)) => Err(RunError::Lost(lost)),
            Err(error) => {
                self.metrics.snapshot_failures.inc();
                tracing::error!(%error, "no snapshot");
                Ok(())
            }
        }
    }

    /// Everything that was given is written, then the state, then the offsets are committed: in this order nothing
    /// is lost. A broker that goes away in the middle of the last holds nobody up.
    pub(super) fn snapshot(&mut self) -> Result<(), RunError> {
        let began = Instant::now();
        self.outputs.flush()?;
        let (resume, pipeline) = (self.pipeline.resume(), &self.pipeline);
        let included = self.included(&resume);
        let bytes = self.store.write(|take| {
            pipeline.save_each(&mut *take)?;
            take(included.save().map_err(SnapshotError::from)?)
        })?;
        self.mark_unneeded(&included);
        resume.iter().for_each(|resume| self.skips.forget_before(&resume.source, resume.offset));
        let resume = resume.into_iter().map(|resume| (resume.source, resume.offset));
        if self.link.is_away() {
            tracing::warn!("kafka is away: offsets not committed; the snapshot has them");
        } else if let Err(error) = self.consumer.commit(resume) {
            tracing::warn!(%error, "offsets not committed; the snapshot has them");
        }
        self.clear_journals()?;
        self.metrics.snapshots.inc();
        self.metrics.snapshot_bytes.set(bytes as i64);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.metrics.snapshot_timestamp.set(now.as_secs_f64());
        self.waited("snapshot", began);
        Ok(())
    }

    /// What a snapshot of now has of the decisions.
    fn included(&self, resume: &[Resume]) -> Included {
        let closed_ms = self.pipeline.closed_ms();
        let latest = |decision: &Decision| decision.after_ms().is_some() && decision.after_ms() == closed_ms;
        let latest = self.decisions.iter().filter(|(_, decision)| latest(decision));
        let keys = latest.map(|(key, _)| key.clone()).collect();
        Included { resume: resume.to_vec(), closed_ms, keys }
    }

    /// Notes what the snapshot does not need of the journals.
    fn mark_unneeded(&mut self, included: &Included) {
        for (key, _) in self.decisions.iter().filter(|(key, decision)| !included.lacks(key, decision)) {
            self.clearing_decisions.unneeded(key);
        }
        let bus = self.pipeline.bus();
        for id in self.journaled.iter().filter(|id| bus.signal(**id).is_none()) {
            self.clearing_signals.unneeded(&id.to_string());
        }
    }

    /// Ends the keys that no snapshot needs of those that are kept.
    fn clear_journals(&mut self) -> Result<(), RunError> {
        let decisions = self.clearing_decisions.snapshot_written();
        self.decisions.retain(|key, _| !decisions.contains(key));
        self.outputs.forget_decisions(&decisions)?;
        let signals = self.clearing_signals.snapshot_written();
        self.journaled.retain(|id| !signals.contains(&id.to_string()));
        self.outputs.forget_signals(&signals)
    }
}
