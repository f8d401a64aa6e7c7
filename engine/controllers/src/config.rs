//! The configuration of a controller: one YAML file, read as strictly as the engine's.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use foreshock_core::{
    config::{ConfigError, Duration, Target, from_yaml, text_of},
    types::Action,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words;

/// What a controller is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ControllerConfig {
    /// Name that the audit log shows, for example `deploy/eu-west-1`; empty: `foreshock/` and the kind.
    pub name: String,
    /// Only signals whose attributes have all of these values.
    pub scope: BTreeMap<String, String>,
    /// How many signals are carried out at once, 1 to 1,024.
    pub capacity: u32,
    /// How what is under way is followed.
    pub follow: FollowConfig,
    /// The cluster, for routes that need one.
    pub kubernetes: KubernetesConfig,
    /// Which signals go where; the first that fits decides. A signal that fits none is given back, for other controllers.
    pub routes: Vec<Route>,
}

/// How what is under way is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FollowConfig {
    /// Time between looks.
    pub every: Duration,
    /// After this long nobody waits any more: the outcome is unknown, and what is under way goes on.
    pub within: Duration,
}

/// A cluster of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesConfig {
    /// The kubeconfig; absent: `KUBECONFIG`, `~/.kube/config`, or the service account of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Its context; empty: the current one.
    pub context: String,
}

/// Which signals go where. Exactly one destination is given. Values that are *templates* may name `{{ id }}`, `{{ action }}`,
/// `{{ kind }}`, `{{ name }}`, `{{ namespace }}`, `{{ target }}`, `{{ version }}`, `{{ to_version }}`, `{{ incident }}`, `{{ policy }}`,
/// `{{ reason }}` and `{{ attributes.KEY }}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Only signals whose target fits one of these, in which `*` stands for any text, for example `service/shop/*`; empty: all.
    pub entities: Vec<String>,
    /// Only these actions; empty: all.
    pub actions: BTreeSet<Action>,
    /// A workload of Kubernetes, or an Argo Rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadRoute>,
    /// An application of Argo CD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argo_cd: Option<ArgoCdRoute>,
    /// A workflow of Argo Workflows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argo_workflow: Option<ArgoWorkflowRoute>,
    /// A run of Kubeflow Pipelines v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeflow: Option<KubeflowRoute>,
    /// A run of a DAG of Airflow 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub airflow: Option<AirflowRoute>,
    /// MLflow: a run for a trainer, or an alias in the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlflow: Option<MlflowRoute>,
    /// A workflow of GitHub Actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github: Option<GithubRoute>,
    /// A pipeline of GitLab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitlab: Option<GitlabRoute>,
    /// A job of Jenkins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jenkins: Option<JenkinsRoute>,
    /// Anything that takes JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookRoute>,
}

/// A workload of Kubernetes: `rollback`, `pause_rollout`, `promote_hold`, `restart` and `scale`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadRoute {
    /// What it is.
    pub kind: WorkloadKind,
    /// Its namespace, a template; absent: the signal's, else the one of the kubeconfig's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name, a template; absent: the signal's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More replicas than this are refused.
    pub max_replicas: u32,
}

/// A kind of workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadKind {
    /// A Deployment.
    #[default]
    Deployment,
    /// A StatefulSet: restarted and scaled.
    StatefulSet,
    /// A DaemonSet: restarted.
    DaemonSet,
    /// A Rollout of Argo Rollouts; `rollback` aborts what is under way.
    Rollout,
}

/// An application of Argo CD: `rollback` goes to the deployment before, through its history; one that is taken back syncs again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArgoCdRoute {
    /// The API server, without `/api/v1`; its token needs `get`, `update` and `sync` on the applications.
    pub at: Target,
    /// The application's name, a template.
    #[serde(default = "own_name")]
    pub application: String,
    /// The application's namespace, a template; absent: Argo CD's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A workflow of Argo Workflows, made in the cluster of `kubernetes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArgoWorkflowRoute {
    /// The namespace that it is made in, a template.
    pub namespace: String,
    /// The WorkflowTemplate that it is made from, a template.
    pub template: String,
    /// Its arguments, templates.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The service account that it runs as; empty: the template's.
    #[serde(default)]
    pub service_account: String,
}

/// A run of Kubeflow Pipelines, API v2beta1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubeflowRoute {
    /// The API server, without `/apis/v2beta1`.
    pub at: Target,
    /// Id of the pipeline, a template.
    pub pipeline: String,
    /// Id of its version, a template; absent: the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Id of the experiment, a template; absent: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The namespace, of a multi-user installation.
    #[serde(default)]
    pub namespace: String,
    /// Parameters of the run, templates.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// A run of a DAG of Airflow 3, API v2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AirflowRoute {
    /// The API server, without `/api/v2`. With `token_file` that is its token; with `username` and `password_file` a token is asked for
    /// at `/auth/token`.
    pub at: Target,
    /// Id of the DAG, a template.
    pub dag: String,
    /// The run's `conf`, templates, beside `foreshock` with what the signal says.
    #[serde(default)]
    pub conf: BTreeMap<String, String>,
}

