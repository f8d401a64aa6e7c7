//! What is to be done to a workload, as a patch of it.

use foreshock_core::types::Action;
use serde_json::{Value, json};

use super::{
    super::{Ended, Order, config::WorkloadRoute},
    at,
    cluster::{Cluster, Object, Place},
    kind::AUTOSCALER,
    mark, revision, step, unread,
};

/// What is to be done.
pub(super) enum Planned {
    /// This.
    Change(Box<Change>),
    /// Nothing: it is as it should be, or it was done before.
    Before(String),
}

/// A change of one object, as it was read.
pub(super) struct Change {
    pub(super) place: Place,
    /// The part of it with a door of its own.
    pub(super) subresource: Option<&'static str>,
    pub(super) words: String,
    object: Object,
    steps: Vec<Value>,
    /// Annotations, where they change with it.
    annotations: Option<serde_json::Map<String, Value>>,
}

impl Change {
    fn new(place: &Place, object: &Object, words: String, steps: Vec<Value>) -> Change {
        let (place, object) = (place.clone(), object.clone());
        Change { place, subresource: None, words, object, steps, annotations: None }
    }

    /// The patch (RFC 6902): it holds only for the object as it was read, and marks it.
    pub(super) fn patch(&self, order: &Order) -> Value {
        let annotations = self.annotations.clone().unwrap_or_else(|| mark::annotations(&self.object));
        let [test, mark] = mark::steps(&self.object, annotations, order);
        let mut patch = vec![test];
        // A status keeps no marks; what is written there is told by the status itself.
        patch.extend(self.subresource.is_none().then_some(mark));
        patch.extend(self.steps.iter().cloned());
        Value::Array(patch)
    }

    fn planned(self) -> Planned {
        Planned::Change(Box::new(self))
    }
}

/// What an order asks of an object. Changes nothing.
pub(super) fn plan(
    cluster: &Cluster,
    place: &Place,
    object: &Object,
    order: &Order,
    route: &WorkloadRoute,
) -> Result<Planned, Ended> {
    if let Some(before) = done_before(place, object, order)? {
        return Ok(before);
    }
    match order.signal.action {
        Action::Rollback => roll_back(cluster, place, object, order),
        Action::PauseRollout | Action::PromoteHold => pause(place, object),
        Action::Restart => restart(place, object),
        Action::Scale => scale(cluster, place, object, order, route),
        action => Err(Ended::NotOurs(format!("workloads of Kubernetes know no {}", action.name()))),
    }
}

/// Whether the object bears the order's mark. Under a greater token, somebody else is at work on it.
fn done_before(place: &Place, object: &Object, order: &Order) -> Result<Option<Planned>, Ended> {
    match mark::token(object, order) {
        None => Ok(None),
        Some(token) if token > order.fencing_token => {
            Err(Ended::Later(format!("{place} was changed for this signal under a later lease ({token})")))
        }
        Some(token) => {
            let action = order.signal.action.name();
            Ok(Some(Planned::Before(format!("{action} of {place} was made before, under token {token}"))))
        }
    }
}

/// As `kubectl rollout undo`: the template and the annotations of the revision before. A canary that is under way is aborted instead.
fn roll_back(cluster: &Cluster, place: &Place, object: &Object, order: &Order) -> Result<Planned, Ended> {
    let fact = |key: &str| order.signal.attributes.get(key).map_or("", String::as_str);
    if place.kind.is_rollout()
        && let Some(planned) = abort(place, object, order)?
    {
        return Ok(planned);
    }
    let Some(past) = place.kind.past else {
        let kind = place.kind.name;
        return Err(Ended::NotOurs(format!(
            "a {kind} keeps its past elsewhere: only Deployments and Rollouts are rolled back"
        )));
    };
    if is_paused(object) {
        return Err(Ended::Failed(format!("{place} is paused: it is not rolled back until it is resumed")));
    }
    let revisions = revision::revisions(cluster, place, object, past)?;
    let template = at(object, "/spec/template");
    let named = revision::names(template);
    if named.contains(fact("to_version")) && !named.contains(fact("version")) {
        return Ok(Planned::Before(format!("{place} runs {} already", fact("to_version"))));
    }
    if revision::has_moved_on(&revisions, template, fact("version")) {
        let now = named.into_iter().collect::<Vec<_>>().join(", ");
        let blamed = fact("version");
        return Err(Ended::Failed(format!(
            "{place} runs {now} by now, not {blamed}, which is blamed: nothing was changed"
        )));
    }
    let Some(before) = revision::before(&revisions, fact("to_version")) else {
        return Err(Ended::Failed(format!("{place} has no revision before this one")));
    };
    let names = revision::names(&before.template).into_iter().collect::<Vec<_>>().join(", ");
    if revision::same(&before.template, template, past) {
        return Ok(Planned::Before(format!("{place} runs {before} ({names}) already")));
    }
    let steps = vec![step("replace", "/spec/template", before.template.clone())];
    let words = format!("{place} goes back to {before} ({names})");
    let annotations = Some(before.annotations(object, past));
    Ok(Change { annotations, ..Change::new(place, object, words, steps) }.planned())
}

