//! There and back again gives the same; what does not fit is refused with the reason.

use foreshock_core::{
    bus::{Claim, Effect, Event, FaultCode, Lease, OutcomeStatus, Session},
    types::*,
};
use foreshock_proto::v1::{self, controller_message::Message};
use proptest::prelude::*;

use super::*;

fn an_id() -> impl Strategy<Value = Id> {
    any::<u64>().prop_map(Id)
}

fn an_entity() -> impl Strategy<Value = Entity> {
    let kind = prop_oneof![Just(EntityKind::Service), Just(EntityKind::Queue), Just(EntityKind::Other)];
    (kind, "[^\\x00]{0,12}").prop_map(|(kind, name)| Entity::new(kind, name))
}

fn an_anomaly() -> impl Strategy<Value = Anomaly> {
    let kind = prop_oneof![
        Just(AnomalyKind::Series),
        Just(AnomalyKind::Entity),
        Just(AnomalyKind::NewTemplate),
        Just(AnomalyKind::Absence)
    ];
    let texts = prop::array::uniform4(".{0,9}");
    let numbers = prop::array::uniform6(any::<f64>().prop_filter("equal to itself", |it| !it.is_nan()));
    let times = prop::array::uniform3(any::<i64>());
    let shares = || prop::collection::vec((".{0,9}", 0.0..1.0), 0..3);
    let shares = (shares(), shares());
    let whole = (any::<u32>(), any::<u32>(), any::<bool>());
    (an_id(), kind, an_entity(), texts, numbers, times, shares, whole).prop_map(
        |(
            id,
            kind,
            entity,
            texts,
            numbers,
            times,
            (attribution, contributions),
            (revision, ticks, active),
        )| {
            let [series, measure, detector, explanation] = texts;
            let [score, neg_log_p, value, expected, lower, upper] = numbers;
            let [opened_ms, onset_ms, updated_ms] = times;
            Anomaly {
                id,
                revision,
                kind,
                entity,
                series,
                role: MeasureRole::ALL[measure.len() % MeasureRole::ALL.len()],
                measure,
                active,
                opened_ms,
                onset_ms,
                updated_ms,
                score,
                ticks,
                neg_log_p,
                value,
                expected,
                lower,
                upper,
                detector,
                explanation,
                contributions,
                attribution,
            }
        },
    )
}

fn a_change() -> impl Strategy<Value = Change> {
    (any::<i64>(), an_entity(), "[a-z]{1,9}", prop::array::uniform3(".{0,9}")).prop_map(
        |(time_ms, entity, id, [kind, version, source])| Change {
            time_ms,
            id,
            kind,
            entity,
            version,
            source,
        },
    )
}

fn an_example() -> impl Strategy<Value = Example> {
    let kind = prop_oneof![
        Just(ExampleKind::FailedRequest),
        Just(ExampleKind::SlowRequest),
        Just(ExampleKind::LogLine)
    ];
    (kind, any::<i64>(), prop::array::uniform2(".{0,9}"))
        .prop_map(|(kind, time_ms, [trace_id, text])| Example { kind, time_ms, trace_id, text })
}

fn an_incident() -> impl Strategy<Value = Incident> {
    let state = prop_oneof![Just(IncidentState::Open), Just(IncidentState::Resolved)];
    let member = (an_anomaly(), ".{0,9}").prop_map(|(anomaly, because)| Member { anomaly, because });
    let who = prop::option::of(".{1,9}");
    let event = prop_oneof![
        Just(IncidentEvent::Opened),
        Just(IncidentEvent::Reopened),
        Just(IncidentEvent::Acknowledged),
        Just(IncidentEvent::Updated),
        Just(IncidentEvent::Resolved),
        Just(IncidentEvent::Merged),
    ];
    let harm = (0.0..1.0, 0.0..99.0, prop::array::uniform2(".{0,9}")).prop_map(
        |(user_traffic, burn_rate, [objective, why])| Harm { user_traffic, burn_rate, objective, why },
    );
    let family = (prop::option::of(harm), prop::option::of(an_id()), prop::option::of(an_id()));
    (
        (an_id(), any::<u64>(), state, prop::array::uniform2(".{0,9}"), prop::array::uniform3(any::<i64>())),
        (prop::option::of(1..i64::MAX), 0.0..1.0, prop::collection::vec(member, 0..3)),
        (
            an_entity(),
            prop::collection::vec(".{0,9}", 0..3),
            prop::option::of(a_change()),
            prop::collection::vec(an_example(), 0..3),
        ),
        (any::<u32>(), who.clone(), who, any::<bool>(), event),
        family,
    )
        .prop_map(|(first, second, suspect, last, (harm, merged_into, split_from))| {
            let (id, revision, state, [title, why], [started_ms, opened_ms, updated_ms]) = first;
            let (resolved_ms, severity, members) = second;
            let (entity, reasons, change, examples) = suspect;
            let (reopened, acknowledged_by, remediation, page, event) = last;
            Incident {
                id,
                revision,
                event,
                state,
                title,
                started_ms,
                opened_ms,
                updated_ms,
                resolved_ms,
                severity,
                harm,
                members,
                changes: change.iter().cloned().collect(),
                suspects: vec![Suspect { entity, weight: 1.0, reasons, change, examples }],
                reopened,
                merged_into,
                split_from,
                acknowledged_by,
                remediation,
                page,
                why,
            }
        })
}

