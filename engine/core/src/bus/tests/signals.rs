//! One signal between controllers, people and its incident.

use std::collections::BTreeMap;

use super::*;
use crate::bus::OutcomeStatus;

#[test]
fn hellos() {
    let with = |change: fn(&mut Hello)| {
        let mut hello = hello("a");
        change(&mut hello);
        hello
    };
    let cases = [
        (with(|_| {}), "welcome"),
        (with(|hello| hello.controller.clear()), "bad_hello"),
        (with(|hello| hello.controller = "x".repeat(257)), "bad_hello"),
        (with(|hello| hello.capacity = 0), "bad_hello"),
        (with(|hello| hello.capacity = 1024), "welcome"),
        (with(|hello| hello.capacity = 1025), "bad_hello"),
    ];
    for (hello, expected) in cases {
        let mut bus = bus(config(&[]));
        assert_eq!(lines(&bus.on_event(connect(1, hello.clone(), 0))), expected, "{hello:?}");
    }
    let mut bus = bus(BusConfig { max_controllers: 1, ..config(&[]) });
    assert_eq!(lines(&bus.on_event(connect(1, hello("a"), 0))), "welcome");
    assert_eq!(lines(&bus.on_event(connect(1, hello("a"), 0))), "bad_hello");
    assert_eq!(lines(&bus.on_event(connect(2, hello("b"), 0))), "full");
}

#[test]
fn who_is_offered_what() {
    let scope = |key: &str, value: &str| Scope(BTreeMap::from([(key.to_string(), value.to_string())]));
    let cases = [
        (hello("a"), true),
        (Hello { kind: ControllerKind::Retrain, ..hello("a") }, false),
        (Hello { scope: scope("namespace", "shop"), ..hello("a") }, true),
        (Hello { scope: scope("namespace", "bank"), ..hello("a") }, false),
        (Hello { scope: scope("cluster", "eu"), ..hello("a") }, false),
    ];
    for (hello, granted) in cases {
        let mut bus = bus(config(&[AUTOMATIC]));
        bus.on_event(Event::Incident(incident()));
        let said = lines(&bus.on_event(connect(1, hello.clone(), 0)));
        let expected = if granted { "welcome; Leased; grant session-1 token 1" } else { "welcome" };
        assert_eq!(said, expected, "{hello:?}");
    }
}

#[test]
fn capacity_is_shared_out() {
    let mut bus = bus(config(&[AUTOMATIC]));
    for id in 1..=4 {
        bus.on_event(Event::Incident(Incident { id: Id(id), ..incident() }));
    }
    bus.on_event(Event::Tick { time_ms: NOW, catching_up: true });
    bus.on_event(connect(1, Hello { capacity: 2, ..hello("a") }, 0));
    bus.on_event(connect(2, hello("b"), 0));
    bus.on_event(tick(NOW));
    let effects = bus.on_event(Event::LeaseTimer { at: 0 });
    let granted: Vec<u64> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Grant { session, .. } => Some(session.0),
            _ => None,
        })
        .collect();
    assert_eq!(granted, [1, 2, 1], "the fourth waits for room");
    assert_eq!(bus.next_timer_ms(), Some(60_000));
}

#[test]
fn leases_expire_rest_and_end() {
    let mut bus = bus(BusConfig { redelivery_limit: 1, lease_seconds: 10, ..config(&[AUTOMATIC]) });
    bus.on_event(Event::Incident(incident()));
    let timer = |at: u64| Event::LeaseTimer { at };
    assert_eq!(lines(&bus.on_event(connect(1, hello("a"), 0))), "welcome; Leased; grant session-1 token 1");
    let first = claim(&bus, 1);
    assert_eq!(lines(&bus.on_event(Event::Progress { claim: first, at: 9_999 })), "Leased");
    assert_eq!(lines(&bus.on_event(timer(19_998))), "", "progress made it longer");
    assert_eq!(lines(&bus.on_event(timer(19_999))), "Ready");
    assert_eq!(bus.next_timer_ms(), Some(20_999), "a second of rest");
    assert_eq!(lines(&bus.on_event(Event::Progress { claim: first, at: 20_000 })), "stale_token");
    assert_eq!(lines(&bus.on_event(timer(20_999))), "Leased; grant session-1 token 2");
    assert_eq!(lines(&bus.on_event(Event::Progress { claim: first, at: 21_000 })), "stale_token");
    // Work may have begun under the first lease: what came of it is not known.
    assert!(bus.signals().iter().all(|signal| !signal.dead_letter));
    assert_eq!(lines(&bus.on_event(timer(30_999))), "Unknown");
    assert!(bus.signals().iter().all(|signal| signal.dead_letter));
    assert_eq!(
        lines(&bus.on_event(outcome(&bus.clone(), 1, OutcomeStatus::Failed, 31_000))),
        "already_ended"
    );
}

