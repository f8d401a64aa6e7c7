//! GitLab: a pipeline with variables (REST API v4, "Create a new pipeline"), found by the variable that holds the signal's id.

use foreshock_wire::http::Method;
use serde_json::{Value, json};

use super::{
    super::{Ended, Order, config::GitlabRoute, words},
    Repeats, Starter, State, Trouble,
    rest::{self, Rest, needed, text},
};

/// The variable that tells a pipeline whose it is.
const SIGNAL: &str = "FORESHOCK_SIGNAL";

/// How much earlier than its signal a pipeline may have been changed last, seconds.
const SLACK: i64 = 3600;

/// Creates pipelines.
pub(in super::super) struct Gitlab {
    server: Rest,
    route: GitlabRoute,
}

impl Gitlab {
    pub(in super::super) fn new(route: GitlabRoute) -> Gitlab {
        Gitlab { server: Rest::new(&route.at), route }
    }

    /// `/api/v4/projects/ID`.
    fn project(&self, order: &Order) -> Result<String, Ended> {
        let project = words::fill(&self.route.project, order)?;
        Ok(format!("/api/v4/projects/{}", words::segment(&project)))
    }

    fn body(&self, order: &Order) -> Result<Value, Ended> {
        let mut variables = words::fill_all(&self.route.variables, order)?;
        variables.insert(SIGNAL.to_string(), order.signal.id.to_string());
        let variables: Vec<Value> =
            variables.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        Ok(json!({"ref": self.route.reference, "variables": variables}))
    }

    fn is_of(&self, pipeline: &str, order: &Order) -> Result<bool, Trouble> {
        let variables = self.server.get(&format!("{pipeline}/variables"))?;
        let id = order.signal.id.to_string();
        Ok(variables.as_array().into_iter().flatten().any(|it| it["key"] == SIGNAL && it["value"] == *id))
    }
}

impl Starter for Gitlab {
    /// Path of the pipeline.
    type Job = String;

    fn find(&self, order: &Order) -> Result<Option<String>, Trouble> {
        let project = self.project(order)?;
        let since = jiff::Timestamp::from_second(order.signal.created_ms / 1000 - SLACK).unwrap_or_default();
        let (since, reference) =
            (words::segment(&format!("{since:.0}")), words::segment(&self.route.reference));
        let path =
            format!("{project}/pipelines?ref={reference}&source=api&updated_after={since}&per_page=100");
        for pipeline in self.server.get(&path)?.as_array().into_iter().flatten() {
            let pipeline = format!("{project}/pipelines/{}", needed(pipeline, "/id")?);
            if self.is_of(&pipeline, order)? {
                return Ok(Some(pipeline));
            }
        }
        Ok(None)
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        Ok(rest::request(Method::Post, &format!("{}/pipeline", self.project(order)?), &self.body(order)?))
    }

    fn start(&self, order: &Order) -> Result<String, Trouble> {
        let project = self.project(order)?;
        let pipeline = self.server.post(&format!("{project}/pipeline"), &self.body(order)?)?;
        Ok(format!("{project}/pipelines/{}", needed(&pipeline, "/id")?))
    }

    fn look(&self, path: &String) -> Result<State, Trouble> {
        let pipeline = self.server.get(path)?;
        let url = text(&pipeline, "/web_url").unwrap_or(path);
        let status = text(&pipeline, "/status").unwrap_or_default();
        let words = format!("{url} is {status}");
        Ok(match status {
            "success" => State::Succeeded(words),
            "failed" | "canceled" | "skipped" => State::Failed(words),
            _ => State::Running(words),
        })
    }

    fn repeats(&self) -> Repeats {
        Repeats::Shown
    }
}
