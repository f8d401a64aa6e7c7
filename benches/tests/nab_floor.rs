//! The core tier's accuracy on the Numenta Anomaly Benchmark does not fall below its floor.
//!
//! The threshold is fitted to the labels, as in every published result; the cross-fitted score is held too.

use foreshock_benches::nab::{self, PROFILES, Series};
use foreshock_benches::paths;

#[test]
fn core_tier_stays_above_its_floor() {
    let Some(data) = paths::data() else { return };
    let series = nab::read(&data.join("nab")).unwrap();
    let (few, rest) = series.split_at(series.len() / 2);
    let scores: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let other = scope.spawn(|| rest.iter().map(nab::core_scores).collect::<Vec<_>>());
        let mut scores: Vec<Vec<f64>> = few.iter().map(nab::core_scores).collect();
        scores.extend(other.join().unwrap());
        scores
    });
    let parts: Vec<&Series> = series.iter().collect();
    let marks: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
    let rows = nab::rows(&parts, &marks);
    for (profile, floor, crossed_floor) in
        [(PROFILES[0], 65.0, 64.0), (PROFILES[1], 49.0, 45.0), (PROFILES[2], 72.5, 68.0)]
    {
        let fitted = nab::fit(&rows, profile).percent;
        let crossed = nab::crossed(&series, &scores, profile);
        assert!(fitted > floor, "{}: {fitted:.2}, floor {floor}", profile.name);
        assert!(
            crossed > crossed_floor,
            "{}: cross-fitted {crossed:.2}, floor {crossed_floor}",
            profile.name
        );
    }
}

#[test]
fn a_truncated_series_scores_as_its_prefix() {
    let Some(data) = paths::data() else { return };
    let series = nab::read(&data.join("nab")).unwrap();
    let whole = series.iter().find(|s| s.name.ends_with("nyc_taxi.csv")).unwrap();
    let mut part = whole.clone();
    part.times.truncate(3_000);
    part.values.truncate(3_000);
    let bits = |scores: Vec<f64>| scores.into_iter().take(3_000).map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(nab::core_scores(whole)), bits(nab::core_scores(&part)));
}
