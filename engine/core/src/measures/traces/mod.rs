//! Traces: spans of one trace together, whichever partitions and shards they came through.
//!
//! * `window`: the spans of recent ticks
//! * `found`: what a tick's spans came to
//!
//! *Calls.* A span whose parent belongs to another entity is called by that entity. It is counted in the tick in which
//! the later of the two comes. How long it took and whether it failed is what the caller saw: its outbound span, or the
//! child itself where an inbound span is the parent. A span that names its peer, and of which no child of another
//! entity was seen, is a call of that peer. No span counts for both, and the child's own name wins over what the
//! caller calls it (`service.name: cart` over `peer.service: cart-svc`).
//!
//! *When a peer counts.* One tick after the span: a callee's span ends before its caller's, unless the caller gives up.
//! For a queue when the span leaves the window: messages are taken later. A child that comes after that is not
//! counted.
//!
//! *Self time.* The time of an inbound span in which its own entity works: its duration without the union of the calls
//! below it, children that are of the same entity and no calls being looked through. Taken one tick after the span,
//! and only when nothing that ended after it began has left the window.
//!
//! Follows parents only, not span links.

mod found;
mod window;

use std::{collections::BTreeMap, sync::Arc};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::types::{
    EntityKind, Partial, Section, SpanSample, StreamDef, StreamKind, TraceSpans, section::SectionError,
};

use found::Found;
use window::{Node, Window, union};

/// Settings of [`Traces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceConfig {
    /// Length of a tick, nanoseconds.
    pub tick_ns: i64,
    /// Ticks after its own for which a span waits for its parent and its children, 1 or more.
    pub window_ticks: i64,
    /// Most spans in all windows together; beyond its part of them, the oldest of a window leave.
    pub max_spans: usize,
    /// Windows, 1 or more: traces are parted among them by their ids.
    pub partitions: usize,
}

impl Default for TraceConfig {
    fn default() -> TraceConfig {
        TraceConfig { tick_ns: 10_000_000_000, window_ticks: 3, max_spans: 200_000, partitions: 8 }
    }
}

/// Counts since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceCounts {
    /// Spans that left the window early, because it was full.
    pub evicted: u64,
    /// Spans left out, because their id was in the window already.
    pub repeated: u64,
    /// Inbound spans without a self time, because the window does not reach back to their beginning.
    pub cut: u64,
}

impl std::iter::Sum for TraceCounts {
    fn sum<I: Iterator<Item = TraceCounts>>(counts: I) -> TraceCounts {
        counts.fold(TraceCounts::default(), |sum, one| TraceCounts {
            evicted: sum.evicted + one.evicted,
            repeated: sum.repeated + one.repeated,
            cut: sum.cut + one.cut,
        })
    }
}

/// Joins spans with their parents: one partition of traces.
#[derive(Debug)]
pub struct Traces {
    config: TraceConfig,
    defs: HashMap<u64, Arc<StreamDef>>,
    window: Window,
    /// Number of the first span whose self time and peer are not yet judged.
    unjudged: u64,
    /// The newest tick of which a span left early.
    evicted_to: i64,
    counts: TraceCounts,
    /// Empty between ticks.
    found: Found,
    scratch: Scratch,
}

/// Memory that is used again for every span.
#[derive(Debug, Default)]
struct Scratch {
    children: Vec<u64>,
    calls: Vec<(i64, i64)>,
    look_through: Vec<Node>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    spans: Vec<Node>,
    judged: u64,
    evicted_to: i64,
    /// Streams of the spans, by key: they may never come again.
    defs: Vec<Arc<StreamDef>>,
}

const VERSION: u32 = 2;

impl Traces {
    /// A window without spans.
    pub fn new(config: TraceConfig) -> Traces {
        let (window, counts) = (Window::default(), TraceCounts::default());
        Traces {
            config,
            defs: HashMap::new(),
            unjudged: window.first(),
            window,
            evicted_to: i64::MIN,
            counts,
            found: Found::default(),
            scratch: Scratch::default(),
        }
    }

    fn define(&mut self, def: &Arc<StreamDef>) {
        if matches!(def.kind, StreamKind::Spans { .. }) {
            self.defs.insert(def.key, Arc::clone(def));
        }
    }

    /// Number of spans in the window.
    pub fn spans(&self) -> usize {
        self.window.len()
    }

    /// Counts since the start.
    pub fn counts(&self) -> TraceCounts {
        self.counts
    }

