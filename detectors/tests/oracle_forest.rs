//! The forest against scikit-learn's, on recorded data (`fixtures/oracle/isolation_forest.py`).

use std::path::Path;

use foreshock_detectors::{EntityBank, EntityScores, ForestBank, ForestConfig};
use ndarray::Array2;

/// Area under the ROC curve, ties counted half.
fn auc(scores: &[f64], labels: &[bool]) -> f64 {
    let mut wins = 0.0;
    let (mut odd, mut plain) = (0.0, 0.0);
    for (score, label) in scores.iter().zip(labels) {
        if *label {
            odd += 1.0;
            for (other, _) in scores.iter().zip(labels).filter(|(_, label)| !**label) {
                wins += if score > other {
                    1.0
                } else if score == other {
                    0.5
                } else {
                    0.0
                };
            }
        } else {
            plain += 1.0;
        }
    }
    wins / (odd * plain)
}

#[test]
fn agrees_with_scikit_learn() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/oracle/isolation_forest.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    let features = Array2::from_shape_fn((rows.len(), 6), |(row, feature)| rows[row][feature]);
    let labels: Vec<bool> = rows.iter().map(|row| row[6] == 1.0).collect();
    let theirs: Vec<f64> = rows.iter().map(|row| row[7]).collect();

    let (mut mean_auc, mut mean_score) = (0.0, vec![0.0; rows.len()]);
    for seed in 0..10 {
        let config = ForestConfig { pool: rows.len(), seed, refresh: 1, ..ForestConfig::default() };
        let mut bank = ForestBank::new(config, 6, rows.len());
        bank.advance(0, features.view(), &mut EntityScores::default());
        let mut scores = Vec::new();
        bank.raw_scores(features.view(), &mut scores);
        mean_auc += auc(&scores, &labels) / 10.0;
        mean_score.iter_mut().zip(&scores).for_each(|(mean, score)| *mean += score / 10.0);
    }
    let theirs_auc = auc(&theirs, &labels);
    println!("AUC {mean_auc:.4}, scikit-learn's mean score {theirs_auc:.4}");
    assert!(mean_auc > theirs_auc - 0.01, "AUC {mean_auc}, scikit-learn {theirs_auc}");
    // Our cuts may fall beyond the sample's range, so scores differ in level; the order must not.
    let agreement = correlation(&ranks(&mean_score), &ranks(&theirs));
    assert!(agreement > 0.95, "rank correlation with scikit-learn is only {agreement}");
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    order.iter().enumerate().for_each(|(rank, at)| ranks[*at] = rank as f64);
    ranks
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}
