//! MLflow (REST API 2.0). `retrain` makes a run that a trainer takes up: `tags.foreshock.state = 'requested'` finds it, and its end is the
//! outcome. `rollback_model` moves an alias of the registry back; what it moves to is written down first, so that a repeat moves it there too.

use foreshock_core::types::Action;
use foreshock_wire::http::Method;
use serde_json::{Value, json};

use super::{
    super::{Course, Ended, Hand, Order, config::MlflowRoute, words},
    Jobs, Repeats, Starter, State, Trouble,
    rest::{self, Rest, needed, text},
};

const API: &str = "/api/2.0/mlflow";

/// Tag of runs and of registered models with the signal.
const SIGNAL: &str = "foreshock.signal";
/// Tag of a run: `requested` until a trainer takes it.
const STATE: &str = "foreshock.state";
/// Tag of a registered model: `<signal>:<token> <from> <to>`.
const ROLLBACK: &str = "foreshock.rollback";

/// Runs for trainers, and aliases.
pub(in super::super) struct Mlflow {
    runs: Jobs<Runs>,
    aliases: Aliases,
}

impl Mlflow {
    pub(in super::super) fn new(route: MlflowRoute) -> Mlflow {
        let server = || Rest::new(&route.at);
        Mlflow {
            runs: Jobs(Runs { server: server(), route: route.clone() }),
            aliases: Aliases { server: server(), route: route.clone() },
        }
    }
}

impl Hand for Mlflow {
    fn carry_out(&self, order: &Order, course: &Course) -> Result<Ended, Ended> {
        match order.signal.action {
            Action::Retrain => self.runs.carry_out(order, course),
            Action::RollbackModel => self.aliases.carry_out(order, course),
            action => Err(Ended::NotOurs(format!("MLflow knows no {}", action.name()))),
        }
    }
}

struct Runs {
    server: Rest,
    route: MlflowRoute,
}

impl Runs {
    /// Id of the experiment.
    fn experiment(&self, order: &Order) -> Result<String, Trouble> {
        let name = words::fill(&self.route.experiment, order)?;
        let path = format!("{API}/experiments/get-by-name?experiment_name={}", words::segment(&name));
        let found = self.server.find(&path, &[])?;
        let found =
            found.ok_or_else(|| Trouble::Refused(format!("MLflow has no experiment {name:?}: create it")))?;
        needed(&found, "/experiment/experiment_id")
    }

    fn body(&self, order: &Order, experiment: &str) -> Value {
        let facts = rest::facts(order).into_iter().map(|(key, value)| (format!("foreshock.{key}"), value));
        let tags = facts.chain([(STATE.to_string(), "requested".to_string())]);
        let tags: Vec<Value> = tags.map(|(key, value)| json!({"key": key, "value": value})).collect();
        let now = jiff::Timestamp::now().as_millisecond();
        json!({"experiment_id": experiment, "run_name": words::job_name(order), "start_time": now, "tags": tags})
    }
}

impl Starter for Runs {
    /// Id of the run.
    type Job = String;

    fn find(&self, order: &Order) -> Result<Option<String>, Trouble> {
        let filter = format!("tags.`{SIGNAL}` = '{}'", order.signal.id);
        let body = json!({"experiment_ids": [self.experiment(order)?], "filter": filter, "max_results": 1});
        let found = self.server.post(&format!("{API}/runs/search"), &body)?;
        found.pointer("/runs/0").map(|run| needed(run, "/info/run_id")).transpose()
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        let experiment = words::fill(&self.route.experiment, order)?;
        let (path, body) = (format!("{API}/runs/create"), self.body(order, &experiment));
        Ok(rest::request(Method::Post, &path, &body))
    }

    fn start(&self, order: &Order) -> Result<String, Trouble> {
        let body = self.body(order, &self.experiment(order)?);
        needed(&self.server.post(&format!("{API}/runs/create"), &body)?, "/run/info/run_id")
    }

    fn look(&self, run: &String) -> Result<State, Trouble> {
        let found = self.server.get(&format!("{API}/runs/get?run_id={}", words::segment(run)))?;
        let tags = found.pointer("/run/data/tags").and_then(Value::as_array).into_iter().flatten();
        let requested = tags.filter(|tag| tag["key"] == STATE).any(|tag| tag["value"] == "requested");
        let status = text(&found, "/run/info/status").unwrap_or_default();
        let words = format!("run {run} is {status}");
        Ok(match status {
            "FINISHED" => State::Succeeded(words),
            "FAILED" | "KILLED" => State::Failed(words),
            _ if requested => State::Running(format!("run {run} waits for a trainer")),
            _ => State::Running(words),
        })
    }

    fn repeats(&self) -> Repeats {
        Repeats::Shown
    }
}

struct Aliases {
    server: Rest,
    route: MlflowRoute,
}

/// From which version to which.
struct Move {
    from: String,
    to: String,
    /// Whether it was written down before.
    noted: bool,
}

impl Aliases {
    /// The version that an alias stands for.
    fn current(&self, model: &str) -> Result<String, Ended> {
        let (name, alias) = (words::segment(model), words::segment(&self.route.alias));
        let path = format!("{API}/registered-models/alias?name={name}&alias={alias}");
        let found = self.server.find(&path, &[]).map_err(unread)?;
        let missing =
            || Ended::Failed(format!("{model:?} has no alias {:?} in the registry", self.route.alias));
        needed(&found.ok_or_else(missing)?, "/model_version/version").map_err(unread)
    }

