//! Every bank keeps the promises of `foreshock_detectors::conformance`.

use foreshock_detectors::{
    AbsenceBank, CoreBank, CoreConfig, ForestBank, ForestConfig, JointBank, JointConfig, SegmentBank,
    SegmentConfig, conformance,
};

#[test]
fn the_core_tier() {
    conformance::series_bank(|slots| CoreBank::new(CoreConfig::default(), slots), 1_000);
}

#[test]
fn absence() {
    conformance::series_bank(AbsenceBank::new, 1_000);
}

#[test]
fn change_points() {
    // A window so short that values are dropped from it.
    let config = SegmentConfig { window: 600, ..SegmentConfig::default() };
    conformance::series_bank(|slots| SegmentBank::new(config.clone(), slots), 2_500);
}

#[test]
fn the_forest() {
    let config = ForestConfig { trees: 20, sample: 64, pool: 128, refresh: 4, ..ForestConfig::default() };
    conformance::entity_bank(|rows| ForestBank::new(config.clone(), conformance::FEATURES, rows), 300);
}

#[test]
fn the_joint_detector() {
    let config = JointConfig::default();
    conformance::entity_bank(|rows| JointBank::new(config.clone(), conformance::FEATURES, rows), 900);
}
