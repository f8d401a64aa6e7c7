//! Argo Workflows: a Workflow from a WorkflowTemplate, made in the cluster under the signal's name. A second of that name is refused.

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{
    super::{
        Ended, Order,
        config::ArgoWorkflowRoute,
        kubernetes::{Cluster, Place, Refusal, WORKFLOW},
        words,
    },
    Repeats, Starter, State, Trouble, rest,
};

/// Makes Workflows.
pub(in super::super) struct ArgoWorkflows {
    cluster: Cluster,
    route: ArgoWorkflowRoute,
}

impl ArgoWorkflows {
    pub(in super::super) fn new(cluster: Cluster, route: ArgoWorkflowRoute) -> ArgoWorkflows {
        ArgoWorkflows { cluster, route }
    }

    fn place(&self, order: &Order) -> Result<Place, Ended> {
        let namespace = words::fill(&self.route.namespace, order)?;
        if !words::is_object_name(&namespace) {
            return Err(Ended::Failed(format!("{namespace:?} is no namespace")));
        }
        Ok(Place { kind: WORKFLOW, namespace, name: words::job_name(order) })
    }

    fn workflow(&self, order: &Order, place: &Place) -> Result<DynamicObject, Ended> {
        let parameters = words::fill_all(&self.route.parameters, order)?;
        let parameters: Vec<Value> =
            parameters.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let mut spec = json!({
            "workflowTemplateRef": {"name": words::fill(&self.route.template, order)?},
            "arguments": {"parameters": parameters},
        });
        if !self.route.service_account.is_empty() {
            spec["serviceAccountName"] = json!(self.route.service_account);
        }
        let mut workflow = DynamicObject::new(&place.name, &WORKFLOW.resource())
            .within(&place.namespace)
            .data(json!({"spec": spec}));
        let facts = rest::facts(order).into_iter();
        let facts =
            facts.map(|(key, value)| (format!("foreshock.io/{}", key.replace('_', "-")), value)).collect();
        workflow.metadata.annotations = Some(facts);
        Ok(workflow)
    }
}

impl Starter for ArgoWorkflows {
    type Job = Place;

    fn find(&self, order: &Order) -> Result<Option<Place>, Trouble> {
        let place = self.place(order)?;
        match self.cluster.find(&place) {
            Ok(found) => Ok(found.map(|_| place)),
            Err(refusal) => Err(trouble(refusal)),
        }
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        let place = self.place(order)?;
        let workflow = self.workflow(order, &place)?;
        let sent = serde_json::to_string(&workflow).unwrap_or_default();
        // What the API server says to it is part of what would happen.
        match self.cluster.create(&place, &workflow, true) {
            Err(refusal) if order.rehearsal => {
                Ok(format!("create {place} {sent}; the API server would not take it: {refusal}"))
            }
            _ => Ok(format!("create {place} {sent}")),
        }
    }

    fn start(&self, order: &Order) -> Result<Place, Trouble> {
        let place = self.place(order)?;
        let workflow = self.workflow(order, &place)?;
        self.cluster.create(&place, &workflow, false).map_err(trouble)?;
        Ok(place)
    }

    fn look(&self, place: &Place) -> Result<State, Trouble> {
        let Some(workflow) = self.cluster.find(place).map_err(trouble)? else {
            return Ok(State::Unknown(format!("{place} was deleted before its end was seen")));
        };
        let text = |pointer: &str| workflow.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (phase, said) = (text("/status/phase"), text("/status/message"));
        let words = format!(
            "{place} is {}{}{said}",
            if phase.is_empty() { "Pending" } else { phase },
            if said.is_empty() { "" } else { ": " }
        );
        Ok(match phase {
            "Succeeded" => State::Succeeded(words),
            "Failed" | "Error" => State::Failed(words),
            _ => State::Running(words),
        })
    }

    fn repeats(&self) -> Repeats {
        Repeats::Refused
    }
}

fn trouble(refusal: Refusal) -> Trouble {
    match refusal {
        Refusal::Unreachable(why) => Trouble::Unreachable(why),
        Refusal::Unanswered(why) => Trouble::Unanswered(why),
        Refusal::Changed => Trouble::Exists,
        Refusal::Refused(why) => Trouble::Refused(why),
    }
}
