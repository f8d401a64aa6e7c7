//! Silences: given, listed and ended.

use foreshock_core::types::Word;
use foreshock_proto::v1::{
    self, CreateSilenceRequest, EndSilenceRequest, EndSilenceResponse, ListSilencesRequest,
    ListSilencesResponse, silences_server::Silences,
};
use foreshock_wire as wire;
use tonic::{Request, Response, Status};

use super::{heard, invalid, signed, unavailable, words};
use crate::run::{Command, Handle};

/// Most matchers of a silence.
const MOST_MATCHERS: usize = 32;

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    handle: Handle,
}

impl Service {
    pub(super) fn new(handle: Handle) -> Service {
        Service { handle }
    }

    /// Where event time stands.
    async fn now_ms(&self) -> Result<i64, Status> {
        let status = self.handle.ask(Command::Status).await.map_err(unavailable)?;
        status.tick_ms.ok_or_else(|| {
            Status::failed_precondition("nothing was read yet, so that there is no now: give from_unix_ms")
        })
    }
}

#[tonic::async_trait]
impl Silences for Service {
    async fn create(&self, request: Request<CreateSilenceRequest>) -> Result<Response<v1::Silence>, Status> {
        let by = signed(&request, &request.get_ref().by)?;
        let CreateSilenceRequest { matchers, from_unix_ms, lasts_ms, comment, .. } = request.into_inner();
        words("comment", &comment, 0..=4096)?;
        if !(1..=MOST_MATCHERS).contains(&matchers.len()) {
            let given = matchers.len();
            return Err(Status::invalid_argument(format!("{given} matchers: give 1 to {MOST_MATCHERS}")));
        }
        if lasts_ms <= 0 {
            return Err(Status::invalid_argument(format!("lasts_ms is {lasts_ms}: give more than 0")));
        }
        matchers.iter().try_for_each(|matcher| words("matchers", matcher, 1..=1024))?;
        let from_unix_ms = if from_unix_ms == 0 { self.now_ms().await? } else { from_unix_ms };
        let until_unix_ms = from_unix_ms.saturating_add(lasts_ms);
        let message = v1::Silence { id: String::new(), matchers, from_unix_ms, until_unix_ms, by, comment };
        let silence = wire::silence_from(message).map_err(invalid)?;
        let given = Response::new(wire::silence(&silence));
        heard(&self.handle, Word::Silence(silence)).await.map(|()| given)
    }

    async fn list(&self, _: Request<ListSilencesRequest>) -> Result<Response<ListSilencesResponse>, Status> {
        let silences = self.handle.ask(Command::Silences).await.map_err(unavailable)?;
        let silences = silences.iter().map(wire::silence).collect();
        Ok(Response::new(ListSilencesResponse { silences }))
    }

    async fn end(&self, request: Request<EndSilenceRequest>) -> Result<Response<EndSilenceResponse>, Status> {
        let by = signed(&request, &request.get_ref().by)?;
        let silence = wire::id(&request.into_inner().id).map_err(invalid)?;
        heard(&self.handle, Word::EndSilence { silence, by }).await?;
        Ok(Response::new(EndSilenceResponse {}))
    }
}
