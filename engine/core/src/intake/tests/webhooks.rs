//! What senders send, cut to what matters, and what it is taken for. Written after their documentation, not recorded.

use serde_json::{Value, json};

use super::*;
use crate::types::{AlertSeverity, Entity, EntityKind};

fn taken(kind: &str, body: &Value) -> Vec<Effect> {
    let headers = vec![
        (WEBHOOK.to_string(), Bytes::copy_from_slice(kind.as_bytes())),
        (RECEIVER.to_string(), Bytes::from_static(b"here")),
    ];
    let record = Record { headers, ..record(0, body.to_string()) };
    Intake::new("changes", IntakeConfig::default()).on_event(Event::Records(&[record]))
}

/// `time kind entity version id` of the only change; empty when there is none.
fn change(kind: &str, body: &Value) -> String {
    match &taken(kind, body)[..] {
        [] => String::new(),
        [Effect::Change(change)] => {
            let Change { time_ms, id, kind, entity, version, source } = change;
            assert_eq!(source, "here");
            format!("{time_ms} {kind} {entity} {version} {id}")
        }
        other => panic!("{kind}: {other:?}"),
    }
}

#[test]
fn deploys_are_changes_once() {
    let github = |state: &str| {
        json!({
            "deployment_status": {"state": state, "created_at": "2026-04-28T19:50:00Z"},
            "deployment": {
                "id": 145_988_746, "ref": "v1.4.0", "environment": "production", "payload": {},
                "sha": "95f3a3e8e5b9a0a3c1f1d7b2f4a6c8e0d2b4f6a8", "created_at": "2026-04-28T19:49:00Z",
            },
            "repository": {"name": "cart", "full_name": "shop/cart"},
        })
    };
    let told = "1777405800000 service.deployed service/cart v1.4.0 here/shop/cart/145988746";
    assert_eq!(change("github", &github("in_progress")), told);
    assert_eq!(change("github", &github("success")), told, "the same change");
    assert_eq!(change("github", &github("queued")), "");
    assert_eq!(change("github", &json!({"zen": "Speak like a human.", "hook_id": 1})), "", "a ping");

    let gitlab = |status: &str| {
        json!({
            "object_kind": "deployment", "status": status, "status_changed_at": "2026-04-28 21:50:00 +0200",
            "deployment_id": 15, "environment": "staging", "short_sha": "279484c0",
            "project": {"name": "cart", "path_with_namespace": "shop/cart"},
        })
    };
    let told = "1777405800000 service.deployed service/cart 279484c0 here/shop/cart/15";
    assert_eq!(change("gitlab", &gitlab("success")), told);
    assert_eq!(change("gitlab", &gitlab("failed")), "");

    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "cart", "namespace": "argocd"},
        "status": {
            "operationState": {"phase": "Succeeded", "startedAt": "2026-04-28T19:50:00Z"},
            "sync": {"revision": "95f3a3e8e5b9a0a3c1f1d7b2f4a6c8e0d2b4f6a8"},
        },
    });
    let told = "1777405800000 service.deployed service/cart 95f3a3e here/argocd/cart/2026-04-28T19:50:00Z";
    assert_eq!(change("argo", &application), told);
    let rollout = json!({
        "kind": "Rollout",
        "metadata": {
            "name": "cart", "namespace": "shop", "annotations": {"rollout.argoproj.io/revision": "7"},
        },
        "spec": {"template": {"spec": {"containers": [{"image": "registry:5000/shop/cart:v2"}]}}},
        "status": {"phase": "Degraded", "abort": true},
    });
    let told = "1700000000000 service.rolledback service/cart v2 here/shop/cart/7/aborted";
    assert_eq!(change("argo", &rollout), told);

    let jenkins = |phase: &str, status: &str| {
        json!({
            "name": "deploy-cart",
            "build": {
                "number": 22, "phase": phase, "status": status, "timestamp": 1_777_405_800_000_i64,
                "parameters": {"SERVICE": "cart", "VERSION": "1.4.0"},
            },
        })
    };
    let told = "1777405800000 service.deployed service/cart 1.4.0 here/deploy-cart/22";
    assert_eq!(change("jenkins", &jenkins("FINALIZED", "SUCCESS")), told);
    assert_eq!(change("jenkins", &jenkins("FINALIZED", "FAILURE")), "");

    let alias = json!({
        "entity": "model_version_alias", "action": "created", "timestamp": "2026-04-28T19:50:00Z",
        "data": {"name": "fraud", "alias": "champion", "version": "7"},
    });
    let told = "1777405800000 model.promoted model/fraud 7 (champion) \
                here/model_version_alias/created/fraud/7/champion/2026-04-28T19:50:00Z";
    assert_eq!(change("mlflow", &alias), told);

    let event = json!({
        "specversion": "1.0", "type": "dev.cdevents.service.deployed.0.2.0", "id": "e1", "source": "here",
        "time": "2026-04-28T19:50:00Z", "subject": "cart", "data": {"version": "v3"},
    });
    assert_eq!(change("cloud_events", &event), "1777405800000 service.deployed service/cart v3 e1");

    let own = json!({"service": "cart", "version": "v2", "id": "d1", "time": "2026-04-28T19:50:00Z"});
    assert_eq!(change("generic", &own), "1777405800000 service.deployed service/cart v2 here/d1");
    let model = json!({"model": "fraud", "kind": "model.retrained", "id": 7});
    assert_eq!(change("generic", &model), "1700000000000 model.retrained model/fraud  here/7");
}

