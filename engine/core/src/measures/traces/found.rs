//! What the spans of a tick came to, gathered while it closes.

use std::{collections::BTreeMap, sync::Arc};

use hashbrown::HashMap;

use super::{super::shard_of, window::Node};
use crate::types::{
    Calls, Entity, Partial, RequestExamples, SelfTimes, SeriesDef, StreamDef, StreamKind, Timings,
};

/// Gathers while a tick closes.
#[derive(Debug, Default)]
pub(super) struct Found {
    calls: BTreeMap<(Arc<Entity>, Arc<Entity>), Timings>,
    self_times: BTreeMap<u64, (Arc<SeriesDef>, Timings)>,
    /// By stream.
    examples: HashMap<u64, RequestExamples>,
    /// Memory of earlier ticks.
    spare: Vec<Timings>,
}

impl Found {
    pub(super) fn call(&mut self, caller: &Arc<Entity>, callee: &Arc<Entity>, duration_ns: u64, error: bool) {
        let pair = (Arc::clone(caller), Arc::clone(callee));
        let spare = &mut self.spare;
        self.calls.entry(pair).or_insert_with(|| spare.pop().unwrap_or_default()).add(duration_ns, error);
    }

    /// The self time of a span of this operation.
    pub(super) fn own(&mut self, operation: &Arc<SeriesDef>, duration_ns: u64) {
        let Found { self_times, spare, .. } = self;
        let new = || (Arc::clone(operation), spare.pop().unwrap_or_default());
        self_times.entry(operation.key).or_insert_with(new).1.add(duration_ns, false);
    }

    /// A span that came in this tick. One without a trace cannot be looked up.
    pub(super) fn see(&mut self, node: &Node) {
        if node.trace != [0; 16] {
            let known = self.examples.entry(node.stream).or_default();
            known.add(node.duration_ns, node.error, node.trace);
        }
    }

    /// What was seen of those who answer requests: entities, and peers that are called.
    fn examples(
        &mut self,
        defs: &HashMap<u64, Arc<StreamDef>>,
    ) -> impl Iterator<Item = (Arc<Entity>, RequestExamples)> {
        let mut by_entity: BTreeMap<Arc<Entity>, RequestExamples> = BTreeMap::new();
        for (stream, examples) in self.examples.drain() {
            let Some(def) = defs.get(&stream) else { continue };
            let answers = match &def.kind {
                StreamKind::Spans { inbound: true, .. } => &def.series.entity,
                StreamKind::Spans { peer: Some(peer), .. } => peer,
                _ => continue,
            };
            let known = by_entity.entry(Arc::clone(answers)).or_default();
            *known = known.merged(examples);
        }
        by_entity.into_iter()
    }

    /// What was gathered, by shard: calls are the caller's, a request is theirs who answered it. Begins anew.
    pub(super) fn partials(
        &mut self,
        defs: &HashMap<u64, Arc<StreamDef>>,
        shards: usize,
    ) -> BTreeMap<usize, Partial> {
        let mut partials: BTreeMap<usize, Partial> = BTreeMap::new();
        while let Some(((caller, callee), timings)) = self.calls.pop_first() {
            let partial = of(&mut partials, shards, caller.key());
            partial.calls.push(Calls { caller, callee, timings: timings.clone() });
            self.spare.push(timings.emptied());
        }
        while let Some((_, (operation, timings))) = self.self_times.pop_first() {
            let partial = of(&mut partials, shards, operation.entity_key);
            partial.self_times.push(SelfTimes { operation, timings: timings.clone() });
            self.spare.push(timings.emptied());
        }
        for (entity, examples) in self.examples(defs) {
            of(&mut partials, shards, entity.key()).examples.push((entity, examples));
        }
        partials
    }
}

/// The partial of an entity's shard, with one sample more.
fn of(partials: &mut BTreeMap<usize, Partial>, shards: usize, entity_key: u64) -> &mut Partial {
    let partial = partials.entry(shard_of(entity_key, shards)).or_default();
    partial.samples += 1;
    partial
}
