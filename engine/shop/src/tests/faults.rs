//! Each fault alone: what a consumer of the messages can see of it before, while and after.

use super::super::{Action, BAD_VERSION, Fault, FaultKind, GOOD_VERSION, HARMLESS_VERSION, MODEL};
use super::super::{Scenario, Shop};
use super::watch::Seen;
use super::{config, run};

/// Ticks of warm-up; a lone fault starts 60 ticks after it.
const WARMUP: u32 = 20;
const ONSET: usize = WARMUP as usize + 60;

/// A run with one fault, which ends `after` ticks after the fault has begun, and with the action
/// that takes effect so many ticks after the onset.
fn with(kind: FaultKind, after: usize, action: Option<(usize, Action)>) -> (Vec<Seen>, Fault) {
    let mut shop = Shop::new(config(21, WARMUP, Scenario::only(kind, 600 + 10 * after as i64)));
    assert_eq!(shop.truth()[0].start, shop.now() + 10 * ONSET as i64);
    if let Some((ticks, action)) = action {
        shop.apply(action, shop.now() + 10 * (ONSET + ticks) as i64);
    }
    let (ticks, shop) = run(shop);
    assert_eq!(ticks.len(), ONSET + after);
    (ticks, shop.truth()[0].clone())
}

fn total(ticks: &[Seen], of: impl Fn(&Seen) -> Option<&f64>) -> f64 {
    ticks.iter().filter_map(of).sum()
}

fn error_ratio(ticks: &[Seen], service: &str) -> f64 {
    total(ticks, |seen| seen.errors.get(service)) / total(ticks, |seen| seen.requests.get(service))
}

fn mean_ms(ticks: &[Seen], service: &str) -> f64 {
    1_000.0 * total(ticks, |seen| seen.seconds.get(service)) / total(ticks, |seen| seen.requests.get(service))
}

fn requests(ticks: &[Seen], service: &str) -> f64 {
    total(ticks, |seen| seen.requests.get(service)) / ticks.len() as f64
}

fn gauge(ticks: &[Seen], service: &str, name: &str) -> f64 {
    let key = (service.to_owned(), name.to_owned());
    let readings: Vec<f64> =
        ticks.iter().filter_map(|seen| seen.gauges.get(&key)).flatten().copied().collect();
    assert!(!readings.is_empty(), "{service} never reports {name}");
    readings.iter().sum::<f64>() / readings.len() as f64
}

/// Lines per tick of a service at a severity that contain some text.
fn lines(ticks: &[Seen], service: &str, severity: &str, part: &str) -> f64 {
    let hit =
        |line: &&(String, String, String)| line.0 == service && line.1 == severity && line.2.contains(part);
    ticks.iter().map(|seen| seen.lines.iter().filter(hit).count()).sum::<usize>() as f64 / ticks.len() as f64
}

fn start_tick(fault: &Fault, tick: usize) -> i64 {
    fault.start + 10 * (tick as i64 - ONSET as i64)
}

fn rollback() -> Action {
    Action::Rollback { service: "payment".into(), to_version: GOOD_VERSION.into() }
}

#[test]
fn a_bad_deploy_hurts_the_callers_and_a_rollback_heals() {
    let (ticks, fault) = with(FaultKind::BadDeploy, 120, Some((50, rollback())));
    let (before, while_bad, after) = (&ticks[..ONSET], &ticks[ONSET + 3..ONSET + 50], &ticks[ONSET + 53..]);
    for (service, least) in [("payment", 0.25), ("checkout", 0.2), ("frontend", 0.015)] {
        assert!(error_ratio(before, service) < 0.02, "{service} before");
        assert!(error_ratio(while_bad, service) > least, "{service}: {}", error_ratio(while_bad, service));
        assert!(error_ratio(after, service) < 0.02, "{service} after");
    }
    for (service, factor) in [("payment", 4.0), ("checkout", 2.0), ("frontend", 1.2)] {
        let (good, bad, healed) =
            (mean_ms(before, service), mean_ms(while_bad, service), mean_ms(after, service));
        assert!(bad > factor * good, "{service}: {good} ms, then {bad} ms");
        assert!(healed < 1.1 * good, "{service}: {good} ms, healed {healed} ms");
    }
    for service in ["catalogue", "cart", "user", "recommendation", "shipping", "mailer"] {
        assert!(error_ratio(while_bad, service) < 0.02, "{service} has no part in it");
        assert!(mean_ms(while_bad, service) < 1.1 * mean_ms(before, service), "{service} has no part in it");
    }
    let mails = |ticks| requests(ticks, "mailer") / requests(ticks, "checkout");
    assert!(mails(while_bad) < 0.85 * mails(before), "fewer orders get through");
    assert!(lines(while_bad, "payment", "ERROR", "gateway handshake failed") > 5.0);
    assert!(lines(while_bad, "checkout", "ERROR", "call to payment failed") > 5.0);
    assert_eq!(lines(before, "payment", "ERROR", "gateway handshake failed"), 0.0);
    assert_eq!(fault.end, Some(start_tick(&fault, ONSET + 52)));
}

