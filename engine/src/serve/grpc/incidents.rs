//! Incidents: lists, watches, and people's word on them.

use std::sync::Arc;

use foreshock_core::types::{Id, Incident, IncidentState};
use foreshock_proto::v1::{
    self, AcknowledgeRequest, FeedbackRequest, FeedbackResponse, GetIncidentRequest, ListAdjustmentsRequest,
    ListAdjustmentsResponse, ListIncidentsRequest, ListIncidentsResponse, ListSuppressedRequest,
    ListSuppressedResponse, UndoRequest, UndoResponse, WatchIncidentsRequest, incidents_server::Incidents,
};
use foreshock_wire as wire;
use tonic::{Request, Response, Status};

use super::{
    caller, invalid,
    limits::{Streams, fitting},
    refused,
    watching::{Watching, watch},
};
use crate::api::{Api, View, bounded};

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    api: Api,
    streams: Streams,
}

impl Service {
    pub(super) fn new(api: Api, streams: Streams) -> Service {
        Service { api, streams }
    }

    fn view(&self) -> Result<Arc<View>, Status> {
        self.api.view().map_err(|stopped| refused(stopped.into()))
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
        let changes = self.api.watch_incidents();
        let mut known = Vec::new();
        if request.into_inner().include_open {
            known = self.view()?.incidents.to_vec();
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
        let wanted = |incident: &&Arc<Incident>| state.is_none_or(|state| incident.state == state);
        let view = self.view()?;
        let wanted = view.incidents.iter().filter(wanted);
        let incidents = fitting(wanted.map(|incident| wire::incident(incident)), request.limit);
        Ok(Response::new(ListIncidentsResponse { incidents }))
    }

    async fn get(&self, request: Request<GetIncidentRequest>) -> Result<Response<v1::Incident>, Status> {
        let id = id(&request.into_inner().id)?;
        Ok(Response::new(wire::incident(self.view()?.incident(id).map_err(refused)?)))
    }

    async fn acknowledge(
        &self,
        request: Request<AcknowledgeRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        let caller = caller(&request)?;
        let AcknowledgeRequest { id: incident, by } = request.into_inner();
        let incident = self.api.acknowledge(&caller, &by, id(&incident)?).await.map_err(refused)?;
        Ok(Response::new(wire::incident(&incident)))
    }

    async fn feedback(
        &self,
        request: Request<FeedbackRequest>,
    ) -> Result<Response<FeedbackResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        bounded("cause", &request.cause, 0..=1024).map_err(refused)?;
        let feedback = wire::feedback_from(request).map_err(invalid)?;
        let learnt = self.api.feedback(&caller, feedback).await.map_err(refused)?;
        Ok(Response::new(FeedbackResponse { adjustments: learnt.iter().map(wire::adjustment).collect() }))
    }

    async fn list_adjustments(
        &self,
        _: Request<ListAdjustmentsRequest>,
    ) -> Result<Response<ListAdjustmentsResponse>, Status> {
        let adjustments = self.view()?.adjustments.iter().map(wire::adjustment).collect();
        Ok(Response::new(ListAdjustmentsResponse { adjustments }))
    }

    async fn undo(&self, request: Request<UndoRequest>) -> Result<Response<UndoResponse>, Status> {
        let caller = caller(&request)?;
        let UndoRequest { id: adjustment, by } = request.into_inner();
        self.api.undo(&caller, &by, id(&adjustment)?).await.map_err(refused)?;
        Ok(Response::new(UndoResponse {}))
    }

    async fn list_suppressed(
        &self,
        request: Request<ListSuppressedRequest>,
    ) -> Result<Response<ListSuppressedResponse>, Status> {
        let view = self.view()?;
        let suppressed =
            fitting(view.suppressed.iter().map(|one| wire::suppressed(one)), request.into_inner().limit);
        Ok(Response::new(ListSuppressedResponse { suppressed }))
    }
}

fn id(text: &str) -> Result<Id, Status> {
    wire::id(text).map_err(invalid)
}
