//! Accuracy on the application server data does not fall below its floor.
//!
//! Floors lie above what scikit-learn's isolation forest and PCA reached in the recorded session (`record/`): VUS-PR 0.223 and 0.290,
//! event F1 with crossed thresholds 0.342 and 0.350.

use foreshock_benches::{asd, paths};

#[test]
fn scores_stay_above_those_of_the_peers() {
    let Some(data) = paths::data() else { return };
    let servers = asd::read(&data.join("asd")).unwrap();
    let scores: Vec<asd::ServerScores> = servers.iter().map(asd::scores).collect();
    let volumes =
        servers.iter().zip(&scores).map(|(server, own)| asd::vus_pr(&server.labels, &own.entity, 100));
    let volume = volumes.sum::<f64>() / servers.len() as f64;
    assert!(volume > 0.29, "VUS-PR of the engine's entity score {volume:.3}");

    let marks: Vec<(&[bool], &[f64])> =
        servers.iter().zip(&scores).map(|(server, own)| (&server.labels[..], &own.entity[..])).collect();
    let half = |odd: usize| marks.iter().copied().skip(odd).step_by(2).collect::<Vec<_>>();
    let (first, second) = (half(0), half(1));
    let crossed = asd::tally(&second, asd::best_threshold(&first))
        .plus(&asd::tally(&first, asd::best_threshold(&second)));
    assert!(crossed.f1() > 0.42, "event F1 of the engine's entity score {:.3}", crossed.f1());
    assert!(crossed.alarms_per_day() < 0.5, "{:.2} alarms a day", crossed.alarms_per_day());
}
