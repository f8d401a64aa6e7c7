//! What `replay` says on the Numenta Anomaly Benchmark does not fall below its floor.
//!
//! Every third file, so that the test is quick; the `accuracy` command has all 58. The threshold is fitted to the labels, as in every
//! published result; the score with thresholds fixed beforehand is held too.

use foreshock_benches::accuracy;
use foreshock_benches::nab::{self, PROFILES, Series};
use foreshock_benches::paths;

#[test]
fn scores_stay_above_their_floor() {
    let Some(data) = paths::data() else { return };
    let folder = data.join("nab");
    let series: Vec<Series> = nab::read(&folder).unwrap().into_iter().step_by(3).collect();
    let scores = accuracy::nab::scores(&folder, &series).unwrap();
    let parts: Vec<&Series> = series.iter().collect();
    let marks: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
    let rows = nab::rows(&parts, &marks);
    for (profile, floor, crossed_floor) in [(PROFILES[0], 62.0, 60.0), (PROFILES[2], 70.0, 68.0)] {
        let fitted = nab::fit(&rows, profile).percent;
        let crossed = nab::crossed(&series, &scores, profile);
        println!("{}: {fitted:.2}, cross-fitted {crossed:.2}", profile.name);
        assert!(fitted > floor, "{}: {fitted:.2}, floor {floor}", profile.name);
        assert!(
            crossed > crossed_floor,
            "{}: cross-fitted {crossed:.2}, floor {crossed_floor}",
            profile.name
        );
    }
}