/// MLflow. `retrain` makes a scheduled run, which a trainer takes up; `rollback_model` moves an alias of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MlflowRoute {
    /// The tracking server, without `/api/2.0/mlflow`.
    pub at: Target,
    /// Name of the experiment for runs, a template; it must exist.
    #[serde(default = "own_name")]
    pub experiment: String,
    /// Name of the registered model, a template.
    #[serde(default = "own_name")]
    pub model: String,
    /// The alias by which the model is served.
    #[serde(default = "champion")]
    pub alias: String,
}

/// A workflow of GitHub Actions that can be dispatched. Its `run-name` must show the input `foreshock_signal`: by it a run is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubRoute {
    /// The API; absent: `https://api.github.com`. Its token needs `actions: write`.
    pub at: Target,
    /// Owner and name of the repository, a template: `shop/cart`.
    pub repository: String,
    /// File name or id of the workflow, a template; absent: the signal's `workflow`.
    #[serde(default = "named_workflow")]
    pub workflow: String,
    /// Branch or tag that it runs on.
    #[serde(default = "main_branch")]
    pub reference: String,
    /// Inputs, templates, beside `foreshock_signal`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}

/// A pipeline of GitLab. The variable `FORESHOCK_SIGNAL` holds the signal's id: by it a pipeline is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitlabRoute {
    /// GitLab, without `/api/v4`. Its token (sent as a bearer token) needs the scope `api` and the role Maintainer, which may read variables.
    pub at: Target,
    /// Path or id of the project, a template.
    pub project: String,
    /// Branch or tag that it runs on.
    #[serde(default = "main_branch")]
    pub reference: String,
    /// Variables, templates.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A job of Jenkins with parameters; `FORESHOCK_SIGNAL` must be one of them: by it a build is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JenkinsRoute {
    /// Jenkins; `username` and `password_file` are a user and an API token of theirs.
    pub at: Target,
    /// Path of the job, a template: `deploy/cart`.
    #[serde(default = "named_workflow")]
    pub job: String,
    /// Parameters, templates.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// Anything that takes the signal as JSON. It answers 2xx with `{"status": "succeeded"|"failed"|"unknown"|"running", "message": …}`; while
/// it says `running`, `status_url` (absolute, or a path) is asked for the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRoute {
    /// Where.
    pub at: Target,
    /// File whose first line is the key of the body's HMAC-SHA256, sent as `x-foreshock-signature: sha256=<hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

fn own_name() -> String {
    "{{ name }}".to_string()
}

fn champion() -> String {
    "champion".to_string()
}

fn named_workflow() -> String {
    "{{ attributes.workflow }}".to_string()
}

fn main_branch() -> String {
    "main".to_string()
}

impl Default for ControllerConfig {
    fn default() -> ControllerConfig {
        ControllerConfig {
            name: String::new(),
            scope: BTreeMap::new(),
            capacity: 1,
            follow: FollowConfig::default(),
            kubernetes: KubernetesConfig::default(),
            routes: Vec::new(),
        }
    }
}

impl Default for FollowConfig {
    fn default() -> FollowConfig {
        FollowConfig { every: Duration::from_secs(2), within: Duration::from_secs(3600) }
    }
}

impl Default for WorkloadRoute {
    fn default() -> WorkloadRoute {
        WorkloadRoute { kind: WorkloadKind::Deployment, namespace: None, name: None, max_replicas: 100 }
    }
}

