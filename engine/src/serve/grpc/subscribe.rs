//! One controller: what it says goes to the engine, what the engine says goes straight to it through a bounded outbox. When either
//! side ends, the other does, and the engine is told.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use foreshock_core::{
    bus::{Effect, Event, FaultCode, Hello, Session},
    types::{Caller, Scope},
};
use foreshock_proto::v1::{BusMessage, ControllerMessage, Fault, controller_message::Message};
use foreshock_wire as wire;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::limits::{Pace, Permit};
use crate::{
    api::{Api, Command},
    serve::denials::Denials,
};

/// What waits for one controller at most; one that is further behind is disconnected by the engine.
const OUTBOX: usize = 64;
/// Faults that wait for one controller at most; then it is not listened to until it takes them.
const FAULTS: usize = 16;
/// How long a stream may be silent before its Hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Listens to a controller from now on; gives what goes to it.
pub(super) fn subscribe(
    incoming: Streaming<ControllerMessage>,
    api: &Api,
    permit: Permit,
    caller: Caller,
    denials: Denials,
) -> Outgoing {
    let (outbox, effects) = mpsc::channel(OUTBOX);
    let (fault_sender, faults) = mpsc::channel(FAULTS);
    let subscription = Subscription { session: api.session(), api: api.clone() };
    let listener =
        Listener { incoming, faults: fault_sender, subscription, permit, caller, denials, pace: Pace::new() };
    tokio::spawn(listener.run(outbox));
    Outgoing { effects, faults }
}

/// Everything for one controller: faults of its messages, and what the engine sends, until that ends.
#[derive(Debug)]
pub(super) struct Outgoing {
    effects: mpsc::Receiver<Effect>,
    faults: mpsc::Receiver<Fault>,
}

impl Stream for Outgoing {
    type Item = Result<BusMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(fault)) = self.faults.poll_recv(context) {
                return Poll::Ready(Some(Ok(wire::fault_message(fault))));
            }
            match self.effects.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(effect)) => {
                    if let Some(message) = wire::bus_message(&effect) {
                        return Poll::Ready(Some(Ok(message)));
                    }
                }
                Poll::Ready(None) => {
                    // The last fault may have come between the two looks.
                    self.faults.close();
                    let last = self.faults.try_recv().ok();
                    return Poll::Ready(last.map(|fault| Ok(wire::fault_message(fault))));
                }
            }
        }
    }
}

/// Listens to one controller.
struct Listener {
    incoming: Streaming<ControllerMessage>,
    faults: mpsc::Sender<Fault>,
    subscription: Subscription,
    permit: Permit,
    caller: Caller,
    denials: Denials,
    pace: Pace,
}

/// A subscription that the engine knows of, or may. However it ends, the engine is told.
struct Subscription {
    session: Session,
    api: Api,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let at = self.api.lease_ms();
        // An engine that has stopped has forgotten it already.
        self.api.send(Command::Controller(Event::Disconnect { session: self.session, at })).ok();
    }
}

impl Listener {
    async fn run(mut self, outbox: mpsc::Sender<Effect>) {
        let hello = match tokio::time::timeout(HELLO_WITHIN, self.next()).await {
            Ok(None) => return,
            Ok(Some(message)) => self.hello(message),
            Err(_) => Err(format!("no Hello within {} s", HELLO_WITHIN.as_secs())),
        };
        let hello = match hello {
            Ok(hello) => hello,
            Err(problem) => return self.fault(String::new(), FaultCode::BadHello.name(), problem).await,
        };
        tracing::info!(session = %self.subscription.session, controller = ?hello.controller, "subscribed");
        let session = self.subscription.session;
        let connect = Command::Connect { session, hello, outbox };
        if self.subscription.api.send(connect).is_err() {
            return;
        }
        while let Some(message) = self.next().await {
            self.pace.take(message.encoded_len()).await;
            let at = self.subscription.api.lease_ms();
            match wire::controller_event(message, session, at) {
                Ok(event) => {
                    if self.subscription.api.send(Command::Controller(event)).is_err() {
                        return;
                    }
                }
                Err(refused) => self.fault(refused.signal, refused.code, refused.problem).await,
            }
        }
        tracing::info!(%session, "unsubscribed");
    }

    /// The next message; `None` when either side has ended, or the server stops.
    async fn next(&mut self) -> Option<ControllerMessage> {
        tokio::select! {
            biased;
            () = self.permit.ends() => None,
            () = self.faults.closed() => None,
            message = self.incoming.message() => message.ok().flatten(),
        }
    }

    fn hello(&self, message: ControllerMessage) -> Result<Hello, String> {
        let Some(Message::Hello(hello)) = message.message else {
            return Err("the first message must be Hello".to_string());
        };
        let kind = wire::controller_kind(hello.kind).map_err(|problem| problem.to_string())?;
        let allowed = self.caller.scopes(kind);
        if allowed.is_empty() {
            let name = &self.caller.name;
            let why = format!("{name:?} may not execute signals of the kind {}", kind.name());
            self.denials.tell(name, "Subscribe", &why);
            return Err(why);
        }
        let scope = Scope(hello.scope.into_iter().collect());
        Ok(Hello { controller: hello.controller, kind, scope, allowed, capacity: hello.capacity })
    }

    async fn fault(&self, signal_id: String, code: &str, message: String) {
        // A client that went away needs no fault; the next look at it ends the subscription.
        drop(self.faults.send(Fault { signal_id, code: code.to_string(), message }).await);
    }
}
