//! The gate: whether something may be changed now.

use foreshock_proto::v1::{CheckRequest, CheckResponse, gate_server::Gate};
use foreshock_wire as wire;
use tonic::{Request, Response, Status};

use super::{invalid, unavailable};
use crate::run::{Command, Handle};

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    handle: Handle,
}

impl Service {
    pub(super) fn new(handle: Handle) -> Service {
        Service { handle }
    }
}

#[tonic::async_trait]
impl Gate for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let target = wire::entity(&request.into_inner().target).map_err(invalid)?;
        let reasons = self.handle.ask(|reply| Command::Gate(target, reply)).await.map_err(unavailable)?;
        let reasons: Vec<String> = reasons.into_iter().map(|against| against.why).collect();
        Ok(Response::new(CheckResponse { allowed: reasons.is_empty(), reasons }))
    }
}
