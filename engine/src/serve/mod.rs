//! gRPC for controllers and people: the services of `foreshock.v1`, health and reflection. Below it, and below HTTP: connections.
//!
//! * `bus`: signals and what people say of them · `subscribe`: controllers' streams · `gate` · `incidents`: lists, watches, people's word · `silences`
//! * `limits`: what a client may ask of us at once
//! * `watching`: revisions as they come
//! * `connections`: how many may be connected, and who makes room · `http1`: HTTP/1.1 on them · `tls`: secure ones
//! * `access`: who a client is · `guard`: what it may ask · `denials`: those who were refused
//!
//! Decides nothing: every question goes to the engine through [`Handle`].

pub mod access;
mod bus;
mod connections;
mod denials;
mod gate;
mod guard;
mod http1;
mod incidents;
mod limits;
mod silences;
mod subscribe;
mod tls;
mod watching;

use std::{future::Future, time::Duration};

use foreshock_core::types::{Caller, Word};
use foreshock_proto::v1::{
    self, gate_server::GateServer, incidents_server::IncidentsServer,
    remediation_bus_server::RemediationBusServer, silences_server::SilencesServer,
};
use foreshock_wire as wire;
use tokio::sync::watch;
use tonic::{Request, Status, transport::Server};
use tonic_health::{ServingStatus, server::health_reporter};

use crate::run::{Command, Handle, Stopped, Unheard};
pub use connections::{Connection, Eviction, Limited, Peer, Rules, Tally};
pub use guard::{Guard, Refusal};
pub use http1::{Waits, http1};
use limits::Streams;
pub use tls::Tls;

/// What a controller may send in one message.
const MAX_REQUEST_BYTES: usize = 256 * 1024;
/// Requests at once on one connection, streams included.
const MAX_REQUESTS_PER_CONNECTION: u32 = 64;
/// A peer that does not answer a ping for this long is gone.
const KEEPALIVE: Duration = Duration::from_secs(20);
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
pub async fn grpc(
    listener: Limited,
    handle: Handle,
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
    let bus = RemediationBusServer::new(bus::Service::new(
        handle.clone(),
        streams.clone(),
        guard.denials().clone(),
    ))
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let incidents = IncidentsServer::new(incidents::Service::new(handle.clone(), streams))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let gate =
        GateServer::new(gate::Service::new(handle.clone())).max_decoding_message_size(MAX_REQUEST_BYTES);
    let silences =
        SilencesServer::new(silences::Service::new(handle)).max_decoding_message_size(MAX_REQUEST_BYTES);
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

/// The name that is written down for what somebody says: who they are, or, where nobody is known, who they say that they are.
fn signed<T>(request: &Request<T>, by: &str) -> Result<String, Status> {
    let caller = caller(request)?;
    if by.is_empty() && caller.name.is_empty() {
        return Err(Status::invalid_argument("by is empty: say who says it (--by NAME)"));
    }
    words("by", by, 0..=256)?;
    Ok(caller.signs(by))
}

/// What a client is told when the engine does not answer any more.
fn unavailable(stopped: Stopped) -> Status {
    Status::unavailable(stopped.to_string())
}

fn invalid(problem: wire::Invalid) -> Status {
    Status::invalid_argument(problem.to_string())
}

/// Says something to the engine, and waits until it is durable.
async fn heard(handle: &Handle, word: Word) -> Result<(), Status> {
    let answer = handle.ask(|reply| Command::Say { word, reply }).await.map_err(unavailable)?;
    answer.map_err(|unheard| match unheard {
        Unheard::Unknown { .. } => Status::not_found(unheard.to_string()),
        Unheard::Full { .. } => Status::resource_exhausted(unheard.to_string()),
    })
}

/// Refuses words that are missing or too long.
fn words(field: &str, text: &str, bounds: std::ops::RangeInclusive<usize>) -> Result<(), Status> {
    if bounds.contains(&text.len()) {
        return Ok(());
    }
    let (least, most) = (bounds.start(), bounds.end());
    Err(Status::invalid_argument(format!("{field} has {} bytes: give {least} to {most}", text.len())))
}
