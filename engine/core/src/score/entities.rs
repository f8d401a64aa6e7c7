//! Rows per entity: one forest per entity class over their residuals, and the joint detector over their values.
//!
//! A class is the kind of the entity. A measure is a feature of its class; the first [`FEATURES`] measures
//! that are admitted have one, later ones are left to the core tier. The joint detector is of the deep tier: the first rows of
//! a class have it, as many as the configuration says. The row of an entity that has no series left is the next one's.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use foreshock_detectors::{
    Columns, EntityBank, EntityScores, ForestBank, ForestConfig, JointBank, JointConfig, LoadError, Scores,
    Speaker,
};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{ScoreConfig, columns};
use crate::types::{Entity, EntityKind, SeriesDef, measure_role::is_of_calls};

/// Features of a class.
pub(super) const FEATURES: usize = 32;

/// A residual beyond this says no more: the forest's cuts would all go to one wild value.
const RESIDUAL_LIMIT: f64 = 12.0;

#[derive(Debug)]
pub(super) struct Entities {
    config: ForestConfig,
    /// Most rows of a class that are modelled jointly.
    joint_rows: usize,
    classes: BTreeMap<EntityKind, Class>,
    /// Class, row and feature of each slot that has one.
    places: BTreeMap<u32, (EntityKind, usize, usize)>,
}

#[derive(Debug)]
struct Class {
    forest: ForestBank,
    scores: EntityScores,
    /// Residuals, rows × features.
    residuals: Array2<f64>,
    joint: JointBank,
    joint_scores: EntityScores,
    /// Values of the rows that are modelled jointly.
    values: Array2<f64>,
    joint_rows: usize,
    names: Names,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Names {
    /// Measures (attributes included) in the order of their admission.
    features: Vec<String>,
    /// Entities, by row.
    rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    entity: Arc<Entity>,
    name: String,
    /// Slot behind each feature.
    slots: Vec<Option<u32>>,
    /// Strongest −ln p of its series in the latest frame.
    strongest: f64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Saved<'a> {
    classes: Vec<SavedClass<'a>>,
    places: Cow<'a, BTreeMap<u32, (EntityKind, usize, usize)>>,
}

#[derive(Serialize, Deserialize)]
struct SavedClass<'a> {
    kind: EntityKind,
    #[serde(with = "columns")]
    forest: Columns,
    #[serde(with = "columns")]
    joint: Columns,
    names: Cow<'a, Names>,
}

/// An entity's combined score.
pub(super) struct Judged<'a> {
    pub(super) entity: &'a Entity,
    pub(super) name: &'a str,
    pub(super) neg_log_p: f64,
    /// Who says most of it: the forest or the joint detector, or a series by itself.
    pub(super) speaker: Speaker,
    slots: &'a [Option<u32>],
    class: &'a Class,
    row: usize,
}

/// The forest judges what the models of the series left over, so these have to be learnt first: this many times
/// as long as a single series.
const LEARNS_AFTER: u32 = 6;

impl Judged<'_> {
    /// Shares of its measures, largest first.
    pub(super) fn attribution(&self) -> Vec<(String, f64)> {
        self.class.attribution(self.row, self.speaker)
    }

    /// What the forest or, where it says more, a single series contributes to [`together`], and what the joint detector does: largest
    /// first; empty where one speaks alone.
    pub(super) fn contributions(&self) -> Vec<(String, f64)> {
        let (forest, joint) = self.class.says(self.row);
        let strongest = self.class.names.rows[self.row].strongest;
        let one = forest.max(strongest);
        if one <= 0.0 || joint <= 0.0 {
            return Vec::new();
        }
        let name = if forest >= strongest { Speaker::Forest.as_str() } else { "series" };
        let share = one / (one + joint);
        let mut both = vec![(name.to_string(), share), (Speaker::Joint.as_str().to_string(), 1.0 - share)];
        both.sort_by(|a, b| b.1.total_cmp(&a.1));
        both
    }

    /// Whether its series have been seen for long enough.
    pub(super) fn is_known(&self, ages: &[u32], config: &ScoreConfig) -> bool {
        let age = self.slots.iter().flatten().map(|slot| ages[*slot as usize]).max();
        age.is_some_and(|age| age >= LEARNS_AFTER * config.learn_ticks)
    }
}

