//! The deploy controller on a real API server with the real controllers behind it; kubectl is the oracle. What this does not prove: that
//! containers start. Argo Rollouts is a resource without its controller here.

use foreshock_core::{
    bus::Event,
    types::{Change, Entity, SignalState},
};
use serde_json::{Value, json};

use super::{
    Controller, await_some, bus,
    cluster::{Namespace, cluster},
    double::Double,
    end, signals, trouble, until,
};

const UNDO: &str = "{name: undo, action: rollback, approval: none, min_evidence_kinds: 1}";
const RESTART: &str = "{name: restart, action: restart, approval: none, min_evidence_kinds: 1}";

fn scale(replicas: &str) -> String {
    format!(
        "{{name: scale, action: scale, approval: none, min_evidence_kinds: 1, parameters: {{replicas: '{replicas}'}}}}"
    )
}

/// The deploy controller for `cart` of a namespace.
fn deploy(double: &Double, space: &Namespace, arguments: &[&str]) -> Controller {
    Controller::start(double, "deploy", &space.config("{workload: {}}"), arguments)
}

fn cart(space: &Namespace) -> String {
    format!("service/{}/cart", space.name)
}

fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap()
}

fn image(object: &Value) -> &str {
    object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap()
}

/// What a rollback decides: the specification, and the annotations without our marks and the time of the last `kubectl apply`.
fn decided(object: &Value) -> Value {
    let mut annotations = object["metadata"]["annotations"].clone();
    let own = |key: &str| {
        key.starts_with("foreshock.io/") || key == "kubectl.kubernetes.io/last-applied-configuration"
    };
    annotations.as_object_mut().unwrap().retain(|key, _| !own(key));
    json!({"spec": object["spec"], "annotations": annotations})
}

#[test]
fn a_rollback_is_what_kubectl_does_and_happens_once() {
    let Some(cluster) = cluster() else { return };
    let (ours, theirs) = (cluster.namespace("undo-ours"), cluster.namespace("undo-theirs"));
    for space in [&ours, &theirs] {
        space.deployment("cart", &["cart:v1"], "");
        space.kubectl(&["annotate", "deployment/cart", "kubernetes.io/change-cause=first"]).unwrap();
        space.kubectl(&["set", "env", "deployment/cart", "A=1"]).unwrap();
        space.deployment("cart", &["cart:v2"], "");
        space
            .kubectl(&["annotate", "--overwrite", "deployment/cart", "kubernetes.io/change-cause=bad"])
            .unwrap();
        space.kubectl(&["rollout", "status", "deployment/cart", "--timeout=30s"]).unwrap();
    }
    theirs.kubectl(&["rollout", "undo", "deployment/cart"]).unwrap();
    theirs.kubectl(&["rollout", "status", "deployment/cart", "--timeout=30s"]).unwrap();

    let double = bus(UNDO);
    let before = generation(&ours.get("deployment/cart"));
    let controller = deploy(&double, &ours, &["--name", "hands"]);
    double.tell(trouble(&cart(&ours)));
    let signal = end(&double);
    assert_eq!((signal.state, signal.holder.as_str()), (SignalState::Succeeded, "hands"), "{}", signal.note);
    let after = ours.get("deployment/cart");
    assert_eq!(decided(&after), decided(&theirs.get("deployment/cart")));
    assert_eq!((image(&after), generation(&after)), ("registry/cart:v1", before + 1));
    assert_eq!(after["metadata"]["annotations"]["foreshock.io/signals"], format!("{}:1", signal.id));
    assert_eq!(after["metadata"]["annotations"]["foreshock.io/incident"], signal.incident.to_string());
    let manager =
        after["metadata"]["managedFields"].as_array().unwrap().iter().any(|it| it["manager"] == "foreshock");
    assert!(manager, "whose change it was cannot be seen");
    assert!(controller.talk().contains("succeeded: "), "{}", controller.talk());
}

#[test]
fn killed_between_change_and_report_it_goes_on_and_changes_nothing_again() {
    let Some(cluster) = cluster() else { return };
    let space = cluster.namespace("killed");
    space.deployment("cart", &["cart:v1", "cart:v2"], "minReadySeconds: 3");
    let double = bus(UNDO);
    let first = deploy(&double, &space, &["--name", "first"]);
    double.tell(trouble(&cart(&space)));
    let changed = await_some("the change", || {
        let now = space.get("deployment/cart");
        now["metadata"]["annotations"].get("foreshock.io/signals").is_some().then_some(now)
    });
    first.kill();
    assert_eq!(image(&changed), "registry/cart:v1");
    let second = deploy(&double, &space, &["--name", "second"]);
    let signal = end(&double);
    assert_eq!((signal.state, signal.holder.as_str()), (SignalState::Succeeded, "second"), "{}", signal.note);
    assert!(signal.note.contains("was made before, under token 1"), "{}", signal.note);
    assert_eq!(generation(&space.get("deployment/cart")), generation(&changed));
    drop(second);
}

