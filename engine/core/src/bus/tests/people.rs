//! What people want: proposals, withdrawals, several pairs of eyes, the kill switch.

use super::*;
use crate::bus::Proposal;

fn proposal(action: Action, by: &str) -> Proposal {
    Proposal {
        incident: Id(7),
        action,
        target: Entity::new(EntityKind::Service, "shop/payment"),
        parameters: Default::default(),
        dry_run: false,
        round: 0,
        by: by.to_string(),
        comment: "it always helps".to_string(),
    }
}

fn decide(bus: &Bus, approve: bool, by: &str) -> Event {
    let (by, comment) = (by.to_string(), String::new());
    Event::Decide { signal: bus.signals()[0].id, approve, by, comment }
}

#[test]
fn what_a_person_proposes_somebody_else_approves() {
    let mut bus = bus(config(&[]));
    assert_eq!(
        lines(&bus.on_event(Event::Propose(proposal(Action::Restart, "ann")))),
        "there is no open incident 0000000000000007"
    );
    bus.on_event(Event::Incident(incident()));
    assert_eq!(lines(&bus.on_event(Event::Propose(proposal(Action::Restart, "ann")))), "AwaitingApproval");
    assert_eq!(lines(&bus.on_event(Event::Propose(proposal(Action::Restart, "ben")))), "", "said already");
    let signal = bus.signals()[0].clone();
    assert_eq!(signal.reason, "payment: errors up; proposed by ann: it always helps");
    assert_eq!((signal.policy.as_str(), signal.proposed_by.as_str(), signal.consent.needed), ("", "ann", 1));
    assert_eq!(
        lines(&bus.on_event(decide(&bus.clone(), true, "ann for carol"))),
        "whoever proposed it cannot agree to it: somebody else has to"
    );
    assert_eq!(lines(&bus.on_event(decide(&bus.clone(), true, "ben"))), "Ready");
    assert_eq!(lines(&bus.on_event(connect(1, hello("a"), 0))), "welcome; Leased; grant session-1 token 1");
}

#[test]
fn proposals_that_cannot_be() {
    let mut bus = bus(config(&[]));
    bus.on_event(Event::Incident(incident()));
    let with = |key: &str| Proposal {
        parameters: [(key.to_string(), "x".to_string())].into(),
        ..proposal(Action::Restart, "ann")
    };
    for (proposal, expected) in [
        (proposal(Action::Restart, ""), "say who proposes"),
        (proposal(Action::Scale, "ann"), "scale needs the parameter replicas"),
        (with("namespace"), "the parameter namespace says what the engine says itself: take another name"),
        (with("to_version"), "the parameter to_version says what the engine says itself: take another name"),
    ] {
        assert_eq!(lines(&bus.on_event(Event::Propose(proposal))), expected);
    }
    let rollback = Proposal { dry_run: true, ..proposal(Action::Rollback, "ann") };
    bus.on_event(Event::Change(change("deploy-1", &rollback.target, 100, "v1")));
    assert_eq!(lines(&bus.on_event(Event::Propose(rollback))), "DryRun");
    assert_eq!(bus.signals()[0].attributes["to_version"], "v1");
}

#[test]
fn several_have_to_agree_in_time() {
    let policy = "{name: back, action: rollback, approvals: 2, approval_group: dba, approval_seconds: 60}";
    let mut bus = bus(config(&[policy]));
    bus.on_event(Event::Incident(incident()));
    assert_eq!(bus.signals()[0].consent.group, "dba");
    assert_eq!(lines(&bus.on_event(decide(&bus.clone(), true, "ann"))), "AwaitingApproval");
    assert_eq!(bus.signals()[0].note, "approved by ann (1 of 2)");
    assert_eq!(
        lines(&bus.on_event(decide(&bus.clone(), true, "ann"))),
        "they have agreed already: somebody else has to"
    );
    let mut late = bus.clone();
    assert_eq!(lines(&bus.on_event(decide(&bus.clone(), true, "ben"))), "Ready");
    assert_eq!(bus.signals()[0].note, "approved by ann and ben");
    assert_eq!(lines(&late.on_event(tick(NOW + 60_000))), "");
    assert_eq!(lines(&late.on_event(tick(NOW + 60_001))), "Cancelled");
    assert_eq!(late.signals()[0].note, "nobody agreed in time");
}

#[test]
fn what_is_withdrawn_is_not_granted_any_more() {
    let mut bus = bus(config(&[AUTOMATIC]));
    bus.on_event(Event::Incident(incident()));
    let withdraw = |bus: &Bus| {
        let (signal, by, comment) = (bus.signals()[0].id, "ann".to_string(), "not now".to_string());
        Event::Withdraw { signal, by, comment }
    };
    let mut leased = bus.clone();
    assert_eq!(lines(&bus.on_event(withdraw(&bus.clone()))), "Cancelled");
    assert_eq!(bus.signals()[0].note, "withdrawn by ann: not now");
    assert_eq!(lines(&bus.on_event(withdraw(&bus.clone()))), "it has ended: withdrawn by ann: not now");
    assert_eq!(lines(&bus.on_event(connect(1, hello("a"), 0))), "welcome");
    leased.on_event(connect(1, hello("a"), 0));
    assert_eq!(lines(&leased.on_event(withdraw(&leased.clone()))), "Cancelled; cancel session-1");
    let steps: Vec<String> = leased
        .history(leased.signals()[0].id)
        .iter()
        .map(|step| format!("{} {:?}", step.revision, step.state))
        .collect();
    assert_eq!(steps, ["1 Ready", "2 Leased", "3 Cancelled"]);
}

#[test]
fn the_kill_switch_stops_everything_and_survives() {
    let mut bus = bus(config(&[AUTOMATIC, "{name: again, action: restart}"]));
    let halt = |halt| Event::Halt { halt, by: "ann".to_string(), comment: "drill".to_string() };
    bus.on_event(Event::Incident(incident()));
    bus.on_event(connect(1, hello("a"), 0));
    assert_eq!(lines(&bus.on_event(halt(true))), "Cancelled; cancel session-1; Cancelled");
    let mut bus = Bus::load(bus.config.clone(), &bus.save().unwrap()).unwrap();
    bus.on_event(tick(NOW));
    bus.on_event(connect(1, hello("a"), 0));
    let other = Incident { id: Id(8), ..incident() };
    assert_eq!(
        lines(&bus.on_event(Event::Incident(other))),
        "back: remediation was halted by ann: drill; again: remediation was halted by ann: drill"
    );
    assert_eq!(
        lines(
            &bus.on_event(Event::Propose(Proposal { incident: Id(8), ..proposal(Action::Restart, "ben") }))
        ),
        "remediation was halted by ann: drill"
    );
    bus.on_event(halt(false));
    assert_eq!(lines(&bus.on_event(tick(NOW + 1))), "Ready; AwaitingApproval");
}
