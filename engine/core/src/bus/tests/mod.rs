//! Small tables of cases: policies here, controllers and decisions in `signals`, what people want in `people`, steps, limits and what
//! came of it in `playbooks`. Orders of events are `explore`'s.

mod people;
mod playbooks;
mod signals;

use super::{Bus, BusConfig, Claim, Effect, Event, Hello, OutcomeStatus, Policy, Session};
use crate::types::*;

/// A bad deploy of payment, seen in its spans and in the logs of its caller.
pub(super) fn incident() -> Incident {
    let payment = Entity::new(EntityKind::Service, "shop/payment");
    let checkout = Entity::new(EntityKind::Service, "shop/checkout");
    Incident {
        id: Id(7),
        revision: 1,
        event: IncidentEvent::Opened,
        state: IncidentState::Open,
        title: "payment: errors up".to_string(),
        started_ms: 900_000,
        opened_ms: 1_000_000,
        updated_ms: 1_000_000,
        resolved_ms: None,
        severity: 0.9,
        members: vec![member(&payment, "span.error:ratio"), member(&checkout, "log.error:rate")],
        suspects: vec![Suspect {
            entity: payment.clone(),
            weight: 0.8,
            reasons: vec!["it was changed just before".to_string()],
            change: Some(change("deploy-2", &payment, 890_000, "v2")),
            examples: Vec::new(),
        }],
        changes: vec![change("deploy-2", &payment, 890_000, "v2")],
        reopened: 0,
        acknowledged_by: None,
        remediation: None,
        page: true,
        why: String::new(),
        ..Incident::default()
    }
}

pub(super) fn member(entity: &Entity, measure: &str) -> Member {
    let anomaly = Anomaly {
        ticks: 5,
        id: Id::of(&[&entity.to_string(), measure]),
        revision: 1,
        kind: AnomalyKind::Series,
        entity: entity.clone(),
        series: format!("{entity} {measure}"),
        measure: measure.to_string(),
        role: MeasureRole::named(measure),
        active: true,
        opened_ms: 1_000_000,
        onset_ms: 900_000,
        updated_ms: 1_000_000,
        score: 0.9,
        neg_log_p: 20.0,
        value: 1.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.1,
        detector: "residual".to_string(),
        explanation: String::new(),
        contributions: Vec::new(),
        attribution: Vec::new(),
    };
    Member { anomaly, because: String::new() }
}

pub(super) fn change(id: &str, entity: &Entity, time_ms: i64, version: &str) -> Change {
    Change {
        time_ms,
        id: id.to_string(),
        kind: "service.upgraded".to_string(),
        entity: entity.clone(),
        version: version.to_string(),
        source: "test".to_string(),
    }
}

/// Rolls anything back that a person approves.
pub(super) fn policy(name: &str) -> Policy {
    serde_yaml_ng::from_str(&format!("{{name: {name}, action: rollback}}")).unwrap()
}

pub(super) fn hello(controller: &str) -> Hello {
    let controller = controller.to_string();
    Hello {
        controller,
        kind: ControllerKind::Deploy,
        scope: Scope::default(),
        allowed: vec![Scope::default()],
        capacity: 1,
    }
}

fn config(policies: &[&str]) -> BusConfig {
    let policies = policies.iter().map(|text| serde_yaml_ng::from_str(text).unwrap()).collect();
    BusConfig { policies, ..BusConfig::default() }
}

/// A bus that has caught up with the fixture.
fn bus(config: BusConfig) -> Bus {
    let mut bus = Bus::new(config).unwrap();
    bus.on_event(Event::Tick { time_ms: NOW, catching_up: false });
    bus
}

const NOW: i64 = 1_000_000;
const AUTOMATIC: &str = "{name: back, action: rollback, approval: none}";

/// One line per effect, as short as a table needs it.
fn lines(effects: &[Effect]) -> String {
    let lines: Vec<String> = effects.iter().map(line).collect();
    lines.join("; ")
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::Signal(signal) => format!("{:?}", signal.state),
        Effect::Grant { session, lease } => {
            format!("grant {session} token {}", lease.signal.fencing_token)
        }
        Effect::Cancel { session, .. } => format!("cancel {session}"),
        Effect::Fault { code, .. } => code.name().to_string(),
        Effect::Welcome { .. } => "welcome".to_string(),
        Effect::Remediation { recovery, .. } => recovery.name().to_string(),
        Effect::Declined { policy, why, .. } => format!("{policy}: {why}"),
        Effect::Refused { why, .. } => why.clone(),
    }
}

