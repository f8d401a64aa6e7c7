//! Kubeflow Pipelines v2: a run (REST API v2beta1, `/apis/v2beta1/runs`), found by its display name.

use foreshock_wire::http::Method;
use serde_json::{Value, json};

use super::{
    super::{Ended, Order, config::KubeflowRoute, words},
    Repeats, Starter, State, Trouble,
    rest::{self, Rest, needed, text},
};

const RUNS: &str = "/apis/v2beta1/runs";

/// Runs pipelines.
pub(in super::super) struct Kubeflow {
    server: Rest,
    route: KubeflowRoute,
}

impl Kubeflow {
    pub(in super::super) fn new(route: KubeflowRoute) -> Kubeflow {
        Kubeflow { server: Rest::new(&route.at), route }
    }

    fn body(&self, order: &Order) -> Result<Value, Ended> {
        let mut pipeline = json!({"pipeline_id": words::fill(&self.route.pipeline, order)?});
        if let Some(version) = &self.route.version {
            pipeline["pipeline_version_id"] = json!(words::fill(version, order)?);
        }
        let description = serde_json::to_string(&rest::facts(order)).unwrap_or_default();
        let mut body = json!({
            "display_name": words::job_name(order),
            "description": description,
            "pipeline_version_reference": pipeline,
            "runtime_config": {"parameters": words::fill_all(&self.route.parameters, order)?},
        });
        if let Some(experiment) = &self.route.experiment {
            body["experiment_id"] = json!(words::fill(experiment, order)?);
        }
        Ok(body)
    }
}

impl Starter for Kubeflow {
    /// Path of the run.
    type Job = String;

    fn find(&self, order: &Order) -> Result<Option<String>, Trouble> {
        let name = words::job_name(order);
        let filter = json!({"predicates": [{"operation": "EQUALS", "key": "name", "string_value": name}]});
        let mut path = format!("{RUNS}?filter={}", words::segment(&filter.to_string()));
        if !self.route.namespace.is_empty() {
            path.push_str(&format!("&namespace={}", words::segment(&self.route.namespace)));
        }
        let list = self.server.get(&path)?;
        let run = list.pointer("/runs/0").filter(|run| text(run, "/display_name") == Some(&name));
        run.map(|run| Ok(format!("{RUNS}/{}", words::segment(&needed(run, "/run_id")?)))).transpose()
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        Ok(rest::request(Method::Post, RUNS, &self.body(order)?))
    }

    fn start(&self, order: &Order) -> Result<String, Trouble> {
        let run = self.server.post(RUNS, &self.body(order)?)?;
        Ok(format!("{RUNS}/{}", words::segment(&needed(&run, "/run_id")?)))
    }

    fn look(&self, path: &String) -> Result<State, Trouble> {
        let run = self.server.get(path)?;
        let state = text(&run, "/state").unwrap_or("RUNTIME_STATE_UNSPECIFIED");
        let said = text(&run, "/error/message").map(|said| format!(": {said}")).unwrap_or_default();
        let words = format!("run {} is {state}{said}", text(&run, "/run_id").unwrap_or_default());
        Ok(match state {
            "SUCCEEDED" => State::Succeeded(words),
            "FAILED" | "SKIPPED" | "CANCELED" => State::Failed(words),
            _ => State::Running(words),
        })
    }

    fn repeats(&self) -> Repeats {
        Repeats::Shown
    }
}