#[test]
fn the_holder_may_report_late_and_nobody_else() {
    let mut bus = bus(config(&[AUTOMATIC]));
    bus.on_event(Event::Incident(incident()));
    bus.on_event(connect(1, hello("a"), 0));
    assert_eq!(lines(&bus.on_event(Event::Disconnect { session: Session(1), at: 1 })), "Ready");
    // A restart in between; the token and the holder's name are in the signal.
    let mut bus = Bus::load(bus.config.clone(), &bus.save().unwrap()).unwrap();
    bus.on_event(tick(NOW + 10));
    bus.on_event(connect(3, Hello { kind: ControllerKind::Retrain, ..hello("c") }, 0));
    bus.on_event(Event::Tick { time_ms: NOW + 10, catching_up: true });
    bus.on_event(connect(2, hello("a"), 0));
    let stranger = outcome(&bus, 3, OutcomeStatus::Failed, 1);
    assert_eq!(lines(&bus.on_event(stranger)), "stale_token");
    let holder = outcome(&bus, 2, OutcomeStatus::Succeeded, 1);
    assert_eq!(lines(&bus.on_event(holder.clone())), "Succeeded");
    assert_eq!(lines(&bus.on_event(holder)), "already_ended");
}

#[test]
fn a_signal_given_back_goes_to_another() {
    let mut bus = bus(config(&[AUTOMATIC]));
    bus.on_event(Event::Incident(incident()));
    bus.on_event(connect(1, hello("a"), 0));
    let back = |bus: &Bus, session: u64, seconds: u32, at: u64| Event::Nack {
        claim: claim(bus, session),
        reason: "busy".to_string(),
        retry_after_seconds: seconds,
        at,
    };
    assert_eq!(lines(&bus.on_event(back(&bus.clone(), 1, 30, 0))), "Ready");
    assert_eq!(bus.next_timer_ms(), Some(30_000));
    let said = lines(&bus.on_event(connect(2, hello("b"), 1)));
    assert_eq!(said, "welcome; Leased; grant session-2 token 2");
    assert_eq!(lines(&bus.on_event(back(&bus.clone(), 2, 0, 2))), "Ready");
    assert_eq!(lines(&bus.on_event(Event::LeaseTimer { at: 30_000 })), "Leased; grant session-1 token 3");
    assert_eq!(lines(&bus.on_event(back(&bus.clone(), 1, 0, 30_001))), "Ready");
    assert_eq!(bus.next_timer_ms(), None, "both have refused for good");
}

#[test]
fn decisions() {
    let decide = |bus: &Bus, approve: bool, by: &str| Event::Decide {
        signal: bus.signals()[0].id,
        approve,
        by: by.to_string(),
        comment: "seen it".to_string(),
    };
    let fresh = || {
        let mut bus = bus(config(&["{name: back, action: rollback}"]));
        bus.on_event(Event::Incident(incident()));
        bus
    };
    let mut approved = fresh();
    assert_eq!(lines(&approved.on_event(decide(&approved.clone(), true, ""))), "say who decides");
    assert_eq!(lines(&approved.on_event(decide(&approved.clone(), true, "ann"))), "Ready");
    assert_eq!(approved.signals()[0].note, "approved by ann: seen it");
    let again = lines(&approved.on_event(decide(&approved.clone(), false, "bob")));
    assert_eq!(again, "it does not wait for approval: approved by ann: seen it");
    let mut rejected = fresh();
    assert_eq!(lines(&rejected.on_event(decide(&rejected.clone(), false, "ann"))), "Rejected");
    assert_eq!(lines(&rejected.on_event(connect(1, hello("a"), 0))), "welcome");
    let mut late = fresh();
    assert_eq!(lines(&late.on_event(tick(NOW + 900_000))), "");
    assert_eq!(lines(&late.on_event(tick(NOW + 900_001))), "Cancelled");
    let refused = lines(&late.on_event(decide(&late.clone(), true, "ann")));
    assert_eq!(refused, "it does not wait for approval: too old: the evidence is past max_signal_age");
}

#[test]
fn recovery_is_watched() {
    let config = BusConfig { verify_after_ms: 100, verify_within_ms: 1000, ..config(&[AUTOMATIC]) };
    let done = || {
        let mut bus = bus(config.clone());
        bus.on_event(Event::Incident(incident()));
        bus.on_event(connect(1, hello("a"), 0));
        let success = outcome(&bus, 1, OutcomeStatus::Succeeded, 1);
        assert_eq!(lines(&bus.on_event(success)), "Succeeded");
        bus
    };
    let mut quick = done();
    assert_eq!(lines(&quick.on_event(resolved(2, NOW + 50))), "");
    assert_eq!(lines(&quick.on_event(tick(NOW + 99))), "");
    assert_eq!(lines(&quick.on_event(tick(NOW + 100))), "Verified; recovered");
    let mut flapping = done();
    flapping.on_event(resolved(2, NOW + 50));
    flapping.on_event(Event::Incident(Incident { revision: 3, updated_ms: NOW + 90, ..incident() }));
    assert_eq!(lines(&flapping.on_event(tick(NOW + 999))), "");
    assert_eq!(lines(&flapping.on_event(tick(NOW + 1000))), "NotRecovered; no_effect");
    let mut slow = done();
    assert_eq!(lines(&slow.on_event(resolved(2, NOW + 999))), "Verified; recovered");
}

