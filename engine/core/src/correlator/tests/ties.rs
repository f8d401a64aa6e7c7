//! What ties trouble together that no span shows: the words of log lines, past incidents, parts of a whole; and what shows it to people.

use super::*;
use crate::types::{Example, ExampleKind, Placement, anomaly::template_series};

/// A budget that is not exhausted by what these stories bring.
fn correlator() -> Correlator {
    Correlator::new(config())
}

fn config() -> CorrelatorConfig {
    CorrelatorConfig { false_alarms_per_day: 50.0, ..CorrelatorConfig::default() }
}

/// Goes on up to this second with these anomalies; saved and restored at every tick.
fn go_on(
    correlator: &mut Correlator,
    seconds: std::ops::Range<i64>,
    tell: impl Fn(i64) -> TickClosed,
) -> Vec<Incident> {
    let mut told = Vec::new();
    for second in seconds.step_by(10) {
        let tick = TickClosed { time_ms: second * 1000, warm_series: 100, ..tell(second) };
        let effects = correlator.on_event(Event::Tick(tick));
        *correlator = Correlator::load(config(), &correlator.save("c").unwrap()).unwrap();
        told.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Incident(incident) => Some(incident),
            Effect::Suppressed(_) => None,
        }));
    }
    told
}

fn quiet(_: i64) -> TickClosed {
    TickClosed::default()
}

fn at(second: i64, now: i64, lines: &[&str]) -> TickClosed {
    let lines = lines.iter().filter(|_| second == now);
    TickClosed { anomalies: lines.map(|line| anomaly(line)).collect(), ..TickClosed::default() }
}

fn new_line(name: &str, second: i64, template: &str) -> Anomaly {
    let entity = service(name);
    Anomaly {
        kind: AnomalyKind::NewTemplate,
        series: template_series(&entity, template),
        measure: "log.template:new".to_string(),
        ..anomaly(&format!("{second} {name} log.template:new 12 1"))
    }
}

#[test]
fn services_that_log_the_same_new_line_are_in_one_incident() {
    let expired = "TLS handshake with <*> failed: certificate has expired";
    let refused = "no more <*> left in pool";
    let tell = |other: &'static str| {
        move |second: i64| {
            let lines = [("cart", expired), ("mail", other)];
            let lines = lines.iter().filter(|_| second == 110);
            let anomalies =
                lines.map(|(name, line)| Anomaly { ticks: 9, ..new_line(name, 110, line) }).collect();
            TickClosed { anomalies, ..TickClosed::default() }
        }
    };
    let told = go_on(&mut correlator(), 0..200, tell(expired));
    let last = told.last().unwrap();
    assert_eq!(last.members.len(), 2, "{told:#?}");
    assert!(last.members.iter().any(|member| member.because.ends_with("log about the same")), "{last:#?}");
    let told = go_on(&mut correlator(), 0..200, tell(refused));
    assert!(told.iter().all(|incident| incident.members.len() == 1), "{told:#?}");
}

#[test]
fn trouble_that_came_together_three_times_is_one_incident_the_fourth_time() {
    let mut correlator = correlator();
    for time in 0..4 {
        let begin = 100_000 * time;
        let lines = |second: i64| {
            let name = |word: &str| format!("{second} {word} http.server.request.errors:rate");
            let (cart, ledger) = (name("cart"), name("ledger"));
            // By turns, and over after two minutes.
            match second - begin {
                100 => at(second, second, &[&format!("{cart} 30 50")]),
                160 => at(second, second, &[&format!("{ledger} 30 50")]),
                280 => at(second, second, &[&format!("{cart} 0 1"), &format!("{ledger} 0 1")]),
                _ => TickClosed::default(),
            }
        };
        let told = go_on(&mut correlator, begin..begin + 1_000, lines);
        let ids: BTreeSet<Id> = told.iter().map(|incident| incident.id).collect();
        assert_eq!(ids.len(), if time < 3 { 2 } else { 1 }, "time {time}: {told:#?}");
        if time == 3 {
            let because = told.iter().flat_map(|incident| &incident.members).map(|member| &member.because);
            let tie = "service/ledger and service/cart were in trouble together in 3 of 3 incidents";
            assert!(because.clone().any(|because| because == tie), "{:?}", because.collect::<Vec<_>>());
        }
    }
    let pair: Vec<_> = correlator.companions().map(|(a, b)| (a.name.as_str(), b.name.as_str())).collect();
    assert_eq!(pair, [("cart", "ledger")]);
}

