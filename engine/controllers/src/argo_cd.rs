//! Argo CD: an application goes back to the deployment before, through its history (API v1, `/api/v1/applications/{name}/rollback`), or
//! syncs again. Where it goes back to is written at the application first, so that a repeat goes there too.

use foreshock_core::types::Action;
use foreshock_wire::http::Method;
use serde_json::{Value, json};

use super::{
    Course, Ended, Hand, Order,
    config::ArgoCdRoute,
    jobs::{
        Trouble,
        rest::{self, Rest, text},
    },
    words,
};

/// Annotation of an application: `<signal>:<token> <id in its history>`.
const ROLLBACK: &str = "foreshock.io/rollback";

/// Acts on applications.
pub(super) struct ArgoCd {
    server: Rest,
    route: ArgoCdRoute,
}

/// An application.
struct Application {
    name: String,
    /// Path below `/api/v1/applications`, and the query that goes with it.
    path: String,
    namespace: Option<String>,
}

/// A deployment in the history of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deployment {
    id: i64,
    revision: String,
}

/// Where an application goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// Back to this one.
    Back(Deployment),
    /// To where its source is now.
    Sync,
}

impl ArgoCd {
    pub(super) fn new(route: ArgoCdRoute) -> ArgoCd {
        ArgoCd { server: Rest::new(&route.at), route }
    }

    fn application(&self, order: &Order) -> Result<Application, Ended> {
        let name = words::fill(&self.route.application, order)?;
        let namespace = self.route.namespace.as_ref().map(|text| words::fill(text, order)).transpose()?;
        let path = format!("/api/v1/applications/{}", words::segment(&name));
        Ok(Application { name, path, namespace })
    }

    fn read(&self, application: &Application) -> Result<Value, Trouble> {
        let namespace =
            application.namespace.as_ref().map(|name| format!("?appNamespace={}", words::segment(name)));
        self.server.get(&format!("{}{}", application.path, namespace.unwrap_or_default()))
    }

    /// Writes down where the application goes back to.
    fn note(&self, application: &Application, order: &Order, to: &Deployment) -> Result<(), Ended> {
        let mark = format!("{}:{} {}", order.signal.id, order.fencing_token, to.id);
        let patch = json!({"metadata": {"annotations": {ROLLBACK: mark}}}).to_string();
        let body = application.body(json!({"patch": patch, "patchType": "merge"}));
        self.server.patch(&application.path, &body).map(drop).map_err(|trouble| ended(trouble, application))
    }

    /// Waits until the application's operation has ended.
    fn follow(&self, application: &Application, words: &str, course: &Course) -> Result<Ended, Ended> {
        loop {
            match self.read(application) {
                Ok(now) => {
                    let said = text(&now, "/status/operationState/message").unwrap_or_default();
                    match text(&now, "/status/operationState/phase").unwrap_or_default() {
                        _ if now.get("operation").is_some_and(|operation| !operation.is_null()) => {
                            course.say(format!("{words}: it is about to begin"));
                        }
                        "Succeeded" => return Ok(Ended::Done(words.to_string())),
                        "Failed" | "Error" => {
                            return Ok(Ended::Failed(format!("{words}, but the sync failed: {said}")));
                        }
                        phase => course.say(format!("{words}: {phase} {said}")),
                    }
                }
                Err(trouble) => course
                    .say(format!("{words}; cannot see how it goes: {}", ended(trouble, application).words())),
            }
            course.rest()?;
        }
    }
}

impl Application {
    fn body(&self, mut body: Value) -> Value {
        body["name"] = json!(self.name);
        if let Some(namespace) = &self.namespace {
            body["appNamespace"] = json!(namespace);
        }
        body
    }
}

