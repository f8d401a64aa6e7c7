//! Controllers' streams: hello, leases, faults, the end; and people's decisions.

use std::time::{Duration, Instant};

use foreshock_core::{bus::Event, types::Id};
use foreshock_proto::v1::{
    Ack, BusMessage, ControllerMessage, DecideRequest, Hello, Lease, ListSignalsRequest, Outcome, Signal,
    SignalState, bus_message::Message as Said, controller_message::Message,
    remediation_bus_client::RemediationBusClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming, transport::Channel};

use super::double::{Double, automatic, incident, with_approval};

/// A controller's stream.
struct Controller {
    say: mpsc::Sender<ControllerMessage>,
    hear: Streaming<BusMessage>,
}

impl Controller {
    async fn open(double: &Double) -> Controller {
        let mut client = RemediationBusClient::connect(double.endpoint()).await.unwrap();
        let (say, said) = mpsc::channel(8);
        let hear = client.subscribe(ReceiverStream::new(said)).await.unwrap().into_inner();
        Controller { say, hear }
    }

    async fn welcome(double: &Double, name: &str) -> Controller {
        let mut controller = Controller::open(double).await;
        controller.say(Message::Hello(hello(name, 1, 1))).await;
        assert!(matches!(controller.hear().await, Some(Said::Welcome(_))));
        controller
    }

    async fn say(&self, message: Message) {
        self.say.send(ControllerMessage { message: Some(message) }).await.unwrap();
    }

    async fn hear(&mut self) -> Option<Said> {
        let patience = Duration::from_secs(30);
        let heard = tokio::time::timeout(patience, self.hear.message()).await.expect("a message in time");
        heard.unwrap().map(|message| message.message.unwrap())
    }