    /// Takes the spans of a tick, in the order of their sources, and gives what they come to for each of so many shards that
    /// has a part in it; ticks rise from call to call.
    pub fn close<'a>(
        &mut self,
        tick: i64,
        sources: impl IntoIterator<Item = &'a TraceSpans>,
        shards: usize,
    ) -> BTreeMap<usize, Partial> {
        let mut found = std::mem::take(&mut self.found);
        for source in sources {
            source.defs.iter().for_each(|def| self.define(def));
            source.spans.iter().for_each(|span| self.take(span, &mut found));
        }
        self.judge(tick, &mut found);
        while self.window.get(self.window.first()).is_some_and(|oldest| self.is_over(oldest, tick)) {
            self.leave(&mut found);
        }
        let partials = found.partials(&self.defs, shards);
        self.found = found;
        partials
    }

    /// Saves all state.
    pub fn save(&self, name: impl Into<String>) -> Result<Section, SectionError> {
        let spans: Vec<Node> = self.window.iter().copied().collect();
        let mut streams: Vec<u64> = spans.iter().map(|span| span.stream).collect();
        streams.sort_unstable();
        streams.dedup();
        let defs = streams.iter().filter_map(|stream| self.defs.get(stream).cloned()).collect();
        let judged = self.unjudged - self.window.first();
        Section::save(name, VERSION, &Saved { spans, judged, evicted_to: self.evicted_to, defs })
    }

    /// Restores what [`Traces::save`] gave; a section of another version gives an empty window.
    pub fn load(config: TraceConfig, section: &Section) -> Result<Traces, SectionError> {
        let mut traces = Traces::new(config);
        if let Some(saved) = section.load::<Saved>(VERSION)? {
            saved.defs.iter().for_each(|def| traces.define(def));
            traces.window = saved.spans.into_iter().collect();
            traces.unjudged = traces.window.first() + saved.judged;
            traces.evicted_to = saved.evicted_to;
        }
        Ok(traces)
    }

    fn tick(&self, time_ns: i64) -> i64 {
        time_ns.div_euclid(self.config.tick_ns)
    }

    fn is_over(&self, node: &Node, tick: i64) -> bool {
        self.tick(node.end_ns) <= tick - self.config.window_ticks
    }

    fn take(&mut self, sample: &SpanSample, found: &mut Found) {
        if !self.defs.contains_key(&sample.stream) {
            return;
        }
        while self.window.len() >= (self.config.max_spans / self.config.partitions).max(1)
            && let Some(oldest) = self.leave(found)
        {
            self.counts.evicted += 1;
            self.evicted_to = self.evicted_to.max(self.tick(oldest.end_ns));
        }
        let node = Node::from(sample);
        let Some(number) = self.window.push(node) else {
            self.counts.repeated += 1;
            return;
        };
        found.see(&node);
        if let Some(parent) = self.window.parent(&node) {
            self.join(parent, number, found);
        }
        let mut children = std::mem::take(&mut self.scratch.children);
        children.extend(self.window.children(&node).map(|(child, _)| child));
        for child in children.drain(..) {
            self.join(number, child, found);
        }
        self.scratch.children = children;
    }

    /// Counts a call, when the child is of another entity than its parent.
    fn join(&mut self, parent: u64, child: u64, found: &mut Found) {
        let Traces { window, defs, .. } = self;
        let Some(called) = window.get(child).copied() else { return };
        let Some(calling) = window.get_mut(parent) else { return };
        let (Some(caller), Some(callee)) = (defs.get(&calling.stream), defs.get(&called.stream)) else {
            return;
        };
        if caller.series.entity == callee.series.entity || calling.settled {
            return;
        }
        calling.joined = true;
        let seen = if is_inbound(caller) { called } else { *calling };
        found.call(&caller.series.entity, &callee.series.entity, seen.duration_ns, seen.error);
    }

    /// Judges the spans before this tick.
    fn judge(&mut self, tick: i64, found: &mut Found) {
        while let Some(node) = self.window.get(self.unjudged).copied()
            && self.tick(node.end_ns) < tick
        {
            let number = self.unjudged;
            self.unjudged += 1;
            let Some(def) = self.defs.get(&node.stream) else { continue };
            match &def.kind {
                StreamKind::Spans { inbound: true, .. } => {
                    let start = self.tick(node.start_ns());
                    if start < tick - self.config.window_ticks || start <= self.evicted_to {
                        self.counts.cut += 1;
                    } else {
                        let Traces { window, defs, scratch, .. } = &mut *self;
                        let called_ns = called_ns(window, defs, number, scratch);
                        found.own(&defs[&node.stream].series, node.duration_ns - called_ns);
                    }
                }
                StreamKind::Spans { peer: Some(peer), .. }
                    if peer.kind != EntityKind::Queue && !node.joined =>
                {
                    found.call(&def.series.entity, peer, node.duration_ns, node.error);
                    self.window.get_mut(number).into_iter().for_each(|node| node.settled = true);
                }
                _ => {}
            }
        }
    }

    /// Takes the oldest span out of the window. If it names its peer and is not yet counted, it is now.
    fn leave(&mut self, found: &mut Found) -> Option<Node> {
        let node = self.window.pop()?;
        self.unjudged = self.unjudged.max(self.window.first());
        if let Some(def) = self.defs.get(&node.stream)
            && let StreamKind::Spans { peer: Some(peer), .. } = &def.kind
            && !(node.joined || node.settled)
        {
            found.call(&def.series.entity, peer, node.duration_ns, node.error);
        }
        Some(node)
    }
}

/// How long an inbound span, the one of this number, waits for calls, nanoseconds: at most its duration.
fn called_ns(
    window: &Window,
    defs: &HashMap<u64, Arc<StreamDef>>,
    number: u64,
    scratch: &mut Scratch,
) -> u64 {
    let Scratch { calls, look_through, .. } = scratch;
    calls.clear();
    look_through.clear();
    let Some(node) = window.get(number) else { return 0 };
    let Some(own) = defs.get(&node.stream) else { return 0 };
    look_through.push(*node);
    while let Some(at) = look_through.pop() {
        for (child_number, child) in window.children(&at) {
            let Some(def) = defs.get(&child.stream) else { continue };
            // A loop leads back to where it was entered.
            if child_number == number {
                continue;
            }
            let names_peer = matches!(def.kind, StreamKind::Spans { peer: Some(_), .. });
            let is_call = child.joined || names_peer || is_inbound(def);
            if is_call || def.series.entity != own.series.entity {
                let within = |time_ns: i64| time_ns.clamp(node.start_ns(), node.end_ns);
                calls.push((within(child.start_ns()), within(child.end_ns)));
            } else {
                look_through.push(*child);
            }
        }
    }
    union(calls)
}

fn is_inbound(def: &StreamDef) -> bool {
    matches!(def.kind, StreamKind::Spans { inbound: true, .. })
}

#[cfg(test)]
mod tests;
