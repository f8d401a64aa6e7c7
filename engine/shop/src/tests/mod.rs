//! What leaves the shop: its form, its size, and that a seed decides it. `faults` holds what can be
//! seen of each fault. Neither proves that an engine finds anything.

mod faults;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{
    Action, CHANGES_TOPIC, FaultKind, GOOD_VERSION, LOGS_TOPIC, METRICS_TOPIC, MODEL, Produced, SPANS_TOPIC,
    Scenario, Shop, ShopConfig,
};
use watch::{Seen, Watch, attribute};

fn config(seed: u64, warmup_ticks: u32, scenario: Scenario) -> ShopConfig {
    ShopConfig { seed, warmup_ticks, scenario, ..ShopConfig::default() }
}

/// The whole run, one entry per tick.
fn run(mut shop: Shop) -> (Vec<Seen>, Shop) {
    let mut watch = Watch::default();
    let mut ticks = Vec::new();
    while !shop.finished() {
        ticks.push(watch.read(&shop.step()));
    }
    (ticks, shop)
}

fn bytes_of_a_run(seed: u64) -> Vec<Vec<Produced>> {
    let scenario = Scenario { length: 900, ..Scenario::full() };
    let mut shop = Shop::new(config(seed, 3, scenario));
    shop.apply(
        Action::Rollback { service: "payment".into(), to_version: GOOD_VERSION.into() },
        shop.now() + 820,
    );
    let mut all = Vec::new();
    while !shop.finished() {
        all.push(shop.step());
    }
    all
}

#[test]
fn a_seed_decides_every_byte() {
    let first = bytes_of_a_run(11);
    assert_eq!(first, bytes_of_a_run(11));
    let other = bytes_of_a_run(12);
    assert_eq!(first.len(), other.len());
    for (tick, (a, b)) in first.iter().zip(&other).enumerate() {
        assert_ne!(a, b, "tick {tick} does not depend on the seed");
    }
    let changes = |run: &[Vec<Produced>]| -> Vec<i64> {
        run.iter().flatten().filter(|produced| produced.topic == CHANGES_TOPIC).map(|p| p.time_ms).collect()
    };
    assert_eq!(changes(&first), changes(&other), "the seed must not move the scenario");
    assert_eq!(changes(&first).len(), 3);
}

#[test]
fn every_message_decodes_and_lies_in_its_tick() {
    let mut shop = Shop::new(config(3, 60, Scenario::full()));
    let mut watch = Watch::default();
    let mut most_spans: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..180 {
        let from = shop.now();
        let messages = shop.step();
        let to = shop.now();
        assert_eq!(to - from, 10);
        assert!(messages.len() <= 60, "{} messages", messages.len());
        for message in &messages {
            assert!(message.key.as_ref().is_some_and(|key| !key.is_empty()));
            assert!((from * 1_000..to * 1_000).contains(&message.time_ms), "{}", message.topic);
        }
        let seen = watch.read(&messages);
        assert!(seen.points <= 1_500, "{} points", seen.points);
        let (from, to) = (from as u64 * 1_000_000_000, to as u64 * 1_000_000_000);
        for time in &seen.times {
            assert!((from..to).contains(time), "{time} is outside of {from}..{to}");
        }
        let mut spans: BTreeMap<String, usize> = BTreeMap::new();
        seen.spans.iter().for_each(|(service, _)| *spans.entry(service.clone()).or_default() += 1);
        for (service, count) in spans {
            let most = most_spans.entry(service).or_default();
            *most = (*most).max(count);
        }
    }
    assert_eq!(most_spans.len(), 10, "every service is traced");
    assert!(most_spans.values().all(|most| *most <= 80), "{most_spans:?}");
}

#[test]
fn topics_come_in_a_fixed_order() {
    let mut shop = Shop::new(config(3, 0, Scenario::full()));
    let order = [CHANGES_TOPIC, METRICS_TOPIC, LOGS_TOPIC, SPANS_TOPIC];
    for _ in 0..80 {
        let places: Vec<usize> = shop
            .step()
            .iter()
            .map(|message| order.iter().position(|topic| *topic == message.topic).unwrap())
            .collect();
        assert!(places.is_sorted(), "{places:?}");
    }
}

#[test]
fn traces_are_whole_and_follow_the_call_graph() {
    let (ticks, _) = run(Shop::new(config(5, 20, Scenario::quiet(0))));
    let spans: Vec<&(String, Span)> = ticks.iter().flat_map(|seen| &seen.spans).collect();
    let by_id: BTreeMap<&[u8], &(String, Span)> =
        spans.iter().map(|span| (span.1.span_id.as_slice(), *span)).collect();
    assert_eq!(by_id.len(), spans.len(), "span ids are unique");
    let mut edges = BTreeSet::new();
    for (service, span) in &spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        if span.parent_span_id.is_empty() {
            assert_eq!(service, "frontend");
            continue;
        }
        let (caller, parent) = by_id[span.parent_span_id.as_slice()];
        assert_eq!(parent.trace_id, span.trace_id);
        assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
        if span.kind == SpanKind::Server as i32 {
            let address = format!("{service}.shop.svc.cluster.local");
            assert_eq!(attribute(&parent.attributes, "server.address"), address);
            assert_eq!(attribute(&parent.attributes, "peer.service"), "", "the callee's span names it");
            assert!(!attribute(&span.attributes, "http.route").is_empty());
            assert!(parent.end_time_unix_nano >= span.end_time_unix_nano);
            edges.insert((caller.as_str(), service.as_str()));
        } else if span.kind == SpanKind::Consumer as i32 {
            edges.insert((caller.as_str(), service.as_str()));
        } else {
            assert_eq!(caller, service, "a client span belongs to the service that waits");
        }
    }
    let expected = [
        ("cart", "catalogue"),
        ("checkout", "cart"),
        ("checkout", "orders"),
        ("checkout", "payment"),
        ("checkout", "shipping"),
        ("checkout", "user"),
        ("frontend", "cart"),
        ("frontend", "catalogue"),
        ("frontend", "checkout"),
        ("frontend", "orders"),
        ("frontend", "recommendation"),
        ("frontend", "user"),
        ("orders", "mailer"),
        ("orders", "shipping"),
    ];
    assert_eq!(edges, BTreeSet::from(expected));
}

