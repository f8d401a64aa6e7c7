//! The demo's bad deploy is rolled back by the deploy controller on a real API server, and its drifting model retrained by the retrain
//! controller on a real Airflow; the engine finds both, and verifies both in the telemetry. What this does not prove: the shop that runs on
//! the cluster is simulated, and follows what the controllers report.

use std::process::Command;

use serde_json::json;

use super::{
    await_some,
    cluster::cluster,
    scratch,
    servers::{Server, python},
};

#[test]
fn what_breaks_is_found_mended_by_real_controllers_and_verified() {
    let (Some(cluster), Some(python)) = (cluster(), python("airflow")) else { return };
    let space = cluster.namespace("shop-loop");
    space.deployment("payment", &["payment:1.9.4", "payment:2.0.0"], "");
    space.deployment("catalogue", &["catalogue:1.0.0"], "");
    let (airflow, password) = Server::airflow(&python);
    let (deploy, retrain) = (scratch("deploy.yaml"), scratch("retrain.yaml"));
    std::fs::write(&deploy, space.config(&format!("{{workload: {{namespace: {}}}}}", space.name))).unwrap();
    let at = format!("{{url: {}, username: foreshock, password_file: {}}}", airflow.url, password.display());
    let routes = format!("{{routes: [{{airflow: {{at: {at}, dag: retrain_checkout}}}}]}}");
    std::fs::write(&retrain, routes).unwrap();
    let secret = std::fs::read_to_string(&password).unwrap();
    let token = airflow.post("/auth/token", &json!({"username": "foreshock", "password": secret}));
    let token = token["access_token"].as_str().unwrap();
    await_some("the DAG", || airflow.get_as("/api/v2/dags/retrain_checkout", Some(token)));

    let demo = Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .args(["demo", "--seed", "11", "--deploy"])
        .arg(&deploy)
        .arg("--retrain")
        .arg(&retrain)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&demo.stdout);
    assert!(demo.status.success(), "{told}\n{}", String::from_utf8_lossy(&demo.stderr));
    for words in
        ["6 of 6 judged rightly, 0 false alarms", "verified rollback payment", "verified retrain recommender"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }

    let payment = space.get("deployment/payment");
    assert_eq!(payment["spec"]["template"]["spec"]["containers"][0]["image"], "registry/payment:1.9.4");
    // Made, changed, and rolled back: once.
    assert_eq!(payment["metadata"]["generation"], 3);
    let runs = airflow.get_as("/api/v2/dags/retrain_checkout/dagRuns", Some(token)).unwrap();
    let runs = runs["dag_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0]["state"], "success");
    assert_eq!(runs[0]["conf"]["foreshock"]["target"], "model/recommender");
}
