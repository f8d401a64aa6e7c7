//! Who may ask what over gRPC. Every method is named here with the right that it needs; what is not named is refused.

use std::{
    future::{Ready, ready},
    sync::{Arc, atomic::AtomicU64},
    task::{Context, Poll},
};

use foreshock_core::types::{Caller, Right};
use futures_util::future::Either;
use prometheus_client::metrics::counter::Counter;
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};

use super::{
    access::{Access, Shown},
    connections::Peer,
    denials::Denials,
};
use crate::run::Handle;

/// Lets callers through to what they may ask, and puts the [`Caller`] beside each request.
#[derive(Clone, Debug)]
pub struct Guard {
    access: Arc<Access>,
    denials: Denials,
}

impl Guard {
    /// A guard that knows those of `access`; whom it does not let through is counted, and told to the engine.
    pub fn new(access: Arc<Access>, denied: Counter<u64, AtomicU64>, handle: Handle) -> Guard {
        Guard { access, denials: Denials::new(denied, handle) }
    }

    /// For those who are refused further in.
    pub(super) fn denials(&self) -> &Denials {
        &self.denials
    }

    /// Who may come in.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Who asks, if they may. Who may not is counted, written down and told why.
    pub fn let_through<T>(
        &self,
        request: &Request<T>,
        peer: Option<&Peer>,
        right: Right,
    ) -> Result<Caller, Refusal> {
        let certificate = peer.map(|peer| &*peer.names).unwrap_or_default();
        let what = request.uri().path();
        match self.access.caller(Shown::of(request.headers(), certificate)) {
            Ok(caller) if caller.may(right) => Ok(caller),
            Ok(caller) => {
                let why = format!("{:?} may not do this: it needs {}", caller.name, needed(right));
                self.denials.tell(&caller.name, what, &why);
                Err(Refusal::Forbidden(why))
            }
            Err(denied) => {
                let why = denied.to_string();
                let at = peer.map(|peer| format!(" at {}", peer.address.ip())).unwrap_or_default();
                self.denials.tell(&format!("somebody{at}"), what, &why);
                Err(Refusal::Unknown(why))
            }
        }
    }

    fn check<T>(&self, request: &Request<T>) -> Result<Option<Caller>, Status> {
        let path = request.uri().path();
        let right = match right(path) {
            Some(Needs::Nothing) => return Ok(None),
            Some(Needs::Right(right)) => right,
            None => return Err(Status::unimplemented(format!("there is no method {path}"))),
        };
        let caller = self.let_through(request, request.extensions().get(), right);
        caller.map(Some).map_err(|refusal| match refusal {
            Refusal::Unknown(why) => Status::unauthenticated(why),
            Refusal::Forbidden(why) => Status::permission_denied(why),
        })
    }
}

/// Why somebody is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows them.
    Unknown(String),
    /// They may not do this.
    Forbidden(String),
}

enum Needs {
    /// Kubernetes and load balancers ask without a word.
    Nothing,
    Right(Right),
}

/// What a method needs; `None` where there is no such method.
fn right(path: &str) -> Option<Needs> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let right = match (service, method) {
        ("grpc.health.v1.Health", _) => return Some(Needs::Nothing),
        ("grpc.reflection.v1.ServerReflection", _) => Right::Known,
        ("foreshock.v1.Incidents", "Watch" | "List" | "Get" | "ListSuppressed" | "ListAdjustments") => {
            Right::See
        }
        ("foreshock.v1.Incidents", "Acknowledge" | "Feedback" | "Undo") => Right::Operate,
        ("foreshock.v1.Silences", "List") => Right::See,
        ("foreshock.v1.Silences", "Create" | "End") => Right::Operate,
        ("foreshock.v1.RemediationBus", "Subscribe") => Right::Control,
        ("foreshock.v1.RemediationBus", "ListSignals" | "GetSignal" | "WatchSignals" | "History") => {
            Right::SeeSignals
        }
        ("foreshock.v1.RemediationBus", "ListPolicies") => Right::See,
        ("foreshock.v1.RemediationBus", "Propose" | "CancelSignal" | "Halt") => Right::Operate,
        ("foreshock.v1.RemediationBus", "Decide") => Right::Approve,
        ("foreshock.v1.Gate", "Check") => Right::See,
        _ => return None,
    };
    Some(Needs::Right(right))
}

fn needed(right: Right) -> &'static str {
    match right {
        Right::Known => "to be known",
        Right::See => "the role viewer, operator or approver",
        Right::SeeSignals => "any role",
        Right::Operate => "the role operator",
        Right::Approve => "the role approver",
        Right::Control => "a role controller:KIND:SCOPE",
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// A service behind a guard.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S, T> Service<Request<T>> for Guarded<S>
where
    S: Service<Request<T>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<T>) -> Self::Future {
        match self.guard.check(&request) {
            Ok(caller) => {
                caller.and_then(|caller| request.extensions_mut().insert(caller));
                Either::Left(self.inner.call(request))
            }
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}
