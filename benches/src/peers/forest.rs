//! Rows of eight features: scored by a forest that stands, and learnt as they come.

use std::hint::black_box;

use extended_isolation_forest::{Forest, ForestOptions};
use foreshock_detectors::{EntityBank, EntityScores, ForestBank, ForestConfig};
use ndarray::Array2;
use rcf3::OnlineIForest;

use super::{Line, Table};
use crate::shapes::{best, rows};

pub(super) const SCORING: &str = "isolation forest, scoring, per row";
pub(super) const UPDATING: &str = "isolation forest, scoring and learning as rows come, per row";
/// The sizes of the paper and of scikit-learn's defaults.
const FEATURES: usize = 8;
const ROWS: usize = 16_384;

pub(super) fn scoring() -> Table {
    let (train, _) = rows(ROWS, FEATURES, 1);
    let (test, odd) = rows(ROWS, FEATURES, 2);
    let mut bank = ForestBank::new(ForestConfig::default(), FEATURES, ROWS);
    bank.advance(0, train.view(), &mut EntityScores::default());
    let mut scores = Vec::new();
    let ours = ROWS as f64 / best(40, || bank.raw_scores(test.view(), &mut scores));

    let options = ForestOptions { n_trees: 100, sample_size: 256, max_tree_depth: None, extension_level: 0 };
    let points = |matrix: &Array2<f64>| -> Vec<[f64; FEATURES]> {
        matrix.rows().into_iter().map(|row| std::array::from_fn(|at| row[at])).collect()
    };
    let mut lines = vec![Line::new("foreshock", ours, format!("AUC {:.4}", auc(&scores, &odd)))];
    if let Ok(forest) = Forest::from_slice(&points(&train), &options) {
        let test = points(&test);
        let mut theirs = Vec::new();
        let seconds = best(3, || theirs = test.iter().map(|row| forest.score(row)).collect());
        let note = format!("AUC {:.4}", auc(&theirs, &odd));
        lines.push(Line::new("crate extended-isolation-forest 0.2", ROWS as f64 / seconds, note));
    }
    if let Ok(mut forest) = rcf3::Forest::builder(FEATURES).num_trees(100).build() {
        let narrow =
            |row: ndarray::ArrayView1<'_, f64>| row.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        train.rows().into_iter().for_each(|row| drop(forest.update(&narrow(row))));
        let test: Vec<Vec<f32>> = test.rows().into_iter().take(2_048).map(narrow).collect();
        let mut theirs = Vec::new();
        let seconds = best(3, || theirs = test.iter().map(|row| forest.score(row).unwrap_or(0.0)).collect());
        let note = format!(
            "random cut forest, 100 trees, 256 rows each; AUC {:.4} on the first 2,048 rows",
            auc(&theirs, &odd[..2_048])
        );
        lines.push(Line::new("crate rcf3 0.5, Forest", test.len() as f64 / seconds, note));
    }
    Table { title: SCORING, unit: "rows", lines }
}

pub(super) fn updating() -> Table {
    let (train, _) = rows(ROWS, FEATURES, 1);
    let mut bank = ForestBank::new(ForestConfig::default(), FEATURES, ROWS);
    let mut out = EntityScores::default();
    bank.advance(0, train.view(), &mut out);
    let ours = ROWS as f64 / best(20, || bank.advance(0, train.view(), &mut out));
    let mut lines =
        vec![Line::new("foreshock", ours, "100 trees of 256 rows, a tree grown anew every 16 rows accepted")];
    let narrow: Vec<Vec<f32>> = train
        .rows()
        .into_iter()
        .take(4_096)
        .map(|row| row.iter().map(|value| *value as f32).collect())
        .collect();
    if let Ok(mut forest) = rcf3::Forest::builder(FEATURES).num_trees(100).build() {
        let seconds = best(2, || narrow.iter().for_each(|row| drop(black_box(forest.update_and_score(row)))));
        lines.push(Line::new(
            "crate rcf3 0.5, Forest",
            narrow.len() as f64 / seconds,
            "random cut forest, 100 trees of 256 rows",
        ));
    }
    if let Ok(mut forest) = OnlineIForest::builder(FEATURES).num_trees(100).window_size(2_048).build() {
        let seconds = best(2, || narrow.iter().for_each(|row| drop(black_box(forest.update_and_score(row)))));
        lines.push(Line::new(
            "crate rcf3 0.5, OnlineIForest",
            narrow.len() as f64 / seconds,
            "100 trees, window of 2,048 rows",
        ));
    }
    Table { title: UPDATING, unit: "rows", lines }
}

/// The share of pairs of an odd and a usual row of which the odd one scores higher; ties are half.
pub(super) fn auc(scores: &[f64], odd: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut sum, mut below, mut at) = (0.0, 0.0, 0);
    while at < order.len() {
        let end = order[at..].iter().take_while(|row| scores[**row] == scores[order[at]]).count() + at;
        let odds = order[at..end].iter().filter(|row| odd[**row]).count() as f64;
        let usual = (end - at) as f64 - odds;
        sum += odds * (below + usual / 2.0);
        below += usual;
        at = end;
    }
    let odds = odd.iter().filter(|odd| **odd).count() as f64;
    sum / (odds * below)
}
