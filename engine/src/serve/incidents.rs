//! Incidents: lists, watches, and people's word on them.

use foreshock_core::types::{Adjustment, Id, Incident, IncidentState, Word};
use foreshock_proto::v1::{
    self, AcknowledgeRequest, FeedbackRequest, FeedbackResponse, GetIncidentRequest, ListAdjustmentsRequest,
    ListAdjustmentsResponse, ListIncidentsRequest, ListIncidentsResponse, ListSuppressedRequest,
    ListSuppressedResponse, UndoRequest, UndoResponse, WatchIncidentsRequest, incidents_server::Incidents,
};
use foreshock_wire as wire;
use tonic::{Request, Response, Status};

use super::{
    caller, heard, invalid,
    limits::{Streams, fitting},
    signed, unavailable,
    watching::{Watching, watch},
    words,
};
use crate::run::{Command, Handle};

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

    async fn adjustments(&self) -> Result<Vec<Adjustment>, Status> {
        self.handle.ask(Command::Adjustments).await.map_err(unavailable)
    }

    async fn all(&self) -> Result<Vec<Incident>, Status> {
        self.handle.ask(Command::Incidents).await.map_err(unavailable)
    }
}

#[tonic::async_trait]
impl Incidents for Service {
    type WatchStream = Watching<v1::Incident>;

    async fn watch(
        &self,
        request: Request<WatchIncidentsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let permit = self.streams.open(caller(&request)?)?;
        // First listen, then ask: nothing can happen in between.
        let changes = self.handle.watch();
        let mut known = Vec::new();
        if request.into_inner().include_open {
            known = self.all().await?;
            known.retain(|incident| incident.state == IncidentState::Open);
        }
        Ok(Response::new(watch(permit, changes, known, wire::incident, |_| true)))
    }

    async fn list(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let request = request.into_inner();
        let state = wire::optional_incident_state(request.state).map_err(invalid)?;
        let wanted = |incident: &&Incident| state.is_none_or(|state| incident.state == state);
        let all = self.all().await?;
        let incidents = fitting(all.iter().filter(wanted).map(wire::incident), request.limit);
        Ok(Response::new(ListIncidentsResponse { incidents }))
    }

    async fn get(&self, request: Request<GetIncidentRequest>) -> Result<Response<v1::Incident>, Status> {
        let id = id(&request.into_inner().id)?;
        let found = self.handle.ask(|reply| Command::Incident(id, reply)).await;
        known(id, found.map_err(unavailable)?)
    }

    async fn acknowledge(
        &self,
        request: Request<AcknowledgeRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        let by = signed(&request, &request.get_ref().by)?;
        let text = request.into_inner().id;
        let incident = id(&text)?;
        heard(&self.handle, Word::Acknowledge { incident, by }).await?;
        self.get(Request::new(GetIncidentRequest { id: text })).await
    }

    async fn feedback(
        &self,
        request: Request<FeedbackRequest>,
    ) -> Result<Response<FeedbackResponse>, Status> {
        let by = signed(&request, &request.get_ref().by)?;
        let request = FeedbackRequest { by, ..request.into_inner() };
        words("cause", &request.cause, 0..=1024)?;
        words("comment", &request.comment, 0..=4096)?;
        let feedback = wire::feedback_from(request).map_err(invalid)?;
        let before = self.adjustments().await?;
        heard(&self.handle, Word::Feedback(feedback)).await?;
        let mut learnt = self.adjustments().await?;
        learnt.retain(|adjustment| before.iter().all(|known| known.id != adjustment.id));
        Ok(Response::new(FeedbackResponse { adjustments: learnt.iter().map(wire::adjustment).collect() }))
    }

    async fn list_adjustments(
        &self,
        _: Request<ListAdjustmentsRequest>,
    ) -> Result<Response<ListAdjustmentsResponse>, Status> {
        let adjustments = self.adjustments().await?.iter().map(wire::adjustment).collect();
        Ok(Response::new(ListAdjustmentsResponse { adjustments }))
    }

    async fn undo(&self, request: Request<UndoRequest>) -> Result<Response<UndoResponse>, Status> {
        let by = signed(&request, &request.get_ref().by)?;
        let adjustment = id(&request.into_inner().id)?;
        heard(&self.handle, Word::Undo { adjustment, by }).await?;
        Ok(Response::new(UndoResponse {}))
    }

    async fn list_suppressed(
        &self,
        request: Request<ListSuppressedRequest>,
    ) -> Result<Response<ListSuppressedResponse>, Status> {
        let suppressed = self.handle.ask(Command::Suppressed).await.map_err(unavailable)?;
        let suppressed = fitting(suppressed.iter().map(wire::suppressed), request.into_inner().limit);
        Ok(Response::new(ListSuppressedResponse { suppressed }))
    }
}

fn id(text: &str) -> Result<Id, Status> {
    wire::id(text).map_err(invalid)
}

fn known(id: Id, incident: Option<Incident>) -> Result<Response<v1::Incident>, Status> {
    match incident {
        Some(incident) => Ok(Response::new(wire::incident(&incident))),
        None => Err(Status::not_found(format!("there is no incident {id}"))),
    }
}