/// Where a route leads.
#[derive(Clone, Debug)]
pub(super) enum Destination<'a> {
    Workload(&'a WorkloadRoute),
    ArgoCd(&'a ArgoCdRoute),
    ArgoWorkflow(&'a ArgoWorkflowRoute),
    Kubeflow(&'a KubeflowRoute),
    Airflow(&'a AirflowRoute),
    Mlflow(&'a MlflowRoute),
    Github(&'a GithubRoute),
    Gitlab(&'a GitlabRoute),
    Jenkins(&'a JenkinsRoute),
    Webhook(&'a WebhookRoute),
}

const HEAD: &str = "# A controller's configuration

<!-- Made by `foreshock schema --controller-markdown` from the doc comments in engine/controllers/src/config.rs: edit those. -->

`foreshock controller deploy|retrain|workflow|notify --config FILE` reads one YAML file, as strictly as the engine reads its own: an
unknown field, a wrong type or a value out of its bounds ends it with exit code 64 and names the field. `foreshock schema
--controller` prints the same as JSON Schema, for editors. *absent*, *required*, durations and secrets are as in [the engine's
configuration](configuration.md). How it is used: [connect your cluster](connect-your-cluster.md), [connect your training
pipeline](connect-your-training-pipeline.md).
";

/// The JSON Schema of a controller's configuration.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ControllerConfig)
}

/// The reference of a controller's configuration as Markdown.
pub fn markdown() -> Result<String, serde_json::Error> {
    foreshock_core::config::describe(HEAD, &schema(), &ControllerConfig::default())
}

impl ControllerConfig {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<ControllerConfig, ConfigError> {
        let (name, text) = text_of(path)?;
        ControllerConfig::parse(&name, &text)
    }

    /// Reads and checks a text; `name` stands in errors.
    pub fn parse(name: &str, text: &str) -> Result<ControllerConfig, ConfigError> {
        let config: ControllerConfig = from_yaml(name, text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        refuse_unless((1..=1024).contains(&self.capacity), "capacity", "is not within 1 to 1024")?;
        let often = self.follow.every.std() >= std::time::Duration::from_millis(100);
        refuse_unless(often, "follow.every", "is below 100ms")?;
        refuse_unless(!self.routes.is_empty(), "routes", "is empty: say which signals go where")?;
        self.routes.iter().try_for_each(Route::check)
    }
}

impl Route {
    /// Where it leads.
    pub(super) fn destination(&self) -> Result<Destination<'_>, ConfigError> {
        let Route {
            entities: _,
            actions: _,
            workload,
            argo_cd,
            argo_workflow,
            kubeflow,
            airflow,
            mlflow,
            github,
            gitlab,
            jenkins,
            webhook,
        } = self;
        let given = [
            workload.as_ref().map(Destination::Workload),
            argo_cd.as_ref().map(Destination::ArgoCd),
            argo_workflow.as_ref().map(Destination::ArgoWorkflow),
            kubeflow.as_ref().map(Destination::Kubeflow),
            airflow.as_ref().map(Destination::Airflow),
            mlflow.as_ref().map(Destination::Mlflow),
            github.as_ref().map(Destination::Github),
            gitlab.as_ref().map(Destination::Gitlab),
            jenkins.as_ref().map(Destination::Jenkins),
            webhook.as_ref().map(Destination::Webhook),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(destination), None) => Ok(destination),
            (None, _) => {
                refuse("routes", "a route leads nowhere: give it one destination, for example workload")
            }
            (Some(_), Some(_)) => refuse("routes", "a route leads to two destinations: make it two routes"),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let destination = self.destination()?;
        let (target, texts) = destination.parts();
        if let Some(target) = target {
            target.check("routes: at")?;
        }
        for text in texts {
            words::check(text).map_err(|problem| ConfigError::Value { field: "routes", problem })?;
        }
        Ok(())
    }
}

impl<'a> Destination<'a> {
    /// Whether it needs a cluster.
    pub(super) fn is_in_cluster(&self) -> bool {
        matches!(self, Destination::Workload(_) | Destination::ArgoWorkflow(_))
    }

    /// Its endpoint, and its templates.
    fn parts(&self) -> (Option<&'a Target>, Vec<&'a String>) {
        match self {
            Destination::Workload(route) => (None, route.namespace.iter().chain(&route.name).collect()),
            Destination::ArgoCd(route) => {
                (Some(&route.at), route.namespace.iter().chain([&route.application]).collect())
            }
            Destination::ArgoWorkflow(route) => {
                (None, route.parameters.values().chain([&route.namespace, &route.template]).collect())
            }
            Destination::Kubeflow(route) => {
                let ids = route.version.iter().chain(&route.experiment).chain([&route.pipeline]);
                (Some(&route.at), ids.chain(route.parameters.values()).collect())
            }
            Destination::Airflow(route) => {
                (Some(&route.at), route.conf.values().chain([&route.dag]).collect())
            }
            Destination::Mlflow(route) => (Some(&route.at), vec![&route.experiment, &route.model]),
            Destination::Github(route) => {
                let named = [&route.repository, &route.workflow];
                (Some(&route.at), route.inputs.values().chain(named).collect())
            }
            Destination::Gitlab(route) => {
                (Some(&route.at), route.variables.values().chain([&route.project]).collect())
            }
            Destination::Jenkins(route) => {
                (Some(&route.at), route.parameters.values().chain([&route.job]).collect())
            }
            Destination::Webhook(route) => (Some(&route.at), Vec::new()),
        }
    }
}

fn refuse<T>(field: &'static str, problem: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Value { field, problem: problem.to_string() })
}

fn refuse_unless(holds: bool, field: &'static str, problem: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { refuse(field, problem) }
}

#[cfg(test)]
mod tests {
    use super::ControllerConfig;

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for (text, words) in [
            ("{}", "routes: is empty"),
            ("routes: [{}]", "leads nowhere"),
            ("routes: [{workload: {}, webhook: {at: {url: 'http://localhost'}}}]", "two destinations"),
            ("routes: [{workload: {name: '{{ name'}}]", "is no template"),
            ("routes: [{workload: {kind: pod}}]", "unknown variant"),
            ("routes: [{webhook: {at: {}}}]", "needs either url or url_file"),
            ("{capacity: 0, routes: [{workload: {}}]}", "capacity: is not within"),
            ("{follow: {every: 1ms}, routes: [{workload: {}}]}", "follow.every: is below"),
            ("{routes: [{workload: {}}], more: 1}", "unknown field"),
        ] {
            let refused = ControllerConfig::parse("test", text).expect_err(text).to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
        ControllerConfig::parse("test", "routes: [{workload: {}}]").unwrap();
    }
}