fn an_adjustment() -> impl Strategy<Value = Adjustment> {
    let lesson = prop_oneof![
        (an_entity(), prop::option::of("[a-z]{1,9}"), -3.0..9.0)
            .prop_map(|(entity, symptom, more)| Lesson::Evidence { entity, symptom, more }),
        (an_entity(), prop::option::of(an_entity()), 0.0..2.0)
            .prop_map(|(entity, instead_of, odds)| Lesson::Cause { entity, instead_of, odds }),
        (an_entity(), an_entity()).prop_map(|(a, b)| Lesson::Together { a, b }),
    ];
    (an_id(), any::<i64>(), ".{0,9}", ".{0,9}", lesson)
        .prop_map(|(id, time_ms, by, said, lesson)| Adjustment { id, time_ms, by, said, lesson })
}

fn a_silence() -> impl Strategy<Value = Silence> {
    let matcher = prop_oneof![Just("entity=service/a"), Just("measure=~\"disk.*\""), Just("le!=1")];
    let matchers = prop::collection::vec(matcher, 1..4);
    (matchers, any::<i32>(), 1..i64::from(i32::MAX), ".{0,9}", ".{0,9}").prop_map(
        |(matchers, from, lasts_ms, by, comment)| {
            let matchers = matchers.iter().map(|text| text.parse().unwrap()).collect();
            Silence::new(matchers, from.into(), i64::from(from) + lasts_ms, by, comment)
        },
    )
}

proptest! {
    #[test]
    fn incidents_survive(before in an_incident()) {
        prop_assert_eq!(incident_from(incident(&before)), Ok(before));
    }

    #[test]
    fn what_people_say_survives(
        adjusted in an_adjustment(),
        silenced in a_silence(),
        left_out in (an_anomaly(), any::<i64>(), ".{0,9}"),
    ) {
        prop_assert_eq!(adjustment_from(adjustment(&adjusted)), Ok(adjusted));
        prop_assert_eq!(silence_from(silence(&silenced)), Ok(silenced));
        let (anomaly, time_ms, why) = left_out;
        let left_out = Suppressed { time_ms, anomaly, why };
        prop_assert_eq!(suppressed_from(suppressed(&left_out)), Ok(left_out));
    }

    #[test]
    fn signals_survive(
        ids in (an_id(), an_id(), an_entity()),
        state in 0_usize..11,
        action in prop::sample::select(&Action::ALL[..]),
        recovery in prop::option::of(prop::sample::select(&Recovery::ALL[..])),
        consent in (any::<u32>(), ".{0,5}", prop::collection::vec(".{0,5}", 0..3), any::<i64>()),
        proposal in (".{0,5}", prop::option::of(an_id())),
        attributes in prop::collection::btree_map(".{0,5}", ".{0,5}", 0..3),
        texts in prop::array::uniform4(".{0,9}"),
        flags in any::<(bool, bool, bool)>(),
        numbers in any::<(u64, u64, u32)>(),
        times in prop::array::uniform3(any::<i64>()),
    ) {
        let [policy, reason, note, holder] = texts;
        let before = RemediationSignal {
            id: ids.0,
            revision: numbers.0,
            state: all_states()[state],
            action,
            target: ids.2,
            attributes,
            incident: ids.1,
            policy,
            dry_run: flags.0,
            created_ms: times[0],
            expires_ms: times[1],
            reason,
            note,
            fencing_token: numbers.1,
            attempts: numbers.2,
            updated_ms: times[2],
            holder,
            accepted: flags.1,
            consent: Consent { needed: consent.0, group: consent.1, by: consent.2, until_ms: consent.3 },
            proposed_by: proposal.0,
            recovery,
            undoes: proposal.1,
            dead_letter: flags.2,
        };
        prop_assert_eq!(signal_from(signal(&before)), Ok(before));
    }

    #[test]
    fn ids_survive(number in any::<u64>()) {
        prop_assert_eq!(id(&Id(number).to_string()), Ok(Id(number)));
    }
}

/// Every state that messages have: one that only we had would be sent as unspecified.
fn all_states() -> Vec<SignalState> {
    (1..).map_while(|state| optional_signal_state(state).ok().flatten()).collect()
}

#[test]
fn every_state_has_its_message() {
    let states = all_states();
    assert_eq!(states.len(), 11);
    for (index, state) in states.iter().enumerate() {
        assert_eq!(signal_state(*state) as usize, index + 1, "{state:?}");
    }
    assert_eq!(optional_signal_state(0), Ok(None));
    assert_eq!(optional_signal_state(12), Err(Invalid::Enum("state", 12)));
    assert_eq!(optional_incident_state(0), Ok(None));
    assert_eq!(optional_incident_state(-1), Err(Invalid::Enum("state", -1)));
}

