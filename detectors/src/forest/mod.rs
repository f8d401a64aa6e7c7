//! The streaming isolation forest: one per entity class, over rows of standardised residuals.
//!
//! | file | what |
//! |---|---|
//! | `hash.rs` | deterministic numbers from a seed |
//! | `node.rs` | a node in one word |
//! | `tree.rs` | one tree: growing, attribution |
//! | `walk.rs` | blocks of rows down the trees |
//! | `tail.rs` | path lengths to −ln p, on the class's own past |
//! | `state.rs` | save and load |
//!
//! Rows are kept in a pool by reservoir sampling with a bounded memory; every few accepted rows one tree,
//! in turn, is grown anew. A tick is scored before it is learnt.

mod hash;
mod node;
mod state;
mod tail;
mod tree;
mod walk;

use ndarray::ArrayView2;

use walk::{Block, MAX_FEATURES, ROWS};

use crate::bank::{EntityBank, EntityScores, score_of};
use crate::columns::{Columns, LoadError};
use crate::kernels::math::exp;
use hash::Sequence;

pub(crate) use tail::Tail;
pub(crate) use tree::Tree;
pub(crate) use walk::{Reached, Rows, top_levels};

/// Features are held within this magnitude.
const LIMIT: f64 = 1e9;
/// Rows at least this abnormal (−ln p) get an attribution.
const SPOKEN: f64 = 3.0;
/// Gain of a row's own usual score.
const USUAL_GAIN: f64 = 0.01;
const GROW: u64 = 1;
const POOL: u64 = 2;

/// Settings of a forest.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestConfig {
    /// Number of trees.
    pub trees: usize,
    /// Rows that each tree is grown from, at most 256.
    pub sample: usize,
    /// Rows kept to grow trees from.
    pub pool: usize,
    /// Rows after which the pool has forgotten the past, roughly.
    pub memory: u64,
    /// Rows accepted into the pool per tree grown anew.
    pub refresh: u64,
    /// Seed of every choice the forest makes.
    pub seed: u64,
}

impl Default for ForestConfig {
    fn default() -> Self {
        Self { trees: 100, sample: 256, pool: 1024, memory: 65_536, refresh: 16, seed: 0x0F0E_5170_C45E_ED01 }
    }
}

/// A streaming isolation forest over the rows of one entity class.
#[derive(Debug, Clone)]
pub struct ForestBank {
    config: ForestConfig,
    features: usize,
    /// Rows × features of past rows.
    pool: Vec<f32>,
    trees: Vec<Tree>,
    /// Rows seen, rows accepted, trees grown.
    seen: u64,
    accepted: u64,
    grown: u64,
    tail: Tail,
    /// Each row's own usual score; NaN until it has one.
    usual: Vec<f64>,
    /// Scratch: one row, its features' shares, one block.
    row: Vec<f32>,
    shares: Vec<f64>,
    block: Box<Block>,
}

impl ForestBank {
    /// A cold forest for `rows` entities of `features` features each.
    ///
    /// # Panics
    /// When `features` is 0 or above 256, or the configuration has no tree or a sample outside 2..=256.
    pub fn new(config: ForestConfig, features: usize, rows: usize) -> Self {
        assert!((1..=MAX_FEATURES).contains(&features), "1 to 256 features, not {features}");
        assert!(config.trees > 0 && (2..=256).contains(&config.sample) && config.pool >= config.sample);
        Self {
            features,
            pool: Vec::with_capacity(config.pool * features),
            trees: Vec::with_capacity(config.trees),
            seen: 0,
            accepted: 0,
            grown: 0,
            tail: Tail::default(),
            usual: vec![f64::NAN; rows],
            row: vec![0.0; features],
            shares: vec![0.0; features],
            block: Box::new(Block::new(config.trees)),
            config,
        }
    }

    /// The anomaly score of Liu et al. (two to the minus mean path length over c, 0..1) of every row, without learning; 0 while cold.
    pub fn raw_scores(&mut self, matrix: ArrayView2<'_, f64>, out: &mut Vec<f64>) {
        assert_eq!(matrix.ncols(), self.features, "one column per feature");
        out.clear();
        out.resize(matrix.nrows(), 0.0);
        if self.trees.is_empty() {
            return;
        }
        let whole = tree::still_needed(self.config.sample) * self.trees.len() as f64;
        for start in (0..matrix.nrows()).step_by(ROWS) {
            let len = ROWS.min(matrix.nrows() - start);
            for lane in 0..len {
                for (feature, value) in matrix.row(start + lane).iter().enumerate() {
                    self.block.set(feature, lane, tame(*value));
                }
            }
            let lengths = self.block.path_lengths(&self.trees);
            for (score, length) in out[start..start + len].iter_mut().zip(lengths) {
                *score = exp(-std::f64::consts::LN_2 * f64::from(length) / whole);
            }
        }
    }