    async fn lease(&mut self) -> Lease {
        match self.hear().await {
            Some(Said::Lease(lease)) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// (signal, code) of the next message, which is a fault.
    async fn fault(&mut self) -> (String, String) {
        match self.hear().await {
            Some(Said::Fault(fault)) => (fault.signal_id, fault.code),
            other => panic!("{other:?}"),
        }
    }
}

fn hello(name: &str, kind: i32, capacity: u32) -> Hello {
    Hello { controller: name.to_string(), kind, capacity, ..Hello::default() }
}

fn ack(signal: &str, fencing_token: u64) -> Message {
    Message::Ack(Ack { signal_id: signal.to_string(), fencing_token })
}

fn outcome(signal: &str, fencing_token: u64, status: i32) -> Message {
    Message::Outcome(Outcome {
        signal_id: signal.to_string(),
        fencing_token,
        status,
        message: "rolled back".to_string(),
    })
}

async fn signals(client: &mut RemediationBusClient<Channel>, state: SignalState) -> Vec<Signal> {
    let request = ListSignalsRequest { state: state.into(), ..ListSignalsRequest::default() };
    client.list_signals(request).await.unwrap().into_inner().signals
}

/// The first signal in this state, once there is one.
async fn in_state(client: &mut RemediationBusClient<Channel>, state: SignalState) -> Signal {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(signal) = signals(client, state).await.into_iter().next() {
            return signal;
        }
        tokio::task::yield_now().await;
    }
    panic!("no signal became {state:?}: {:?}", signals(client, SignalState::Unspecified).await);
}

#[tokio::test]
async fn a_stream_that_begins_badly_is_ended_with_the_reason() {
    let double = Double::start(automatic(60));
    let too_long = "x".repeat(257);
    for first in [
        ack("0000000000000007", 1),
        Message::Hello(hello("ann", 0, 1)),
        Message::Hello(hello("ann", 9, 1)),
        Message::Hello(hello("ann", 1, 0)),
        Message::Hello(hello(&too_long, 1, 1)),
    ] {
        let mut controller = Controller::open(&double).await;
        controller.say(first.clone()).await;
        assert_eq!(controller.fault().await, (String::new(), "bad_hello".to_string()), "{first:?}");
        assert_eq!(controller.hear().await, None, "{first:?}");
    }
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_ended_after_ten_seconds() {
    let double = Double::start(automatic(60));
    let began = Instant::now();
    let mut controller = Controller::open(&double).await;
    assert_eq!(controller.fault().await, (String::new(), "bad_hello".to_string()));
    assert_eq!(controller.hear().await, None);
    assert!(began.elapsed() >= Duration::from_secs(10));
}

#[tokio::test]
async fn a_lease_from_grant_to_outcome() {
    let double = Double::start(automatic(60));
    let mut controller = Controller::welcome(&double, "ann").await;
    double.tell(Event::Incident(incident(7)));
    let lease = controller.lease().await;
    let signal = lease.signal.unwrap();
    assert_eq!((lease.fencing_token, lease.attempt, lease.lease_seconds), (1, 1, 60));
    assert_eq!((signal.action.as_str(), signal.target.as_str()), ("rollback", "service/shop/payment"));
    assert_eq!(signal.attributes["version"], "v2");

    let mut client = RemediationBusClient::connect(double.endpoint()).await.unwrap();
    controller.say(ack(&signal.id, 1)).await;
    controller.say(outcome(&signal.id, 1, 1)).await;
    let after = in_state(&mut client, SignalState::Succeeded).await;
    assert!(after.accepted);
    assert_eq!((after.holder.as_str(), after.note.as_str()), ("ann", "ann: rolled back"));
    controller.say(outcome(&signal.id, 1, 1)).await;
    assert_eq!(controller.fault().await, (signal.id, "already_ended".to_string()));
}

#[tokio::test]
async fn what_cannot_be_accepted_is_answered_and_the_stream_goes_on() {
    let double = Double::start(automatic(60));
    let mut controller = Controller::welcome(&double, "ann").await;
    double.tell(Event::Incident(incident(7)));
    let lease = controller.lease().await;
    let id = lease.signal.unwrap().id;
    let unknown = Id(1).to_string();
    for (message, signal, code) in [
        (Message::Hello(hello("ann", 1, 1)), "", "bad_hello"),
        (ack(&unknown, 1), unknown.as_str(), "unknown_signal"),
        (ack("nonsense", 1), "nonsense", "unknown_signal"),
        (ack(&id, 9), id.as_str(), "stale_token"),
        (outcome(&id, 1, 0), id.as_str(), "bad_message"),
        (outcome(&id, 1, 77), id.as_str(), "bad_message"),
    ] {
        controller.say(message.clone()).await;
        assert_eq!(controller.fault().await, (signal.to_string(), code.to_string()), "{message:?}");
    }
    controller.say.send(ControllerMessage { message: None }).await.unwrap();
    assert_eq!(controller.fault().await, (String::new(), "bad_message".to_string()));
    controller.say(outcome(&id, lease.fencing_token, 2)).await;
    let mut client = RemediationBusClient::connect(double.endpoint()).await.unwrap();
    assert_eq!(in_state(&mut client, SignalState::Failed).await.note, "ann failed: rolled back");
}

#[tokio::test]
async fn the_end_of_a_stream_frees_its_lease() {
    let double = Double::start(automatic(3600));
    let mut first = Controller::welcome(&double, "ann").await;
    double.tell(Event::Incident(incident(7)));
    assert_eq!(first.lease().await.fencing_token, 1);
    // It hangs up without a word.
    let mut second = Controller::welcome(&double, "ben").await;
    drop(first);
    let lease = second.lease().await;
    assert_eq!((lease.fencing_token, lease.attempt), (2, 2));
    // It says that it has no more to say, and goes on listening: that ends the subscription too.
    let mut third = Controller::welcome(&double, "cem").await;
    let Controller { say, mut hear } = second;
    drop(say);
    assert_eq!(third.lease().await.fencing_token, 3);
    assert_eq!(hear.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_resolved_incident_cancels_what_is_held() {
    let double = Double::start(automatic(60));
    let mut controller = Controller::welcome(&double, "ann").await;
    double.tell(Event::Incident(incident(7)));
    let id = controller.lease().await.signal.unwrap().id;
    let mut resolved = incident(7);
    resolved.revision = 2;
    resolved.state = foreshock_core::types::IncidentState::Resolved;
    resolved.resolved_ms = Some(resolved.updated_ms);
    double.tell(Event::Incident(resolved));
    match controller.hear().await {
        Some(Said::Cancel(cancel)) => assert_eq!(cancel.signal_id, id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_person_decides() {
    let double = Double::start(with_approval());
    let mut client = RemediationBusClient::connect(double.endpoint()).await.unwrap();
    double.tell(Event::Incident(incident(7)));
    let id = in_state(&mut client, SignalState::AwaitingApproval).await.id;
    let decide = |id: &str, by: &str| DecideRequest {
        signal_id: id.to_string(),
        approve: true,
        by: by.to_string(),
        comment: "go".to_string(),
    };
    for (id, by, code) in [
        (id.as_str(), "", Code::InvalidArgument),
        ("7", "ann", Code::InvalidArgument),
        ("0000000000000001", "ann", Code::NotFound),
    ] {
        assert_eq!(client.decide(decide(id, by)).await.unwrap_err().code(), code, "{id} {by}");
    }
    let signal = client.decide(decide(&id, "ann")).await.unwrap().into_inner().signal.unwrap();
    assert_eq!((signal.state(), signal.note.as_str()), (SignalState::Ready, "approved by ann: go"));
    let again = client.decide(decide(&id, "ann")).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
    assert_eq!(again.message(), "it does not wait for approval: approved by ann: go");
}

#[tokio::test]
async fn a_controller_that_does_not_take_what_it_is_sent_is_disconnected() {
    const SAID: usize = 20_000;
    let double = Double::start(automatic(60));
    let mut controller = Controller::welcome(&double, "ann").await;
    // Each is answered with a fault, and none of them is read.
    for _ in 0..SAID {
        let message = ControllerMessage { message: Some(ack("0000000000000001", 1)) };
        if controller.say.send(message).await.is_err() {
            break;
        }
    }
    let mut heard = 0;
    while let Ok(Some(_)) = controller.hear.message().await {
        heard += 1;
    }
    assert!(heard < SAID, "{heard}");
    // Its place is free, and the next one is served.
    let mut next = Controller::welcome(&double, "ann").await;
    double.tell(Event::Incident(incident(7)));
    assert_eq!(next.lease().await.fencing_token, 1);
}
