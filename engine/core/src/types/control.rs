//! What shards and the correlator tell each other: what came of a tick, and what holds from a tick on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Anomaly, Edge, Entity, Example, Handed, Silence, Traffic};

/// What came of a tick in one shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardClosed {
    /// The tick.
    pub tick: i64,
    /// Index of the shard.
    pub shard: usize,
    /// Revisions of anomalies.
    pub anomalies: Vec<Anomaly>,
    /// Calls seen, sorted by (caller, callee), one per pair; a caller is of one shard.
    pub edges: Vec<Edge>,
    /// Requests that entities answered.
    pub traffic: Vec<Traffic>,
    /// Requests and lines of entities that somebody may want to look at.
    pub examples: Vec<(Entity, Example)>,
    /// Series that are modelled.
    pub warm_series: u64,
    /// Series in the deep tier.
    pub deep_used: usize,
    /// Series that ask for a place in it.
    pub deep_waiting: usize,
    /// Values that were scored.
    pub scored: u64,
    /// Values of series that had no room.
    pub refused: u64,
}

impl Handed for ShardClosed {
    const VERSION: u8 = 1;
}

/// What the shards obey, whole: it takes the place of what was told before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// The first tick for which it holds: one that no shard has closed.
    pub from_tick: i64,
    /// Silences that people gave and that are not long over; those of the configuration are everybody's.
    pub silences: Arc<[Silence]>,
    /// Most series in the deep tier, by shard.
    pub deep_places: Arc<[usize]>,
}

impl Handed for Control {
    const VERSION: u8 = 1;
}
