//! GitHub Actions: a dispatch of a workflow (REST API 2022-11-28, "Create a workflow dispatch event"). A run is found by the signal's id in
//! its title, which the workflow's `run-name` shows; it takes a while to show.

use foreshock_wire::http::Method;
use serde_json::{Value, json};

use super::{
    super::{Ended, Order, config::GithubRoute, words},
    Repeats, Starter, State, Trouble,
    rest::{self, Rest, needed, text},
};

/// The input that tells a run whose it is.
const SIGNAL: &str = "foreshock_signal";

const HEADERS: [(&str, &str); 2] =
    [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];

/// How much earlier than its signal a run may have been created, seconds: clocks differ, and a signal has the time of its evidence.
const SLACK: i64 = 3600;

/// Dispatches workflows.
pub(in super::super) struct Github {
    server: Rest,
    route: GithubRoute,
}

impl Github {
    pub(in super::super) fn new(route: GithubRoute) -> Github {
        Github { server: Rest::with(&route.at, &HEADERS), route }
    }

    /// `/repos/OWNER/NAME/actions`.
    fn actions(&self, order: &Order) -> Result<String, Ended> {
        let repository = words::fill(&self.route.repository, order)?;
        match repository.split_once('/') {
            Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(format!("/repos/{}/{}/actions", words::segment(owner), words::segment(name)))
            }
            _ => Err(Ended::Failed(format!("{repository:?} is no repository: write owner/name"))),
        }
    }

    fn workflow(&self, order: &Order) -> Result<String, Ended> {
        let workflow = words::fill(&self.route.workflow, order)?;
        Ok(format!("{}/workflows/{}", self.actions(order)?, words::segment(&workflow)))
    }

    fn body(&self, order: &Order) -> Result<Value, Ended> {
        let mut inputs = words::fill_all(&self.route.inputs, order)?;
        inputs.insert(SIGNAL.to_string(), order.signal.id.to_string());
        Ok(json!({"ref": self.route.reference, "inputs": inputs, "return_run_details": true}))
    }
}

impl Starter for Github {
    /// Path of the run.
    type Job = String;

    fn find(&self, order: &Order) -> Result<Option<String>, Trouble> {
        let id = order.signal.id.to_string();
        let since = jiff::Timestamp::from_second(order.signal.created_ms / 1000 - SLACK).unwrap_or_default();
        let since = words::segment(&format!(">={since:.0}"));
        let path =
            format!("{}/runs?event=workflow_dispatch&created={since}&per_page=100", self.workflow(order)?);
        let list = self.server.get(&path)?;
        let runs = list.pointer("/workflow_runs").and_then(Value::as_array).into_iter().flatten();
        let mut ours =
            runs.filter(|run| text(run, "/display_title").is_some_and(|title| title.contains(&id)));
        let actions = self.actions(order)?;
        ours.next().map(|run| Ok(format!("{actions}/runs/{}", needed(run, "/id")?))).transpose()
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        let path = format!("{}/dispatches", self.workflow(order)?);
        Ok(rest::request(Method::Post, &path, &self.body(order)?))
    }

    fn start(&self, order: &Order) -> Result<String, Trouble> {
        let said = self.server.post(&format!("{}/dispatches", self.workflow(order)?), &self.body(order)?)?;
        // Servers that are older than the field answer with nothing: then it has to show.
        if said.is_null() {
            return Err(Trouble::Exists);
        }
        Ok(format!("{}/runs/{}", self.actions(order)?, needed(&said, "/workflow_run_id")?))
    }

    fn look(&self, path: &String) -> Result<State, Trouble> {
        let run = self.server.get(path)?;
        let url = text(&run, "/html_url").unwrap_or(path);
        let status = text(&run, "/status").unwrap_or_default();
        let conclusion = text(&run, "/conclusion").unwrap_or_default();
        Ok(match (status, conclusion) {
            ("completed", "success") => State::Succeeded(format!("{url} succeeded")),
            ("completed", conclusion) => State::Failed(format!("{url} ended as {conclusion}")),
            (status, _) => State::Running(format!("{url} is {status}")),
        })
    }

    fn repeats(&self) -> Repeats {
        Repeats::ShownLater
    }
}
