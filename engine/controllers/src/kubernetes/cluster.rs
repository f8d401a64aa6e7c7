//! Requests to an API server, and what its refusals mean.

use std::{fmt, time::Duration};

use kube::{
    Api, Client, Config, Error,
    api::{ListParams, Patch, PatchParams, PostParams},
    config::KubeConfigOptions,
    core::DynamicObject,
};
use serde_json::Value;
use tokio::runtime::Handle;

use super::{
    super::{RouteError, config::KubernetesConfig},
    kind::Kind,
};

/// An object, with all its fields.
pub(in super::super) type Object = DynamicObject;

/// Longest wait for a connection, and for an answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Who changed an object, in its managed fields.
const FIELD_MANAGER: &str = "foreshock";

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Place {
    pub(in super::super) kind: Kind,
    pub(in super::super) namespace: String,
    pub(in super::super) name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name, self.namespace, self.name)
    }
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Refusal {
    /// Nobody was asked.
    Unreachable(String),
    /// It was asked, and what became of it is not known.
    Unanswered(String),
    /// The object is not as it was read, or there is one of that name already.
    Changed,
    /// The API server says no.
    Refused(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unreachable(why) => write!(f, "the API server is not reached: {why}"),
            Refusal::Unanswered(why) => write!(f, "the API server did not answer: {why}"),
            Refusal::Changed => f.write_str("it changed meanwhile"),
            Refusal::Refused(why) => write!(f, "the API server says: {why}"),
        }
    }
}

/// An API server. For threads that may block.
#[derive(Clone)]
pub(in super::super) struct Cluster {
    client: Client,
    default_namespace: String,
    runtime: Handle,
}

impl Cluster {
    /// Reads where it is and who we are there: from a kubeconfig, or as a pod.
    pub(in super::super) async fn new(config: &KubernetesConfig) -> Result<Cluster, RouteError> {
        let unknown = |problem: String| {
            RouteError(format!(
                "kubernetes: no cluster is known ({problem}): set kubernetes.kubeconfig or KUBECONFIG, or run in a pod with a service account"
            ))
        };
        let context = Some(&config.context).filter(|context| !context.is_empty()).cloned();
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let mut known = match &config.kubeconfig {
            Some(path) => {
                let read =
                    kube::config::Kubeconfig::read_from(path).map_err(|error| unknown(error.to_string()))?;
                Config::from_custom_kubeconfig(read, &options)
                    .await
                    .map_err(|error| unknown(error.to_string()))?
            }
            None if context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(|error| unknown(error.to_string()))?
            }
            None => Config::infer().await.map_err(|error| unknown(error.to_string()))?,
        };
        known.connect_timeout = Some(CONNECT_WITHIN);
        known.read_timeout = Some(ANSWER_WITHIN);
        known.write_timeout = Some(ANSWER_WITHIN);
        let default_namespace = known.default_namespace.clone();
        let client = Client::try_from(known).map_err(|error| unknown(error.to_string()))?;
        Ok(Cluster { client, default_namespace, runtime: Handle::current() })
    }

    pub(in super::super) fn default_namespace(&self) -> &str {
        &self.default_namespace
    }

    pub(super) fn read(&self, place: &Place) -> Result<Object, Refusal> {
        self.runtime.block_on(self.api(place).get(&place.name)).map_err(refusal)
    }

    /// The object, if there is one.
    pub(in super::super) fn find(&self, place: &Place) -> Result<Option<Object>, Refusal> {
        self.runtime.block_on(self.api(place).get_opt(&place.name)).map_err(refusal)
    }

    /// Objects of a kind in a namespace.
    pub(super) fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, Refusal> {
        let api: Api<Object> = Api::namespaced_with(self.client.clone(), namespace, &kind.resource());
        let wanted = ListParams::default().labels(selector);
        self.runtime.block_on(api.list(&wanted)).map(|list| list.items).map_err(refusal)
    }

    /// Patches an object, or a part of it with a door of its own.
    pub(super) fn patch(
        &self,
        place: &Place,
        subresource: Option<&str>,
        patch: &Value,
        dry_run: bool,
    ) -> Result<Object, Refusal> {
        let patch: json_patch::Patch =
            serde_json::from_value(patch.clone()).map_err(|error| Refusal::Refused(error.to_string()))?;
        let patch = Patch::Json::<()>(patch);
        let params =
            PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_string()), ..PatchParams::default() };
        let api = self.api(place);
        self.runtime
            .block_on(async {
                match subresource {
                    Some(part) => api.patch_subresource(part, &place.name, &params, &patch).await,
                    None => api.patch(&place.name, &params, &patch).await,
                }
            })
            .map_err(refusal)
    }

    /// Makes an object; [`Refusal::Changed`] where there is one of that name.
    pub(in super::super) fn create(
        &self,
        place: &Place,
        object: &Object,
        dry_run: bool,
    ) -> Result<Object, Refusal> {
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_string()) };
        self.runtime.block_on(self.api(place).create(&params, object)).map_err(refusal)
    }

    fn api(&self, place: &Place) -> Api<Object> {
        Api::namespaced_with(self.client.clone(), &place.namespace, &place.kind.resource())
    }
}

/// What an error means for what was asked.
fn refusal(error: Error) -> Refusal {
    let status = match error {
        Error::Api(status) => status,
        // A request that cannot be made, or credentials that cannot be had.
        Error::BuildRequest(_) | Error::Auth(_) | Error::SerdeError(_) => {
            return Refusal::Refused(error.to_string());
        }
        other => {
            let why = root(&other);
            return if never_connected(&other) {
                Refusal::Unreachable(why)
            } else {
                Refusal::Unanswered(why)
            };
        }
    };
    match status.code {
        // 422 with a failed test: what was tested is not so.
        409 => Refusal::Changed,
        422 if status.message.contains("testing value") || status.message.contains("test failed") => {
            Refusal::Changed
        }
        429 => Refusal::Unreachable(status.message),
        500.. => Refusal::Unanswered(format!("{} {}", status.code, status.message)),
        _ => Refusal::Refused(status.message),
    }
}

fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// Whether the request did not get as far as a connection.
fn never_connected(error: &Error) -> bool {
    use std::io::ErrorKind;
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(
                io.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
            );
        }
        if error.to_string().contains("dns error") {
            return true;
        }
        cause = error.source();
    }
    false
}
