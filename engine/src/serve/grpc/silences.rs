//! Silences: given, listed and ended.

use foreshock_proto::v1::{
    self, CreateSilenceRequest, EndSilenceRequest, EndSilenceResponse, ListSilencesRequest,
    ListSilencesResponse, silences_server::Silences,
};
use foreshock_wire as wire;
use tonic::{Request, Response, Status};

use super::{caller, invalid, refused};
use crate::api::{Api, bounded};

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    api: Api,
}

impl Service {
    pub(super) fn new(api: Api) -> Service {
        Service { api }
    }
}

#[tonic::async_trait]
impl Silences for Service {
    async fn create(&self, request: Request<CreateSilenceRequest>) -> Result<Response<v1::Silence>, Status> {
        let caller = caller(&request)?;
        let CreateSilenceRequest { matchers, from_unix_ms, lasts_ms, comment, by } = request.into_inner();
        if lasts_ms <= 0 {
            return Err(Status::invalid_argument(format!("lasts_ms is {lasts_ms}: give more than 0")));
        }
        let mut each = matchers.iter();
        each.try_for_each(|matcher| bounded("matchers", matcher, 1..=1024)).map_err(refused)?;
        let from_unix_ms = match from_unix_ms {
            0 => self.api.view().map_err(Into::into).and_then(|view| view.now_ms()).map_err(refused)?,
            given => given,
        };
        let until_unix_ms = from_unix_ms.saturating_add(lasts_ms);
        let message = v1::Silence { id: String::new(), matchers, from_unix_ms, until_unix_ms, by, comment };
        let silence = wire::silence_from(message).map_err(invalid)?;
        let silence = self.api.silence(&caller, silence).await.map_err(refused)?;
        Ok(Response::new(wire::silence(&silence)))
    }

    async fn list(&self, _: Request<ListSilencesRequest>) -> Result<Response<ListSilencesResponse>, Status> {
        let view = self.api.view().map_err(|stopped| refused(stopped.into()))?;
        let silences = view.silences.iter().map(wire::silence).collect();
        Ok(Response::new(ListSilencesResponse { silences }))
    }

    async fn end(&self, request: Request<EndSilenceRequest>) -> Result<Response<EndSilenceResponse>, Status> {
        let caller = caller(&request)?;
        let EndSilenceRequest { id, by } = request.into_inner();
        let silence = wire::id(&id).map_err(invalid)?;
        self.api.end_silence(&caller, &by, silence).await.map_err(refused)?;
        Ok(Response::new(EndSilenceResponse {}))
    }
}
