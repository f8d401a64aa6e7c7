//! What other systems send over HTTP: deploys and the like as changes, alerts as they are (`alerts`).
//!
//! A record holds the body as it came; its header [`WEBHOOK`] says from whom, and headers of HTTP that matter stand beside it. What does not
//! tell of a change, such as a ping, is taken and gives nothing.

use serde_json::Value;

use super::{Destination, Format, Refusal, Told, alerts, cloud_events, malformed, redact::Redactor};
use crate::types::{Change, Entity, EntityKind, Record, RejectReason};

/// Name of the header that says which kind of sender a record comes from.
pub const WEBHOOK: &str = "foreshock.webhook";
/// Name of the header that says which receiver of the configuration took it.
pub const RECEIVER: &str = "foreshock.receiver";

/// What a webhook was sent.
pub(super) struct Webhook;

impl Format for Webhook {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        read(record, to.redactor)
    }
}

fn read(record: &Record, redactor: &mut Redactor) -> Result<Told, Refusal> {
    let kind = record.header(WEBHOOK).unwrap_or_default();
    let receiver = record.header(RECEIVER).unwrap_or(kind);
    if kind == "cloud_events" {
        return Ok(Told { changes: vec![cloud_events::change(record)?], ..Told::default() });
    }
    let body: Value = serde_json::from_slice(&record.payload).map_err(malformed)?;
    if matches!(kind, "alertmanager" | "grafana") {
        return Ok(Told { alerts: alerts::read(&body, receiver, redactor)?, ..Told::default() });
    }
    let change = match kind {
        "github" => github(&body),
        "gitlab" => gitlab(&body),
        "argo" => argo(&body),
        "jenkins" => jenkins(&body),
        "mlflow" => mlflow(&body),
        "generic" => Some(generic(&body)?),
        other => return Err((RejectReason::UnknownEncoding, format!("no webhook is of kind {other:?}"))),
    };
    let changes = change.map(|told| told.on(record, receiver)).transpose()?.into_iter().collect();
    Ok(Told { changes, ..Told::default() })
}

/// A change before its time is known to be one.
struct Deploy<'a> {
    id: String,
    kind: &'a str,
    entity: Entity,
    version: String,
    time: Option<i64>,
}

impl Deploy<'_> {
    fn on(self, record: &Record, receiver: &str) -> Result<Change, Refusal> {
        let time_ms = self.time.unwrap_or(record.time_ms);
        if self.entity.name.is_empty() {
            return Err(malformed("it does not say what was changed"));
        }
        if time_ms < 0 {
            return Err((RejectReason::BadTime, "neither the event nor its record has a time".to_string()));
        }
        Ok(Change {
            time_ms,
            id: format!("{receiver}/{}", self.id),
            kind: self.kind.to_string(),
            entity: self.entity,
            version: self.version,
            source: receiver.to_string(),
        })
    }
}

/// Text or a number below a JSON pointer; empty when there is none.
pub(super) fn text(body: &Value, pointer: &str) -> String {
    match body.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// RFC 3339, GitLab's `2026-04-28 21:50:00 +0200`, or unix milliseconds.
pub(super) fn time(body: &Value, pointer: &str) -> Option<i64> {
    let text = text(body, pointer);
    let number = text.parse::<i64>().ok();
    let rfc = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    let spaced = || {
        let zoned = jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S %z", &text).ok()?.to_timestamp();
        zoned.ok().map(jiff::Timestamp::as_millisecond)
    };
    let utc = || {
        let zoned = text.strip_suffix(" UTC")?.replace(' ', "T") + "Z";
        zoned.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
    };
    number.or_else(rfc).or_else(spaced).or_else(utc)
}

fn service(name: &str) -> Entity {
    Entity::new(EntityKind::Service, name)
}

/// First characters of a commit, as people know it.
fn short(commit: &str) -> String {
    let is_hash = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { commit[..7].to_string() } else { commit.to_string() }
}

/// The events `deployment` and `deployment_status`; the first that says that it goes on is the change.
fn github(body: &Value) -> Option<Deploy<'_>> {
    let deployment = body.get("deployment")?;
    let state = text(body, "/deployment_status/state");
    if !matches!(state.as_str(), "" | "in_progress" | "success") {
        return None;
    }
    let (own, commit) = (text(deployment, "/payload/service"), text(deployment, "/sha"));
    let name = if own.is_empty() { text(body, "/repository/name") } else { own };
    let reference = text(deployment, "/ref");
    Some(Deploy {
        id: format!("{}/{}", text(body, "/repository/full_name"), text(deployment, "/id")),
        kind: "service.deployed",
        entity: service(&name),
        version: if reference.is_empty() { short(&commit) } else { short(&reference) },
        time: time(body, "/deployment_status/created_at").or_else(|| time(deployment, "/created_at")),
    })
}

