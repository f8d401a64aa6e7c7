//! The spans of recent ticks, oldest first, found by their own id and by their parent's.

use std::collections::VecDeque;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::types::SpanSample;

/// A span in the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) trace: [u8; 16],
    span: u64,
    parent: u64,
    /// Key of its stream.
    pub(super) stream: u64,
    pub(super) end_ns: i64,
    pub(super) duration_ns: u64,
    pub(super) error: bool,
    /// A child of another entity was seen, and counted as called by this span.
    pub(super) joined: bool,
    /// Counted as a call of the peer that it names: children that come later are not counted again.
    pub(super) settled: bool,
    /// The child of the same parent that came before this one; below the window's first: none.
    #[serde(skip)]
    sibling: u64,
}

/// First 8 bytes of the trace's id and the span's id. A false join needs both to be equal: span ids alone are random
/// 64-bit numbers, so that it does not hurt where a trace's first bytes are a time or zero.
type Key = (u64, u64);

/// A queue of spans. A span's number says how many came before it; numbers are not saved.
#[derive(Debug)]
pub(super) struct Window {
    spans: VecDeque<Node>,
    first: u64,
    by_id: HashMap<Key, u64>,
    /// The latest child by its parent's id, whether the parent is here or not.
    latest_child: HashMap<Key, u64>,
}

impl Node {
    /// Where a span of its trace is found.
    fn key(&self, span: u64) -> Key {
        let first = self.trace.first_chunk().expect("16 bytes are 8 and more");
        (u64::from_be_bytes(*first), span)
    }

    pub(super) fn start_ns(&self) -> i64 {
        self.end_ns.saturating_sub_unsigned(self.duration_ns)
    }
}

impl From<&SpanSample> for Node {
    fn from(sample: &SpanSample) -> Node {
        Node {
            trace: sample.trace,
            span: sample.span,
            parent: sample.parent,
            stream: sample.stream,
            end_ns: sample.time_ns,
            duration_ns: sample.duration_ns,
            error: sample.error,
            joined: false,
            settled: false,
            sibling: 0,
        }
    }
}

impl Default for Window {
    fn default() -> Window {
        Window { spans: VecDeque::new(), first: 1, by_id: HashMap::new(), latest_child: HashMap::new() }
    }
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Number of the oldest span.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.spans.iter()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Node> {
        self.spans.get(self.place(number)?)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Node> {
        let place = self.place(number)?;
        self.spans.get_mut(place)
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// Adds a span and gives its number; `None` when its id is already here. An id of zero is none.
    pub(super) fn push(&mut self, mut node: Node) -> Option<u64> {
        let number = self.first + self.spans.len() as u64;
        if node.span != 0 && self.by_id.try_insert(node.key(node.span), number).is_err() {
            return None;
        }
        if node.parent != 0 {
            node.sibling = self.latest_child.insert(node.key(node.parent), number).unwrap_or(0);
        }
        self.spans.push_back(node);
        Some(number)
    }

    /// Takes the oldest span out.
    pub(super) fn pop(&mut self) -> Option<Node> {
        let node = self.spans.pop_front()?;
        let number = self.first;
        self.first += 1;
        if node.span != 0 {
            self.by_id.remove(&node.key(node.span));
        }
        // Its siblings came later: it is the last of them when it is the latest.
        let siblings = node.key(node.parent);
        if node.parent != 0 && self.latest_child.get(&siblings) == Some(&number) {
            self.latest_child.remove(&siblings);
        }
        Some(node)
    }

    /// The parent of a span, where it is here.
    pub(super) fn parent(&self, node: &Node) -> Option<u64> {
        let known = || self.by_id.get(&node.key(node.parent)).copied();
        if node.parent == 0 { None } else { known() }
    }

    /// The children of a span that are here, latest first.
    pub(super) fn children(&self, node: &Node) -> impl Iterator<Item = (u64, &Node)> {
        let latest = self.latest_child.get(&node.key(node.span)).copied();
        let mut next = latest.filter(|_| node.span != 0).unwrap_or(0);
        std::iter::from_fn(move || {
            let (number, child) = (next, self.get(next)?);
            next = child.sibling;
            Some((number, child))
        })
    }
}

impl FromIterator<Node> for Window {
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Window {
        let mut window = Window::default();
        nodes.into_iter().for_each(|node| {
            window.push(node);
        });
        window
    }
}

/// Lengths of the union of intervals, in their unit. Sorts them.
pub(super) fn union(intervals: &mut [(i64, i64)]) -> u64 {
    intervals.sort_unstable();
    let (mut covered, mut to) = (0, i64::MIN);
    for &(start, end) in &*intervals {
        covered += end.abs_diff(start.max(to).min(end));
        to = to.max(end);
    }
    covered
}
