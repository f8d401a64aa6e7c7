//! HTTP for Prometheus and Kubernetes: `/metrics`, `/livez`, `/readyz`; for those who may see, `/status` and `/topology` as JSON; for
//! tools that deploy `/gate/<kind>/<name>` and, as Flagger asks, `/gate/flagger/<hook>`; for senders of webhooks `/webhooks/<name>`.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use foreshock_core::types::{Entity, EntityKind};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

use super::{Guard, Limited, Peer, Refusal, Waits, http1, pulse::Pulse, webhooks::Webhooks};
use crate::api::{Against, Api, Method, Status, Stopped, Topology};

/// What is served.
pub(crate) struct Served {
    pub(crate) api: Api,
    pub(crate) pulse: Pulse,
    pub(crate) registry: Registry,
    pub(crate) webhooks: Option<Webhooks>,
    pub(crate) guard: Guard,
    /// Largest body of a webhook.
    pub(crate) max_body: usize,
}

/// Serves until `stop` ends.
pub(crate) async fn serve(
    listener: Limited,
    served: Served,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let served = Arc::new(served);
    let limit = DefaultBodyLimit::max(served.max_body);
    let guarded =
        |method: Method| middleware::from_fn_with_state((served.guard.clone(), method), let_through);
    let routes = Router::new()
        .route("/status", get(status).layer(guarded(Method::Status)))
        .route("/topology", get(topology).layer(guarded(Method::Topology)))
        .route("/gate/{kind}/{*name}", get(gate).layer(guarded(Method::Gate)))
        .route("/gate/flagger/{hook}", post(flagger).layer(guarded(Method::Gate)))
        .route("/metrics", get(metrics))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .route("/webhooks/{name}", post(webhook).layer(limit))
        .with_state(served.clone());
    tokio::select! {
        () = served.pulse.beat(&served.api) => {}
        () = http1(listener, routes, Waits::default(), stop) => {}
    }
}

type Shared = Arc<Served>;

/// Lets through who may ask.
async fn let_through(
    State((guard, method)): State<(Guard, Method)>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match guard.let_through(&request, Some(&peer), method) {
        Ok(_) => next.run(request).await,
        Err(Refusal::Unknown(why)) => {
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], format!("{why}\n")).into_response()
        }
        Err(Refusal::Forbidden(why)) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
    }
}

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
    if shared.api.kafka_is_away() {
        return "alive, while kafka is away\n".into_response();
    }
    shared.pulse.ask().await.map(|_| "alive\n").into_response()
}

/// Ready: Kafka answers, partitions are assigned, and none stands still. Catching up is no reason to be taken out of service.
async fn ready(State(shared): State<Shared>) -> Response {
    if shared.api.kafka_is_away() {
        return (StatusCode::SERVICE_UNAVAILABLE, "kafka is away\n").into_response();
    }
    match shared.pulse.ask().await {
        Ok(Some(why)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        Ok(None) => "ready\n".into_response(),
        Err(stopped) => stopped.into_response(),
    }
}

impl IntoResponse for Stopped {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{self}\n")).into_response()
    }
}

async fn topology(State(shared): State<Shared>) -> Result<Json<Arc<Topology>>, Stopped> {
    Ok(Json(shared.api.view()?.topology.clone()))
}

/// What an Argo Rollouts AnalysisTemplate reads: `{"allowed": …, "reasons": […]}`.
#[derive(Serialize)]
struct Gate {
    allowed: bool,
    reasons: Vec<String>,
}

async fn gate(State(shared): State<Shared>, Path((kind, name)): Path<(String, String)>) -> Response {
    let Some(target) = Entity::from_name(&format!("{kind}/{name}")) else {
        let what = format!("{kind}/{name} names no entity: ask for /gate/service/shop/payment\n");
        return (StatusCode::BAD_REQUEST, what).into_response();
    };
    match shared.api.view() {
        Ok(view) => {
            let reasons: Vec<String> = view.gate(&target).into_iter().map(|against| against.why).collect();
            Json(Gate { allowed: reasons.is_empty(), reasons }).into_response()
        }
        Err(stopped) => stopped.into_response(),
    }
}

/// What Flagger sends: the canary, and what its author adds.
#[derive(Deserialize)]
struct Canary {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl Canary {
    /// What it may be known as: what `metadata.target` says, else a service or workload of its name.
    fn targets(&self) -> Result<Vec<Entity>, String> {
        let Canary { name, namespace, metadata } = self;
        if let Some(target) = metadata.get("target") {
            let entity = Entity::from_name(target);
            return entity.map(|entity| vec![entity]).ok_or_else(|| format!("{target:?} names no entity"));
        }
        let spaced = format!("{namespace}/{name}");
        Ok(vec![
            Entity::new(EntityKind::Service, name.as_str()),
            Entity::new(EntityKind::Service, spaced.as_str()),
            Entity::new(EntityKind::Workload, spaced.as_str()),
        ])
    }
}

/// Flagger goes on with 200 and stops with anything else. Its hook `rollback` rolls back with 200: only what is blamed.
async fn flagger(State(shared): State<Shared>, Path(hook): Path<String>, body: Bytes) -> Response {
    let canary = serde_json::from_slice::<Canary>(&body).map_err(|error| error.to_string());
    let targets = match canary.and_then(|canary| canary.targets()) {
        Ok(targets) => targets,
        Err(problem) => return (StatusCode::BAD_REQUEST, format!("no canary: {problem}\n")).into_response(),
    };
    let mut reasons: Vec<Against> = match shared.api.view() {
        Ok(view) => targets.iter().flat_map(|target| view.gate(target)).collect(),
        Err(stopped) => return stopped.into_response(),
    };
    let is_rollback = hook == "rollback";
    reasons.retain(|against| against.blamed || !is_rollback);
    let goes_on = reasons.is_empty() != is_rollback;
    let status = if goes_on { StatusCode::OK } else { StatusCode::PRECONDITION_FAILED };
    let mut words: Vec<String> = reasons.into_iter().map(|against| against.why).collect();
    words.dedup();
    let words = if words.is_empty() { "nothing speaks against it".to_string() } else { words.join("\n") };
    (status, format!("{words}\n")).into_response()
}

async fn status(State(shared): State<Shared>) -> Result<Json<Arc<Status>>, Stopped> {
    Ok(Json(shared.api.view()?.status.clone()))
}