#[test]
fn traffic_has_a_day_and_grows() {
    let config = ShopConfig { day_seconds: 900, ..config(9, 0, Scenario::quiet(900)) };
    let (ticks, shop) = run(Shop::new(config.clone()));
    let requests: Vec<f64> = ticks.iter().map(|seen| seen.requests["frontend"]).collect();
    let hours: Vec<f64> = requests.chunks(10).map(|hour| hour.iter().sum::<f64>() / 10.0).collect();
    let (night, noon) =
        (hours.iter().copied().fold(f64::MAX, f64::min), hours.iter().copied().fold(0.0, f64::max));
    assert!(noon > 1.5 * night, "night {night}, noon {noon}");
    let growth = shop.demand() / Shop::new(config).demand();
    assert!((growth - 1.05).abs() < 1e-9, "at the same time of day it grew by {growth}");
}

#[test]
fn more_customers_do_not_mean_more_messages() {
    let busy = ShopConfig { traffic_scale: 4.0, ..config(9, 0, Scenario::quiet(300)) };
    let (busy, _) = run(Shop::new(busy));
    let (usual, _) = run(Shop::new(config(9, 0, Scenario::quiet(300))));
    let requests = |ticks: &[Seen]| ticks.iter().map(|seen| seen.requests["frontend"]).sum::<f64>();
    let spans = |ticks: &[Seen]| ticks.iter().map(|seen| seen.spans.len()).sum::<usize>() as f64;
    let ratio = requests(&busy) / requests(&usual);
    assert!((3.8..4.2).contains(&ratio), "{ratio}");
    let ratio = spans(&busy) / spans(&usual);
    assert!((0.85..1.15).contains(&ratio), "{ratio}");
}

#[test]
fn logs_hold_what_redaction_must_hide() {
    let (ticks, _) = run(Shop::new(config(2, 30, Scenario::quiet(0))));
    let lines: Vec<&String> = ticks.iter().flat_map(|seen| &seen.lines).map(|line| &line.2).collect();
    for needle in ["@example.com", "203.0.113.", "token ", " card 400000"] {
        assert!(lines.iter().any(|line| line.contains(needle)), "no line holds {needle:?}");
    }
    assert!(lines.iter().all(|line| !line.contains('{')), "a hole was left unfilled");
}

#[test]
fn the_full_scenario_keeps_its_times() {
    let shop = Shop::new(ShopConfig::default());
    assert!((1_800..=2_400).contains(&shop.total_ticks()), "{}", shop.total_ticks());
    let truth = shop.truth();
    let kinds: BTreeSet<FaultKind> = truth.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds.len(), 6);
    assert!(truth.iter().all(|fault| fault.end.is_none()));
    let paged: Vec<_> = truth.iter().filter(|fault| fault.should_page).map(|fault| fault.service).collect();
    assert_eq!(paged, [Some("payment"), Some("catalogue"), Some("shipping"), Some("recommendation")]);
}

#[test]
fn a_cared_for_run_has_quiet_between_its_faults() {
    let mut shop = Shop::new(ShopConfig { traffic_scale: 0.02, warmup_ticks: 10, ..ShopConfig::default() });
    let faults: Vec<_> = shop.truth().to_vec();
    let service = "payment".to_owned();
    shop.apply(Action::Rollback { service, to_version: GOOD_VERSION.into() }, faults[1].start + 360);
    shop.apply(Action::Retrain { model: MODEL.into() }, faults[5].start + 1_500);
    while !shop.finished() {
        shop.step();
    }
    let spans: Vec<(i64, i64)> = shop.truth().iter().map(|fault| (fault.start, fault.end.unwrap())).collect();
    assert!(spans.iter().all(|(start, end)| start < end), "{spans:?}");
    // The harmless deploy lies just before the bad one, so that a change alone proves nothing.
    assert!(spans[1].0 - spans[0].1 <= 120);
    for pair in spans[1..].windows(2) {
        assert!(pair[1].0 - pair[0].1 >= 600, "{pair:?}");
    }
    assert!(shop.now() - spans[5].1 >= 300, "time to see the last one recover");
}

#[test]
fn actions_on_strangers_do_nothing() {
    let mut plain = Shop::new(config(4, 20, Scenario::quiet(0)));
    let mut acted = plain.clone();
    let at = acted.now() + 50;
    acted.apply(Action::Rollback { service: "nobody".into(), to_version: "1".into() }, at);
    acted.apply(Action::Rollback { service: "payment".into(), to_version: GOOD_VERSION.into() }, at);
    acted.apply(Action::Restart { service: "nobody".into() }, at);
    acted.apply(Action::Retrain { model: format!("not {MODEL}") }, at);
    while !plain.finished() {
        assert_eq!(plain.step(), acted.step());
    }
}