impl Entities {
    pub(super) fn new(config: ForestConfig, joint_rows: usize) -> Entities {
        Entities { config, joint_rows, classes: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Gives the series in this slot a place in its entity's row.
    pub(super) fn admit(&mut self, slot: u32, series: &SeriesDef) {
        // Whom an entity calls is its own: no feature of a class.
        if is_of_calls(&series.measure) {
            return;
        }
        let (config, joint_rows) = (&self.config, self.joint_rows);
        let class = self.classes.entry(series.entity.kind).or_insert_with(|| Class::new(config, joint_rows));
        let measure = series.name.split_once(' ').map_or(series.name.as_str(), |(_, measure)| measure);
        let Some(feature) = class.names.feature(measure) else { return };
        let row = class.row(&series.entity);
        class.names.rows[row].slots[feature] = Some(slot);
        self.places.insert(slot, (series.entity.kind, row, feature));
    }

    pub(super) fn forget(&mut self, slot: u32) {
        if let Some((kind, row, feature)) = self.places.remove(&slot)
            && let Some(class) = self.classes.get_mut(&kind)
        {
            class.names.rows[row].slots[feature] = None;
        }
    }

    pub(super) fn advance(&mut self, seconds: i64, values: &[f64], scores: &Scores) {
        for class in self.classes.values_mut() {
            class.advance(seconds, values, scores);
        }
    }

    /// The entities that have more than one series, by class and row.
    pub(super) fn judged(&self) -> impl Iterator<Item = Judged<'_>> {
        self.classes.values().flat_map(Class::judged)
    }

    pub(super) fn save(&self) -> Saved<'_> {
        let classes = self
            .classes
            .iter()
            .map(|(kind, class)| SavedClass {
                kind: *kind,
                forest: class.forest.save(),
                joint: class.joint.save(),
                names: Cow::Borrowed(&class.names),
            })
            .collect();
        Saved { classes, places: Cow::Borrowed(&self.places) }
    }

    pub(super) fn load(&mut self, saved: Saved<'_>) -> Result<(), LoadError> {
        for saved in saved.classes {
            let mut class = Class::new(&self.config, self.joint_rows);
            class.forest.load(&saved.forest)?;
            class.joint.load(&saved.joint)?;
            class.names = saved.names.into_owned();
            self.classes.insert(saved.kind, class);
        }
        self.places = saved.places.into_owned();
        Ok(())
    }
}

impl Names {
    fn feature(&mut self, measure: &str) -> Option<usize> {
        if let Some(index) = self.features.iter().position(|known| known == measure) {
            return Some(index);
        }
        (self.features.len() < FEATURES).then(|| {
            self.features.push(measure.to_string());
            self.features.len() - 1
        })
    }
}

impl Class {
    fn new(config: &ForestConfig, joint_rows: usize) -> Class {
        Class {
            forest: ForestBank::new(config.clone(), FEATURES, 0),
            scores: EntityScores::new(0, FEATURES),
            residuals: Array2::zeros((0, FEATURES)),
            joint: JointBank::new(JointConfig::default(), FEATURES, 0),
            joint_scores: EntityScores::new(0, FEATURES),
            values: Array2::zeros((0, FEATURES)),
            joint_rows,
            names: Names::default(),
        }
    }

