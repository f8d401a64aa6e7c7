//! How far a rollout is, as `kubectl rollout status` tells it (kubectl/pkg/polymorphichelpers/rollout_status.go).

use serde_json::{Value, json};

use super::{
    at,
    cluster::{Object, Place},
};

/// How far a change has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of it.
    Through,
    /// It goes on.
    UnderWay(String),
    /// It does not come through.
    Stuck(String),
}

/// How far the latest change of an object has come.
pub(super) fn of(place: &Place, object: &Object) -> Progress {
    match place.kind.name {
        "Deployment" => deployment(object),
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        "Rollout" => rollout(object),
        "HorizontalPodAutoscaler" => autoscaler(object),
        _ => Progress::Through,
    }
}

fn deployment(object: &Object) -> Progress {
    if at(object, "/spec/paused") == &json!(true) {
        return Progress::Through;
    }
    if !is_observed(object) {
        return unseen();
    }
    if let Some(condition) = condition(object, "Progressing")
        && condition["reason"] == "ProgressDeadlineExceeded"
    {
        return Progress::Stuck("its pods do not become ready (progress deadline exceeded)".to_string());
    }
    let wanted = number(object, "/spec/replicas").max(at(object, "/spec/replicas").is_null().into());
    let updated = number(object, "/status/updatedReplicas");
    let all = number(object, "/status/replicas");
    let available = number(object, "/status/availableReplicas");
    if updated < wanted {
        under_way(updated, wanted, "replicas are of the new template")
    } else if all > updated {
        Progress::UnderWay(format!("{} old replicas end", all - updated))
    } else if available < updated {
        under_way(available, updated, "replicas are available")
    } else {
        Progress::Through
    }
}

fn stateful_set(object: &Object) -> Progress {
    if !is_observed(object) {
        return unseen();
    }
    if at(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Progress::Through;
    }
    let wanted = number(object, "/spec/replicas").max(at(object, "/spec/replicas").is_null().into());
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let ready = number(object, "/status/readyReplicas");
    let updated = number(object, "/status/updatedReplicas");
    if ready < wanted {
        under_way(ready, wanted, "replicas are ready")
    } else if updated < wanted - partition {
        under_way(updated, wanted - partition, "replicas are of the new template")
    } else if partition == 0 && at(object, "/status/updateRevision") != at(object, "/status/currentRevision")
    {
        under_way(updated, wanted, "replicas are of the new template")
    } else {
        Progress::Through
    }
}

fn daemon_set(object: &Object) -> Progress {
    if !is_observed(object) {
        return unseen();
    }
    if at(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Progress::Through;
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    if updated < wanted {
        under_way(updated, wanted, "pods are of the new template")
    } else if available < wanted {
        under_way(available, wanted, "pods are available")
    } else {
        Progress::Through
    }
}

/// By the phase that Argo Rollouts gives it.
fn rollout(object: &Object) -> Progress {
    if at(object, "/spec/paused") == &json!(true) {
        return Progress::Through;
    }
    // It is text there.
    let observed = at(object, "/status/observedGeneration").as_str().and_then(|text| text.parse().ok());
    if observed < object.metadata.generation {
        return unseen();
    }
    let said = at(object, "/status/message").as_str().unwrap_or_default();
    match at(object, "/status/phase").as_str().unwrap_or_default() {
        "Healthy" => Progress::Through,
        // An aborted rollout counts as degraded, though it serves its stable version in full.
        "Degraded" if at(object, "/status/abort") == &json!(true) => Progress::Through,
        "Degraded" => Progress::Stuck(format!("it is degraded: {said}")),
        phase => Progress::UnderWay(format!("{phase}: {said}")),
    }
}

fn autoscaler(object: &Object) -> Progress {
    let (current, least) = (number(object, "/status/currentReplicas"), number(object, "/spec/minReplicas"));
    if current < least { under_way(current, least, "replicas run") } else { Progress::Through }
}

fn under_way(have: i64, wanted: i64, what: &str) -> Progress {
    Progress::UnderWay(format!("{have} of {wanted} {what}"))
}

fn unseen() -> Progress {
    Progress::UnderWay("its controller has not seen the change yet".to_string())
}

fn is_observed(object: &Object) -> bool {
    object.metadata.generation <= at(object, "/status/observedGeneration").as_i64()
}

fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    let conditions = at(object, "/status/conditions").as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

fn number(object: &Object, pointer: &str) -> i64 {
    at(object, pointer).as_i64().unwrap_or(0)
}