#[test]
fn an_incident_that_resolves_first_cancels() {
    let granted = || {
        let mut bus = bus(config(&[AUTOMATIC]));
        bus.on_event(Event::Incident(incident()));
        bus.on_event(connect(1, hello("a"), 0));
        bus
    };
    // Begun before the incident resolved: the recovery may be its doing.
    let mut begun = granted();
    begun.on_event(Event::Ack { claim: claim(&begun, 1), at: 1 });
    assert_eq!(lines(&begun.on_event(resolved(2, NOW + 10))), "Cancelled; cancel session-1");
    let success = outcome(&begun, 1, OutcomeStatus::Succeeded, 2);
    assert_eq!(lines(&begun.on_event(success)), "Succeeded");
    assert_eq!(lines(&begun.on_event(tick(NOW + 60_010))), "Verified; recovered");
    // Not begun: the incident recovered without it, and nothing is claimed.
    let mut idle = granted();
    idle.on_event(resolved(2, NOW + 10));
    let success = outcome(&idle, 1, OutcomeStatus::Succeeded, 2);
    assert_eq!(lines(&idle.on_event(success)), "Succeeded");
    assert_eq!(lines(&idle.on_event(tick(NOW + 10_000_000))), "");
    assert!(idle.signals()[0].note.ends_with("(after the incident had resolved: not verified)"));
    // Begun, and the holder never comes back.
    let mut gone = granted();
    gone.on_event(Event::Ack { claim: claim(&gone, 1), at: 1 });
    gone.on_event(resolved(2, NOW + 10));
    assert_eq!(lines(&gone.on_event(Event::Disconnect { session: Session(1), at: 2 })), "");
    assert_eq!(lines(&gone.on_event(Event::LeaseTimer { at: 60_000 })), "Unknown");
}

#[test]
fn the_journal_overtakes_the_snapshot() {
    let mut bus = bus(config(&[AUTOMATIC]));
    bus.on_event(Event::Incident(incident()));
    let snapshot = bus.save().unwrap();
    bus.on_event(connect(1, hello("a"), 0));
    let journal = bus.signals()[0].clone();
    let mut again = Bus::load(bus.config.clone(), &snapshot).unwrap();
    again.recover(journal.clone());
    again.recover(RemediationSignal { revision: 1, fencing_token: 0, ..journal });
    again.on_event(tick(NOW + 10));
    assert_eq!(lines(&again.on_event(connect(1, hello("a"), 0))), "Ready; welcome");
    assert_eq!(lines(&again.on_event(Event::LeaseTimer { at: 1000 })), "Leased; grant session-1 token 2");
}

#[test]
fn what_is_too_old_is_withdrawn() {
    let late = NOW + 900_001;
    let mut waiting = bus(config(&[AUTOMATIC]));
    waiting.on_event(Event::Incident(incident()));
    assert_eq!(lines(&waiting.on_event(tick(late - 1))), "");
    assert_eq!(lines(&waiting.on_event(tick(late))), "Cancelled");
    let granted = || {
        let mut bus = bus(config(&[AUTOMATIC]));
        bus.on_event(Event::Incident(incident()));
        bus.on_event(connect(1, hello("a"), 0));
        bus
    };
    let mut idle = granted();
    assert_eq!(lines(&idle.on_event(tick(late))), "Cancelled; cancel session-1");
    let mut begun = granted();
    begun.on_event(Event::Ack { claim: claim(&begun, 1), at: 1 });
    assert_eq!(lines(&begun.on_event(tick(late))), "", "work that began in time may end");
    // Its lease is lost: it is too old to be offered again, and what came of it is not known.
    assert_eq!(lines(&begun.on_event(Event::LeaseTimer { at: 60_000 })), "Ready");
    assert_eq!(begun.next_timer_ms(), None);
    assert_eq!(lines(&begun.on_event(Event::LeaseTimer { at: 100_000 })), "");
    assert_eq!(lines(&begun.on_event(tick(late + 1))), "Cancelled");
    assert_eq!(lines(&begun.on_event(Event::LeaseTimer { at: 100_001 })), "");
    assert_eq!(lines(&begun.on_event(Event::LeaseTimer { at: 160_001 })), "Unknown");
}