/// A canary or preview that is under way is aborted, or, where the abort is taken back, promoted. `None`: none is under way.
fn abort(place: &Place, object: &Object, order: &Order) -> Result<Option<Planned>, Ended> {
    if !at(object, "/spec/workloadRef").is_null() {
        let to = at(object, "/spec/workloadRef/name").as_str().unwrap_or_default();
        return Err(Ended::Failed(format!("{place} takes its template from {to:?}: route the signal there")));
    }
    let (current, stable) = (at(object, "/status/currentPodHash"), at(object, "/status/stableRS"));
    if stable.is_null() || current == stable {
        return Ok(None);
    }
    let aborted = at(object, "/status/abort") == &json!(true);
    let (wanted, words) = match (order.signal.undoes.is_some(), aborted) {
        (false, true) => return Ok(Some(Planned::Before(format!("{place} is aborted already")))),
        (true, false) => return Ok(Some(Planned::Before(format!("{place} is under way again already")))),
        (false, false) => (json!({"abort": true}), format!("{place} is aborted: it stays at {stable}")),
        (true, true) => (
            json!({"abort": false, "promoteFull": true}),
            format!("{place} is taken up again and promoted to {current}"),
        ),
    };
    let parts = wanted.as_object().into_iter().flatten();
    let steps = parts.map(|(key, value)| step("add", &format!("/status/{key}"), value.clone())).collect();
    let change = Change::new(place, object, words, steps);
    Ok(Some(Change { subresource: Some("status"), ..change }.planned()))
}

/// As `kubectl rollout pause`, and `kubectl argo rollouts pause`.
fn pause(place: &Place, object: &Object) -> Result<Planned, Ended> {
    if !place.kind.is_deployment() && !place.kind.is_rollout() {
        return Err(Ended::NotOurs(format!("a {} cannot be paused", place.kind.name)));
    }
    if is_paused(object) {
        return Ok(Planned::Before(format!("{place} is paused already")));
    }
    let steps = vec![step("add", "/spec/paused", json!(true))];
    Ok(Change::new(place, object, format!("{place} is paused"), steps).planned())
}

/// As `kubectl rollout restart`, and `kubectl argo rollouts restart`.
fn restart(place: &Place, object: &Object) -> Result<Planned, Ended> {
    let words = format!("{place} is restarted");
    let now = json!(format!("{:.0}", jiff::Timestamp::now()));
    if place.kind.is_rollout() {
        return Ok(Change::new(place, object, words, vec![step("add", "/spec/restartAt", now)]).planned());
    }
    if is_paused(object) {
        return Err(Ended::Failed(format!("{place} is paused: it is not restarted until it is resumed")));
    }
    let mut annotations = at(object, "/spec/template/metadata/annotations").clone();
    if annotations.is_null() {
        annotations = json!({});
    }
    annotations["kubectl.kubernetes.io/restartedAt"] = now;
    let steps = vec![step("add", "/spec/template/metadata/annotations", annotations)];
    Ok(Change::new(place, object, words, steps).planned())
}

