//! Little stories: who is blamed, what is kept quiet, how an incident ends.

mod family;
mod load;
mod people;
mod ties;

use std::collections::BTreeSet;

use super::*;
use crate::types::{
    AlertSeverity, AnomalyKind, Edge, Entity, EntityKind, IncidentState, Member, SeriesDef, Suspect,
};

fn service(name: &str) -> Entity {
    Entity::new(EntityKind::Service, name)
}

/// `second entity measure −ln p value`, expected being 1; an anomaly that is over has −ln p 0.
pub(super) fn anomaly(text: &str) -> Anomaly {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [second, name, measure, strength, value] = parts[..] else { panic!("{text}") };
    let (opened_ms, neg_log_p): (i64, f64) =
        (second.parse::<i64>().unwrap() * 1000, strength.parse().unwrap());
    let entity = service(name);
    let attributes = measure.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
    let pair = |text: &str| text.split_once('=').map(|(key, value)| (key.to_string(), value.to_string()));
    let attributes = attributes.split(',').filter_map(pair).collect();
    let series =
        SeriesDef::new(std::sync::Arc::new(entity.clone()), measure.split('{').next().unwrap(), attributes);
    Anomaly {
        id: Id::of(&[name, measure]),
        revision: 1,
        kind: AnomalyKind::Series,
        series: format!("{entity} {measure}"),
        entity,
        measure: series.measure,
        role: series.role,
        active: neg_log_p > 0.0,
        opened_ms,
        onset_ms: opened_ms,
        updated_ms: opened_ms,
        ticks: 8,
        score: neg_log_p / (neg_log_p + 10.0),
        neg_log_p,
        value: value.parse().unwrap(),
        expected: 1.0,
        lower: 0.5,
        upper: 1.5,
        detector: "residual".to_string(),
        explanation: String::new(),
        contributions: Vec::new(),
        attribution: Vec::new(),
    }
}

/// An open incident of these anomalies.
pub(super) fn incident(anomalies: Vec<Anomaly>) -> Incident {
    let member = |anomaly| Member { anomaly, because: String::new() };
    Incident { members: anomalies.into_iter().map(member).collect(), ..Incident::default() }
}

/// An incident of these suspects.
pub(super) fn incident_of(entities: &[&Entity]) -> Incident {
    let suspect = |entity: &&Entity| Suspect {
        entity: Entity::clone(entity),
        weight: 1.0 / entities.len() as f64,
        reasons: Vec::new(),
        change: None,
        examples: Vec::new(),
    };
    Incident { suspects: entities.iter().map(suspect).collect(), ..Incident::default() }
}

fn edges() -> Vec<Edge> {
    let edge = |caller: &str, callee: &str| Edge {
        caller: service(caller),
        callee: service(callee),
        calls: 10,
        errors: 0,
    };
    let stock = Entity::new(EntityKind::Database, "stock");
    vec![
        Edge { callee: stock, ..edge("checkout", "") },
        edge("checkout", "payment"),
        edge("frontend", "checkout"),
        edge("frontend", "user"),
    ]
}

fn upgraded(name: &str, second: i64) -> Change {
    Change {
        time_ms: second * 1000,
        id: format!("{name}-{second}"),
        kind: "service.upgraded".to_string(),
        entity: service(name),
        version: "v2".to_string(),
        source: "test".to_string(),
    }
}

