//! Steps of a playbook, limits, freezes, and what came of it all.

use super::*;
use crate::bus::{Tried, guards};

const STEPS: [&str; 2] = [
    "{name: restart, action: restart, approval: none, playbook: payment}",
    "{name: scale, action: scale, approval: none, playbook: payment, parameters: {replicas: '+2'}}",
];

/// Carries out whatever is granted to the only controller, and says that it worked.
fn carry_out(bus: &mut Bus) {
    let effects = bus.on_event(Event::LeaseTimer { at: bus.now.lease_ms });
    let grant = effects.iter().find_map(|effect| match effect {
        Effect::Grant { lease, .. } => Some(lease.signal.clone()),
        _ => None,
    });
    let signal = grant.expect("something is granted");
    let claim = Claim { session: Session(1), signal: signal.id, token: signal.fencing_token };
    let at = bus.now.lease_ms;
    bus.on_event(Event::Ack { claim, at });
    let (status, message) = (OutcomeStatus::Succeeded, "done".to_string());
    bus.on_event(Event::Outcome { claim, status, message, at });
}

/// The incident at this revision and time, with so many of its two members still abnormal and so many others.
fn turned(revision: u64, updated_ms: i64, left: usize, others: usize) -> Event {
    let mut incident = Incident { revision, updated_ms, ..incident() };
    incident.members.iter_mut().skip(left).for_each(|member| member.anomaly.active = false);
    let other = |at| member(&Entity::new(EntityKind::Service, format!("shop/other-{at}")), "cpu");
    incident.members.extend((0..others).map(other));
    Event::Incident(incident)
}

fn connected(policies: &[&str]) -> Bus {
    let mut bus = bus(BusConfig { verify_within_ms: 100_000, ..config(policies) });
    bus.on_event(connect(1, Hello { capacity: 8, ..hello("a") }, 0));
    bus
}

#[test]
fn the_next_step_comes_only_when_the_last_did_not_help() {
    let mut bus = connected(&STEPS);
    let said = lines(&bus.on_event(Event::Incident(incident())));
    assert_eq!(said, "Ready; scale: step \"restart\" is not over");
    carry_out(&mut bus);
    bus.on_event(tick(NOW + 99_999));
    assert_eq!(lines(&bus.on_event(tick(NOW + 100_000))), "NotRecovered; no_effect; Ready");
    let step = bus.signals().into_iter().find(|signal| signal.policy == "scale").unwrap();
    assert_eq!(step.attributes["replicas"], "+2");
    carry_out(&mut bus);
    assert_eq!(lines(&bus.on_event(resolved(2, NOW + 200_000))), "Verified; recovered");
    let tried: Vec<_> = bus.policies().into_iter().map(|status| status.tried).collect();
    let cause = "service after service.upgraded".to_string();
    assert_eq!(
        tried,
        [
            vec![(cause.clone(), Tried { helped: 0, failed: 1 })],
            vec![(cause, Tried { helped: 1, failed: 0 })]
        ]
    );
}

#[test]
fn what_helped_most_often_comes_first() {
    let mut bus = connected(&STEPS);
    bus.on_event(Event::Incident(incident()));
    carry_out(&mut bus);
    bus.on_event(tick(NOW + 100_000));
    let next = Incident { id: Id(8), updated_ms: NOW + 100_000, ..incident() };
    // It survives a restart.
    let mut bus = Bus::load(bus.config.clone(), &bus.save().unwrap()).unwrap();
    bus.on_event(tick(NOW + 100_000));
    let said = lines(&bus.on_event(Event::Incident(next)));
    assert_eq!(said, "Ready; restart: step \"scale\" is not over");
}

