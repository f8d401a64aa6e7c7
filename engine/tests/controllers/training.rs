//! What trains: a real MLflow, a real Airflow, and Workflows of Argo in a real API server (without Argo's controller: the test plays it).

use foreshock_core::types::SignalState;
use serde_json::{Value, json};

use super::{
    Controller, await_some, bus,
    cluster::{Cluster, cluster},
    end,
    servers::{Server, module, python},
    signals, trouble,
};

const RETRAIN: &str = "{name: retrain, action: retrain, approval: none, min_evidence_kinds: 1}";
const ROLL_BACK: &str = "{name: undo, action: rollback_model, approval: none, min_evidence_kinds: 1}";

const API: &str = "/api/2.0/mlflow";

fn route(route: &str) -> String {
    format!("{{follow: {{every: 200ms, within: 50s}}, routes: [{{{route}}}]}}")
}

#[test]
fn mlflow_gets_a_run_that_a_trainer_takes_up() {
    let Some(python) = python("mlflow") else { return };
    let server = Server::mlflow(&python);
    let experiment = server.post(&format!("{API}/experiments/create"), &json!({"name": "checkout"}));
    let experiment = experiment["experiment_id"].as_str().unwrap();
    for (status, state) in [("FINISHED", SignalState::Succeeded), ("FAILED", SignalState::Failed)] {
        // A signal has one id: each needs its own.
        let double = bus(&RETRAIN.replace("name: retrain", &format!("name: {status}")));
        let yaml = route(&format!("mlflow: {{at: {{url: {}}}}}", server.url));
        let first = Controller::start(&double, "retrain", &yaml, &[]);
        double.tell(trouble("model/checkout"));
        // As a trainer finds it.
        let wanted =
            json!({"experiment_ids": [experiment], "filter": "tags.`foreshock.state` = 'requested'"});
        let search = || server.post(&format!("{API}/runs/search"), &wanted);
        let run = await_some("the run", || search()["runs"].get(0).cloned());
        first.kill();
        let _second = Controller::start(&double, "retrain", &yaml, &[]);
        let id = run["info"]["run_id"].as_str().unwrap();
        server.post(
            &format!("{API}/runs/set-tag"),
            &json!({"run_id": id, "key": "foreshock.state", "value": "taken"}),
        );
        server.post(&format!("{API}/runs/update"), &json!({"run_id": id, "status": status, "end_time": 1}));
        let signal = end(&double);
        assert_eq!(signal.state, state, "{}", signal.note);
        assert_eq!(run["info"]["run_name"], format!("foreshock-{}", signal.id));
        let tag = |key: &str| {
            let tags = run["data"]["tags"].as_array().unwrap();
            tags.iter().find(|tag| tag["key"] == key).map(|tag| tag["value"].clone())
        };
        assert_eq!(tag("foreshock.signal"), Some(json!(signal.id.to_string())));
        assert_eq!(tag("foreshock.target"), Some(json!("model/checkout")));
        let all = json!({"experiment_ids": [experiment], "filter": format!("tags.`foreshock.signal` = '{}'", signal.id)});
        let runs = server.post(&format!("{API}/runs/search"), &all);
        assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn mlflow_moves_an_alias_back() {
    let Some(python) = python("mlflow") else { return };
    let server = Server::mlflow(&python);
    let models = |path: &str, body: Value| server.post(&format!("{API}/{path}"), &body);
    models("registered-models/create", json!({"name": "checkout"}));
    for _ in 0..3 {
        models("model-versions/create", json!({"name": "checkout", "source": "s3://models/checkout"}));
    }
    let serve = |version: &str| {
        models(
            "registered-models/alias",
            json!({"name": "checkout", "alias": "champion", "version": version}),
        );
    };
    let served = || {
        let found =
            server.get(&format!("{API}/registered-models/alias?name=checkout&alias=champion")).unwrap();
        found["model_version"]["version"].as_str().unwrap().to_string()
    };
    // The incident blames v2. A signal has one id: each needs its own.
    for (name, before, state, after) in
        [("undo", "2", SignalState::Succeeded, "1"), ("again", "3", SignalState::Failed, "3")]
    {
        serve(before);
        let double = bus(&ROLL_BACK.replace("name: undo", &format!("name: {name}")));
        let yaml = route(&format!("mlflow: {{at: {{url: {}}}}}", server.url));
        let _controller = Controller::start(&double, "retrain", &yaml, &[]);
        double.tell(trouble("model/checkout"));
        let signal = end(&double);
        assert_eq!((signal.state, served().as_str()), (state, after), "{}", signal.note);
    }
}

#[test]
fn airflow_runs_a_dag_once() {
    let Some(python) = python("airflow") else { return };
    let (server, password) = Server::airflow(&python);
    let secret = std::fs::read_to_string(&password).unwrap();
    let token = server.post("/auth/token", &json!({"username": "foreshock", "password": secret}));
    let token = token["access_token"].as_str().unwrap();
    let get = |path: &str| server.get_as(path, Some(token));
    await_some("the DAG", || get("/api/v2/dags/retrain_checkout"));
    for (outcome, state) in [("good", SignalState::Succeeded), ("bad", SignalState::Failed)] {
        let policy = RETRAIN.replace("name: retrain", &format!("name: retrain-{outcome}"));
        let double = bus(&policy);
        let at =
            format!("{{url: {}, username: foreshock, password_file: {}}}", server.url, password.display());
        let yaml = route(&format!(
            "airflow: {{at: {at}, dag: 'retrain_{{{{ name }}}}', conf: {{outcome: {outcome}}}}}"
        ));
        let first = Controller::start(&double, "retrain", &yaml, &[]);
        double.tell(trouble("model/checkout"));
        let id = await_some("the signal", || signals(&double).first().map(|signal| signal.id));
        let run = format!("/api/v2/dags/retrain_checkout/dagRuns/foreshock-{id}");
        let started = await_some("the run", || get(&run));
        first.kill();
        let _second = Controller::start(&double, "retrain", &yaml, &[]);
        let signal = end(&double);
        assert_eq!(signal.state, state, "{}", signal.note);
        assert_eq!(started["conf"]["foreshock"]["signal"], id.to_string());
        assert_eq!(started["conf"]["foreshock"]["target"], "model/checkout");
        let mine = get("/api/v2/dags/retrain_checkout/dagRuns").unwrap();
        let mine = mine["dag_runs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["dag_run_id"] == started["dag_run_id"])
            .count();
        assert_eq!(mine, 1);
    }
}

/// Argo's Workflow, without its schema.
const WORKFLOW: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: workflows.argoproj.io}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {plural: workflows, singular: workflow, kind: Workflow}
  versions:
  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

#[test]
fn argo_gets_one_workflow() {
    let Some(cluster) = cluster() else { return };
    cluster.apply(WORKFLOW);
    await_established(cluster, "crd/workflows.argoproj.io");
    for (phase, state) in [("Succeeded", SignalState::Succeeded), ("Failed", SignalState::Failed)] {
        let space = cluster.namespace(&format!("argo-{}", phase.to_lowercase()));
        let double = bus(RETRAIN);
        let route = format!(
            "{{argo_workflow: {{namespace: {}, template: 'retrain-{{{{ name }}}}', parameters: {{model: '{{{{ name }}}}'}}, service_account: trainer}}}}",
            space.name
        );
        let yaml = space.config(&route);
        let first = Controller::start(&double, "retrain", &yaml, &[]);
        double.tell(trouble("model/checkout"));
        let id = await_some("the signal", || signals(&double).first().map(|signal| signal.id));
        let name = format!("workflow/foreshock-{id}");
        await_some("the workflow", || space.kubectl(&["get", &name]).ok());
        first.kill();
        let _second = Controller::start(&double, "retrain", &yaml, &[]);
        // As Argo's controller writes it.
        let status = format!(r#"{{"status":{{"phase":"{phase}","message":"as told"}}}}"#);
        space.kubectl(&["patch", &name, "--type", "merge", "--patch", &status]).unwrap();
        let signal = end(&double);
        assert_eq!(signal.state, state, "{}", signal.note);
        let all = space.get("workflows");
        let all = all["items"].as_array().unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(
            all[0]["spec"],
            json!({
                "workflowTemplateRef": {"name": "retrain-checkout"},
                "arguments": {"parameters": [{"name": "model", "value": "checkout"}]},
                "serviceAccountName": "trainer",
            })
        );
        assert_eq!(all[0]["metadata"]["annotations"]["foreshock.io/signal"], id.to_string());
    }
}

/// Waits until the cluster serves a resource of others. Just after it was applied it has no conditions that could be waited for.
fn await_established(cluster: &Cluster, resource: &str) {
    let established = ["wait", "--for=condition=Established", resource];
    await_some(resource, || cluster.kubectl(&established).ok());
}

#[test]
fn a_canary_of_argo_rollouts_is_aborted() {
    let (Some(cluster), Some(module)) = (cluster(), module("github.com/argoproj/argo-rollouts@v1.8.3"))
    else {
        return;
    };
    // As its project publishes it, with its schema.
    let resource = module.join("manifests/crds/rollout-crd.yaml");
    cluster.kubectl(&["apply", "--server-side", "--filename", resource.to_str().unwrap()]).unwrap();
    await_established(cluster, "crd/rollouts.argoproj.io");
    let space = cluster.namespace("canary");
    cluster.apply(
        "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: cart, namespace: canary}
spec:
  selector: {matchLabels: {app: cart}}
  strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}]}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: main, image: 'cart:v2'}]}
",
    );
    let status = |status: &str| {
        let patch = format!(r#"{{"status":{status}}}"#);
        space
            .kubectl(&["patch", "rollout/cart", "--subresource=status", "--type", "merge", "--patch", &patch])
            .unwrap();
    };
    status(r#"{"currentPodHash":"new","stableRS":"old","phase":"Paused","observedGeneration":"1"}"#);
    let double = bus("{name: undo, action: rollback, approval: none, min_evidence_kinds: 1}");
    let yaml = space.config("{workload: {kind: rollout}}");
    let _controller = Controller::start(&double, "deploy", &yaml, &[]);
    double.tell(trouble("service/canary/cart"));
    await_some("the abort", || (space.get("rollout/cart")["status"]["abort"] == true).then_some(()));
    assert!(end_is_not_yet(&double));
    status(r#"{"phase":"Degraded","message":"aborted"}"#);
    let signal = end(&double);
    assert_eq!(signal.state, SignalState::Succeeded, "{}", signal.note);
    assert!(signal.note.contains("is aborted"), "{}", signal.note);
}

fn end_is_not_yet(double: &super::double::Double) -> bool {
    signals(double).iter().all(|signal| signal.state == SignalState::Leased)
}
