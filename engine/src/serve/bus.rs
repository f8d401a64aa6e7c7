//! The remediation bus: controllers' streams, signals, and what people say of them.

use std::ops::RangeInclusive;

use foreshock_core::{
    bus::{Event, Proposal, Step},
    types::{Caller, Id, RemediationSignal, Word},
};
use foreshock_proto::v1::{
    self, CancelSignalRequest, ControllerMessage, DecideRequest, DecideResponse, GetSignalRequest,
    HaltRequest, HaltResponse, HistoryRequest, HistoryResponse, ListPoliciesRequest, ListPoliciesResponse,
    ListSignalsRequest, ListSignalsResponse, ProposeRequest, WatchSignalsRequest,
    remediation_bus_server::RemediationBus,
};
use foreshock_wire as wire;
use tonic::{Request, Response, Status, Streaming};

use super::{
    caller,
    denials::Denials,
    heard, invalid,
    limits::{Streams, fitting},
    signed,
    subscribe::{Outgoing, subscribe},
    unavailable,
    watching::{Watching, watch},
    words,
};
use crate::run::{Command, Handle, NoEffect};

/// Bytes of a comment.
const COMMENT: RangeInclusive<usize> = 0..=4096;
/// Most parameters of a proposal.
const MOST_PARAMETERS: usize = 32;

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    handle: Handle,
    streams: Streams,
    denials: Denials,
}

impl Service {
    pub(super) fn new(handle: Handle, streams: Streams, denials: Denials) -> Service {
        Service { handle, streams, denials }
    }

    async fn signals(&self) -> Result<Vec<RemediationSignal>, Status> {
        self.handle.ask(Command::Signals).await.map_err(unavailable)
    }

    /// One signal and what became of it. What a caller may not see is not there.
    async fn signal(&self, caller: &Caller, text: &str) -> Result<(RemediationSignal, Vec<Step>), Status> {
        let id = wire::id(text).map_err(invalid)?;
        let found = self.handle.ask(|reply| Command::Signal(id, reply)).await.map_err(unavailable)?;
        let found = found.filter(|(signal, _)| caller.sees(signal));
        found.ok_or_else(|| Status::not_found(format!("there is no signal {id}")))
    }

    /// A proposal is one while its signal may still come to something; after that, the same is another.
    async fn numbered(&self, mut proposal: Proposal) -> Result<Proposal, Status> {
        loop {
            let id = proposal.id();
            let known = self.handle.ask(|reply| Command::Signal(id, reply)).await.map_err(unavailable)?;
            match known {
                Some((signal, _)) if !signal.state.is_live() => proposal.round += 1,
                _ => return Ok(proposal),
            }
        }
    }