#[test]
fn what_cannot_be_rolled_back_is_left_as_it_is() {
    let Some(cluster) = cluster() else { return };
    for (name, images, words) in [
        ("paused", &["cart:v1", "cart:v2"][..], "is paused"),
        ("first", &["cart:v2"], "has no revision before"),
        // Somebody was faster: what is blamed does not run any more.
        ("moved-on", &["cart:v1", "cart:v2", "cart:v3"], "runs v3 by now, not v2"),
        ("missing", &[], "not found"),
    ] {
        let space = cluster.namespace(name);
        space.deployment("cart", images, "");
        if name == "paused" {
            space.kubectl(&["rollout", "pause", "deployment/cart"]).unwrap();
        }
        let before = (!images.is_empty()).then(|| generation(&space.get("deployment/cart")));
        let double = bus(UNDO);
        let _controller = deploy(&double, &space, &[]);
        double.tell(trouble(&cart(&space)));
        let signal = end(&double);
        assert_eq!(signal.state, SignalState::Failed, "{name}: {}", signal.note);
        assert!(signal.note.contains(words), "{name}: {}", signal.note);
        let after = (!images.is_empty()).then(|| generation(&space.get("deployment/cart")));
        assert_eq!(before, after, "{name}");
    }
}

#[test]
fn a_version_that_is_named_is_gone_back_to_and_left_where_it_runs() {
    let Some(cluster) = cluster() else { return };
    for (name, images, generation) in [
        ("named", &["cart:v1", "cart:v1b", "cart:v2"][..], 4),
        // Somebody was faster, and did the same.
        ("named-already", &["cart:v1", "cart:v2", "cart:v1"], 3),
    ] {
        let space = cluster.namespace(name);
        space.deployment("cart", images, "");
        let double = bus(UNDO);
        let (time_ms, entity) = (800_000, Entity::parse(&cart(&space)));
        let (id, kind, version, source) =
            ["first", "service.deployed", "v1", "test"].map(str::to_string).into();
        double.tell(Event::Change(Change { time_ms, id, kind, entity, version, source }));
        let _controller = deploy(&double, &space, &[]);
        double.tell(trouble(&cart(&space)));
        let signal = end(&double);
        assert_eq!(signal.state, SignalState::Succeeded, "{name}: {}", signal.note);
        let after = space.get("deployment/cart");
        assert_eq!((image(&after), self::generation(&after)), ("registry/cart:v1", generation), "{name}");
    }
}

#[test]
fn a_rollback_whose_pods_do_not_come_up_is_no_success() {
    let Some(cluster) = cluster() else { return };
    let space = cluster.namespace("stuck");
    space.deployment("cart", &["cart:broken", "cart:v2"], "progressDeadlineSeconds: 2");
    let double = bus(UNDO);
    let yaml = space.config("{workload: {}}").replace("50s", "10s");
    let _controller = Controller::start(&double, "deploy", &yaml, &[]);
    double.tell(trouble(&cart(&space)));
    let signal = end(&double);
    // Kubernetes does not begin to count where it sees the new and the old replicas change in one step.
    let words = match signal.state {
        SignalState::Failed => "progress deadline exceeded",
        SignalState::Unknown => "1 of 2 replicas are of the new template",
        other => panic!("{other:?}: {}", signal.note),
    };
    assert!(signal.note.contains(words), "{}", signal.note);
}

