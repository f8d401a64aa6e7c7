//! gRPC for controllers and people: the services of `foreshock.v1`, health and reflection, over the [`Api`].
//!
//! * `bus`: signals and what people say of them · `subscribe`: controllers' streams · `gate` · `incidents`: lists, watches, people's word
//!   · `silences`
//! * `guard`: which method each of ours is, and who may · `limits`: what a client may ask of us at once
//! * `watching`: revisions as they come

mod bus;
mod gate;
mod guard;
mod incidents;
mod limits;
mod silences;
mod subscribe;
mod watching;

use std::{future::Future, time::Duration};

use foreshock_core::types::Caller;
use foreshock_proto::v1::{
    self, gate_server::GateServer, incidents_server::IncidentsServer,
    remediation_bus_server::RemediationBusServer, silences_server::SilencesServer,
};
use foreshock_wire as wire;
use tokio::sync::watch;
use tonic::{Request, Status, transport::Server};
use tonic_health::{ServingStatus, server::health_reporter};

use super::{Guard, KEEPALIVE, Limited};
use crate::api::{Api, Refused};
use limits::Streams;

/// What a controller may send in one message.
const MAX_REQUEST_BYTES: usize = 256 * 1024;
/// Requests at once on one connection, streams included.
const MAX_REQUESTS_PER_CONNECTION: u32 = 64;
/// How long clients have to take the end of their streams.
const GRACE: Duration = Duration::from_secs(1);

/// What health is told of: the whole, and each service.
const SERVICES: [&str; 5] = [
    "",
    v1::remediation_bus_server::SERVICE_NAME,
    v1::gate_server::SERVICE_NAME,
    v1::incidents_server::SERVICE_NAME,
    v1::silences_server::SERVICE_NAME,
];

/// Serves until `stop` ends; then streams end, and what is under way has a second to finish.
pub async fn serve(
    listener: Limited,
    api: Api,
    guard: Guard,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (ending, ended) = watch::channel(());
    let (health, health_service) = health_reporter();
    for service in SERVICES {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("both sets were made by compilers: build.rs and tonic-health's");
    let streams = Streams::new(ended.clone(), guard.access().clone());
    let bus =
        RemediationBusServer::new(bus::Service::new(api.clone(), streams.clone(), guard.denials().clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES);
    let incidents = IncidentsServer::new(incidents::Service::new(api.clone(), streams))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let gate = GateServer::new(gate::Service::new(api.clone())).max_decoding_message_size(MAX_REQUEST_BYTES);
    let silences =
        SilencesServer::new(silences::Service::new(api)).max_decoding_message_size(MAX_REQUEST_BYTES);
    let mut drained = ended.clone();
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_concurrent_streams(MAX_REQUESTS_PER_CONNECTION)
        .concurrency_limit_per_connection(MAX_REQUESTS_PER_CONNECTION as usize)
        .layer(guard)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(bus)
        .add_service(gate)
        .add_service(incidents)
        .add_service(silences)
        // An error is what is waited for: the sender is gone.
        .serve_with_incoming_shutdown(listener, async move {
            drop(drained.changed().await);
        });
    let stopping = async {
        stop.await;
        for service in SERVICES {
            health.set_service_status(service, ServingStatus::NotServing).await;
        }
        drop(ending);
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        served = server => served,
        () = stopping => Ok(()),
    }
}

/// Who asks. The guard put it there; a request that came around it has no rights.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get().cloned();
    caller.ok_or_else(|| Status::internal("nobody looked at who asks: this is a bug"))
}

/// Why something is refused, as gRPC says it.
fn refused(refused: Refused) -> Status {
    let why = refused.to_string();
    match refused {
        Refused::Invalid(_) => Status::invalid_argument(why),
        Refused::Unknown { .. } => Status::not_found(why),
        Refused::Forbidden(_) => Status::permission_denied(why),
        Refused::NotNow(_) => Status::failed_precondition(why),
        Refused::Full(_) => Status::resource_exhausted(why),
        Refused::Stopped(_) => Status::unavailable(why),
    }
}

fn invalid(problem: wire::Invalid) -> Status {
    Status::invalid_argument(problem.to_string())
}
