//! The remediation bus: controllers' streams, signals, and what people say of them.

use std::sync::Arc;

use foreshock_core::types::{Caller, RemediationSignal};
use foreshock_proto::v1::{
    self, CancelSignalRequest, ControllerMessage, DecideRequest, DecideResponse, GetSignalRequest,
    HaltRequest, HaltResponse, HistoryRequest, HistoryResponse, ListPoliciesRequest, ListPoliciesResponse,
    ListSignalsRequest, ListSignalsResponse, ProposeRequest, WatchSignalsRequest,
    remediation_bus_server::RemediationBus,
};
use foreshock_wire as wire;
use tonic::{Request, Response, Status, Streaming};

use super::{
    caller, invalid,
    limits::{Streams, fitting},
    refused,
    subscribe::{Outgoing, subscribe},
    watching::{Watching, watch},
};
use crate::{
    api::{Api, Refused, Tracked, View},
    serve::denials::Denials,
};

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    api: Api,
    streams: Streams,
    denials: Denials,
}

impl Service {
    pub(super) fn new(api: Api, streams: Streams, denials: Denials) -> Service {
        Service { api, streams, denials }
    }

    fn view(&self) -> Result<Arc<View>, Status> {
        self.api.view().map_err(|stopped| refused(stopped.into()))
    }

    /// One signal and what became of it.
    fn signal(&self, caller: &Caller, id: &str) -> Result<Arc<Tracked>, Status> {
        let id = wire::id(id).map_err(invalid)?;
        self.view()?.signal(caller, id).cloned().map_err(refused)
    }
}

#[tonic::async_trait]
impl RemediationBus for Service {
    type SubscribeStream = Outgoing;
    type WatchSignalsStream = Watching<v1::Signal>;

    async fn subscribe(
        &self,
        request: Request<Streaming<ControllerMessage>>,
    ) -> Result<Response<Outgoing>, Status> {
        let caller = caller(&request)?;
        let permit = self.streams.open(caller.clone())?;
        let outgoing = subscribe(request.into_inner(), &self.api, permit, caller, self.denials.clone());
        Ok(Response::new(outgoing))
    }

    async fn list_signals(
        &self,
        request: Request<ListSignalsRequest>,
    ) -> Result<Response<ListSignalsResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let state = wire::optional_signal_state(request.state).map_err(invalid)?;
        let wanted = |signal: &&RemediationSignal| {
            state.is_none_or(|state| signal.state == state) && (signal.dead_letter || !request.dead_letters)
        };
        let view = self.view()?;
        let seen = view.signals(&caller).into_iter();
        let signals = fitting(seen.filter(wanted).map(wire::signal), request.limit);
        Ok(Response::new(ListSignalsResponse { signals }))
    }

    async fn get_signal(&self, request: Request<GetSignalRequest>) -> Result<Response<v1::Signal>, Status> {
        let caller = caller(&request)?;
        let tracked = self.signal(&caller, &request.into_inner().signal_id)?;
        Ok(Response::new(wire::signal(&tracked.signal)))
    }

    async fn watch_signals(
        &self,
        request: Request<WatchSignalsRequest>,
    ) -> Result<Response<Self::WatchSignalsStream>, Status> {
        let caller = caller(&request)?;
        let permit = self.streams.open(caller.clone())?;
        // First listen, then ask: nothing can happen in between.
        let changes = self.api.watch_signals();
        let mut known = Vec::new();
        if request.into_inner().include_current {
            let view = self.view()?;
            let live = view.signals(&caller).into_iter().filter(|signal| signal.state.is_live());
            known.extend(live.cloned().map(Arc::new));
        }
        Ok(Response::new(watch(permit, changes, known, wire::signal, move |signal| caller.sees(signal))))
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        let caller = caller(&request)?;
        let tracked = self.signal(&caller, &request.into_inner().signal_id)?;
        Ok(Response::new(HistoryResponse { steps: tracked.history.iter().map(wire::step).collect() }))
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        let caller = caller(&request)?;
        let DecideRequest { signal_id, approve, by, comment } = request.into_inner();
        let id = wire::id(&signal_id).map_err(invalid)?;
        let decided = self.api.decide(&caller, &by, id, approve, comment).await;
        if let Err(Refused::Forbidden(why)) = &decided {
            self.denials.tell(&caller.name, "Decide", why);
        }
        Ok(Response::new(DecideResponse { signal: Some(wire::signal(&decided.map_err(refused)?)) }))
    }

    async fn propose(&self, request: Request<ProposeRequest>) -> Result<Response<v1::Signal>, Status> {
        let caller = caller(&request)?;
        let by = request.get_ref().by.clone();
        let proposal = wire::proposal_from(request.into_inner(), by).map_err(invalid)?;
        let signal = self.api.propose(&caller, proposal).await.map_err(refused)?;
        Ok(Response::new(wire::signal(&signal)))
    }

    async fn cancel_signal(
        &self,
        request: Request<CancelSignalRequest>,
    ) -> Result<Response<v1::Signal>, Status> {
        let caller = caller(&request)?;
        let CancelSignalRequest { signal_id, by, comment } = request.into_inner();
        let id = wire::id(&signal_id).map_err(invalid)?;
        let signal = self.api.withdraw(&caller, &by, id, comment).await.map_err(refused)?;
        Ok(Response::new(wire::signal(&signal)))
    }

    async fn halt(&self, request: Request<HaltRequest>) -> Result<Response<HaltResponse>, Status> {
        let caller = caller(&request)?;
        let HaltRequest { halt, by, comment } = request.into_inner();
        self.api.halt(&caller, &by, halt, comment).await.map_err(refused)?;
        Ok(Response::new(HaltResponse {}))
    }

    async fn list_policies(
        &self,
        _: Request<ListPoliciesRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        let view = self.view()?;
        let policies = view.policies.iter().map(wire::policy_status).collect();
        let halted = view.halted.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(Response::new(ListPoliciesResponse { policies, halted }))
    }
}