/// Runs a story to `end` and gives every revision of every incident. The state is saved and restored at every
/// tick: that must not be visible, and every story is a test of it.
fn tell(changes: &[Change], lines: &[&str], end: i64) -> Vec<Incident> {
    let mut correlator = Correlator::new(CorrelatorConfig::default());
    let mut told = Vec::new();
    let mut plain = Correlator::new(CorrelatorConfig::default());
    for second in (0..=end).step_by(10) {
        for change in changes.iter().filter(|change| change.time_ms == second * 1000) {
            correlator.on_event(Event::Change(change.clone()));
            plain.on_event(Event::Change(change.clone()));
        }
        let anomalies = lines.iter().map(|line| anomaly(line)).filter(|a| a.opened_ms == second * 1000);
        let tick = TickClosed {
            time_ms: second * 1000,
            anomalies: anomalies.collect(),
            edges: edges(),
            warm_series: 100,
            ..TickClosed::default()
        };
        let effects = correlator.on_event(Event::Tick(tick.clone()));
        assert_eq!(effects, plain.on_event(Event::Tick(tick)));
        correlator = Correlator::load(CorrelatorConfig::default(), &correlator.save("c").unwrap()).unwrap();
        told.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Incident(incident) => Some(incident),
            Effect::Suppressed(_) => None,
        }));
    }
    told
}

const BAD_DEPLOY: [&str; 4] = [
    "110 payment http.server.request.errors:rate 9 50",
    "110 checkout http.server.request.errors:rate 9 40",
    "120 frontend http.server.request.errors:rate 9 30",
    "120 payment http.server.request.duration:p95 8 5",
];

#[test]
fn a_bad_deploy_is_blamed_before_its_callers() {
    let told = tell(&[upgraded("user", 60), upgraded("payment", 90)], &BAD_DEPLOY, 300);
    let last = told.last().unwrap();
    assert_eq!(told.iter().filter(|incident| incident.page).count(), 1);
    assert_eq!(last.members.len(), 4);
    assert_eq!(last.suspects[0].entity, service("payment"), "{:#?}", last.suspects);
    assert_eq!(last.suspects[0].change.as_ref().map(|change| change.version.as_str()), Some("v2"));
    assert!(last.title.starts_with("payment: failing, after service.upgraded v2"), "{}", last.title);
}

#[test]
fn payment_is_blamed_without_a_change_too() {
    let told = tell(&[], &BAD_DEPLOY, 300);
    assert_eq!(told.last().unwrap().suspects[0].entity, service("payment"));
}

#[test]
fn traffic_alone_pages_nobody() {
    let lines = [
        "110 frontend http.server.request.count:rate 9 3",
        "110 checkout span:rate 9 3",
        "120 payment process.cpu.utilization 9 2",
    ];
    assert!(tell(&[upgraded("user", 60)], &lines, 2000).is_empty());
}

#[test]
fn misses_of_a_cache_follow_whose_traffic_ever_it_is() {
    let surge = |misses: u32| {
        let lines = [
            "110 frontend http.server.request.count:rate 9 3".to_string(),
            "110 checkout span:rate 9 3".to_string(),
            format!("110 user cache.misses:rate 30 {misses}"),
        ];
        tell(&[], &lines.each_ref().map(String::as_str), 2000)
    };
    assert!(surge(4).is_empty(), "three times the traffic, four times the misses");
    assert!(!surge(20).is_empty(), "a stampede");
}

/// Payment fails from 110 s on until `end`, flares up at `flare`, and it is told who was called and when.
fn flare(end: i64, flare: i64) -> Vec<Incident> {
    let lines = [
        "110 payment http.server.request.errors:rate 9 50".to_string(),
        "110 checkout http.server.request.errors:rate 9 40".to_string(),
        format!("{end} payment http.server.request.errors:rate 0 1"),
        format!("{end} checkout http.server.request.errors:rate 0 1"),
        format!("{flare} payment http.server.request.duration:p95 9 50"),
        format!("{flare} checkout http.server.request.duration:p95 9 40"),
    ];
    let told = tell(&[], &lines.each_ref().map(String::as_str), flare + 200);
    assert!(told.iter().any(|incident| incident.state == IncidentState::Resolved));
    assert_eq!(told.last().unwrap().reopened, 1);
    let revisions: Vec<u64> = told.iter().map(|incident| incident.revision).collect();
    assert_eq!(revisions, (1..=told.len() as u64).collect::<Vec<_>>());
    told
}