/// More or fewer replicas; where an autoscaler decides, its least number.
fn scale(
    cluster: &Cluster,
    place: &Place,
    object: &Object,
    order: &Order,
    route: &WorkloadRoute,
) -> Result<Planned, Ended> {
    if !place.kind.scales() {
        return Err(Ended::NotOurs(format!("a {} is not scaled", place.kind.name)));
    }
    let scalers =
        cluster.list(AUTOSCALER, &place.namespace, "").map_err(|refusal| unread(refusal, false, place))?;
    let scaler = scalers.into_iter().find(|scaler| aims_at(scaler, place));
    let asked = order.signal.attributes.get("replicas").map_or("", String::as_str);
    let now = at(object, "/spec/replicas").as_i64().unwrap_or(1);
    let wanted = replicas(asked, now)
        .ok_or_else(|| Ended::Failed(format!("{asked:?} is no number of replicas: write 5, +2 or -1")))?;
    let most = i64::from(route.max_replicas);
    if !(1..=most).contains(&wanted) {
        return Err(Ended::Failed(format!(
            "{place} would run {wanted} replicas: the route allows 1 to {most}"
        )));
    }
    let Some(scaler) = scaler else {
        let words = format!("{place} runs {wanted} replicas, not {now}");
        return Ok(
            Change::new(place, object, words, vec![step("add", "/spec/replicas", json!(wanted))]).planned()
        );
    };
    let name = scaler.metadata.name.clone().unwrap_or_default();
    let scaler_place = Place { kind: AUTOSCALER, namespace: place.namespace.clone(), name };
    if let Some(before) = done_before(&scaler_place, &scaler, order)? {
        return Ok(before);
    }
    let owners = scaler.metadata.owner_references.iter().flatten();
    if let Some(owner) = owners.into_iter().find(|owner| owner.controller == Some(true)) {
        let (kind, owner) = (&owner.kind, &owner.name);
        return Err(Ended::Failed(format!("{scaler_place} is managed by {kind} {owner}: change that one")));
    }
    let bound = |field: &str| at(&scaler, field).as_i64();
    let (least, most) =
        (bound("/spec/minReplicas").unwrap_or(1), bound("/spec/maxReplicas").unwrap_or(i64::MAX));
    if wanted > most {
        return Err(Ended::Failed(format!("{scaler_place} allows at most {most} replicas, not {wanted}")));
    }
    if wanted < now {
        return Err(Ended::Failed(format!(
            "{scaler_place} decides when {place} runs fewer than {now} replicas"
        )));
    }
    if wanted <= least {
        return Ok(Planned::Before(format!("{scaler_place} keeps at least {least} replicas already")));
    }
    let words = format!("{scaler_place} keeps at least {wanted} replicas of {place}, not {least}");
    let steps = vec![step("add", "/spec/minReplicas", json!(wanted))];
    Ok(Change::new(&scaler_place, &scaler, words, steps).planned())
}

fn aims_at(scaler: &Object, place: &Place) -> bool {
    at(scaler, "/spec/scaleTargetRef/kind") == place.kind.name
        && at(scaler, "/spec/scaleTargetRef/name") == place.name.as_str()
}

/// `5`, or `+2` and `-1` from what there is.
fn replicas(asked: &str, now: i64) -> Option<i64> {
    let digits = asked.strip_prefix(['+', '-']).unwrap_or(asked);
    // `parse` takes a sign of its own.
    let number: i64 = digits.starts_with(|c: char| c.is_ascii_digit()).then(|| digits.parse().ok())??;
    match asked.chars().next() {
        Some('+') => now.checked_add(number),
        Some('-') => now.checked_sub(number),
        _ => Some(number),
    }
}

fn is_paused(object: &Object) -> bool {
    at(object, "/spec/paused") == &json!(true)
}

#[cfg(test)]
mod tests {
    use super::replicas;

    #[test]
    fn replicas_are_absolute_or_relative() {
        for (asked, wanted) in [
            ("5", Some(5)),
            ("+2", Some(5)),
            ("-1", Some(2)),
            ("", None),
            ("many", None),
            ("++2", None),
            ("+9223372036854775807", None),
        ] {
            assert_eq!(replicas(asked, 3), wanted, "{asked}");
        }
    }
}