fn connect(session: u64, hello: Hello, at: u64) -> Event {
    Event::Connect { session: Session(session), hello, at }
}

fn claim(bus: &Bus, session: u64) -> Claim {
    let signal = bus.signals()[0];
    Claim { session: Session(session), signal: signal.id, token: signal.fencing_token }
}

fn outcome(bus: &Bus, session: u64, status: OutcomeStatus, at: u64) -> Event {
    Event::Outcome { claim: claim(bus, session), status, message: "said so".to_string(), at }
}

fn resolved(revision: u64, updated_ms: i64) -> Event {
    Event::Incident(Incident { revision, state: IncidentState::Resolved, updated_ms, ..incident() })
}

fn tick(time_ms: i64) -> Event {
    Event::Tick { time_ms, catching_up: false }
}

#[test]
fn why_a_policy_fires_or_not() {
    let cases = [
        ("action: rollback", "AwaitingApproval"),
        ("action: rollback, approval: none", "Ready"),
        ("action: rollback, dry_run: true", "DryRun"),
        ("action: restart, when: {entities: ['service/shop/*']}", "AwaitingApproval"),
        (
            "action: restart, when: {entities: ['model/*', 'host/*']}",
            "p: the first suspect, service/shop/payment, is none of model/*, host/*",
        ),
        ("action: restart, when: {match: ['name=~shop/.*', kind=service]}", "AwaitingApproval"),
        (
            "action: restart, when: {match: [name=shop/cart]}",
            "p: the first suspect, service/shop/payment, does not match name=\"shop/cart\"",
        ),
        ("action: restart, when: {incident: anomaly}", "AwaitingApproval"),
        (
            "action: restart, when: {incident: forecast}",
            "p: the incident is of the kind anomaly, not forecast",
        ),
        (
            "action: retrain, when: {entity_kind: model}",
            "p: the first suspect, service/shop/payment, is no model",
        ),
        ("action: rollback, when: {change_kind: 'service.*'}", "AwaitingApproval"),
        (
            "action: rollback, when: {change_kind: 'model.*'}",
            "p: the change that is blamed has to be model.*, it is service.upgraded",
        ),
        ("action: rollback, when: {min_weight: 0.8, min_severity: 0.9}", "AwaitingApproval"),
        (
            "action: rollback, when: {min_weight: 0.85}",
            "p: service/shop/payment is the cause with weight 0.80, less than 0.85",
        ),
        ("action: rollback, when: {min_severity: 0.95}", "p: severity 0.90 is less than 0.95"),
        (
            "action: rollback, min_evidence_kinds: 3",
            "p: seen in logs and spans only, 3 kinds of telemetry are needed",
        ),
        ("action: rollback, max_affected: 2", "AwaitingApproval"),
        ("action: rollback, max_affected: 1", "p: the incident spans 2 entities, more than 1"),
    ];
    for (policy, expected) in cases {
        let mut bus = bus(config(&[&format!("{{name: p, {policy}}}")]));
        let effects = bus.on_event(Event::Incident(incident()));
        assert_eq!(lines(&effects), expected, "{policy}");
        // Said once: neither the next tick nor the next revision says it again.
        let next = Incident { revision: 2, ..incident() };
        assert_eq!(lines(&bus.on_event(tick(NOW + 10))), "", "{policy}");
        assert_eq!(lines(&bus.on_event(Event::Incident(next))), "", "{policy}");
    }
}

#[test]
fn what_incidents_lack() {
    let mut bare = incident();
    bare.suspects.clear();
    let mut unchanged = incident();
    unchanged.suspects[0].change = None;
    let mut undone = incident();
    undone.suspects[0].change.as_mut().unwrap().kind = "service.rolledback".to_string();
    let mut thin = incident();
    thin.members.truncate(1);
    let old = Incident { updated_ms: NOW - 900_001, ..incident() };
    let forgotten = Incident { opened_ms: NOW - 7 * 86_400_000 - 1, ..incident() };
    let cases = [
        (bare, "back: the incident has no suspect"),
        (unchanged, "back: no change of service/shop/payment is blamed: nothing to roll back"),
        (undone, "back: the change that is blamed is a rollback itself"),
        (thin, "back: seen in spans only, 2 kinds of telemetry are needed"),
        (old, "back: nothing new about the incident within max_signal_age"),
        (forgotten, "back: the incident opened longer ago than signals are remembered"),
    ];
    for (incident, expected) in cases {
        let mut bus = bus(config(&[AUTOMATIC]));
        assert_eq!(lines(&bus.on_event(Event::Incident(incident))), expected);
    }
}