#[test]
fn an_incident_resolves_and_a_flare_pages_again_only_long_after_the_last_page() {
    let pages = |told: &[Incident]| -> Vec<i64> {
        told.iter().filter(|incident| incident.page).map(|incident| incident.updated_ms / 1000).collect()
    };
    assert_eq!(pages(&flare(200, 500)), [110]);
    assert_eq!(pages(&flare(1_000, 1_200)), [110, 1_200]);
}

#[test]
fn what_got_better_does_not_keep_an_incident_open() {
    let resolved_at = |beside: &str| -> Option<i64> {
        let lines = [
            "110 payment http.server.request.errors:rate 9 50",
            "110 payment http.server.request.duration:p95 9 50",
            "200 payment http.server.request.errors:rate 0 50",
            "200 payment http.server.request.duration:p95 0 50",
            beside,
        ];
        let told = tell(&[], &lines, 700);
        told.last().unwrap().resolved_ms.map(|time_ms| time_ms / 1000)
    };
    // Shorter times, and more requests, go on.
    assert_eq!(resolved_at("150 payment http.server.request.duration:p50 9 0.2"), Some(310));
    assert_eq!(resolved_at("150 payment http.server.request.count:rate 9 3"), Some(310));
    assert_eq!(resolved_at("150 payment process.memory.usage 9 3"), None);
}

#[test]
fn a_change_alone_is_no_incident() {
    assert!(tell(&[upgraded("payment", 90)], &[], 600).is_empty());
}

#[test]
fn calls_in_trouble_are_held_against_the_callee() {
    let edge = "110 checkout span.edge.errors:ratio{callee=service/payment} 9 50";
    let own = "110 checkout http.server.request.errors:rate 9 40";
    let told = tell(&[upgraded("payment", 90)], &[edge, own], 300);
    let first = &told.last().unwrap().suspects[0];
    assert_eq!(first.entity, service("payment"));
    assert!(first.reasons[0].contains("failing to checkout, its own series say nothing"), "{first:#?}");
    assert_eq!(first.change.as_ref().map(|change| change.version.as_str()), Some("v2"));
    assert!(told.last().unwrap().title.starts_with("payment: failing, after service.upgraded v2 (checkout"));
    // The caller was changed, and nothing of the callee's own speaks.
    let told = tell(&[upgraded("checkout", 90)], &[edge, own], 300);
    assert_eq!(told.last().unwrap().suspects[0].entity, service("checkout"));
    // More calls are no trouble.
    let more = "110 checkout span.edge:rate{callee=service/payment} 9 50";
    let told = tell(&[], &[more, own], 300);
    assert_eq!(told.last().unwrap().suspects.len(), 1);
}

#[test]
fn callers_of_one_callee_belong_together() {
    let lines = [
        "110 checkout span.edge.duration:p95{callee=database/sql} 9 50",
        "110 user span.edge.duration:p95{callee=database/sql} 9 40",
    ];
    let told = tell(&[], &lines, 300);
    let last = told.last().unwrap();
    assert_eq!(last.members.len(), 2);
    assert!(last.members.iter().any(|member| member.because.ends_with("call database/sql")), "{last:#?}");
    assert_eq!(last.suspects[0].entity, Entity::new(EntityKind::Database, "sql"));
    assert_eq!(last.suspects[0].reasons[0], "database/sql is slow to checkout, user");
}

#[test]
fn a_database_that_reports_as_a_service_is_one_thing_and_explains_who_waits_for_it() {
    let lines = [
        "110 checkout span.edge.duration:mean{callee=database/stock} 9 50",
        "110 checkout span.duration:p95 9 50",
        "110 frontend span.duration:p95 9 40",
        "110 stock process.memory.usage 9 3",
    ];
    let last = tell(&[], &lines, 300).pop().unwrap();
    assert_eq!(last.members.len(), 4, "{last:#?}");
    let suspects: Vec<&Entity> = last.suspects.iter().map(|suspect| &suspect.entity).collect();
    assert_eq!(suspects[0], &service("stock"), "{last:#?}");
    assert!(!suspects.iter().any(|entity| entity.kind == EntityKind::Database), "{suspects:?}");
    let checkout = last.suspects.iter().find(|suspect| suspect.entity == service("checkout")).unwrap();
    assert!(checkout.reasons.contains(&"explained by stock".to_string()), "{checkout:#?}");
    // With a sign of its own work, nothing explains it away.
    let own = [lines.as_slice(), &["110 checkout span.self:p95 9 50"]].concat();
    let last = tell(&[], &own, 300).pop().unwrap();
    let checkout = last.suspects.iter().find(|suspect| suspect.entity == service("checkout")).unwrap();
    assert!(!checkout.reasons.iter().any(|reason| reason.starts_with("explained")), "{checkout:#?}");
}

