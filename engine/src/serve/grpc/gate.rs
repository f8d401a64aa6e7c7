//! The gate: whether something may be changed now.

use foreshock_proto::v1::{CheckRequest, CheckResponse, gate_server::Gate};
use foreshock_wire as wire;
use tonic::{Request, Response, Status};

use super::{invalid, refused};
use crate::api::Api;

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
impl Gate for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let target = wire::entity(&request.into_inner().target).map_err(invalid)?;
        let reasons = self.api.view().map_err(|stopped| refused(stopped.into()))?.gate(&target);
        let reasons: Vec<String> = reasons.into_iter().map(|against| against.why).collect();
        Ok(Response::new(CheckResponse { allowed: reasons.is_empty(), reasons }))
    }
}