    /// Says something of a signal to the engine; gives the signal once that is durable.
    async fn say(&self, id: Id, event: Event) -> Result<v1::Signal, Status> {
        let answer =
            self.handle.ask(|reply| Command::OfSignal { id, event, reply }).await.map_err(unavailable)?;
        answer.map(|signal| wire::signal(&signal)).map_err(|no| match no {
            NoEffect::Unknown(_) => Status::not_found(no.to_string()),
            NoEffect::Refused(why) => Status::failed_precondition(why),
        })
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
        let outgoing = subscribe(request.into_inner(), &self.handle, permit, caller, self.denials.clone());
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
            state.is_none_or(|state| signal.state == state)
                && (signal.dead_letter || !request.dead_letters)
                && caller.sees(signal)
        };
        let all = self.signals().await?;
        let signals = fitting(all.iter().filter(wanted).map(wire::signal), request.limit);
        Ok(Response::new(ListSignalsResponse { signals }))
    }

    async fn get_signal(&self, request: Request<GetSignalRequest>) -> Result<Response<v1::Signal>, Status> {
        let caller = caller(&request)?;
        let (signal, _) = self.signal(&caller, &request.into_inner().signal_id).await?;
        Ok(Response::new(wire::signal(&signal)))
    }

    async fn watch_signals(
        &self,
        request: Request<WatchSignalsRequest>,
    ) -> Result<Response<Self::WatchSignalsStream>, Status> {
        let caller = caller(&request)?;
        let permit = self.streams.open(caller.clone())?;
        // First listen, then ask: nothing can happen in between.
        let changes = self.handle.watch_signals();
        let mut known = Vec::new();
        if request.into_inner().include_current {
            known = self.signals().await?;
            known.retain(|signal| signal.state.is_live());
        }
        Ok(Response::new(watch(permit, changes, known, wire::signal, move |signal| caller.sees(signal))))
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        let caller = caller(&request)?;
        let (_, steps) = self.signal(&caller, &request.into_inner().signal_id).await?;
        Ok(Response::new(HistoryResponse { steps: steps.iter().map(wire::step).collect() }))
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        let (caller, by) = (caller(&request)?, signed(&request, &request.get_ref().by)?);
        let DecideRequest { signal_id, approve, comment, .. } = request.into_inner();
        words("comment", &comment, COMMENT)?;
        let (signal, _) = self.signal(&caller, &signal_id).await?;
        if !caller.approves(&signal.consent.group) {
            let group = &signal.consent.group;
            let why = format!("signal {} needs the role approver:{group}", signal.id);
            self.denials.tell(&caller.name, "Decide", &why);
            return Err(Status::permission_denied(why));
        }
        let id = signal.id;
        let signal = self.say(id, Event::Decide { signal: id, approve, by, comment }).await?;
        Ok(Response::new(DecideResponse { signal: Some(signal) }))
    }

    async fn propose(&self, request: Request<ProposeRequest>) -> Result<Response<v1::Signal>, Status> {
        let by = signed(&request, &request.get_ref().by)?;
        let request = request.into_inner();
        words("comment", &request.comment, COMMENT)?;
        if request.parameters.len() > MOST_PARAMETERS {
            let given = request.parameters.len();
            return Err(Status::invalid_argument(format!(
                "{given} parameters: give {MOST_PARAMETERS} at most"
            )));
        }
        for (key, value) in &request.parameters {
            words("parameters", key, 1..=256)?;
            words("parameters", value, 0..=4096)?;
        }
        let proposal = wire::proposal_from(request, by).map_err(invalid)?;
        let proposal = self.numbered(proposal).await?;
        self.say(proposal.id(), Event::Propose(proposal)).await.map(Response::new)
    }

    async fn cancel_signal(
        &self,
        request: Request<CancelSignalRequest>,
    ) -> Result<Response<v1::Signal>, Status> {
        let (caller, by) = (caller(&request)?, signed(&request, &request.get_ref().by)?);
        let CancelSignalRequest { signal_id, comment, .. } = request.into_inner();
        words("comment", &comment, COMMENT)?;
        let (signal, _) = self.signal(&caller, &signal_id).await?;
        let id = signal.id;
        self.say(id, Event::Withdraw { signal: id, by, comment }).await.map(Response::new)
    }

    async fn halt(&self, request: Request<HaltRequest>) -> Result<Response<HaltResponse>, Status> {
        let by = signed(&request, &request.get_ref().by)?;
        let HaltRequest { halt, comment, .. } = request.into_inner();
        words("comment", &comment, COMMENT)?;
        heard(&self.handle, Word::Halt { halt, by, comment }).await?;
        Ok(Response::new(HaltResponse {}))
    }

    async fn list_policies(
        &self,
        _: Request<ListPoliciesRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        let (policies, halted) = self.handle.ask(Command::Policies).await.map_err(unavailable)?;
        let policies = policies.iter().map(wire::policy_status).collect();
        let halted = halted.map(|halted| halted.to_string()).unwrap_or_default();
        Ok(Response::new(ListPoliciesResponse { policies, halted }))
    }
}