#[test]
fn the_first_policy_that_matches_decides_about_an_action() {
    let order = [
        "{name: models, action: rollback, when: {entity_kind: model}}",
        "{name: careful, action: rollback, max_affected: 1}",
        "{name: bold, action: rollback, approval: none}",
        "{name: again, action: restart}",
    ];
    let mut bus = bus(config(&order));
    let said = lines(&bus.on_event(Event::Incident(incident())));
    let expected = "models: the first suspect, service/shop/payment, is no model; \
                    careful: the incident spans 2 entities, more than 1; \
                    bold: policy \"careful\" decides about this action; AwaitingApproval";
    assert_eq!(said, expected);
}

#[test]
fn rate_and_cool_down() {
    let other = |id: u64, name: &str, updated_ms: i64| {
        let mut other = Incident { id: Id(id), opened_ms: updated_ms, updated_ms, ..incident() };
        other.suspects[0].change.as_mut().unwrap().entity.name = name.to_string();
        Event::Incident(other)
    };
    let mut rated = bus(config(&["{name: back, action: rollback, max_per_hour: 1}"]));
    assert_eq!(lines(&rated.on_event(other(1, "a", NOW))), "AwaitingApproval");
    let said = lines(&rated.on_event(other(2, "b", NOW + 3_599_999)));
    assert_eq!(said, "back: 1 signals within an hour, 1 are allowed");
    // The hour is over: the tick looks again.
    assert!(lines(&rated.on_event(tick(NOW + 3_600_000))).ends_with("AwaitingApproval"));

    let mut cooled = bus(config(&["{name: back, action: rollback, cool_down_seconds: 60}"]));
    assert_eq!(lines(&cooled.on_event(other(1, "a", NOW))), "AwaitingApproval");
    assert_eq!(lines(&cooled.on_event(other(2, "b", NOW))), "AwaitingApproval");
    let said = lines(&cooled.on_event(other(3, "a", NOW + 59_999)));
    assert_eq!(said, "back: the latest signal for service/a is less than 60 s old");
    assert_eq!(lines(&cooled.on_event(tick(NOW + 60_000))), "AwaitingApproval");
}

#[test]
fn what_a_controller_is_told() {
    let mut bus = bus(config(&[AUTOMATIC]));
    let payment = Entity::new(EntityKind::Service, "shop/payment");
    for (id, time_ms, version) in
        [("1", 100, "v1"), ("2", 200, "v2"), ("3", 300, "v1"), ("late", 895_000, "v3")]
    {
        bus.on_event(Event::Change(change(id, &payment, time_ms, version)));
    }
    bus.on_event(Event::Incident(incident()));
    let signal = bus.signals()[0];
    assert_eq!(signal.id, Id::of(&["signal", "0000000000000007", "back", "rollback"]));
    assert_eq!(signal.target, payment);
    let attributes: Vec<String> = signal.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let expected = "change_id=deploy-2 evidence=service/shop/payment span.error:ratio; service/shop/checkout log.error:rate kind=service name=payment namespace=shop to_version=v1 version=v2";
    assert_eq!(attributes.join(" "), expected);
    let expected =
        "payment: errors up; service/shop/payment is the cause with weight 0.80: it was changed just before";
    assert_eq!(signal.reason, expected);
    assert_eq!((signal.created_ms, signal.expires_ms), (NOW, NOW + 900_000));
}

