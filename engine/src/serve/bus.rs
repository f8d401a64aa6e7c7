//! The remediation bus: one task per controller's stream, and people's questions.
//!
//! What the engine sends goes through a bounded outbox straight to the client; the task here only listens. When either
//! side ends, the other does, and the engine is told.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use foreshock_proto::v1::{
    BusMessage, ControllerMessage, DecideRequest, DecideResponse, Fault, ListSignalsRequest,
    ListSignalsResponse, controller_message::Message, remediation_bus_server::RemediationBus,
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    limits::{Permit, Streams, fitting},
    unavailable, wire, words,
};
use crate::{
    bus::{Effect, Event, FaultCode, Hello, Session},
    run::{Command, Handle},
    types::RemediationSignal,
};

/// What waits for one controller at most; one that is further behind is disconnected by the engine.
const OUTBOX: usize = 64;
/// Faults that wait for one controller at most; then it is not listened to until it takes them.
const FAULTS: usize = 16;
/// How long a stream may be silent before its Hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    handle: Handle,
    streams: Streams,
}

impl Service {
    pub(super) fn new(handle: Handle, streams: Streams) -> Service {
        Service { handle, streams }
    }

    async fn signals(&self) -> Result<Vec<RemediationSignal>, Status> {
        self.handle.ask(Command::Signals).await.map_err(unavailable)
    }
}

#[tonic::async_trait]
impl RemediationBus for Service {
    type SubscribeStream = Outgoing;

    async fn subscribe(
        &self,
        request: Request<Streaming<ControllerMessage>>,
    ) -> Result<Response<Outgoing>, Status> {
        let permit = self.streams.open()?;
        let (outbox, effects) = mpsc::channel(OUTBOX);
        let (fault_sender, faults) = mpsc::channel(FAULTS);
        let listener = Listener {
            incoming: request.into_inner(),
            faults: fault_sender,
            subscription: Subscription { session: self.handle.session(), handle: self.handle.clone() },
            permit,
        };
        tokio::spawn(listener.run(outbox));
        Ok(Response::new(Outgoing { effects, faults }))
    }

    async fn list_signals(
        &self,
        request: Request<ListSignalsRequest>,
    ) -> Result<Response<ListSignalsResponse>, Status> {
        let request = request.into_inner();
        let state = wire::optional_signal_state(request.state)
            .map_err(|problem| Status::invalid_argument(problem.to_string()))?;
        let wanted = |signal: &&RemediationSignal| state.is_none_or(|state| signal.state == state);
        let all = self.signals().await?;
        let signals = fitting(all.iter().filter(wanted).map(wire::signal), request.limit);
        Ok(Response::new(ListSignalsResponse { signals }))
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        let DecideRequest { signal_id, approve, by, comment } = request.into_inner();
        let id = wire::id(&signal_id).map_err(|problem| Status::invalid_argument(problem.to_string()))?;
        words("by", &by, 1..=256)?;
        words("comment", &comment, 0..=4096)?;
        let decide = |reply| Command::Decide { id, approve, by, comment, reply };
        match self.handle.ask(decide).await.map_err(unavailable)? {
            Ok(signal) => Ok(Response::new(DecideResponse { signal: Some(wire::signal(&signal)) })),
            Err(_) if self.signals().await?.iter().all(|signal| signal.id != id) => {
                Err(Status::not_found(format!("there is no signal {id}")))
            }
            Err(why) => Err(Status::failed_precondition(why)),
        }
    }
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
}

/// A subscription that the engine knows of, or may. However it ends, the engine is told.
struct Subscription {
    session: Session,
    handle: Handle,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let at = self.handle.lease_ms();
        // An engine that has stopped has forgotten it already.
        self.handle.send(Command::Controller(Event::Disconnect { session: self.session, at })).ok();
    }
}

impl Listener {
    async fn run(mut self, outbox: mpsc::Sender<Effect>) {
        let hello = match tokio::time::timeout(HELLO_WITHIN, self.next()).await {
            Ok(None) => return,
            Ok(Some(message)) => hello(message),
            Err(_) => Err(format!("no Hello within {} s", HELLO_WITHIN.as_secs())),
        };
        let hello = match hello {
            Ok(hello) => hello,
            Err(problem) => return self.fault(String::new(), FaultCode::BadHello.name(), problem).await,
        };
        tracing::info!(session = %self.subscription.session, controller = ?hello.controller, "subscribed");
        let session = self.subscription.session;
        let connect = Command::Connect { session, hello, outbox };
        if self.subscription.handle.send(connect).is_err() {
            return;
        }
        while let Some(message) = self.next().await {
            let at = self.subscription.handle.lease_ms();
            match wire::controller_event(message, session, at) {
                Ok(event) => {
                    if self.subscription.handle.send(Command::Controller(event)).is_err() {
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
            () = self.permit.server_stops() => None,
            () = self.faults.closed() => None,
            message = self.incoming.message() => message.ok().flatten(),
        }
    }

    async fn fault(&self, signal_id: String, code: &str, message: String) {
        // A client that went away needs no fault; the next look at it ends the subscription.
        drop(self.faults.send(Fault { signal_id, code: code.to_string(), message }).await);
    }
}

fn hello(message: ControllerMessage) -> Result<Hello, String> {
    let Some(Message::Hello(hello)) = message.message else {
        return Err("the first message must be Hello".to_string());
    };
    let kind = wire::controller_kind(hello.kind).map_err(|problem| problem.to_string())?;
    let scope: BTreeMap<String, String> = hello.scope.into_iter().collect();
    Ok(Hello { controller: hello.controller, kind, scope, capacity: hello.capacity })
}