#[test]
fn a_dry_run_prints_the_patch_and_changes_nothing() {
    let Some(cluster) = cluster() else { return };
    let space = cluster.namespace("dry");
    space.deployment("cart", &["cart:v1", "cart:v2"], "");
    let before = space.get("deployment/cart");
    let double = bus(UNDO);
    let controller = deploy(&double, &space, &["--dry-run", "--name", "hands"]);
    double.tell(trouble(&cart(&space)));
    let signal = until(&double, "the dry run", |signal| signal.state == SignalState::DryRun);
    for words in
        ["Deployment dry/cart goes back to revision 1 (v1)", r#""path":"/spec/template""#, "registry/cart:v1"]
    {
        assert!(signal.note.contains(words), "{}", signal.note);
    }
    assert!(controller.talk().contains("was a dry run"), "{}", controller.talk());
    assert_eq!(
        space.get("deployment/cart")["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
}

#[test]
fn workloads_are_restarted() {
    let Some(cluster) = cluster() else { return };
    let space = cluster.namespace("restart");
    space.deployment("cart", &["cart:v1"], "");
    let double = bus(RESTART);
    let _controller = deploy(&double, &space, &[]);
    double.tell(trouble(&cart(&space)));
    let signal = end(&double);
    assert_eq!(signal.state, SignalState::Succeeded, "{}", signal.note);
    let after = space.get("deployment/cart");
    assert_eq!((image(&after), generation(&after)), ("registry/cart:v1", 2));
    let restarted =
        &after["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    assert!(restarted.as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()), "{restarted}");
}

#[test]
fn workloads_are_scaled_and_autoscalers_heeded() {
    let Some(cluster) = cluster() else { return };
    for (name, most, asked, state, replicas, least) in [
        ("scale-plain", None, "+2", SignalState::Succeeded, 4, None),
        ("scale-hpa", Some(5), "+2", SignalState::Succeeded, 4, Some(4)),
        ("scale-hpa-full", Some(3), "+2", SignalState::Failed, 2, Some(1)),
        ("scale-hpa-down", Some(5), "1", SignalState::Failed, 2, Some(1)),
        ("scale-too-far", None, "500", SignalState::Failed, 2, None),
    ] {
        let space = cluster.namespace(name);
        space.deployment("cart", &["cart:v1"], "");
        if let Some(most) = most {
            let most = format!("--max={most}");
            space.kubectl(&["autoscale", "deployment/cart", "--min=1", &most, "--cpu=50%"]).unwrap();
        }
        let double = bus(&scale(asked));
        let _controller = deploy(&double, &space, &[]);
        double.tell(trouble(&cart(&space)));
        let signal = end(&double);
        assert_eq!(signal.state, state, "{name}: {}", signal.note);
        assert_eq!(space.get("deployment/cart")["spec"]["replicas"], replicas, "{name}: {}", signal.note);
        if let Some(least) = least {
            assert_eq!(space.get("hpa/cart")["spec"]["minReplicas"], least, "{name}");
        }
    }
}

#[test]
fn an_api_server_that_is_away_is_waited_for() {
    let Some(cluster) = cluster() else { return };
    let space = cluster.namespace("away");
    let file = super::scratch("kubeconfig");
    let known = std::fs::read_to_string(&space.kubeconfig).unwrap();
    let server = known.split("server: '").nth(1).unwrap().split('\'').next().unwrap();
    std::fs::write(&file, known.replace(server, "https://127.0.0.1:1")).unwrap();
    let double = bus(UNDO);
    let yaml =
        space.config("{workload: {}}").replace(&*space.kubeconfig.to_string_lossy(), &file.to_string_lossy());
    let _controller = Controller::start(&double, "deploy", &yaml, &[]);
    double.tell(trouble(&cart(&space)));
    let signal = until(&double, "the signal to be given back", |signal| {
        signal.state == SignalState::Ready && signal.attempts > 0
    });
    assert!(signal.note.contains("is not reached"), "{}", signal.note);
}

#[test]
fn signals_without_a_route_are_left_for_others() {
    let Some(cluster) = cluster() else { return };
    let space = cluster.namespace("no-route");
    let double = bus(UNDO);
    let yaml = space.config("{entities: ['service/other/*'], workload: {}}");
    let _controller = Controller::start(&double, "deploy", &yaml, &[]);
    double.tell(trouble(&cart(&space)));
    let given_back = |signal: &foreshock_core::types::RemediationSignal| signal.note.contains("no route");
    let signal = until(&double, "the signal to be given back", given_back);
    assert_eq!(signal.state, SignalState::Ready);
    assert_eq!(signals(&double).len(), 1);
}

#[test]
fn names_from_telemetry_do_not_leave_their_place() {
    let Some(cluster) = cluster() else { return };
    let space = cluster.namespace("names");
    let double = bus(UNDO);
    let _controller = deploy(&double, &space, &[]);
    double.tell(trouble("service/names/..%2f..%2fsecrets?x"));
    let signal = end(&double);
    assert_eq!(signal.state, SignalState::Failed);
    assert!(signal.note.contains("is no name of Kubernetes"), "{}", signal.note);
}