#[test]
fn what_came_of_it_is_said_with_the_evidence() {
    let cases = [
        (
            1,
            0,
            "Improved",
            "improved after 100 s: 1 of 2 series are as they should be again, 0 others are not; 1 abnormal: span.error:ratio of service/shop/payment",
        ),
        (2, 0, "NoEffect", "no effect after 100 s: 0 of 2 series"),
        (
            0,
            1,
            "Improved",
            "improved after 100 s: 2 of 2 series are as they should be again, 1 others are not; 1 abnormal: cpu of service/shop/other-0",
        ),
        (
            2,
            1,
            "Worse",
            "worse after 100 s: 0 of 2 series are as they should be again, 1 others are not; 3 abnormal",
        ),
    ];
    for (left, others, recovery, evidence) in cases {
        let mut bus = connected(&STEPS[..1]);
        bus.on_event(Event::Incident(incident()));
        carry_out(&mut bus);
        bus.on_event(turned(2, NOW + 90_000, left, others));
        bus.on_event(tick(NOW + 100_000));
        let signal = bus.signals()[0];
        assert_eq!(format!("{:?}", signal.recovery.unwrap()), recovery, "{left} {others}");
        assert!(signal.note.starts_with(evidence), "{}", signal.note);
        assert_eq!(signal.state, SignalState::NotRecovered);
    }
}

#[test]
fn what_made_it_worse_is_taken_back_once() {
    let policy = "{name: back, action: rollback, approval: none, undo_if_worse: true}";
    let mut bus = connected(&[policy]);
    let payment = Entity::new(EntityKind::Service, "shop/payment");
    bus.on_event(Event::Change(change("deploy-1", &payment, 100, "v1")));
    bus.on_event(Event::Incident(incident()));
    carry_out(&mut bus);
    let worse = bus.on_event(turned(2, NOW + 60_000, 2, 3));
    assert_eq!(lines(&worse), "NotRecovered; worse; Ready", "as soon as it spreads, not only at the end");
    let undo = bus.signals().into_iter().find(|signal| signal.undoes.is_some()).unwrap().clone();
    let versions = (undo.attributes["version"].as_str(), undo.attributes["to_version"].as_str());
    assert_eq!((undo.action, versions), (Action::Rollback, ("v1", "v2")));
    carry_out(&mut bus);
    let worse = lines(&bus.on_event(turned(3, NOW + 130_000, 2, 9)));
    assert_eq!(worse, "NotRecovered; worse", "and not for ever to and fro");
}

#[test]
fn limits_hold_back() {
    let limits = |text: &str| serde_yaml_ng::from_str(text).unwrap();
    let another = || Event::Incident(Incident { id: Id(8), ..incident() });
    for (text, second) in [
        ("{target_per_hour: 1}", "back: 1 signals for service/shop/payment within an hour, 1 are allowed"),
        ("{namespace_per_hour: 1}", "back: 1 signals for namespace shop within an hour, 1 are allowed"),
        ("{fleet_per_hour: 1}", "back: 1 signals for the fleet within an hour, 1 are allowed"),
        ("{fleet_per_hour: 2}", "Ready"),
    ] {
        let mut bus = bus(BusConfig { limits: limits(text), ..config(&[AUTOMATIC]) });
        bus.on_event(Event::Incident(incident()));
        assert_eq!(lines(&bus.on_event(another())), second, "{text}");
    }
    for (text, why) in [
        ("{target_at_once: 1}", "held back: 1 at once are allowed for service/shop/payment"),
        ("{namespace_at_once: 1}", "held back: 1 at once are allowed for namespace shop"),
        ("{fleet_at_once: 1}", "held back: 1 at once are allowed for the fleet"),
    ] {
        let mut bus = bus(BusConfig { limits: limits(text), ..config(&[AUTOMATIC]) });
        bus.on_event(Event::Incident(incident()));
        bus.on_event(another());
        let said = lines(&bus.on_event(connect(1, Hello { capacity: 8, ..hello("a") }, 0)));
        assert_eq!(said, "welcome; Leased; grant session-1 token 1; Ready", "{text}");
        let waiting = bus.signals().into_iter().find(|signal| signal.state == SignalState::Ready).unwrap();
        assert_eq!(waiting.note, why);
        assert_eq!(bus.next_timer_ms(), Some(60_000), "nothing but the end of the lease wakes it");
        let leased = bus.signals().into_iter().find(|signal| signal.state == SignalState::Leased).unwrap();
        let claim = Claim { session: Session(1), signal: leased.id, token: leased.fencing_token };
        let end = Event::Outcome { claim, status: OutcomeStatus::Failed, message: String::new(), at: 1 };
        assert_eq!(lines(&bus.on_event(end)), "Failed; Leased; grant session-1 token 1", "{text}");
    }
}

