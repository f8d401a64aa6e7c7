//! The hand for each signal: the first route that fits.

use std::collections::BTreeSet;

use foreshock_core::types::{Action, fits};

use super::{
    ControllerConfig, Course, Ended, Hand, Order,
    argo_cd::ArgoCd,
    config::Destination,
    jobs::{Jobs, airflow, argo_workflows, github, gitlab, jenkins, kubeflow, mlflow, webhook},
    kubernetes::{Cluster, Workloads},
};

/// Routes that cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RouteError(pub(super) String);

/// Every route of a controller.
pub struct Routes(Vec<(Fits, Box<dyn Hand>)>);

/// Which signals take a route.
struct Fits {
    entities: Vec<String>,
    actions: BTreeSet<Action>,
}

impl Routes {
    /// Makes the hands; a cluster is looked for only where a route needs one.
    pub async fn new(config: &ControllerConfig) -> Result<Routes, RouteError> {
        let mut cluster = None;
        let mut routes = Vec::new();
        for route in &config.routes {
            let destination = route.destination().map_err(|error| RouteError(error.to_string()))?;
            if destination.is_in_cluster() && cluster.is_none() {
                cluster = Some(Cluster::new(&config.kubernetes).await?);
            }
            let fits = Fits { entities: route.entities.clone(), actions: route.actions.clone() };
            routes.push((fits, hand(&destination, cluster.as_ref())));
        }
        Ok(Routes(routes))
    }
}

impl Hand for Routes {
    fn carry_out(&self, order: &Order, course: &Course) -> Result<Ended, Ended> {
        match self.0.iter().find(|(fits, _)| fits.takes(order)) {
            Some((_, hand)) => hand.carry_out(order, course),
            None => {
                let (action, target) = (order.signal.action.name(), &order.signal.target);
                Err(Ended::NotOurs(format!("no route of this controller takes a {action} of {target}")))
            }
        }
    }
}

impl Fits {
    fn takes(&self, order: &Order) -> bool {
        let target = order.signal.target.to_string();
        (self.actions.is_empty() || self.actions.contains(&order.signal.action))
            && (self.entities.is_empty() || self.entities.iter().any(|pattern| fits(pattern, &target)))
    }
}

fn hand(destination: &Destination<'_>, cluster: Option<&Cluster>) -> Box<dyn Hand> {
    let cluster = || cluster.expect("it was made for destinations that need it").clone();
    match *destination {
        Destination::Workload(route) => Box::new(Workloads::new(cluster(), route.clone())),
        Destination::ArgoCd(route) => Box::new(ArgoCd::new(route.clone())),
        Destination::ArgoWorkflow(route) => {
            Box::new(Jobs(argo_workflows::ArgoWorkflows::new(cluster(), route.clone())))
        }
        Destination::Kubeflow(route) => Box::new(Jobs(kubeflow::Kubeflow::new(route.clone()))),
        Destination::Airflow(route) => Box::new(Jobs(airflow::Airflow::new(route.clone()))),
        Destination::Mlflow(route) => Box::new(mlflow::Mlflow::new(route.clone())),
        Destination::Github(route) => Box::new(Jobs(github::Github::new(route.clone()))),
        Destination::Gitlab(route) => Box::new(Jobs(gitlab::Gitlab::new(route.clone()))),
        Destination::Jenkins(route) => Box::new(Jobs(jenkins::Jenkins::new(route.clone()))),
        Destination::Webhook(route) => Box::new(Jobs(webhook::Webhook::new(route.clone()))),
    }
}
