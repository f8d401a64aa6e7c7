//! Incidents: lists, watches, and people's word on them.

use std::{pin::Pin, sync::Arc};

use foreshock_proto::v1::{
    self, AcknowledgeRequest, FeedbackRequest, FeedbackResponse, GetIncidentRequest, ListAdjustmentsRequest,
    ListAdjustmentsResponse, ListIncidentsRequest, ListIncidentsResponse, ListSuppressedRequest,
    ListSuppressedResponse, UndoRequest, UndoResponse, WatchIncidentsRequest, incidents_server::Incidents,
};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

use super::{
    heard, invalid,
    limits::{Permit, Streams, fitting},
    unavailable, wire, words,
};
use crate::{
    run::{Command, Handle},
    types::{Adjustment, Id, Incident, IncidentState, Word},
};

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
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Incident, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchIncidentsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let permit = self.streams.open()?;
        // First listen, then ask: nothing can happen in between.
        let changes = self.handle.watch();
        let mut known = Vec::new();
        if request.into_inner().include_open {
            known = self.all().await?;
            known.retain(|incident| incident.state == IncidentState::Open);
        }
        let (out, outgoing) = mpsc::channel(16);
        tokio::spawn(async move {
            let mut watch = Watch { permit, out, known };
            watch.run(changes).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
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
        let AcknowledgeRequest { id: text, by } = request.into_inner();
        let incident = id(&text)?;
        words("by", &by, 1..=256)?;
        heard(&self.handle, Word::Acknowledge { incident, by }).await?;
        self.get(Request::new(GetIncidentRequest { id: text })).await
    }

    async fn feedback(
        &self,
        request: Request<FeedbackRequest>,
    ) -> Result<Response<FeedbackResponse>, Status> {
        let request = request.into_inner();
        words("by", &request.by, 1..=256)?;
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
        let UndoRequest { id: text, by } = request.into_inner();
        let adjustment = id(&text)?;
        words("by", &by, 1..=256)?;
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

/// One client that watches.
struct Watch {
    permit: Permit,
    out: mpsc::Sender<Result<v1::Incident, Status>>,
    /// What is open at the start, newest first.
    known: Vec<Incident>,
}

impl Watch {
    async fn run(&mut self, mut changes: broadcast::Receiver<Arc<Incident>>) {
        for incident in self.known.iter().rev() {
            if self.out.send(Ok(wire::incident(incident))).await.is_err() {
                return;
            }
        }
        loop {
            let change = tokio::select! {
                biased;
                () = self.permit.server_stops() => {
                    return self.end(Status::unavailable("the engine is stopping")).await;
                }
                () = self.out.closed() => return,
                change = changes.recv() => change,
            };
            let incident = match change {
                Ok(incident) => incident,
                Err(broadcast::error::RecvError::Closed) => {
                    return self.end(unavailable(crate::run::Stopped)).await;
                }
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    let why = format!("fell behind, {lost} changes are lost: watch again with include_open");
                    return self.end(Status::resource_exhausted(why)).await;
                }
            };
            if self.is_new(&incident) && self.out.send(Ok(wire::incident(&incident))).await.is_err() {
                return;
            }
        }
    }

    /// Whether it was not sent among those that were open at the start.
    fn is_new(&self, incident: &Incident) -> bool {
        self.known.iter().all(|known| known.id != incident.id || known.revision < incident.revision)
    }

    async fn end(&self, status: Status) {
        // A client that went away needs no reason.
        drop(self.out.send(Err(status)).await);
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