#[test]
fn requests_that_failed_are_told_by_their_attributes() {
    let of = |attributes: &str| format!("110 payment http.server.request.duration:rate{{{attributes}}} 9 50");
    for failed in ["error.type=timeout", "http.request.method=GET,http.response.status_code=503"] {
        let told = tell(&[], &[&of(failed)], 300);
        assert!(told.last().is_some_and(|last| last.title.starts_with("payment: failing")), "{failed}");
    }
    assert!(tell(&[], &[&of("http.request.method=GET,http.response.status_code=200")], 300).is_empty());
}

fn alert(name: &str, second: i64, firing: bool, severity: AlertSeverity) -> Event {
    Event::Alert(Alert {
        time_ms: second * 1000,
        fingerprint: name.to_string(),
        started_ms: 0,
        firing,
        name: format!("{name}Down"),
        entity: service(name),
        severity,
        summary: "nobody answers".to_string(),
        source: "alertmanager".to_string(),
    })
}

/// Ticks without anything new; the incidents on the way.
fn calm(correlator: &mut Correlator, seconds: std::ops::Range<i64>) -> Vec<Incident> {
    let ticks = seconds.step_by(10).flat_map(|second| {
        let told =
            TickClosed { time_ms: second * 1000, edges: edges(), warm_series: 100, ..TickClosed::default() };
        correlator.on_event(Event::Tick(told))
    });
    ticks
        .filter_map(|effect| match effect {
            Effect::Incident(incident) => Some(incident),
            Effect::Suppressed(_) => None,
        })
        .collect()
}

#[test]
fn a_critical_alert_is_an_incident_and_its_end_ends_it() {
    let mut correlator = Correlator::new(CorrelatorConfig::default());
    calm(&mut correlator, 0..7200);
    correlator.on_event(alert("payment", 7200, true, AlertSeverity::Critical));
    correlator.on_event(alert("payment", 7200, true, AlertSeverity::Critical));
    let opened = calm(&mut correlator, 7200..7260);
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert_eq!(opened[0].members.len(), 1, "a repeat is none of its own");
    assert_eq!(opened[0].members[0].anomaly.explanation, "alert paymentDown: nobody answers");
    assert_eq!(opened[0].suspects[0].entity, service("payment"));
    // A warning about its caller joins.
    correlator.on_event(alert("checkout", 7260, true, AlertSeverity::Warning));
    let joined = calm(&mut correlator, 7260..7300);
    assert_eq!(joined.last().unwrap().members.len(), 2);
    for name in ["payment", "checkout"] {
        correlator.on_event(alert(name, 7300, false, AlertSeverity::Warning));
    }
    let over = calm(&mut correlator, 7300..7500);
    assert_eq!(over.last().unwrap().state, IncidentState::Resolved);
    assert_eq!(over.last().unwrap().event, IncidentEvent::Resolved);
}

#[test]
fn an_alert_that_matters_to_nobody_opens_nothing() {
    let mut correlator = Correlator::new(CorrelatorConfig::default());
    calm(&mut correlator, 0..7200);
    correlator.on_event(alert("payment", 7200, true, AlertSeverity::Info));
    // An end that nobody heard the beginning of.
    correlator.on_event(alert("user", 7200, false, AlertSeverity::Critical));
    assert_eq!(calm(&mut correlator, 7200..9000), []);
}