#[test]
fn freezes_hold_back_what_they_mean() {
    let freeze = |matcher: &str| Schedule {
        name: "black friday".to_string(),
        matchers: vec![matcher.parse().unwrap()],
        comment: String::new(),
        when: When::Once { from_ms: NOW, until_ms: NOW + 1000 },
    };
    let with = |matcher| BusConfig { freezes: vec![freeze(matcher)], ..config(&[AUTOMATIC]) };
    let mut bus = bus(with("name=~shop/.*"));
    let said = lines(&bus.on_event(Event::Incident(incident())));
    assert_eq!(said, "back: service/shop/payment is frozen: black friday");
    assert_eq!(lines(&bus.on_event(tick(NOW + 1000))), "Ready", "it is over");
    let mut other = super::bus(with("name=~bank/.*"));
    assert_eq!(lines(&other.on_event(Event::Incident(incident()))), "Ready");
    // What was made before the freeze waits for its end.
    let mut made = super::bus(config(&[AUTOMATIC]));
    made.on_event(Event::Incident(incident()));
    made.config.freezes = vec![freeze("kind=service")];
    let said = lines(&made.on_event(connect(1, hello("a"), 0)));
    assert_eq!(said, "welcome; Ready");
    assert_eq!(made.signals()[0].note, "held back: service/shop/payment is frozen: black friday");
    made.on_event(tick(NOW + 1000));
    assert_eq!(lines(&made.on_event(Event::LeaseTimer { at: 0 })), "Leased; grant session-1 token 1");
}

#[test]
fn enough_failures_stop_a_policy_for_a_day() {
    let policy = "{name: back, action: rollback, approval: none, stop_after_failures: 2}";
    let mut bus = connected(&[policy]);
    for id in 1..=2 {
        bus.on_event(Event::Incident(Incident { id: Id(id), ..incident() }));
        let effects = bus.on_event(Event::LeaseTimer { at: 0 });
        assert!(lines(&effects).starts_with("Leased"), "{id}");
        let leased = bus.signals().into_iter().find(|signal| signal.state == SignalState::Leased).unwrap();
        let claim = Claim { session: Session(1), signal: leased.id, token: leased.fencing_token };
        bus.on_event(Event::Outcome { claim, status: OutcomeStatus::Failed, message: String::new(), at: 0 });
    }
    let next =
        |updated_ms| Event::Incident(Incident { id: Id(3), opened_ms: updated_ms, updated_ms, ..incident() });
    let why = "back: 2 in a row failed or did not help within a day, 2 are enough";
    assert_eq!(lines(&bus.clone().on_event(next(NOW + 1))), why);
    assert_eq!(bus.policies()[0].failures, 2);
    let day_ms = 86_400_000;
    bus.on_event(tick(NOW + day_ms));
    assert_eq!(lines(&bus.on_event(next(NOW + day_ms))), "Ready");
}

#[test]
fn namespaces_are_what_stands_before_the_name() {
    for (name, namespace) in [("shop/payment", "shop"), ("eu/shop/payment", "eu/shop"), ("payment", "")] {
        assert_eq!(guards::namespace(&Entity::new(EntityKind::Service, name)), namespace);
    }
}
