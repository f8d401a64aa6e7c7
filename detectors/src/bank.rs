//! The contracts of the crate: what goes into a bank of detectors and what comes out.
//!
//! A bank holds the state of many series (or entities) and advances all of them by one frame at a time.
//! No detector lives here.

use ndarray::{Array2, ArrayView2};

use crate::columns::{Columns, LoadError};

/// One tick of one shard: one value per slot, NaN means missing.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Event time of the tick, in seconds since the Unix epoch.
    pub time: i64,
    /// One value per slot.
    pub values: &'a [f64],
}

/// Which detector spoke loudest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Speaker {
    /// Nobody: missing, cold, or nothing to say.
    #[default]
    None = 0,
    /// The value is far from what level, trend and seasons predict.
    Residual = 1,
    /// The value jumped from the one before it.
    Difference = 2,
    /// The local level moved away from its long-run course.
    Level = 3,
    /// The local spread grew or shrank.
    Dispersion = 4,
    /// The change-point detector.
    ChangePoint = 5,
    /// The isolation forest (entities).
    Forest = 6,
    /// A shape that never came, or a value that the series' own repetition did not lead to.
    Shape = 7,
    /// Values that no longer come.
    Absence = 8,
    /// Measures of an entity that part from one another (entities).
    Joint = 9,
}

impl Speaker {
    /// The speaker of a stored code; unknown codes are [`Speaker::None`].
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Residual,
            2 => Self::Difference,
            3 => Self::Level,
            4 => Self::Dispersion,
            5 => Self::ChangePoint,
            6 => Self::Forest,
            7 => Self::Shape,
            8 => Self::Absence,
            9 => Self::Joint,
            _ => Self::None,
        }
    }

    /// A word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Residual => "residual",
            Self::Difference => "difference",
            Self::Level => "level",
            Self::Dispersion => "dispersion",
            Self::ChangePoint => "change-point",
            Self::Forest => "forest",
            Self::Shape => "shape",
            Self::Absence => "absence",
            Self::Joint => "joint",
        }
    }
}

/// Per-slot outputs of one frame, reused across frames: nothing is allocated once it has its size.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// Expected value before this value was seen; NaN while nothing is known.
    pub expected: Vec<f64>,
    /// Lower edge of the expected band.
    pub lower: Vec<f64>,
    /// Upper edge of the expected band.
    pub upper: Vec<f64>,
    /// What level and seasons of the long run alone predict: where the value would be had nothing changed
    /// lately. NaN while nothing is known.
    pub usual: Vec<f64>,
    /// Robust scale of the deviations from `usual`; NaN while nothing is known.
    pub spread: Vec<f64>,
    /// Standardised residual (robust z); NaN when missing or cold.
    pub residual: Vec<f64>,
    /// −ln p, at least 0.
    pub nlp: Vec<f64>,
    /// `nlp / (nlp + 10)`: the same in [0, 1), see [`score_of`].
    pub score: Vec<f64>,
    /// Which detector spoke loudest.
    pub speaker: Vec<Speaker>,
    /// Which spoke second, where both count.
    pub second: Vec<Speaker>,
    /// The share of the loudest in what both said, (0, 1]; 1 where nobody spoke second.
    pub share: Vec<f32>,
    /// Probability that a change point happened within the last few ticks.
    pub change: Vec<f64>,
    /// Most probable onset of the current regime, seconds since the Unix epoch; NaN for none.
    pub onset: Vec<f64>,
    /// Whether the slot has seen enough to be scored.
    pub warm: Vec<bool>,
}

impl Scores {
    /// Room for `slots` slots.
    pub fn new(slots: usize) -> Self {
        let mut scores = Self::default();
        scores.resize(slots);
        scores
    }

    /// Changes the number of slots; new ones are silent. Does nothing when the size is right.
    pub fn resize(&mut self, slots: usize) {
        for column in [
            &mut self.expected,
            &mut self.lower,
            &mut self.upper,
            &mut self.usual,
            &mut self.spread,
            &mut self.residual,
            &mut self.onset,
        ] {
            column.resize(slots, f64::NAN);
        }
        for column in [&mut self.nlp, &mut self.score, &mut self.change] {
            column.resize(slots, 0.0);
        }
        self.speaker.resize(slots, Speaker::None);
        self.second.resize(slots, Speaker::None);
        self.share.resize(slots, 1.0);
        self.warm.resize(slots, false);
    }

    /// Which detectors contributed to a slot's score, with their shares, loudest first; empty where nobody spoke.
    pub fn contributions(&self, slot: usize) -> impl Iterator<Item = (Speaker, f64)> {
        let share = f64::from(self.share[slot]);
        let both = [(self.speaker[slot], share), (self.second[slot], 1.0 - share)];
        both.into_iter().filter(|(speaker, _)| *speaker != Speaker::None)
    }

