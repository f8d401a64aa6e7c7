//! HTTP for Prometheus and Kubernetes: `/metrics`, `/livez`, `/readyz`, and `/status` and `/topology` as JSON; for senders of webhooks
//! `/webhooks/<name>`.

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prometheus_client::registry::Registry;

use super::{
    handle::{Command, Handle},
    webhooks::Webhooks,
};
use crate::serve::Limited;

/// What is served.
pub(super) struct Served {
    pub(super) handle: Handle,
    pub(super) registry: Registry,
    pub(super) webhooks: Option<Webhooks>,
    /// Largest body of a webhook.
    pub(super) max_body: usize,
}

/// Serves until `stop` ends.
pub(super) async fn serve(
    listener: Limited,
    served: Served,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let limit = DefaultBodyLimit::max(served.max_body);
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/topology", get(topology))
        .route("/webhooks/{name}", post(webhook).layer(limit))
        .with_state(Arc::new(served));
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
}

type Shared = Arc<Served>;

async fn webhook(
    State(served): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match &served.webhooks {
        Some(webhooks) => webhooks.take(&name, &headers, &body).await.into_response(),
        None => (StatusCode::NOT_FOUND, "no receiver is configured (webhooks.receivers)\n").into_response(),
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &shared.registry) {
        Ok(()) => {
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, form)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Alive: the engine's thread answers, or waits for Kafka, which a restart would not bring back.
async fn alive(State(shared): State<Shared>) -> Response {
    if shared.handle.kafka_is_away() {
        return "alive, while kafka is away\n".into_response();
    }
    match shared.handle.ask(Command::Status).await {
        Ok(_) => "alive\n".into_response(),
        Err(stopped) => (StatusCode::SERVICE_UNAVAILABLE, format!("{stopped}\n")).into_response(),
    }
}

/// Ready: Kafka answers, and partitions are assigned. Catching up is no reason to be taken out of service.
async fn ready(State(shared): State<Shared>) -> Response {
    if shared.handle.kafka_is_away() {
        return (StatusCode::SERVICE_UNAVAILABLE, "kafka is away\n").into_response();
    }
    match shared.handle.ask(Command::Status).await {
        Ok(status) if status.partitions.is_empty() => {
            (StatusCode::SERVICE_UNAVAILABLE, "no partition is assigned yet\n").into_response()
        }
        Ok(_) => "ready\n".into_response(),
        Err(stopped) => (StatusCode::SERVICE_UNAVAILABLE, format!("{stopped}\n")).into_response(),
    }
}

async fn topology(State(shared): State<Shared>) -> Response {
    match shared.handle.ask(Command::Topology).await {
        Ok(topology) => Json(topology).into_response(),
        Err(stopped) => (StatusCode::SERVICE_UNAVAILABLE, format!("{stopped}\n")).into_response(),
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    match shared.handle.ask(Command::Status).await {
        Ok(status) => Json(status).into_response(),
        Err(stopped) => (StatusCode::SERVICE_UNAVAILABLE, format!("{stopped}\n")).into_response(),
    }
}
