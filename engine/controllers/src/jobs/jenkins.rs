//! Jenkins: a build with parameters (remote access API), found by the parameter that holds the signal's id, in the queue or among the builds.

use std::sync::OnceLock;

use foreshock_wire::http::Method;
use serde_json::Value;

use super::{
    super::{Ended, Order, config::JenkinsRoute, words},
    Repeats, Starter, State, Trouble,
    rest::{self, Rest, needed, text},
};

/// The parameter that tells a build whose it is.
const SIGNAL: &str = "FORESHOCK_SIGNAL";

/// Builds jobs.
pub(in super::super) struct Jenkins {
    server: Rest,
    route: JenkinsRoute,
}

/// A build, or its place in the queue until it is known. The queue forgets what it has let go after some minutes.
pub(in super::super) struct Build {
    job: String,
    /// Id in the queue.
    queued: Option<String>,
    /// Its number.
    number: OnceLock<String>,
}

impl Jenkins {
    pub(in super::super) fn new(route: JenkinsRoute) -> Jenkins {
        Jenkins { server: Rest::new(&route.at), route }
    }

    /// `/job/deploy/job/cart`.
    fn job(&self, order: &Order) -> Result<String, Ended> {
        let path = words::fill(&self.route.job, order)?;
        let folders = path.split('/').filter(|folder| !folder.is_empty());
        Ok(folders.map(|folder| format!("/job/{}", words::segment(folder))).collect())
    }

    /// The parameters as a form.
    fn form(&self, order: &Order) -> Result<String, Ended> {
        let mut parameters = words::fill_all(&self.route.parameters, order)?;
        parameters.insert(SIGNAL.to_string(), order.signal.id.to_string());
        let pairs = parameters
            .iter()
            .map(|(key, value)| format!("{}={}", words::segment(key), words::segment(value)));
        Ok(pairs.collect::<Vec<String>>().join("&"))
    }
}

impl Starter for Jenkins {
    type Job = Build;

    fn find(&self, order: &Order) -> Result<Option<Build>, Trouble> {
        let job = self.job(order)?;
        let known = "actions[parameters[name,value]]";
        let queue = self.server.get(&format!("/queue/api/json?tree=items[id,task[url],{known}]"))?;
        // Before the builds: what leaves the queue meanwhile is among them.
        let item = of(&queue, "/items", order).filter(|item| {
            text(item, "/task/url").is_some_and(|url| url.trim_end_matches('/').ends_with(&job))
        });
        if let Some(item) = item {
            let queued = Some(needed(item, "/id")?);
            return Ok(Some(Build { job, queued, number: OnceLock::new() }));
        }
        let builds = self.server.get(&format!("{job}/api/json?tree=builds[number,{known}]{{0,100}}"))?;
        let Some(build) = of(&builds, "/builds", order) else { return Ok(None) };
        let number = OnceLock::from(needed(build, "/number")?);
        Ok(Some(Build { job, queued: None, number }))
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        let (job, form) = (self.job(order)?, self.form(order)?);
        Ok(format!("POST {job}/buildWithParameters {form}"))
    }

    fn start(&self, order: &Order) -> Result<Build, Trouble> {
        let (job, form) = (self.job(order)?, self.form(order)?);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let path = format!("{job}/buildWithParameters");
        let answer = self.server.answer(Method::Post, &path, &headers, form.as_bytes())?;
        if let Some(trouble) = rest::trouble(&answer) {
            return Err(trouble);
        }
        let place = answer.location.as_deref().and_then(|url| {
            let id = url.split_once("/queue/item/")?.1.trim_end_matches('/');
            id.bytes().all(|byte| byte.is_ascii_digit()).then(|| id.to_string())
        });
        // Without a place in the queue it has to be looked for.
        let queued = Some(place.ok_or(Trouble::Exists)?);
        Ok(Build { job, queued, number: OnceLock::new() })
    }

    fn look(&self, build: &Build) -> Result<State, Trouble> {
        let number = match (build.number.get(), &build.queued) {
            (Some(number), _) => number.clone(),
            (None, Some(id)) => {
                let item = self.server.get(&format!("/queue/item/{id}/api/json"))?;
                if item["cancelled"] == true {
                    return Ok(State::Failed("it was cancelled in the queue".to_string()));
                }
                match needed(&item, "/executable/number") {
                    Ok(number) => build.number.get_or_init(|| number).clone(),
                    Err(_) => {
                        let why = text(&item, "/why").unwrap_or("it waits in the queue");
                        return Ok(State::Running(why.to_string()));
                    }
                }
            }
            (None, None) => return Ok(State::Unknown("the build is not known any more".to_string())),
        };
        let path = format!("{}/{}", build.job, words::segment(&number));
        let found = self.server.get(&format!("{path}/api/json?tree=building,result,url"))?;
        let url = text(&found, "/url").unwrap_or(&path);
        Ok(match (found["building"] == true, text(&found, "/result")) {
            (false, Some("SUCCESS")) => State::Succeeded(format!("{url} succeeded")),
            (false, Some(result)) => State::Failed(format!("{url} ended as {result}")),
            _ => State::Running(format!("{url} is being built")),
        })
    }

    fn repeats(&self) -> Repeats {
        Repeats::Shown
    }
}

/// The entry of a list whose parameters hold an order's id.
fn of<'a>(list: &'a Value, pointer: &str, order: &Order) -> Option<&'a Value> {
    let id = order.signal.id.to_string();
    let entries = list.pointer(pointer)?.as_array()?;
    entries.iter().find(|entry| {
        let actions = entry["actions"].as_array().into_iter().flatten();
        let mut parameters = actions.flat_map(|action| action["parameters"].as_array().into_iter().flatten());
        parameters.any(|parameter| parameter["name"] == SIGNAL && parameter["value"] == *id)
    })
}
