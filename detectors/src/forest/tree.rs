//! One isolation tree: grown recursively, laid out for a walk without branches.
//!
//! Liu, Ting & Zhou 2008, "Isolation Forest": a random feature and a random cut per node, depth limited to
//! log2 of the sample. The tree is a perfect binary heap of [`DEPTH`] levels; where a branch ends early its
//! leaf is repeated below, so that every row takes exactly [`DEPTH`] steps.

use super::hash::Sequence;
use super::node::Node;
use crate::kernels::math::ln;

/// Levels of a tree: log2 of the largest sample.
pub(crate) const DEPTH: u32 = 8;
/// Leaves of a tree, and room for its nodes (node 0 is not used).
pub(crate) const LEAVES: usize = 1 << DEPTH;

/// Cuts fall up to this share of the range beyond it, so that a row unlike any of the sample is isolated
/// early; the paper's cuts stay inside, where such a row looks like the nearest extreme.
const MARGIN: f64 = 0.2;

const EULER: f64 = 0.577_215_664_901_532_9;

/// One tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub nodes: [Node; LEAVES],
    /// Path length of each leaf: its depth and what its rows would still need.
    pub leaf: [f32; LEAVES],
    /// Rows of the sample in each node, and in each leaf from [`LEAVES`] on.
    pub count: [u16; 2 * LEAVES],
}

impl Tree {
    /// A tree over nothing: everything is found at depth 0.
    pub(crate) fn empty() -> Self {
        Self { nodes: [Node::end(); LEAVES], leaf: [0.0; LEAVES], count: [0; 2 * LEAVES] }
    }

    /// Grows a tree over the picked rows of a pool of rows × features.
    pub(crate) fn grow(pool: &[f32], features: usize, picked: &mut [u32], random: Sequence) -> Self {
        let limit = picked.len().next_power_of_two().trailing_zeros().min(DEPTH);
        let mut growth = Growth { tree: Self::empty(), pool, features, limit, random };
        growth.branch(1, 0, picked);
        growth.tree
    }

    /// Ends a branch: one path length for every leaf below the node.
    fn end(&mut self, node: usize, depth: u32, rows: usize) {
        let length = (f64::from(depth) + still_needed(rows)) as f32;
        let below = DEPTH - depth;
        let first = (node << below) - LEAVES;
        for leaf in first..first + (1 << below) {
            self.leaf[leaf] = length;
            self.count[LEAVES + leaf] = rows as u16;
        }
    }

    /// Shares out why a row is isolated: each cut's surprise beyond a halving, in `shares` by feature.
    pub(crate) fn attribute(&self, row: &[f32], shares: &mut [f64]) {
        let mut node = 1;
        while node < LEAVES && !self.nodes[node].ended() {
            let feature = usize::from(self.nodes[node].feature());
            let next = 2 * node + usize::from(row[feature] > self.nodes[node].cut());
            let child = f64::from(self.count[next].max(1));
            shares[feature] += (ln(f64::from(self.count[node]) / child) - std::f64::consts::LN_2).max(0.0);
            node = next;
        }
    }
}

/// A tree while it grows.
struct Growth<'a> {
    tree: Tree,
    pool: &'a [f32],
    features: usize,
    limit: u32,
    random: Sequence,
}

impl Growth<'_> {
    fn branch(&mut self, node: usize, depth: u32, rows: &mut [u32]) {
        self.tree.count[node] = rows.len() as u16;
        let open = depth < self.limit && rows.len() > 1;
        let cut = if open { cut(self.pool, self.features, rows, &mut self.random) } else { None };
        let Some((feature, threshold)) = cut else {
            self.tree.end(node, depth, rows.len());
            return;
        };
        self.tree.nodes[node] = Node::new(feature as u8, threshold);
        let mut left = 0;
        for at in 0..rows.len() {
            if self.pool[rows[at] as usize * self.features + feature] <= threshold {
                rows.swap(at, left);
                left += 1;
            }
        }
        let (low, high) = rows.split_at_mut(left);
        self.branch(2 * node, depth + 1, low);
        self.branch(2 * node + 1, depth + 1, high);
    }
}

/// A random feature that varies over the rows, and a random cut between its extremes.
fn cut(pool: &[f32], features: usize, rows: &[u32], random: &mut Sequence) -> Option<(usize, f32)> {
    let first = random.below(features);
    (0..features).map(|k| (first + k) % features).find_map(|feature| {
        let values = rows.iter().map(|row| pool[*row as usize * features + feature]);
        let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
        let margin = MARGIN * (f64::from(high) - f64::from(low));
        let (from, to) = (f64::from(low) - margin, f64::from(high) + margin);
        let threshold = (from + random.unit() * (to - from)) as f32;
        (low < high).then_some((feature, threshold))
    })
}

/// c(n) of the paper, equation 1: the mean depth of an unsuccessful search in a tree of `n` values.
pub(crate) fn still_needed(n: usize) -> f64 {
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = n as f64;
            2.0 * (ln(n - 1.0) + EULER) - 2.0 * (n - 1.0) / n
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::walk::Block;

    #[test]
    fn the_mean_search_depth_is_the_papers() {
        // Liu, Ting & Zhou use c(256) ≈ 10.24 for their default sample.
        assert!((still_needed(256) - 10.244_770_92).abs() < 1e-6, "{}", still_needed(256));
        assert_eq!(still_needed(2), 1.0);
    }

    #[test]
    fn a_far_point_is_isolated_early() {
        let mut pool: Vec<f32> = (0..255).map(|k| (k % 16) as f32).collect();
        pool.push(1000.0);
        let mut near = 0.0;
        let mut far = 0.0;
        for index in 0..50 {
            let mut picked: Vec<u32> = (0..256).collect();
            let tree = Tree::grow(&pool, 1, &mut picked, Sequence::new(7, 1, index));
            let mut block = Block::new(1);
            block.set(0, 0, 1000.0);
            block.set(0, 1, 8.0);
            let lengths = block.path_lengths(&[tree]);
            far += lengths[0];
            near += lengths[1];
        }
        assert!(far / 50.0 < 1.5, "the outlier needs {} steps", far / 50.0);
        assert!(near / 50.0 > 6.0, "an inlier needs only {} steps", near / 50.0);
    }

    #[test]
    fn counts_add_up_and_constant_rows_make_a_leaf() {
        let pool = vec![3.0_f32; 64];
        let mut picked: Vec<u32> = (0..64).collect();
        let tree = Tree::grow(&pool, 1, &mut picked, Sequence::new(1, 2, 3));
        assert!(tree.nodes[1].ended());
        assert_eq!(tree.leaf[17], still_needed(64) as f32);
        assert_eq!(tree.count[LEAVES + 200], 64);
    }
}
