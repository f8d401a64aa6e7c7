//! gRPC messages, from controllers and people and from the engine.

use std::fmt::Debug;

use foreshock_core::{
    bus::{Bus, BusConfig, Event, Hello, Session},
    types::{Caller, ControllerKind, Scope},
};
use foreshock_proto::v1;
use foreshock_wire as wire;
use prost::Message;

use crate::state;

/// Whatever is said to it, the bus can be saved and is the same again; what a client reads is what it would send.
pub(crate) fn feed(bytes: &[u8]) {
    if let Ok(message) = v1::ControllerMessage::decode(bytes)
        && let Ok(event) = wire::controller_event(message, SESSION, 10)
    {
        let mut bus = bus();
        bus.on_event(event);
        bus.on_event(Event::LeaseTimer { at: 20 });
        let saved = bus.save().expect("a bus can be saved");
        let again = Bus::load(BusConfig::default(), &saved).expect("and loaded");
        assert_eq!(format!("{:?}", again.signals()), format!("{:?}", bus.signals()));
    }
    if let Ok(message) = v1::ProposeRequest::decode(bytes)
        && let Ok(proposal) = wire::proposal_from(message, "ann".to_string())
    {
        let mut bus = bus();
        bus.on_event(Event::Propose(proposal));
        bus.save().expect("a bus can be saved");
    }
    if let Ok(message) = v1::FeedbackRequest::decode(bytes) {
        drop(wire::feedback_from(message));
    }
    same_again(bytes, wire::signal_from, wire::signal);
    same_again(bytes, wire::incident_from, wire::incident);
    same_again(bytes, wire::silence_from, wire::silence);
    same_again(bytes, wire::adjustment_from, wire::adjustment);
    same_again(bytes, wire::suppressed_from, wire::suppressed);
}

fn same_again<M: Message + Default, T: Debug, E>(
    bytes: &[u8],
    read: fn(M) -> Result<T, E>,
    write: fn(&T) -> M,
) {
    let Some(value) = M::decode(bytes).ok().and_then(|message| read(message).ok()) else { return };
    let again = read(write(&value)).ok();
    // Numbers may be none, which equal nothing.
    assert_eq!(format!("{again:?}"), format!("{:?}", Some(value)));
}

const SESSION: Session = Session(1);

/// A bus with an incident, a signal that waits, and a controller.
fn bus() -> Bus {
    let (incident, signal) = state::proposed();
    let mut bus = Bus::new(BusConfig::default()).expect("defaults");
    bus.recover(signal);
    bus.on_event(Event::Incident(incident));
    let hello = Hello {
        controller: "hand".to_string(),
        kind: ControllerKind::Deploy,
        scope: Scope::default(),
        allowed: Caller::anybody().scopes(ControllerKind::Deploy),
        capacity: 4,
    };
    bus.on_event(Event::Connect { session: SESSION, hello, at: 0 });
    bus
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    use v1::controller_message::Message as Said;
    let (incident, signal) = state::proposed();
    let (signal_id, fencing_token) = (signal.id.to_string(), 0);
    let said = [
        Said::Ack(v1::Ack { signal_id: signal_id.clone(), fencing_token }),
        Said::Progress(v1::Progress {
            signal_id: signal_id.clone(),
            fencing_token,
            message: "at work".into(),
        }),
        Said::Nack(v1::Nack {
            signal_id: signal_id.clone(),
            fencing_token,
            reason: "busy".into(),
            retry_after_seconds: 5,
        }),
        Said::Outcome(v1::Outcome { signal_id, fencing_token, status: 1, message: "scaled".into() }),
    ];
    let proposed = v1::ProposeRequest {
        incident_id: incident.id.to_string(),
        action: "scale".into(),
        target: "service/shop/cart".into(),
        parameters: [("replicas".to_string(), "3".to_string())].into(),
        ..v1::ProposeRequest::default()
    };
    let judged = v1::FeedbackRequest {
        id: incident.id.to_string(),
        verdict: 1,
        cause: "service/shop/cart".into(),
        ..v1::FeedbackRequest::default()
    };
    let said = said.map(|said| v1::ControllerMessage { message: Some(said) }.encode_to_vec());
    let others = [
        proposed.encode_to_vec(),
        judged.encode_to_vec(),
        wire::signal(&signal).encode_to_vec(),
        wire::incident(&incident).encode_to_vec(),
    ];
    said.into_iter().chain(others).collect()
}
