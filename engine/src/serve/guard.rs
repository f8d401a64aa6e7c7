//! Who is let through to what, whatever the skin.

use std::sync::{Arc, atomic::AtomicU64};

use foreshock_core::types::{Caller, Right};
use prometheus_client::metrics::counter::Counter;
use tonic::codegen::http::Request;

use super::{
    access::{Access, Shown},
    connections::Peer,
    denials::Denials,
};
use crate::api::{Api, Method};

/// Lets callers through to what they may ask, and puts the [`Caller`] beside each request.
#[derive(Clone, Debug)]
pub struct Guard {
    access: Arc<Access>,
    denials: Denials,
}

impl Guard {
    /// A guard that knows those of `access`; whom it does not let through is counted, and told to the engine.
    pub fn new(access: Arc<Access>, denied: Counter<u64, AtomicU64>, api: Api) -> Guard {
        Guard { access, denials: Denials::new(denied, api) }
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
        method: Method,
    ) -> Result<Caller, Refusal> {
        let right = method.right();
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
}

/// Why somebody is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows them.
    Unknown(String),
    /// They may not do this.
    Forbidden(String),
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
