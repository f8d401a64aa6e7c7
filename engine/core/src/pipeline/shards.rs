//! The shards of a process: they close ticks side by side and share nothing but what they obey.

use super::{
    PipelineConfig, SeriesScore,
    shard::{Shard, ShardTick},
    threads::Threads,
};
use crate::{
    silences::Silences,
    types::{Control, Partial, ShardClosed},
};

/// All shards.
#[derive(Debug)]
pub(super) struct Shards {
    shards: Vec<Shard>,
    /// What is obeyed, as far as it is known.
    silences: Silences,
    deep_places: Vec<usize>,
}

impl Shards {
    pub(super) fn new(config: &PipelineConfig) -> Shards {
        let shard = |index| Shard::new(index, config.fold.clone(), config.score.clone());
        Shards {
            shards: (0..config.clock.shards).map(shard).collect(),
            silences: Silences::new(config.silences.clone()),
            deep_places: vec![0; config.clock.shards],
        }
    }

    /// Takes what holds from the next tick on.
    pub(super) fn obey(&mut self, control: &Control) {
        self.silences.replace(control.silences.to_vec());
        self.deep_places = control.deep_places.to_vec();
    }

    /// Closes a tick in every shard. `partials` gives those of a shard, in the order of their sources.
    pub(super) fn close<'a>(
        &mut self,
        threads: &Threads,
        tick: i64,
        time_ms: i64,
        samples: usize,
        partials: impl Fn(usize) -> Vec<&'a Partial> + Sync,
    ) -> Vec<ShardClosed> {
        let silences = self.silences.hold(time_ms);
        let deep_places = &self.deep_places;
        threads.each(&mut self.shards, samples, |index, shard| {
            let partials = partials(index);
            if partials.is_empty() && shard.series() == 0 {
                return ShardClosed { tick, shard: index, ..ShardClosed::default() };
            }
            let deep_places = deep_places.get(index).copied().unwrap_or(0);
            shard.close(&ShardTick { tick, time_ms, partials: &partials, deep_places, silences: &silences })
        })
    }

    /// The scores of the tick that was closed last, in the order of the series' names.
    pub(super) fn scores(&self) -> Vec<SeriesScore> {
        let mut scores: Vec<SeriesScore> = self.shards.iter().flat_map(Shard::scores).collect();
        scores.sort_by(|a, b| a.series.name.cmp(&b.series.name));
        scores
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Shard> {
        self.shards.get_mut(index)
    }
}