#[test]
fn a_deploy_and_a_rollback_are_announced_and_restart_every_pod() {
    let (ticks, fault) = with(FaultKind::BadDeploy, 60, Some((30, rollback())));
    let changes: Vec<(usize, &serde_json::Value)> = ticks
        .iter()
        .enumerate()
        .flat_map(|(tick, seen)| seen.changes.iter().map(move |event| (tick, event)))
        .collect();
    let expected = [
        (ONSET, "dev.cdevents.service.upgraded.0.2.0", BAD_VERSION),
        (ONSET + 30, "dev.cdevents.service.rolledback.0.2.0", GOOD_VERSION),
    ];
    assert_eq!(changes.len(), expected.len());
    for ((tick, event), (expected_tick, kind, version)) in changes.into_iter().zip(expected) {
        assert_eq!(tick, expected_tick);
        assert_eq!((event["type"].as_str(), event["specversion"].as_str()), (Some(kind), Some("1.0")));
        assert_eq!(event["data"]["context"]["type"].as_str(), Some(kind));
        assert_eq!(event["data"]["subject"]["id"].as_str(), Some("payment"));
        assert_eq!(event["data"]["customData"]["version"].as_str(), Some(version));
        assert!(event["time"].as_str().is_some_and(|time| time.starts_with("2026-03-02T00:")));
    }
    let (old, new) = (&ticks[ONSET - 1].pods["payment"], &ticks[ONSET + 3].pods["payment"]);
    assert!(old.is_disjoint(new) && new.len() == 3, "{old:?} {new:?}");
    assert_eq!(ticks[ONSET + 10].versions["payment"].iter().collect::<Vec<_>>(), [BAD_VERSION]);
    assert_eq!(ticks[ONSET + 1].versions["payment"].len(), 2, "pods are replaced one by one");
    assert_eq!(ticks[ONSET + 59].versions["payment"].iter().collect::<Vec<_>>(), [GOOD_VERSION]);
    assert_eq!(fault.end, Some(start_tick(&fault, ONSET + 32)));
}

#[test]
fn a_bad_deploy_never_heals_by_itself() {
    let (ticks, fault) = with(FaultKind::BadDeploy, 150, None);
    assert!(error_ratio(&ticks[ONSET + 140..], "payment") > 0.25);
    assert_eq!(fault.end, None);
}

#[test]
fn a_harmless_deploy_changes_nothing_but_the_pods() {
    let (ticks, fault) = with(FaultKind::HarmlessDeploy, 60, None);
    let (before, after) = (&ticks[..ONSET], &ticks[ONSET..]);
    assert_eq!(after[0].changes.len(), 1);
    assert_eq!(after[0].changes[0]["data"]["subject"]["id"].as_str(), Some("user"));
    assert!(before[ONSET - 1].pods["user"].is_disjoint(&after[3].pods["user"]));
    assert_eq!(after[3].versions["user"].iter().collect::<Vec<_>>(), [HARMLESS_VERSION]);
    assert_eq!(
        lines(&ticks[..1], "user", "INFO", "user 3.4.1 listens on port"),
        2.0,
        "known from the first tick"
    );
    assert_eq!(lines(&after[..2], "user", "INFO", "user 3.5.0 listens on port"), 1.0, "one pod per tick");
    assert!(error_ratio(after, "user") < 0.01 && mean_ms(after, "user") < 1.05 * mean_ms(before, "user"));
    assert!(!fault.should_page && fault.end.is_some_and(|end| end <= fault.start + 20));
}

#[test]
fn a_leak_climbs_slowly_then_slows_and_ends_with_a_restart() {
    let (ticks, fault) = with(FaultKind::MemoryLeak, 290, None);
    const MEMORY: &str = "process.memory.usage";
    let mib =
        |from: usize, service| gauge(&ticks[ONSET + from..ONSET + from + 10], service, MEMORY) / 1_048_576.0;
    let climb: Vec<f64> = (0..11).map(|step| mib(step * 20, "catalogue")).collect();
    assert!(climb.windows(2).all(|pair| (12.0..36.0).contains(&(pair[1] - pair[0]))), "{climb:?}");
    assert!((mib(200, "cart") - mib(0, "cart")).abs() < 15.0, "only catalogue leaks");
    let latency = |from: usize| mean_ms(&ticks[ONSET + from..ONSET + from + 30], "catalogue");
    assert!(latency(40) < 1.1 * mean_ms(&ticks[..ONSET], "catalogue"), "memory first");
    assert!(latency(200) > 2.0 * latency(0), "latency later: {} then {}", latency(0), latency(200));
    let end = fault.end.unwrap();
    assert!((2_300..2_800).contains(&(end - fault.start)), "lasted {}", end - fault.start);
    let last = ticks.len() - 10;
    assert!(gauge(&ticks[last..], "catalogue", MEMORY) / 1_048_576.0 < 260.0);
    assert!(mean_ms(&ticks[last..], "catalogue") < 1.2 * mean_ms(&ticks[..ONSET], "catalogue"));
    assert_eq!(ticks[0].pods["catalogue"], ticks[last].pods["catalogue"], "a killed container keeps its pod");
    let restarts = ticks[ONSET..].iter().filter(|seen| seen.resets.contains_key("catalogue")).count();
    assert_eq!(restarts, 3, "each pod restarts once");
    assert!(ticks.iter().all(|seen| seen.resets.keys().all(|service| service == "catalogue")));
}