#[test]
fn what_is_no_id_or_entity_is_refused() {
    for text in ["", "7", "+00000000000000f", "000000000000000g", "00000000000000000", "é00000000000000"] {
        assert_eq!(id(text), Err(Invalid::Id(text.to_string())));
    }
    for text in ["", "payment", "Service/payment", "thing/payment"] {
        assert_eq!(entity(text), Err(Invalid::Entity(text.to_string())));
    }
    assert_eq!(entity("service/shop/payment"), Ok(Entity::new(EntityKind::Service, "shop/payment")));
}

#[test]
fn what_controllers_say() {
    let said = |message| controller_event(v1::ControllerMessage { message }, Session(3), 5);
    let (signal_id, fencing_token) = (Id(7).to_string(), 2);
    let claim = Claim { session: Session(3), signal: Id(7), token: 2 };
    let text = |text: &str| text.to_string();

    let ack = v1::Ack { signal_id: signal_id.clone(), fencing_token };
    assert_eq!(said(Some(Message::Ack(ack))), Ok(Event::Ack { claim, at: 5 }));
    let progress = v1::Progress { signal_id: signal_id.clone(), fencing_token, message: text("half") };
    assert_eq!(said(Some(Message::Progress(progress))), Ok(Event::Progress { claim, at: 5 }));
    let nack = v1::Nack {
        signal_id: signal_id.clone(),
        fencing_token,
        reason: text("busy"),
        retry_after_seconds: 9,
    };
    let given_back = Event::Nack { claim, reason: text("busy"), retry_after_seconds: 9, at: 5 };
    assert_eq!(said(Some(Message::Nack(nack))), Ok(given_back));
    for (status, expected) in [
        (1, Ok(OutcomeStatus::Succeeded)),
        (2, Ok(OutcomeStatus::Failed)),
        (3, Ok(OutcomeStatus::Unknown)),
        (4, Ok(OutcomeStatus::DryRun)),
        (0, Err("bad_message")),
        (5, Err("bad_message")),
    ] {
        let signal_id = signal_id.clone();
        let outcome = v1::Outcome { signal_id, fencing_token, status, message: text("done") };
        let event = expected.map(|status| Event::Outcome { claim, status, message: text("done"), at: 5 });
        assert_eq!(said(Some(Message::Outcome(outcome))).map_err(|refused| refused.code), event);
    }

    let refused = |message| said(message).map_err(|refused| (refused.signal, refused.code)).unwrap_err();
    assert_eq!(refused(None), (text(""), "bad_message"));
    assert_eq!(refused(Some(Message::Hello(v1::Hello::default()))), (text(""), "bad_hello"));
    let ack = v1::Ack { signal_id: text("nonsense"), fencing_token };
    assert_eq!(refused(Some(Message::Ack(ack))), (text("nonsense"), "unknown_signal"));
}

#[test]
fn what_controllers_are_told() {
    let session = Session(3);
    let told = |effect| bus_message(&effect).and_then(|message| message.message);
    let welcome = v1::Welcome { session: "session-3".to_string(), lease_seconds: 60 };
    assert_eq!(
        told(Effect::Welcome { session, lease_seconds: 60 }),
        Some(v1::bus_message::Message::Welcome(welcome))
    );
    let cancel = v1::Cancel { signal_id: Id(7).to_string(), reason: "resolved".to_string() };
    assert_eq!(
        told(Effect::Cancel { session, signal: Id(7), reason: "resolved".to_string() }),
        Some(v1::bus_message::Message::Cancel(cancel))
    );
    let fault =
        v1::Fault { signal_id: String::new(), code: "full".to_string(), message: "no room".to_string() };
    assert_eq!(
        told(Effect::Fault { session, signal: None, code: FaultCode::Full, message: "no room".to_string() }),
        Some(v1::bus_message::Message::Fault(fault))
    );
    let granted = v1::Signal {
        id: Id(1).to_string(),
        state: 3,
        action: "retrain".to_string(),
        target: "model/fraud".to_string(),
        incident_id: Id(2).to_string(),
        fencing_token: 4,
        attempts: 2,
        ..v1::Signal::default()
    };
    let lease = Lease { signal: signal_from(granted.clone()).unwrap(), lease_seconds: 9 };
    let Some(v1::bus_message::Message::Lease(message)) = told(Effect::Grant { session, lease }) else {
        panic!("a grant is a lease");
    };
    assert_eq!((message.fencing_token, message.attempt, message.lease_seconds), (4, 2, 9));
    let kind = v1::ControllerKind::Retrain.into();
    assert_eq!(message.signal, Some(v1::Signal { kind, ..granted }));
    assert_eq!(told(Effect::Refused { signal: Id(7), why: String::new() }), None);
}