    /// Where an order moves the alias: as it was written down before, to `to_version`, or to the version below the current one.
    fn plan(&self, model: &str, order: &Order) -> Result<Move, Ended> {
        let registered = format!("{API}/registered-models/get?name={}", words::segment(model));
        let registered = self.server.get(&registered).map_err(unread)?;
        if let Some(noted) = noted(&registered, order)? {
            return Ok(noted);
        }
        let from = self.current(model)?;
        let fact =
            |key: &str| order.signal.attributes.get(key).map_or("", |text| text.trim_start_matches('v'));
        if !fact("version").is_empty() && fact("version") != from {
            let (alias, blamed) = (&self.route.alias, fact("version"));
            return Err(Ended::Failed(format!(
                "{alias} of {model:?} is version {from} by now, not {blamed}, which is blamed"
            )));
        }
        let to = match fact("to_version") {
            "" => self.below(model, &from)?,
            to => to.to_string(),
        };
        Ok(Move { from, to, noted: false })
    }

    /// The greatest version below another that is ready.
    fn below(&self, model: &str, from: &str) -> Result<String, Ended> {
        let filter = format!("name='{}'", model.replace('\'', "''"));
        let path = format!("{API}/model-versions/search?filter={}&max_results=1000", words::segment(&filter));
        let found = self.server.get(&path).map_err(unread)?;
        let versions = found.pointer("/model_versions").and_then(Value::as_array).into_iter().flatten();
        let ready = versions.filter(|version| text(version, "/status") == Some("READY"));
        let numbers = ready.filter_map(|version| text(version, "/version")?.parse::<u64>().ok());
        let before = numbers.filter(|number| from.parse().is_ok_and(|from: u64| *number < from)).max();
        let none = || Ended::Failed(format!("{model:?} has no version below {from}"));
        before.map(|number| number.to_string()).ok_or_else(none)
    }

    fn note(&self, model: &str, order: &Order, Move { from, to, .. }: &Move) -> Value {
        let value = format!("{}:{} {from} {to}", order.signal.id, order.fencing_token);
        json!({"name": model, "key": ROLLBACK, "value": value})
    }
}

impl Hand for Aliases {
    fn carry_out(&self, order: &Order, course: &Course) -> Result<Ended, Ended> {
        let model = words::fill(&self.route.model, order)?;
        let plan = self.plan(&model, order)?;
        let (note, set) =
            (format!("{API}/registered-models/set-tag"), format!("{API}/registered-models/alias"));
        let alias = json!({"name": model, "alias": self.route.alias, "version": plan.to});
        if order.rehearsal {
            return Err(Ended::Rehearsed(rest::request(Method::Post, &set, &alias)));
        }
        let words =
            format!("{} of {model:?} goes back from version {} to {}", self.route.alias, plan.from, plan.to);
        if plan.noted && self.current(&model)? == plan.to {
            return Ok(Ended::Done(format!("{words} (it did so before)")));
        }
        course.say(words.clone());
        course.may_act()?;
        if !plan.noted {
            self.server.post(&note, &self.note(&model, order, &plan)).map_err(unread)?;
        }
        match self.server.post(&set, &alias) {
            Ok(_) => Ok(Ended::Done(words)),
            Err(Trouble::Refused(why)) => Err(Ended::Failed(why)),
            Err(Trouble::Unreachable(why)) => Err(Ended::Later(why)),
            Err(Trouble::Ended(ended)) => Err(ended),
            Err(Trouble::Unanswered(_) | Trouble::Exists) => {
                course.rest()?;
                match self.current(&model) {
                    Ok(current) if current == plan.to => Ok(Ended::Done(words)),
                    _ => Err(Ended::Unknown(format!("no answer: it is not known whether {words}"))),
                }
            }
        }
    }
}

/// What an order wrote down at a registered model.
fn noted(registered: &Value, order: &Order) -> Result<Option<Move>, Ended> {
    let tags = registered.pointer("/registered_model/tags").and_then(Value::as_array).into_iter().flatten();
    let value = tags.filter(|tag| tag["key"] == ROLLBACK).find_map(|tag| tag["value"].as_str());
    let Some((mark, (from, to))) = value.and_then(|value| {
        let (mark, versions) = value.split_once(' ')?;
        Some((mark, versions.split_once(' ')?))
    }) else {
        return Ok(None);
    };
    let Some((id, token)) = mark.split_once(':') else { return Ok(None) };
    if id != order.signal.id.to_string() {
        return Ok(None);
    }
    if token.parse().is_ok_and(|token: u64| token > order.fencing_token) {
        return Err(Ended::Later(format!("it is under way under a later lease ({token})")));
    }
    Ok(Some(Move { from: from.to_string(), to: to.to_string(), noted: true }))
}

/// What keeps something from being read, or written down in advance: nothing was changed.
fn unread(trouble: Trouble) -> Ended {
    match trouble {
        Trouble::Ended(ended) => ended,
        Trouble::Refused(why) => Ended::Failed(why),
        Trouble::Unreachable(why) | Trouble::Unanswered(why) => Ended::Later(why),
        Trouble::Exists => Ended::Later("it is being changed".to_string()),
    }
}
