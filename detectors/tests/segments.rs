//! What the deep tier's change points promise beyond conformance.

use foreshock_detectors::{Frame, Scores, SegmentBank, SegmentConfig, SeriesBank};

#[test]
fn a_change_between_two_constants_is_found() {
    let mut bank = SegmentBank::new(SegmentConfig { window: 600, ..SegmentConfig::default() }, 1);
    let mut out = Scores::new(1);
    let mut onsets = Vec::new();
    for tick in 0..2_200_i64 {
        bank.advance(&Frame { time: tick, values: &[if tick < 1_000 { 7.0 } else { 9.0 }] }, &mut out);
        if out.change[0] > 0.0 {
            onsets.push(out.onset[0]);
        }
    }
    assert!(onsets.len() == 1 && (onsets[0] - 1_000.0).abs() <= 5.0, "{onsets:?}");
}