impl Hand for ArgoCd {
    fn carry_out(&self, order: &Order, course: &Course) -> Result<Ended, Ended> {
        if order.signal.action != Action::Rollback {
            let action = order.signal.action.name();
            return Err(Ended::NotOurs(format!("applications of Argo CD know no {action}")));
        }
        let application = self.application(order)?;
        let now = self.read(&application).map_err(|trouble| ended(trouble, &application))?;
        let noted = noted(&now, order)?;
        let way = match (&noted, order.signal.undoes) {
            (_, Some(_)) => Way::Sync,
            (Some(noted), None) => Way::Back(noted.clone()),
            (None, None) => Way::Back(before(&now, order, &application.name)?),
        };
        let (path, body, words) = match &way {
            Way::Back(to) => {
                let words = format!(
                    "{} goes back to {} (id {} of its history)",
                    application.name, to.revision, to.id
                );
                (format!("{}/rollback", application.path), json!({"id": to.id}), words)
            }
            Way::Sync => {
                let words = format!("{} syncs with its source again", application.name);
                (format!("{}/sync", application.path), json!({}), words)
            }
        };
        let body = application.body(body);
        if order.rehearsal {
            return Err(Ended::Rehearsed(rest::request(Method::Post, &path, &body)));
        }
        if let Way::Back(to) = &way {
            if noted.is_some() && deployments(&now).last().is_some_and(|last| last.revision == to.revision) {
                return self.follow(&application, &format!("{words} (begun before)"), course);
            }
            course.say(words.clone());
            course.may_act()?;
            if noted.is_none() {
                self.note(&application, order, to)?;
            }
        } else {
            course.may_act()?;
        }
        match self.server.post(&path, &body) {
            Ok(_) | Err(Trouble::Unanswered(_)) => self.follow(&application, &words, course),
            Err(trouble) => Err(ended(trouble, &application)),
        }
    }
}

/// The deployments of an application, the latest last.
fn deployments(application: &Value) -> Vec<Deployment> {
    let history = application.pointer("/status/history").and_then(Value::as_array).into_iter().flatten();
    let mut all: Vec<Deployment> = history
        .filter_map(|entry| {
            let several = || {
                Some(
                    entry
                        .get("revisions")?
                        .as_array()?
                        .iter()
                        .filter_map(Value::as_str)
                        .collect::<Vec<_>>()
                        .join(","),
                )
            };
            let one = text(entry, "/revision").filter(|revision| !revision.is_empty()).map(str::to_string);
            // An id of 0 is left out.
            let id = entry.get("id").map_or(Some(0), Value::as_i64)?;
            Some(Deployment { id, revision: one.or_else(several)? })
        })
        .collect();
    all.sort_by_key(|deployment| deployment.id);
    all
}

/// The deployment to go back to: of `to_version`, if one is, else the latest of another revision than the present one.
fn before(application: &Value, order: &Order, name: &str) -> Result<Deployment, Ended> {
    let automated = application.pointer("/spec/syncPolicy/automated");
    if automated.is_some_and(|automated| !automated.is_null() && automated["enabled"] != false) {
        return Err(Ended::Failed(format!(
            "{name} syncs by itself: Argo CD rolls nothing back then; turn automated sync off, or roll back in its source"
        )));
    }
    let all = deployments(application);
    let fact = |key: &str| order.signal.attributes.get(key).map_or("", String::as_str);
    let is = |deployment: &&Deployment, version: &str| {
        !version.is_empty() && deployment.revision.starts_with(version)
    };
    let Some((last, earlier)) = all.split_last() else {
        return Err(Ended::Failed(format!("{name} has no history")));
    };
    let blamed_earlier = earlier.iter().any(|deployment| is(&deployment, fact("version")));
    if blamed_earlier && !is(&last, fact("version")) {
        return Err(Ended::Failed(format!(
            "{name} is at {} by now, not at {}, which is blamed",
            last.revision,
            fact("version")
        )));
    }
    let earlier = || earlier.iter().rev().filter(|deployment| deployment.revision != last.revision);
    let wanted = earlier().find(|deployment| is(deployment, fact("to_version"))).or_else(|| earlier().next());
    wanted.cloned().ok_or_else(|| Ended::Failed(format!("{name} has no deployment before this one")))
}