#[test]
fn a_restart_ends_a_leak_early() {
    let restart = Action::Restart { service: "catalogue".into() };
    let (ticks, fault) = with(FaultKind::MemoryLeak, 130, Some((100, restart)));
    assert_eq!(fault.end, Some(start_tick(&fault, ONSET + 102)));
    let late = gauge(&ticks[ONSET + 110..], "catalogue", "process.memory.usage");
    assert!(late / 1_048_576.0 < 260.0);
}

#[test]
fn a_surge_doubles_the_requests_and_nothing_else() {
    let (ticks, fault) = with(FaultKind::Surge, 120, None);
    let (before, peak, after) = (&ticks[..ONSET], &ticks[ONSET + 30..ONSET + 60], &ticks[ONSET + 92..]);
    for service in ["frontend", "catalogue", "checkout", "payment", "mailer"] {
        let grown = requests(peak, service) / requests(before, service);
        assert!((1.7..3.2).contains(&grown), "{service} grew by {grown}");
        let (quiet, busy) = (error_ratio(before, service), error_ratio(peak, service));
        assert!(busy < quiet + 0.004, "{service}: error ratio {quiet}, then {busy}");
        let (quiet, busy) = (mean_ms(before, service), mean_ms(peak, service));
        assert!((0.95..1.05).contains(&(busy / quiet)), "{service}: {quiet} ms, then {busy} ms");
    }
    let steps = ticks.windows(2).map(|pair| pair[1].requests["frontend"] / pair[0].requests["frontend"]);
    assert!(steps.fold(0.0, f64::max) < 1.35, "the ramp is smooth");
    assert!(requests(after, "frontend") < 0.75 * requests(peak, "frontend"));
    assert_eq!(fault.end, Some(fault.start + 900));
    assert!(!fault.should_page);
}

#[test]
fn a_log_only_failure_is_in_the_log_of_shipping_alone() {
    let (ticks, fault) = with(FaultKind::LogFailure, 90, None);
    let (before, bad, after) = (&ticks[..ONSET], &ticks[ONSET..ONSET + 60], &ticks[ONSET + 61..]);
    const PART: &str = "label printer rejected address";
    assert!(lines(bad, "shipping", "ERROR", PART) > 4.0);
    assert!(lines(bad, "shipping", "WARN", "") > 4.0 * lines(before, "shipping", "WARN", ""));
    assert_eq!(lines(before, "shipping", "ERROR", PART) + lines(after, "shipping", "ERROR", PART), 0.0);
    let elsewhere = ticks.iter().flat_map(|seen| &seen.lines).filter(|line| line.0 != "shipping");
    assert!(elsewhere.filter(|line| line.2.contains(PART)).count() == 0);
    for service in ["shipping", "orders", "checkout"] {
        assert!(error_ratio(bad, service) < 0.02, "{service}");
        let slower = mean_ms(bad, service) / mean_ms(before, service);
        assert!((0.95..1.05).contains(&slower), "{service} {slower}");
    }
    assert_eq!(fault.end, Some(fault.start + 600));
}

#[test]
fn a_drift_moves_inputs_and_scores_until_the_model_is_trained_again() {
    let retrain = Action::Retrain { model: MODEL.into() };
    let (ticks, fault) = with(FaultKind::ModelDrift, 180, Some((140, retrain)));
    let (before, half, moved, after) = (
        &ticks[ONSET - 20..ONSET],
        &ticks[ONSET + 40..ONSET + 50],
        &ticks[ONSET + 100..ONSET + 140],
        &ticks[ONSET + 141..],
    );
    for (feature, low, high) in
        [("session_length", -1.4, -0.8), ("price_affinity", 1.1, 1.5), ("category_entropy", -0.2, 0.2)]
    {
        let name = format!("model.input.mean {feature}");
        let mean = |ticks| gauge(ticks, "recommendation", &name);
        assert!(mean(before).abs() < 0.25, "{feature} before: {}", mean(before));
        assert!((low..high).contains(&mean(moved)), "{feature} moved to {}", mean(moved));
        assert!(mean(after).abs() < 0.25, "{feature} after: {}", mean(after));
    }
    let score = |ticks| gauge(ticks, "recommendation", &format!("model.prediction.score {MODEL}"));
    assert!(score(before) > score(half) + 0.04 && score(half) > score(moved) + 0.04, "it moves gradually");
    assert!((score(after) - score(before)).abs() < 0.03);
    assert!(error_ratio(moved, "recommendation") < 0.01, "the service itself works");
    let change = &ticks[ONSET + 140].changes[0];
    assert_eq!(change["type"].as_str(), Some("dev.cdevents.service.deployed.0.2.0"));
    assert_eq!(fault.end, Some(start_tick(&fault, ONSET + 140)));
}
