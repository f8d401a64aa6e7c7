//! Workloads of Kubernetes, and Argo Rollouts.
//!
//! * `cluster`: requests, and what a refusal means · `kind`: the kinds that are known
//! * `mark`: what a target remembers of signals · `revision`: the templates a workload had
//! * `change`: what is to be done, as a patch · `progress`: how far a rollout is
//!
//! Every change is one JSON patch that holds for the object as it was read (it tests the resource version) and that writes the signal's id
//! beside it, so that a change is made once, whatever happens to us.

mod change;
mod cluster;
mod kind;
mod mark;
mod progress;
mod revision;

use serde_json::{Value, json};

use super::{Course, Ended, Hand, Order, config::WorkloadRoute, words};
use change::{Change, Planned};
use cluster::Object;
pub(super) use cluster::{Cluster, Place, Refusal};
use kind::Kind;
pub(super) use kind::WORKFLOW;
use progress::Progress;

/// How often a change is planned anew because the object changed meanwhile.
const ATTEMPTS: u32 = 5;

/// Acts on workloads.
pub(super) struct Workloads {
    cluster: Cluster,
    route: WorkloadRoute,
}

impl Workloads {
    pub(super) fn new(cluster: Cluster, route: WorkloadRoute) -> Workloads {
        Workloads { cluster, route }
    }

    /// The object that a signal means.
    fn place(&self, order: &Order) -> Result<Place, Ended> {
        let namespace = match &self.route.namespace {
            Some(text) => words::fill(text, order)?,
            None => match order.signal.attributes.get("namespace") {
                Some(namespace) => namespace.clone(),
                None => self.cluster.default_namespace().to_string(),
            },
        };
        let name = words::fill(self.route.name.as_deref().unwrap_or("{{ name }}"), order)?;
        for (what, text) in [("namespace", &namespace), ("name", &name)] {
            if !words::is_object_name(text) {
                return Err(Ended::Failed(format!(
                    "{text:?} is no {what} of Kubernetes: say in the route which it is"
                )));
            }
        }
        Ok(Place { kind: Kind::of(self.route.kind), namespace, name })
    }

    /// Plans the change and makes it, anew where the object changed meanwhile. Gives what was done, or was done before. Once a patch was sent
    /// without an answer, it goes on until it is seen whether it was made.
    fn change(&self, place: &Place, order: &Order, course: &Course) -> Result<Made, Ended> {
        let (mut sent, mut conflicts) = (false, 0);
        while conflicts < ATTEMPTS {
            let object = match self.cluster.read(place) {
                Ok(object) => object,
                Err(Refusal::Unreachable(_) | Refusal::Unanswered(_)) if sent => {
                    course.rest()?;
                    continue;
                }
                Err(refusal) => return Err(unread(refusal, sent, place)),
            };
            let planned = change::plan(&self.cluster, place, &object, order, &self.route)?;
            let change = match planned {
                Planned::Change(change) => change,
                Planned::Before(words) => return Ok(Made { place: place.clone(), words }),
            };
            let patch = change.patch(order);
            if order.rehearsal {
                return Err(self.rehearse(&change, &patch));
            }
            course.say(format!("changing {}: {}", change.place, change.words));
            course.may_act()?;
            match self.cluster.patch(&change.place, change.subresource, &patch, false) {
                Ok(_) => return Ok(Made { place: change.place, words: change.words }),
                // Read again: had it come through, the object is marked.
                Err(Refusal::Changed) => conflicts += 1,
                Err(Refusal::Unreachable(why)) if !sent => return Err(Ended::Later(why)),
                Err(Refusal::Unreachable(why) | Refusal::Unanswered(why)) => {
                    sent = true;
                    tracing::warn!(target = %change.place, why, "no answer to a patch: looking whether it was made");
                    course.say(format!("no answer to the patch of {}: {why}", change.place));
                    course.rest()?;
                }
                Err(Refusal::Refused(why)) => {
                    return Err(Ended::Failed(format!("{} was not changed: {why}", change.place)));
                }
            }
        }
        let words = format!("{place} changed {ATTEMPTS} times while it was to be changed");
        Err(if sent { Ended::Unknown(words) } else { Ended::Later(words) })
    }

    /// What the API server says of a change that it does not make.
    fn rehearse(&self, change: &Change, patch: &Value) -> Ended {
        let words = format!("{}: {}; patch {patch}", change.place, change.words);
        match self.cluster.patch(&change.place, change.subresource, patch, true) {
            Ok(_) => Ended::Rehearsed(words),
            Err(refusal) => Ended::Rehearsed(format!("{words}; the API server would not take it: {refusal}")),
        }
    }

    /// Waits until a change has come through, as `kubectl rollout status` does.
    fn follow(&self, made: Made, course: &Course) -> Result<Ended, Ended> {
        let Made { place, words } = made;
        loop {
            match self.cluster.read(&place) {
                Ok(object) => match progress::of(&place, &object) {
                    Progress::Through => return Ok(Ended::Done(words)),
                    Progress::Stuck(why) => return Ok(Ended::Failed(format!("{words}, but {why}"))),
                    Progress::UnderWay(what) => course.say(format!("{words}; {what}")),
                },
                // It is watched on: what was done is done.
                Err(refusal) => course.say(format!("{words}; cannot see how it goes: {refusal}")),
            }
            course.rest().map_err(|ended| match ended {
                Ended::Unknown(why) => Ended::Unknown(format!("{words}, but {why}")),
                ended => ended,
            })?;
        }
    }
}

impl Hand for Workloads {
    fn carry_out(&self, order: &Order, course: &Course) -> Result<Ended, Ended> {
        let place = self.place(order)?;
        let made = self.change(&place, order, course)?;
        self.follow(made, course)
    }
}

/// What was changed, and how.
struct Made {
    place: Place,
    words: String,
}

fn unread(refusal: Refusal, sent: bool, place: &Place) -> Ended {
    let words = format!("{place}: {refusal}");
    match refusal {
        _ if sent => Ended::Unknown(words),
        Refusal::Unreachable(_) | Refusal::Unanswered(_) => Ended::Later(words),
        Refusal::Changed | Refusal::Refused(_) => Ended::Failed(words),
    }
}

/// What lies at a JSON pointer.
fn at<'a>(object: &'a Object, pointer: &str) -> &'a Value {
    object.data.pointer(pointer).unwrap_or(&Value::Null)
}

/// A step of a JSON patch (RFC 6902).
fn step(op: &str, path: &str, value: Value) -> Value {
    json!({"op": op, "path": path, "value": value})
}