    /// Makes a detector the only one that spoke of a slot.
    pub fn says_alone(&mut self, slot: usize, speaker: Speaker, nlp: f64) {
        (self.nlp[slot], self.score[slot]) = (nlp, score_of(nlp));
        (self.speaker[slot], self.second[slot], self.share[slot]) = (speaker, Speaker::None, 1.0);
    }

    /// Says of a slot what was said of a slot elsewhere.
    ///
    /// # Panics
    /// When one of them has no such slot.
    pub fn adopt(&mut self, slot: usize, from: &Scores, there: usize) {
        let Scores {
            expected,
            lower,
            upper,
            usual,
            spread,
            residual,
            nlp,
            score,
            speaker,
            second,
            share,
            change,
            onset,
            warm,
        } = from;
        for (own, other) in [
            (&mut self.expected, expected),
            (&mut self.lower, lower),
            (&mut self.upper, upper),
            (&mut self.usual, usual),
            (&mut self.spread, spread),
            (&mut self.residual, residual),
            (&mut self.nlp, nlp),
            (&mut self.score, score),
            (&mut self.change, change),
            (&mut self.onset, onset),
        ] {
            own[slot] = other[there];
        }
        self.speaker[slot] = speaker[there];
        self.second[slot] = second[there];
        self.share[slot] = share[there];
        self.warm[slot] = warm[there];
    }
}

/// The map from −ln p to a score in [0, 1): strictly monotone, 10 (p ≈ 4.5e-5) gives one half.
pub fn score_of(nlp: f64) -> f64 {
    nlp / (nlp + 10.0)
}

/// A detector for many series: one value per slot and frame.
///
/// Slots are independent of one another; equal frames give equal output to the bit, whatever the
/// instruction set and wherever the state was saved and loaded in between.
pub trait SeriesBank {
    /// Number of slots.
    fn slots(&self) -> usize;
    /// Adds cold slots up to `slots`; never shrinks.
    fn grow(&mut self, slots: usize);
    /// Makes a slot as good as new.
    fn forget(&mut self, slot: usize);
    /// Scores a frame and learns from it.
    ///
    /// # Panics
    /// When the frame does not have exactly one value per slot.
    fn advance(&mut self, frame: &Frame<'_>, out: &mut Scores);
    /// The state as columns.
    fn save(&self) -> Columns;
    /// Replaces the state (also the number of slots) by a saved one.
    ///
    /// # Errors
    /// When the columns are not of this bank; the state is then unchanged.
    fn load(&mut self, columns: &Columns) -> Result<(), LoadError>;
}

/// Per-entity outputs of one frame, reused across frames.
#[derive(Debug, Clone, Default)]
pub struct EntityScores {
    /// −ln p, at least 0.
    pub nlp: Vec<f64>,
    /// The same in [0, 1), see [`score_of`].
    pub score: Vec<f64>,
    /// Share of each feature in the score: rows × features, each row sums to 1, or to 0 when silent.
    pub attribution: Array2<f64>,
    /// Whether the row's class has seen enough to be scored and the row has values.
    pub warm: Vec<bool>,
}

impl EntityScores {
    /// Room for `rows` entities of `features` features.
    pub fn new(rows: usize, features: usize) -> Self {
        let mut scores = Self::default();
        scores.resize(rows, features);
        scores
    }

    /// Changes the shape; does nothing when it is right.
    pub fn resize(&mut self, rows: usize, features: usize) {
        self.nlp.resize(rows, 0.0);
        self.score.resize(rows, 0.0);
        self.warm.resize(rows, false);
        if self.attribution.dim() != (rows, features) {
            self.attribution = Array2::zeros((rows, features));
        }
    }
}

/// A detector for many entities of one class: a row of standardised residuals per entity.
pub trait EntityBank {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Adds cold rows up to `rows`; never shrinks.
    fn grow(&mut self, rows: usize);
    /// Makes a row as good as new. What the class has learnt stays.
    fn forget(&mut self, row: usize);
    /// Scores a matrix of rows × features (NaN means missing) and learns from it.
    ///
    /// # Panics
    /// When the matrix does not have the bank's shape.
    fn advance(&mut self, time: i64, matrix: ArrayView2<'_, f64>, out: &mut EntityScores);
    /// The state as columns.
    fn save(&self) -> Columns;
    /// Replaces the state by a saved one.
    ///
    /// # Errors
    /// When the columns are not of this bank; the state is then unchanged.
    fn load(&mut self, columns: &Columns) -> Result<(), LoadError>;
}
