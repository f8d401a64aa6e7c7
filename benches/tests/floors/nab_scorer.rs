//! The scorer reproduces two published detectors' results to two decimals.

use std::process::Command;

use foreshock_benches::nab::{self, PROFILES, Series};
use foreshock_benches::paths;

#[test]
fn reproduces_published_results() {
    let Some(data) = paths::data() else { return };
    let nab_folder = data.join("nab");
    let unpacked = tempfile::tempdir().unwrap();
    let archive = nab_folder.join("results/results_contextOSE_windowedGaussian.tar.gz");
    let status =
        Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(unpacked.path()).status().unwrap();
    assert!(status.success(), "tar could not unpack the published results");
    let series = nab::read(&nab_folder).unwrap();
    assert_eq!(series.len(), 58);
    assert_eq!(series.iter().map(|s| s.windows.len()).sum::<usize>(), 116);
    for (detector, want) in
        [("contextOSE", ["69.90", "66.98", "73.18"]), ("windowedGaussian", ["39.65", "20.87", "47.41"])]
    {
        let results = unpacked.path().join("results");
        let scores: Vec<Vec<f64>> =
            series.iter().map(|s| nab::published(&results, detector, s).unwrap()).collect();
        let parts: Vec<&Series> = series.iter().collect();
        let marks: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
        let rows = nab::rows(&parts, &marks);
        let got = PROFILES.map(|profile| format!("{:.2}", nab::fit(&rows, profile).percent));
        assert_eq!(got, want, "{detector}");
    }
}