#[test]
fn what_says_nothing_is_refused() {
    for (kind, body) in [
        ("generic", json!({"service": "cart"})),
        ("generic", json!({"service": "a", "model": "b", "id": "1"})),
        ("alertmanager", json!({"alerts": [{"status": "firing"}]})),
        ("alertmanager", json!({"alerts": [{"status": "firing", "startsAt": "soon"}]})),
        ("cloud_events", json!({"specversion": "1.0"})),
        ("carrier_pigeon", json!({})),
    ] {
        let effects = taken(kind, &body);
        assert!(matches!(&effects[..], [Effect::Reject(_)]), "{kind} {body}: {effects:?}");
    }
}

#[test]
fn alerts_are_about_something_and_not_our_own() {
    let alert = |status: &str, labels: Value| {
        json!({
            "status": status, "labels": labels, "startsAt": "2026-04-28T19:50:00.5Z",
            "endsAt": if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-04-28T20:00:00Z" },
            "annotations": {"summary": "login of ann@example.org fails"}, "fingerprint": "f1",
        })
    };
    let body = json!({"version": "4", "status": "firing", "alerts": [
        alert("firing", json!({"alertname": "High", "service": "cart", "job": "node", "severity": "page"})),
        alert("resolved", json!({"alertname": "Down", "instance": "db-1:9100"})),
        alert("firing", json!({"alertname": "ForeshockIncident", "foreshock_incident": "7"})),
        alert("firing", json!({"alertname": "Watchdog", "severity": "none"})),
    ]});
    for kind in ["alertmanager", "grafana"] {
        let alerts: Vec<Alert> = taken(kind, &body)
            .into_iter()
            .map(|effect| match effect {
                Effect::Alert(alert) => alert,
                other => panic!("{other:?}"),
            })
            .collect();
        let [high, down, watchdog] = &alerts[..] else { panic!("{alerts:?}") };
        assert_eq!(high.entity, Entity::new(EntityKind::Service, "cart"));
        assert_eq!((high.firing, high.severity), (true, AlertSeverity::Critical));
        assert_eq!((high.time_ms, high.started_ms), (1_777_405_800_500, 1_777_405_800_500));
        assert_eq!(high.summary, "login of <email> fails");
        assert_eq!(down.entity, Entity::new(EntityKind::Host, "db-1:9100"));
        assert_eq!((down.firing, down.time_ms), (false, 1_777_406_400_000));
        assert_eq!(down.severity, AlertSeverity::Warning);
        assert_eq!(watchdog.entity, Entity::new(EntityKind::Other, "Watchdog"));
        assert_eq!(watchdog.severity, AlertSeverity::Info);
    }
}
