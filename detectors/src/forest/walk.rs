//! Rows down the trees, a block at a time.
//!
//! The top levels hold few nodes: all of them are compared with all rows of the block, vectorised, and each row's way
//! is picked from what came of it. Below, rows part, and are walked side by side, each step a chain of two loads
//! and a comparison. Gathers of AVX2 and AVX-512 were measured a third slower than that.

use super::node::{self, Node};
use super::tree::{DEPTH, LEAVES, Tree};
use crate::dispatch::{self, Isa};

/// Rows of a block.
pub(crate) const ROWS: usize = 16;
/// Levels that are compared as a whole; four were measured a tenth slower.
const TOP: u32 = 3;
/// Most features of a row.
pub(crate) const MAX_FEATURES: usize = 256;

/// Each row's node below the top levels of one tree.
pub(crate) type Reached = [u8; ROWS];
/// Values in an order that signed comparison keeps, as vectors want it: one line per feature.
pub(crate) type Rows = [[i32; ROWS]; MAX_FEATURES];

/// A block of rows, one line per feature, and room to work in.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    isa: Isa,
    signed: Rows,
    /// The same as words.
    words: [[u64; ROWS]; MAX_FEATURES],
    reached: Vec<Reached>,
}

impl Block {
    pub(crate) fn new(trees: usize) -> Self {
        Self {
            isa: Isa::best(),
            signed: [[0; ROWS]; MAX_FEATURES],
            words: [[0; ROWS]; MAX_FEATURES],
            reached: vec![[1; ROWS]; trees],
        }
    }

    #[cfg(test)]
    pub(crate) fn with(isa: Isa, trees: usize) -> Self {
        Self { isa, ..Self::new(trees) }
    }

    /// Puts a row's value in its place.
    pub(crate) fn set(&mut self, feature: usize, row: usize, value: f32) {
        self.signed[feature][row] = signed(node::key(value));
        self.words[feature][row] = node::word(value);
    }

    /// Every row's path length, summed over the trees.
    pub(crate) fn path_lengths(&mut self, trees: &[Tree]) -> [f32; ROWS] {
        dispatch::top_levels(self.isa, trees, &self.signed, &mut self.reached);
        let mut lengths = [0.0; ROWS];
        for (tree, reached) in trees.iter().zip(&self.reached) {
            walk(tree, &self.words, *reached, &mut lengths);
        }
        lengths
    }
}

fn signed(key: u32) -> i32 {
    (key ^ 0x8000_0000) as i32
}

/// Each row's node below the top levels of every tree.
#[inline(always)]
pub(crate) fn top_levels(trees: &[Tree], rows: &Rows, reached: &mut [Reached]) {
    for (tree, reached) in trees.iter().zip(reached) {
        let mut ways = [[0_u8; ROWS]; 1 << TOP];
        for index in (1..1_usize << TOP).rev() {
            let node = tree.nodes[index];
            let (cut, values) = (signed(node.key()), &rows[usize::from(node.feature())]);
            let (left, right) = if 2 * index < 1 << TOP {
                (ways[2 * index], ways[2 * index + 1])
            } else {
                ([2 * index as u8; ROWS], [2 * index as u8 + 1; ROWS])
            };
            for lane in 0..ROWS {
                ways[index][lane] = if values[lane] > cut { right[lane] } else { left[lane] };
            }
        }
        *reached = ways[1];
    }
}

/// The rest of the way through one tree.
fn walk(tree: &Tree, rows: &[[u64; ROWS]; MAX_FEATURES], mut at: Reached, lengths: &mut [f32; ROWS]) {
    let right = |at: u8, lane: usize| {
        let node: Node = tree.nodes[usize::from(at)];
        node.below(rows[usize::from(node.feature())][lane])
    };
    for _ in TOP + 1..DEPTH {
        for (lane, at) in at.iter_mut().enumerate() {
            *at = 2 * *at + u8::from(right(*at, lane));
        }
    }
    for lane in 0..ROWS {
        let leaf = 2 * usize::from(at[lane]) + usize::from(right(at[lane], lane));
        lengths[lane] += tree.leaf[leaf & (LEAVES - 1)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::hash::Sequence;

    /// The walk as the paper has it, one row and one node at a time.
    fn plain(tree: &Tree, row: &[f32]) -> f32 {
        let mut at = 1;
        while at < LEAVES {
            let node = tree.nodes[at];
            at = 2 * at + usize::from(row[usize::from(node.feature())] > node.cut());
        }
        tree.leaf[at - LEAVES]
    }

    #[test]
    fn every_instruction_set_walks_as_the_plain_walk_does() {
        let features = 11;
        let mut random = Sequence::new(3, 0, 0);
        let pool: Vec<f32> = (0..512 * features).map(|_| (random.unit() * 9.0) as f32 - 4.0).collect();
        let trees: Vec<Tree> = (0..40)
            .map(|tree| {
                let mut picked: Vec<u32> = (0..256).map(|k| 2 * k + tree % 2).collect();
                Tree::grow(&pool, features, &mut picked, Sequence::new(3, 1, u64::from(tree)))
            })
            .collect();
        let rows: Vec<Vec<f32>> = (0..ROWS).map(|row| pool[row * features..][..features].to_vec()).collect();
        let wanted: Vec<f32> =
            rows.iter().map(|row| trees.iter().fold(0.0, |sum, tree| sum + plain(tree, row))).collect();
        for isa in Isa::available() {
            let mut block = Block::with(isa, trees.len());
            for (lane, row) in rows.iter().enumerate() {
                row.iter().enumerate().for_each(|(feature, value)| block.set(feature, lane, *value));
            }
            assert_eq!(block.path_lengths(&trees).to_vec(), wanted, "{isa:?}");
        }
    }
}
