//! A server's scores, as the engine's `score/entities.rs` computes them for `replay`: core tier per metric, a forest over
//! the residuals, the stronger of the two. `tests/asd_engine.rs` compares with the engine itself.

use foreshock_detectors::{
    CoreBank, CoreConfig, EntityBank, EntityScores, ForestBank, ForestConfig, Frame, JointBank, JointConfig,
    Scores, SeriesBank,
};
use ndarray::{Array2, ArrayView2};

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
    /// The engine's: the stronger of both.
    pub entity: Vec<f64>,
    /// The deep tier's joint detector on the values themselves; the engine does not run it yet.
    pub joint: Vec<f64>,
    /// Core tier and joint detector added up.
    pub with_joint: Vec<f64>,
}

/// Runs over a server's rows in order and scores each before learning from it.
pub fn scores(server: &Server) -> ServerScores {
    let metrics = server.rows[0].1.len();
    let mut core = CoreBank::new(CoreConfig::default(), metrics);
    let mut forest = ForestBank::new(ForestConfig { trees: TREES, ..ForestConfig::default() }, FEATURES, 1);
    let (mut series, mut entity) = (Scores::new(metrics), EntityScores::new(1, FEATURES));
    let mut matrix = Array2::from_elem((1, FEATURES), f64::NAN);
    let mut apart = JointBank::new(JointConfig::default(), metrics, 1);
    let mut parted = EntityScores::new(1, metrics);
    let mut all = ServerScores::default();
    for (row, (time, values)) in server.rows.iter().enumerate() {
        core.advance(&Frame { time: *time, values }, &mut series);
        for (cell, residual) in matrix.iter_mut().zip(&series.residual) {
            *cell = residual.clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT);
        }
        forest.advance(*time, matrix.view(), &mut entity);
        let raw = ArrayView2::from_shape((1, metrics), values).expect("a row of all metrics");
        apart.advance(*time, raw, &mut parted);
        if row >= server.train {
            let strongest = series.nlp.iter().copied().fold(0.0, f64::max);
            let joint = if entity.warm[0] { entity.nlp[0] } else { 0.0 };
            all.core.push(strongest);
            all.forest.push(joint);
            all.entity.push(joint.max(strongest));
            all.joint.push(parted.nlp[0]);
            all.with_joint.push(strongest + parted.nlp[0]);
        }
    }
    all
}