#[test]
fn catching_up_observes_only() {
    let mut bus = Bus::new(config(&[AUTOMATIC])).unwrap();
    let said = lines(&bus.on_event(Event::Incident(incident())));
    assert_eq!(said, "back: the engine is catching up and only observes", "before the first tick");
    assert_eq!(lines(&bus.on_event(connect(1, hello("a"), 0))), "welcome");
    assert_eq!(lines(&bus.on_event(tick(NOW + 10))), "Ready");
    bus.on_event(Event::Tick { time_ms: NOW + 20, catching_up: true });
    assert_eq!(bus.next_timer_ms(), None);
    assert_eq!(lines(&bus.on_event(Event::LeaseTimer { at: 5 })), "");
    bus.on_event(tick(NOW + 30));
    assert_eq!(bus.next_timer_ms(), Some(5));
    assert_eq!(lines(&bus.on_event(Event::LeaseTimer { at: 5 })), "Leased; grant session-1 token 1");
}

#[test]
fn what_is_old_is_forgotten_and_never_made_again() {
    let config = BusConfig { keep_ms: 3_600_000, max_signals: 1, ..config(&[AUTOMATIC]) };
    let mut bus = bus(config);
    assert_eq!(lines(&bus.on_event(Event::Incident(incident()))), "Ready");
    let full = lines(&bus.on_event(Event::Incident(Incident { id: Id(8), ..incident() })));
    assert_eq!(full, "back: 1 signals are remembered already: raise max_signals");
    bus.on_event(tick(NOW + 3_600_000));
    assert_eq!(bus.signals().len(), 1);
    bus.on_event(tick(NOW + 3_600_001));
    assert_eq!(bus.signals().len(), 0);
    let again = Incident { revision: 2, updated_ms: NOW + 3_600_001, ..incident() };
    let said = lines(&bus.on_event(Event::Incident(again)));
    assert_eq!(said, "back: the incident opened longer ago than signals are remembered");
}

#[test]
fn settings_that_contradict_themselves() {
    let cases = [
        ("{policies: [{name: '', action: restart}]}", "policy \"\": give it a name"),
        (
            "{policies: [{name: a, action: restart}, {name: a, action: rollback}]}",
            "two policies are named \"a\": rename one, the name is part of the id of their signals",
        ),
        ("{lease_seconds: 0}", "lease_seconds is 0: set it to a number from 1 to 86400"),
        ("{verify_within_ms: 10}", "verify_within_ms is 10: set it to 60000 or more"),
        (
            "{policies: [{name: a, action: restart, when: {min_weight: 1.1}}]}",
            "policy \"a\": set min_weight and min_severity to a number from 0 to 1",
        ),
        (
            "{policies: [{name: a, action: restart, min_evidence_kinds: 4}]}",
            "policy \"a\": set min_evidence_kinds to 1, 2 or 3",
        ),
        (
            "{limits: {fleet_at_once: 0}}",
            "limits.fleet_at_once is 0: set it to a number from 1 to 4294967295",
        ),
        ("{policies: [{name: a, action: scale}]}", "policy \"a\": scale needs the parameter replicas"),
        (
            "{policies: [{name: a, action: restart, parameters: {name: cart}}]}",
            "policy \"a\": the parameter name says what the engine says itself: take another name",
        ),
        (
            "{policies: [{name: a, action: restart, approvals: 0}]}",
            "policy \"a\": approvals of 0 is what approval: none is for",
        ),
        (
            "{policies: [{name: a, action: restart, undo_if_worse: true}]}",
            "policy \"a\": undo_if_worse is for rollback and rollback_model: nothing else can be taken back",
        ),
        (
            "{policies: [{name: a, action: restart, stop_after_failures: 0}]}",
            "policy \"a\": stop_after_failures of 0 allows nothing: remove the policy, or make it a dry run",
        ),
        (
            "{keep_ms: 3600000, policies: [{name: a, action: restart, cool_down_seconds: 3601}]}",
            "policy \"a\": cool_down_seconds is longer than signals are remembered: raise keep_ms",
        ),
    ];
    for (text, expected) in cases {
        let config: BusConfig = serde_yaml_ng::from_str(text).unwrap();
        assert_eq!(Bus::new(config).unwrap_err().to_string(), expected);
    }
    assert!(serde_yaml_ng::from_str::<Policy>("{name: a, action: restart, whem: {}}").is_err());
}

#[test]
fn patterns() {
    let cases = [
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("service/*", "service/shop/cart", true),
        ("*cart", "service/cart", true),
        ("s*a*t", "service/cart", true),
        ("a*a", "a", false),
        ("*a*b*", "xbxa", false),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}
