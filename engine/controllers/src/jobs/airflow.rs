//! Airflow 3: a run of a DAG (REST API v2, `/api/v2/dags/{dag_id}/dagRuns`). Its id is the signal's: a second of that id is refused.

use foreshock_wire::http::{Method, Unanswered};
use serde_json::{Value, json};

use super::{
    super::{Ended, Order, config::AirflowRoute, words},
    Repeats, Starter, State, Trouble,
    rest::{self, Rest, needed, text},
};

/// Runs DAGs.
pub(in super::super) struct Airflow {
    server: Rest,
    route: AirflowRoute,
}

impl Airflow {
    pub(in super::super) fn new(route: AirflowRoute) -> Airflow {
        Airflow { server: Rest::new(&route.at), route }
    }

    fn runs(&self, order: &Order) -> Result<String, Ended> {
        let dag = words::fill(&self.route.dag, order)?;
        Ok(format!("/api/v2/dags/{}/dagRuns", words::segment(&dag)))
    }

    fn body(&self, order: &Order) -> Result<Value, Ended> {
        let mut conf = json!(words::fill_all(&self.route.conf, order)?);
        conf["foreshock"] = json!(rest::facts(order));
        let note = format!("Foreshock, incident {}", order.signal.incident);
        Ok(json!({"dag_run_id": words::job_name(order), "logical_date": null, "conf": conf, "note": note}))
    }

    /// A token for a user; none where a token is configured, or nothing.
    fn authorization(&self) -> Result<Option<String>, Trouble> {
        let silent = |silence: Unanswered| Trouble::Unreachable(silence.into_words());
        let Some((username, password)) = self.server.endpoint().user().map_err(silent)? else {
            return Ok(None);
        };
        // With the user's own authorization a request for a token would be refused.
        let body = json!({"username": username, "password": password});
        let answer = self.server.post_with("/auth/token", &[("authorization", "")], &body);
        let answer = answer.map_err(|trouble| match trouble {
            // Nothing was started.
            Trouble::Unanswered(why) => Trouble::Unreachable(why),
            trouble => trouble,
        })?;
        Ok(Some(format!("Bearer {}", needed(&answer, "/access_token")?)))
    }

    fn with_token<T>(&self, ask: impl FnOnce(&[(&str, &str)]) -> Result<T, Trouble>) -> Result<T, Trouble> {
        match self.authorization()? {
            Some(token) => ask(&[("authorization", token.as_str())]),
            None => ask(&[]),
        }
    }
}

impl Starter for Airflow {
    /// Path of the run.
    type Job = String;

    fn find(&self, order: &Order) -> Result<Option<String>, Trouble> {
        let path = format!("{}/{}", self.runs(order)?, words::job_name(order));
        let found = self.with_token(|token| self.server.find(&path, token))?;
        Ok(found.map(|_| path))
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        Ok(rest::request(Method::Post, &self.runs(order)?, &self.body(order)?))
    }

    fn start(&self, order: &Order) -> Result<String, Trouble> {
        let (runs, body) = (self.runs(order)?, self.body(order)?);
        let run = self.with_token(|token| self.server.post_with(&runs, token, &body))?;
        Ok(format!("{runs}/{}", words::segment(&needed(&run, "/dag_run_id")?)))
    }

    fn look(&self, path: &String) -> Result<State, Trouble> {
        let run = self.with_token(|token| self.server.get_with(path, token))?;
        let words = |state: &str| {
            let (dag, run) = (text(&run, "/dag_id"), text(&run, "/dag_run_id"));
            format!("run {} of DAG {} is {state}", run.unwrap_or_default(), dag.unwrap_or_default())
        };
        Ok(match text(&run, "/state").unwrap_or_default() {
            "success" => State::Succeeded(words("success")),
            "failed" => State::Failed(words("failed")),
            state => State::Running(words(state)),
        })
    }

    fn repeats(&self) -> Repeats {
        Repeats::Refused
    }
}