/// The Deployment Hook.
fn gitlab(body: &Value) -> Option<Deploy<'_>> {
    let status = text(body, "/status");
    if text(body, "/object_kind") != "deployment" || !matches!(status.as_str(), "running" | "success") {
        return None;
    }
    Some(Deploy {
        id: format!("{}/{}", text(body, "/project/path_with_namespace"), text(body, "/deployment_id")),
        kind: "service.deployed",
        entity: service(&text(body, "/project/name")),
        version: text(body, "/short_sha"),
        time: time(body, "/status_changed_at"),
    })
}

/// An Application of Argo CD or a Rollout of Argo Rollouts, whole, as their notifications can send it.
fn argo(body: &Value) -> Option<Deploy<'_>> {
    let name = text(body, "/metadata/name");
    if text(body, "/kind") == "Rollout" {
        let phase = text(body, "/status/phase");
        let revision = text(body, "/metadata/annotations/rollout.argoproj.io~1revision");
        let image = text(body, "/spec/template/spec/containers/0/image");
        let aborted = body.pointer("/status/abort").and_then(Value::as_bool) == Some(true);
        return Some(Deploy {
            id: format!(
                "{}/{name}/{revision}/{}",
                text(body, "/metadata/namespace"),
                if aborted { "aborted" } else { &phase }
            ),
            kind: if aborted { "service.rolledback" } else { "service.deployed" },
            entity: service(&name),
            version: tag(&image),
            time: None,
        });
    }
    let phase = text(body, "/status/operationState/phase");
    if !matches!(phase.as_str(), "Running" | "Succeeded") {
        return None;
    }
    let started = text(body, "/status/operationState/startedAt");
    Some(Deploy {
        id: format!("{}/{name}/{started}", text(body, "/metadata/namespace")),
        kind: "service.deployed",
        entity: service(&name),
        version: short(&text(body, "/status/sync/revision")),
        time: time(body, "/status/operationState/startedAt"),
    })
}

/// The tag of an image, else the end of its digest.
fn tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    let digest = || name.split_once('@').map(|(_, digest)| digest.chars().take(15).collect());
    digest().unwrap_or_else(|| name.split_once(':').map_or(String::new(), |(_, tag)| tag.to_string()))
}

/// The Notification plugin; the parameters `SERVICE` and `VERSION` of a build say what a job's name does not.
fn jenkins(body: &Value) -> Option<Deploy<'_>> {
    let (phase, status) = (text(body, "/build/phase"), text(body, "/build/status"));
    let goes_on =
        phase == "STARTED" || (matches!(phase.as_str(), "COMPLETED" | "FINALIZED") && status == "SUCCESS");
    if !goes_on {
        return None;
    }
    let or = |first: String, second: String| if first.is_empty() { second } else { first };
    let job = text(body, "/name");
    let number = text(body, "/build/number");
    Some(Deploy {
        id: format!("{job}/{number}"),
        kind: "service.deployed",
        entity: service(&or(text(body, "/build/parameters/SERVICE"), job)),
        version: or(text(body, "/build/parameters/VERSION"), short(&text(body, "/build/scm/commit"))),
        time: time(body, "/build/timestamp"),
    })
}

/// Webhooks of MLflow's model registry.
fn mlflow(body: &Value) -> Option<Deploy<'_>> {
    let (entity, action) = (text(body, "/entity"), text(body, "/action"));
    let kind = match (entity.as_str(), action.as_str()) {
        ("model_version", "created") => "model.version.created",
        ("model_version_alias", "created") => "model.promoted",
        ("model_version_alias", "deleted") => "model.demoted",
        _ => return None,
    };
    let (name, version) = (text(body, "/data/name"), text(body, "/data/version"));
    let alias = text(body, "/data/alias");
    Some(Deploy {
        id: format!("{entity}/{action}/{name}/{version}/{alias}/{}", text(body, "/timestamp")),
        kind,
        entity: Entity::new(EntityKind::Model, &name),
        version: if alias.is_empty() || version.is_empty() {
            format!("{version}{alias}")
        } else {
            format!("{version} ({alias})")
        },
        time: time(body, "/timestamp"),
    })
}

/// `{"service" or "model": …, "version": …, "kind": …, "time": …, "id": …}`; the first and the id must be given.
fn generic(body: &Value) -> Result<Deploy<'_>, Refusal> {
    let (service_name, model, id) = (text(body, "/service"), text(body, "/model"), text(body, "/id"));
    if id.is_empty() || service_name.is_empty() == model.is_empty() {
        return Err(malformed("a change needs an id, and a service or a model"));
    }
    let (entity, usual) = match service_name.is_empty() {
        false => (service(&service_name), "service.deployed"),
        true => (Entity::new(EntityKind::Model, &model), "model.promoted"),
    };
    let kind = body.get("kind").and_then(Value::as_str).unwrap_or(usual);
    Ok(Deploy { id, kind, entity, version: text(body, "/version"), time: time(body, "/time") })
}