    /// The entity's row; one that is new takes over a row without series.
    fn row(&mut self, entity: &Arc<Entity>) -> usize {
        let rows = &mut self.names.rows;
        if let Some(index) = rows.iter().position(|row| row.entity == *entity) {
            return index;
        }
        let new = Row {
            entity: entity.clone(),
            name: entity.to_string(),
            slots: vec![None; FEATURES],
            strongest: 0.0,
        };
        match rows.iter().position(|row| row.slots.iter().all(Option::is_none)) {
            Some(index) => {
                rows[index] = new;
                if index < self.forest.rows() {
                    self.forest.forget(index);
                }
                if index < self.joint.rows() {
                    self.joint.forget(index);
                }
                index
            }
            None => {
                rows.push(new);
                rows.len() - 1
            }
        }
    }

    fn grow(&mut self) {
        let rows = self.names.rows.len();
        if self.residuals.nrows() != rows {
            let jointly = rows.min(self.joint_rows);
            self.residuals = Array2::from_elem((rows, FEATURES), f64::NAN);
            self.values = Array2::from_elem((jointly, FEATURES), f64::NAN);
            self.forest.grow(rows);
            self.joint.grow(jointly);
            self.scores.resize(rows, FEATURES);
            self.joint_scores.resize(jointly, FEATURES);
        }
    }

    fn advance(&mut self, seconds: i64, values: &[f64], scores: &Scores) {
        self.grow();
        let jointly = self.values.nrows();
        for (index, (row, mut residuals)) in
            self.names.rows.iter_mut().zip(self.residuals.rows_mut()).enumerate()
        {
            row.strongest = 0.0;
            for (feature, slot) in row.slots.iter().enumerate() {
                let seen = slot.map(|slot| slot as usize).filter(|&slot| values[slot].is_finite());
                if let Some(slot) = seen {
                    row.strongest = row.strongest.max(scores.nlp[slot]);
                }
                residuals[feature] = seen
                    .map_or(f64::NAN, |slot| scores.residual[slot].clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT));
                if index < jointly {
                    self.values[[index, feature]] = seen.map_or(f64::NAN, |slot| values[slot]);
                }
            }
        }
        self.forest.advance(seconds, self.residuals.view(), &mut self.scores);
        self.joint.advance(seconds, self.values.view(), &mut self.joint_scores);
    }

    fn judged(&self) -> impl Iterator<Item = Judged<'_>> {
        let rows = self.names.rows.iter().take(self.scores.nlp.len()).enumerate();
        rows.filter(|(_, row)| row.slots.iter().flatten().count() > 1).map(|(index, row)| {
            let (forest, joint) = self.says(index);
            let speaker = if joint > forest { Speaker::Joint } else { Speaker::Forest };
            Judged {
                entity: &row.entity,
                name: &row.name,
                slots: &row.slots,
                neg_log_p: together(forest.max(row.strongest), joint),
                speaker,
                class: self,
                row: index,
            }
        })
    }

    /// −ln p of the forest and of the joint detector.
    fn says(&self, index: usize) -> (f64, f64) {
        let forest = if self.scores.warm[index] { self.scores.nlp[index] } else { 0.0 };
        (forest, self.joint_scores.nlp.get(index).copied().unwrap_or(0.0))
    }

    fn attribution(&self, index: usize, speaker: Speaker) -> Vec<(String, f64)> {
        let scores = if speaker == Speaker::Joint { &self.joint_scores } else { &self.scores };
        let shares = scores.attribution.row(index);
        let named = self.names.features.iter().zip(shares.iter());
        let mut named: Vec<(String, f64)> =
            named.filter(|(_, share)| **share > 0.05).map(|(name, share)| (name.clone(), *share)).collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        named
    }
}

/// −ln p of two pieces of evidence together (Fisher 1925): the strongest that a single series or the forest says, which speak of
/// what is new, and what the joint detector says, which goes on for as long as measures are apart. The strongest is
/// not corrected for the number of series: the core tier's calibration already spends its range on what is news.
fn together(one: f64, other: f64) -> f64 {
    let sum = one + other;
    sum - sum.ln_1p()
}
