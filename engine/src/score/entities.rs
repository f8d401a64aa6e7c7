//! Rows of residuals per entity, and one forest per entity class over them.
//!
//! A class is the kind of the entity. A measure is a feature of its class; the first [`FEATURES`] measures
//! that are admitted have one, later ones are left to the core tier.

use std::{collections::BTreeMap, sync::Arc};

use foreshock_detectors::{EntityBank, EntityScores, ForestBank, ForestConfig, LoadError, Scores};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{ScoreConfig, columns::SavedColumns};
use crate::types::{Entity, EntityKind, SeriesDef, anomaly::EDGE};

/// Features of a class.
pub(super) const FEATURES: usize = 32;

/// A residual beyond this says no more: the forest's cuts would all go to one wild value.
const RESIDUAL_LIMIT: f64 = 12.0;

#[derive(Debug)]
pub(super) struct Entities {
    config: ForestConfig,
    classes: BTreeMap<EntityKind, Class>,
    /// Class, row and feature of each slot that has one.
    places: BTreeMap<u32, (EntityKind, usize, usize)>,
}

#[derive(Debug)]
struct Class {
    forest: ForestBank,
    scores: EntityScores,
    matrix: Array2<f64>,
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
pub(super) struct Saved {
    classes: Vec<(EntityKind, SavedColumns, Names)>,
    places: BTreeMap<u32, (EntityKind, usize, usize)>,
}

/// An entity's combined score.
pub(super) struct Judged<'a> {
    pub(super) entity: &'a Entity,
    pub(super) name: &'a str,
    pub(super) neg_log_p: f64,
    slots: &'a [Option<u32>],
    /// Shares of its measures, largest first.
    pub(super) attribution: Vec<(String, f64)>,
}

/// The forest judges what the models of the series left over, so these have to be learnt first: this many times
/// as long as a single series.
const LEARNS_AFTER: u32 = 6;

impl Judged<'_> {
    /// Whether its series have been seen for long enough.
    pub(super) fn is_known(&self, ages: &[u32], config: &ScoreConfig) -> bool {
        let age = self.slots.iter().flatten().map(|slot| ages[*slot as usize]).max();
        age.is_some_and(|age| age >= LEARNS_AFTER * config.learn_ticks)
    }
}

impl Entities {
    pub(super) fn new(config: ForestConfig) -> Entities {
        Entities { config, classes: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Gives the series in this slot a place in its entity's row.
    pub(super) fn admit(&mut self, slot: u32, series: &SeriesDef) {
        // Whom an entity calls is its own: no feature of a class.
        if series.measure.starts_with(EDGE) {
            return;
        }
        let config = &self.config;
        let class = self.classes.entry(series.entity.kind).or_insert_with(|| Class::new(config));
        let measure = series.name.split_once(' ').map_or(series.name.as_str(), |(_, measure)| measure);
        let Some(feature) = class.names.feature(measure) else { return };
        let row = class.names.row(&series.entity);
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

    pub(super) fn save(&self) -> Saved {
        let classes = self
            .classes
            .iter()
            .map(|(kind, class)| (*kind, class.forest.save().into(), class.names.clone()))
            .collect();
        Saved { classes, places: self.places.clone() }
    }

    pub(super) fn load(&mut self, saved: Saved) -> Result<(), LoadError> {
        for (kind, columns, names) in saved.classes {
            let mut class = Class::new(&self.config);
            class.forest.load(&columns.into())?;
            class.names = names;
            self.classes.insert(kind, class);
        }
        self.places = saved.places;
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

    fn row(&mut self, entity: &Arc<Entity>) -> usize {
        if let Some(index) = self.rows.iter().position(|row| row.entity == *entity) {
            return index;
        }
        let name = entity.to_string();
        self.rows.push(Row { entity: entity.clone(), name, slots: vec![None; FEATURES], strongest: 0.0 });
        self.rows.len() - 1
    }
}

impl Class {
    fn new(config: &ForestConfig) -> Class {
        Class {
            forest: ForestBank::new(config.clone(), FEATURES, 0),
            scores: EntityScores::new(0, FEATURES),
            matrix: Array2::zeros((0, FEATURES)),
            names: Names::default(),
        }
    }

    fn advance(&mut self, seconds: i64, values: &[f64], scores: &Scores) {
        let rows = self.names.rows.len();
        if self.matrix.nrows() != rows {
            self.matrix = Array2::from_elem((rows, FEATURES), f64::NAN);
            self.forest.grow(rows);
            self.scores.resize(rows, FEATURES);
        }
        for (row, mut cells) in self.names.rows.iter_mut().zip(self.matrix.rows_mut()) {
            row.strongest = 0.0;
            for (cell, slot) in cells.iter_mut().zip(&row.slots) {
                let seen = slot.map(|slot| slot as usize).filter(|&slot| values[slot].is_finite());
                *cell = seen.map_or(f64::NAN, |slot| {
                    row.strongest = row.strongest.max(scores.nlp[slot]);
                    scores.residual[slot].clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)
                });
            }
        }
        self.forest.advance(seconds, self.matrix.view(), &mut self.scores);
    }

    fn judged(&self) -> impl Iterator<Item = Judged<'_>> {
        let rows = self.names.rows.iter().take(self.scores.nlp.len()).enumerate();
        rows.filter(|(_, row)| row.slots.iter().flatten().count() > 1).map(|(index, row)| Judged {
            entity: &row.entity,
            name: &row.name,
            slots: &row.slots,
            neg_log_p: self.combined(index, row),
            attribution: self.attribution(index),
        })
    }

    /// The strongest of the forest and of the single series. Not corrected for their number: the core tier's
    /// calibration already spends its range on what is news.
    fn combined(&self, index: usize, row: &Row) -> f64 {
        let forest = if self.scores.warm[index] { self.scores.nlp[index] } else { 0.0 };
        forest.max(row.strongest)
    }

    fn attribution(&self, index: usize) -> Vec<(String, f64)> {
        let shares = self.scores.attribution.row(index);
        let named = self.names.features.iter().zip(shares.iter());
        let mut named: Vec<(String, f64)> =
            named.filter(|(_, share)| **share > 0.05).map(|(name, share)| (name.clone(), *share)).collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        named
    }
}