    /// Learns from one row.
    fn learn(&mut self) {
        self.seen += 1;
        let mut random = Sequence::new(self.config.seed, POOL, self.seen);
        let full = self.pool.len() >= self.config.pool * self.features;
        if full {
            let horizon = self.seen.min(self.config.memory.max(self.config.pool as u64));
            if random.unit() * horizon as f64 >= self.config.pool as f64 {
                return;
            }
            let at = random.below(self.config.pool) * self.features;
            self.pool[at..at + self.features].copy_from_slice(&self.row);
        } else {
            self.pool.extend_from_slice(&self.row);
        }
        self.accepted += 1;
        if self.trees.is_empty() {
            if self.accepted >= self.config.sample as u64 {
                self.trees = (0..self.config.trees).map(|_| self.next_tree()).collect();
            }
        } else if self.accepted.is_multiple_of(self.config.refresh.max(1)) {
            let turn = (self.grown % self.config.trees as u64) as usize;
            self.trees[turn] = self.next_tree();
        }
    }

    fn next_tree(&mut self) -> Tree {
        let mut random = Sequence::new(self.config.seed, GROW, self.grown);
        self.grown += 1;
        let held = self.pool.len() / self.features;
        let mut picked: Vec<u32> = (0..held as u32).collect();
        for at in 0..self.config.sample {
            let other = at + random.below(held - at);
            picked.swap(at, other);
        }
        Tree::grow(&self.pool, self.features, &mut picked[..self.config.sample], random)
    }

    /// −ln p of a row's raw score, and whether that means anything yet; the row's usual score learns.
    fn judge(&mut self, row: usize, score: f64, tail: &Tail) -> (f64, bool) {
        let usual = if self.usual[row].is_nan() { tail.centre() } else { self.usual[row] };
        let excess = score - usual.max(tail.centre());
        self.usual[row] = usual + USUAL_GAIN * (score - usual);
        self.tail.learn(score, excess);
        if tail.warm() { (tail.nlp(excess), true) } else { (0.0, false) }
    }

    /// Shares of the features in the score of the row at hand.
    fn attribute(&mut self) {
        self.shares.fill(0.0);
        for tree in &self.trees {
            tree.attribute(&self.row, &mut self.shares);
        }
        let total: f64 = self.shares.iter().sum();
        if total > 0.0 {
            self.shares.iter_mut().for_each(|share| *share /= total);
        }
    }
}

impl EntityBank for ForestBank {
    fn rows(&self) -> usize {
        self.usual.len()
    }

    fn grow(&mut self, rows: usize) {
        self.usual.resize(rows.max(self.usual.len()), f64::NAN);
    }

    fn forget(&mut self, row: usize) {
        self.usual[row] = f64::NAN;
    }

    fn advance(&mut self, _time: i64, matrix: ArrayView2<'_, f64>, out: &mut EntityScores) {
        assert_eq!(matrix.dim(), (self.usual.len(), self.features), "rows x features of this bank");
        out.resize(self.usual.len(), self.features);
        // Trees that are grown during this tick have scored none of its rows.
        let ready = !self.trees.is_empty();
        let mut scores = std::mem::take(&mut out.score);
        self.raw_scores(matrix, &mut scores);
        let tail = self.tail.clone();
        out.attribution.fill(0.0);
        for (row, score) in scores.iter_mut().enumerate() {
            let values = matrix.row(row);
            (out.nlp[row], out.warm[row]) = (0.0, false);
            if values.iter().any(|value| !value.is_nan()) {
                self.row.iter_mut().zip(values).for_each(|(kept, value)| *kept = tame(*value));
                if ready {
                    (out.nlp[row], out.warm[row]) = self.judge(row, *score, &tail);
                }
                if out.nlp[row] >= SPOKEN {
                    self.attribute();
                    out.attribution
                        .row_mut(row)
                        .iter_mut()
                        .zip(&self.shares)
                        .for_each(|(to, share)| *to = *share);
                }
                self.learn();
            }
            *score = score_of(out.nlp[row]);
        }
        out.score = scores;
    }

    fn save(&self) -> Columns {
        state::save(self)
    }

    fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        state::load(self, columns)
    }
}

/// A residual as the trees see it: missing is neutral, infinite is large.
fn tame(value: f64) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(-LIMIT, LIMIT) as f32 }
}
