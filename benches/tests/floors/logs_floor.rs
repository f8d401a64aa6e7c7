//! Accuracy on labelled logs does not fall below its floors: templates as `replay` gives them, and what the miner says at once.

use foreshock_benches::accuracy;
use foreshock_benches::logs;
use foreshock_benches::paths;

#[test]
fn templates_stay_above_their_floor() {
    let Some(data) = paths::data() else { return };
    let systems = logs::read_systems(&data.join("loghub2k")).unwrap();
    assert_eq!(systems.len(), 16);
    let (mut mean, mut at_once) = (0.0, 0.0);
    for system in &systems {
        let accuracy = accuracy::logs::accuracy(system).unwrap();
        assert!(accuracy > 0.92, "{}: {accuracy:.4}, floor 0.92", system.name);
        let mined = logs::mine(system);
        let mut truth = system.truth.clone();
        truth.sort_unstable();
        truth.dedup();
        let most = truth.len() * 5 / 4 + 2;
        assert!(mined.made <= most, "{}: {} templates made, at most {most}", system.name, mined.made);
        mean += accuracy / 16.0;
        at_once += mined.at_once / 16.0;
    }
    assert!(mean > 0.97, "mean {mean:.4}, floor 0.97");
    assert!(at_once > 0.95, "mean at once {at_once:.4}, floor 0.95");
}

#[test]
fn the_scorer_gives_a_plain_drain_its_published_accuracy() {
    let Some(data) = paths::data() else { return };
    let systems = logs::read_systems(&data.join("loghub2k")).unwrap();
    let mean = systems.iter().map(|system| logs::mine_with_drain(system).accuracy).sum::<f64>() / 16.0;
    assert!((0.72..0.76).contains(&mean), "mean {mean:.4}; drain3 has 0.738 published, 0.749 measured");
}

/// Half of the abnormal sessions have the very events of normal ones, so the floor is near what the labels allow.
#[test]
fn sessions_stay_near_what_their_labels_allow() {
    let Some(data) = paths::data() else { return };
    let read = |name: &str| logs::read_sessions(&data.join("hdfs100k").join(name)).unwrap();
    let [train, test] = logs::numbered([&read("train.ndjson"), &read("test.ndjson")]);
    let allowed = logs::ceiling(&test);
    assert!((0.70..0.72).contains(&allowed.f1()), "{allowed:?}");
    for streaming in [false, true] {
        let judged = logs::by_session_bank(&train, &test, streaming);
        assert!(judged.f1() > 0.94 * allowed.f1(), "{judged:?} of {allowed:?}");
        assert!(judged.precision() > 0.95, "{judged:?}");
    }
}
