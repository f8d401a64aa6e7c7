//! A server's scores, as the engine's `score/entities.rs` computes them for `replay`: core tier per metric, a forest over
//! the residuals, the joint detector over the values. `tests/floors/asd_engine.rs` compares with the engine itself.

use foreshock_detectors::{
    CoreBank, CoreConfig, EntityBank, EntityScores, ForestBank, ForestConfig, Frame, JointBank, JointConfig,
    Scores, SeriesBank,
};
use ndarray::Array2;

use super::corpus::Server;

/// As in the engine: features of a class, largest residual that the forest is shown, trees.
const FEATURES: usize = 32;
const RESIDUAL_LIMIT: f64 = 12.0;
const TREES: usize = 50;

/// −ln p of every labelled row.
#[derive(Debug, Clone, Default)]
pub struct ServerScores {
    /// The strongest of the metrics' own scores.
    pub core: Vec<f64>,
    /// The forest's.
    pub forest: Vec<f64>,
    /// The deep tier's joint detector on the values themselves.
    pub joint: Vec<f64>,
    /// The engine's: the stronger of core tier and forest, together with the joint detector (Fisher).
    pub entity: Vec<f64>,
}

/// Runs over a server's rows in order and scores each before learning from it.
pub fn scores(server: &Server) -> ServerScores {
    let metrics = server.rows[0].1.len();
    let mut core = CoreBank::new(CoreConfig::default(), metrics);
    let mut forest = ForestBank::new(ForestConfig { trees: TREES, ..ForestConfig::default() }, FEATURES, 1);
    let (mut series, mut entity) = (Scores::new(metrics), EntityScores::new(1, FEATURES));
    let mut matrix = Array2::from_elem((1, FEATURES), f64::NAN);
    let mut apart = JointBank::new(JointConfig::default(), FEATURES, 1);
    let mut parted = EntityScores::new(1, FEATURES);
    let mut raw = Array2::from_elem((1, FEATURES), f64::NAN);
    let mut all = ServerScores::default();
    for (row, (time, values)) in server.rows.iter().enumerate() {
        core.advance(&Frame { time: *time, values }, &mut series);
        for (cell, residual) in matrix.iter_mut().zip(&series.residual) {
            *cell = residual.clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT);
        }
        forest.advance(*time, matrix.view(), &mut entity);
        raw.iter_mut().zip(values).for_each(|(cell, value)| *cell = *value);
        apart.advance(*time, raw.view(), &mut parted);
        if row >= server.train {
            let strongest = series.nlp.iter().copied().fold(0.0, f64::max);
            let isolated = if entity.warm[0] { entity.nlp[0] } else { 0.0 };
            let sum = isolated.max(strongest) + parted.nlp[0];
            all.core.push(strongest);
            all.forest.push(isolated);
            all.joint.push(parted.nlp[0]);
            all.entity.push(sum - sum.ln_1p());
        }
    }
    all
}
