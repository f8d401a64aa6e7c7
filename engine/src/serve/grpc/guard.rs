//! Which method of the API each of gRPC's is; what is not named here is refused.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use foreshock_core::types::Caller;
use futures_util::future::Either;
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};

use crate::{
    api::Method,
    serve::{Guard, Refusal},
};

fn check<T>(guard: &Guard, request: &Request<T>) -> Result<Option<Caller>, Status> {
    let path = request.uri().path();
    let method = match needs(path) {
        Some(Needs::Nothing) => return Ok(None),
        Some(Needs::Right(method)) => method,
        None => return Err(Status::unimplemented(format!("there is no method {path}"))),
    };
    let caller = guard.let_through(request, request.extensions().get(), method);
    caller.map(Some).map_err(|refusal| match refusal {
        Refusal::Unknown(why) => Status::unauthenticated(why),
        Refusal::Forbidden(why) => Status::permission_denied(why),
    })
}

enum Needs {
    /// Kubernetes and load balancers ask without a word.
    Nothing,
    Right(Method),
}

/// What a path of gRPC asks for; `None` where there is no such method.
fn needs(path: &str) -> Option<Needs> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let method = match (service, method) {
        ("grpc.health.v1.Health", _) => return Some(Needs::Nothing),
        ("grpc.reflection.v1.ServerReflection", _) => Method::Reflect,
        ("foreshock.v1.Incidents", "List" | "Get") => Method::Incidents,
        ("foreshock.v1.Incidents", "Watch") => Method::WatchIncidents,
        ("foreshock.v1.Incidents", "ListSuppressed") => Method::Suppressed,
        ("foreshock.v1.Incidents", "ListAdjustments") => Method::Adjustments,
        ("foreshock.v1.Incidents", "Acknowledge") => Method::Acknowledge,
        ("foreshock.v1.Incidents", "Feedback") => Method::Feedback,
        ("foreshock.v1.Incidents", "Undo") => Method::Undo,
        ("foreshock.v1.Silences", "List") => Method::Silences,
        ("foreshock.v1.Silences", "Create") => Method::Silence,
        ("foreshock.v1.Silences", "End") => Method::EndSilence,
        ("foreshock.v1.RemediationBus", "Subscribe") => Method::Control,
        ("foreshock.v1.RemediationBus", "ListSignals" | "GetSignal" | "History") => Method::Signals,
        ("foreshock.v1.RemediationBus", "WatchSignals") => Method::WatchSignals,
        ("foreshock.v1.RemediationBus", "ListPolicies") => Method::Policies,
        ("foreshock.v1.RemediationBus", "Propose") => Method::Propose,
        ("foreshock.v1.RemediationBus", "CancelSignal") => Method::Withdraw,
        ("foreshock.v1.RemediationBus", "Halt") => Method::Halt,
        ("foreshock.v1.RemediationBus", "Decide") => Method::Decide,
        ("foreshock.v1.Gate", "Check") => Method::Gate,
        _ => return None,
    };
    Some(Needs::Right(method))
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
        match check(&self.guard, &request) {
            Ok(caller) => {
                caller.and_then(|caller| request.extensions_mut().insert(caller));
                Either::Left(self.inner.call(request))
            }
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}