#[test]
fn a_service_is_part_of_its_workload() {
    let workload = Entity::new(EntityKind::Workload, "shop/cart");
    let tell = |second: i64| {
        let placements = vec![Placement { entity: service("cart"), host: workload.clone() }];
        let cart = "110 cart http.server.request.duration:p95 30 5";
        let pods = Anomaly {
            entity: workload.clone(),
            series: format!("{workload} k8s.pod.memory.usage"),
            ..anomaly("110 cart k8s.pod.memory.usage 30 5")
        };
        let anomalies = if second == 110 { vec![anomaly(cart), pods] } else { Vec::new() };
        TickClosed { anomalies, placements, ..TickClosed::default() }
    };
    let told = go_on(&mut correlator(), 0..200, tell);
    let last = told.last().unwrap();
    assert_eq!(last.members.len(), 2, "{told:#?}");
    assert_eq!(last.suspects[0].entity, workload, "{last:#?}");
    assert!(last.suspects[0].reasons.contains(&"below cart".to_string()), "{last:#?}");
    let because = last.members.iter().map(|member| &member.because);
    assert!(
        because.clone().any(|because| because.contains("is part of")),
        "{:?}",
        because.collect::<Vec<_>>()
    );
}

#[test]
fn suspects_have_examples_of_the_time_of_the_incident() {
    let example = |kind, second: i64, text: &str| Example {
        kind,
        time_ms: second * 1000,
        trace_id: if kind == ExampleKind::LogLine { String::new() } else { format!("{second:032x}") },
        text: text.to_string(),
    };
    let tell = |second: i64| {
        let cart = "110 cart http.server.request.errors:rate 30 50";
        let mut tick = at(second, 110, &[cart]);
        tick.anomalies.iter_mut().for_each(|anomaly| {
            anomaly.explanation = "errors:rate rose to 50, expected 1; residual spoke, p = 1e-9".to_string();
        });
        if second == 300 {
            tick = at(300, 300, &["300 cart http.server.request.errors:rate 0 1"]);
        }
        let mut told = vec![example(ExampleKind::SlowRequest, second, "a request took 3.00 s")];
        if second % 30 == 0 {
            told.push(example(ExampleKind::LogLine, second, "pool empty"));
            told.push(example(ExampleKind::FailedRequest, second, "a request failed after 2.00 s"));
        }
        tick.examples = told.into_iter().map(|example| (service("cart"), example)).collect();
        tick
    };
    let told = go_on(&mut correlator(), 0..600, tell);
    let (first, last) = (told.first().unwrap(), told.last().unwrap());
    let suspect = &first.suspects[0];
    assert_eq!(suspect.reasons[0], "service/cart is failing: errors:rate rose to 50, expected 1");
    let kinds: Vec<ExampleKind> = suspect.examples.iter().map(|example| example.kind).collect();
    assert_eq!(kinds, [ExampleKind::FailedRequest, ExampleKind::LogLine], "it is not slow: {suspect:#?}");
    assert!(suspect.examples.iter().all(|example| (60_000..=110_000).contains(&example.time_ms)));
    assert_eq!(last.state, IncidentState::Resolved);
    assert_eq!(last.suspects[0].examples, suspect.examples, "what was shown stays");
}

#[test]
fn the_past_teaches_nothing_of_what_came_once() {
    let mut correlator = correlator();
    go_on(&mut correlator, 0..200, |second| at(second, 100, &["100 cart errors:rate 30 50"]));
    go_on(&mut correlator, 200..900, quiet);
    assert_eq!(correlator.companions().count(), 0);
}