/// What an order wrote down at an application.
fn noted(application: &Value, order: &Order) -> Result<Option<Deployment>, Ended> {
    let annotations = &application["metadata"]["annotations"];
    let Some((mark, id)) = annotations[ROLLBACK].as_str().and_then(|text| text.split_once(' ')) else {
        return Ok(None);
    };
    let Some((signal, token)) =
        mark.split_once(':').filter(|(signal, _)| **signal == order.signal.id.to_string())
    else {
        return Ok(None);
    };
    if token.parse().is_ok_and(|token: u64| token > order.fencing_token) {
        return Err(Ended::Later(format!(
            "it is under way under a later lease ({token}) of signal {signal}"
        )));
    }
    let known = deployments(application).into_iter().find(|deployment| deployment.id.to_string() == id);
    let gone =
        || Ended::Unknown(format!("it was to go back to id {id}, which its history does not hold any more"));
    known.map(Some).ok_or_else(gone)
}

/// What keeps something from being read or begun.
fn ended(trouble: Trouble, application: &Application) -> Ended {
    let name = &application.name;
    match trouble {
        Trouble::Ended(ended) => ended,
        Trouble::Refused(why) => Ended::Failed(format!("{name}: {why}")),
        Trouble::Unreachable(why) | Trouble::Unanswered(why) => Ended::Later(format!("{name}: {why}")),
        Trouble::Exists => Ended::Later(format!("{name}: an operation is under way")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use foreshock_core::types::{Entity, Id, RemediationSignal};

    use super::*;

    fn order(version: &str, to_version: &str) -> Order {
        let target = Entity::parse("service/shop/cart");
        let mut signal = RemediationSignal::new(Id(7), Id(8), Action::Rollback, target, 0);
        let attributes = [("version", version), ("to_version", to_version)];
        signal.attributes =
            BTreeMap::from(attributes.map(|(key, value)| (key.to_string(), value.to_string())));
        Order { signal, fencing_token: 2, rehearsal: false }
    }

    /// An application with these revisions in its history, ids from 0.
    fn application(revisions: &[&str]) -> Value {
        let history = revisions.iter().enumerate().map(|(id, revision)| match id {
            0 => json!({"revision": revision}),
            id => json!({"id": id, "revision": revision}),
        });
        json!({"status": {"history": history.collect::<Vec<Value>>()}})
    }

    #[test]
    fn it_goes_back_to_the_deployment_before() {
        for (revisions, version, to_version, expected) in [
            (&["aa", "bb"][..], "", "", Ok(0)),
            (&["aa", "bb", "bb"], "bb", "", Ok(0)),
            (&["aa", "bb", "cc"], "cc", "aa", Ok(0)),
            (&["aa", "bb", "cc"], "cc", "unknown", Ok(1)),
            (&["aa", "bb", "cc"], "bb", "", Err("by now")),
            (&["aa"], "", "", Err("no deployment before")),
            (&[], "", "", Err("no history")),
        ] {
            let found = before(&application(revisions), &order(version, to_version), "cart");
            match expected {
                Ok(id) => assert_eq!(found.map(|it| it.id), Ok(id), "{revisions:?} {version} {to_version}"),
                Err(words) => assert!(found.unwrap_err().words().contains(words), "{revisions:?}"),
            }
        }
    }

    #[test]
    fn automated_sync_is_said_and_not_fought() {
        let mut automated = application(&["aa", "bb"]);
        automated["spec"]["syncPolicy"]["automated"] = json!({});
        assert!(before(&automated, &order("", ""), "cart").unwrap_err().words().contains("syncs by itself"));
        automated["spec"]["syncPolicy"]["automated"] = json!({"enabled": false});
        assert!(before(&automated, &order("", ""), "cart").is_ok());
    }

    #[test]
    fn what_was_written_down_before_is_gone_on_with() {
        let mut noted_before = application(&["aa", "bb"]);
        let id = order("", "").signal.id;
        let mut note = |mark: String| {
            noted_before["metadata"]["annotations"][ROLLBACK] = json!(mark);
            noted(&noted_before, &order("", ""))
        };
        assert_eq!(note(format!("{id}:1 0")), Ok(Some(Deployment { id: 0, revision: "aa".to_string() })));
        assert!(matches!(note(format!("{id}:3 0")), Err(Ended::Later(_))));
        assert!(matches!(note(format!("{id}:1 9")), Err(Ended::Unknown(_))));
        assert_eq!(note("00:1 0".to_string()), Ok(None));
    }
}
