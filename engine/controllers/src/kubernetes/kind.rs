//! The kinds of workload that are known, and where each keeps its past.

use kube::core::{ApiResource, GroupVersionKind};

use super::super::config::WorkloadKind;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Kind {
    group: &'static str,
    version: &'static str,
    pub(super) name: &'static str,
    plural: &'static str,
    /// Where it keeps the templates that it had; `None`: nowhere that we know.
    pub(super) past: Option<Past>,
}

/// How the ReplicaSets of a workload tell which revision they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Past {
    /// Annotation with the number of the revision.
    pub(super) revision: &'static str,
    /// Label that the controller adds to templates.
    pub(super) hash: &'static str,
    /// Annotations that are the workload's own, not the revision's.
    pub(super) own: &'static [&'static str],
}

/// As kubectl has it (`annotationsToSkip` in kubectl/pkg/polymorphichelpers/rollback.go).
const DEPLOYMENT: Kind = Kind {
    group: "apps",
    version: "v1",
    name: "Deployment",
    plural: "deployments",
    past: Some(Past {
        revision: "deployment.kubernetes.io/revision",
        hash: "pod-template-hash",
        own: &[
            "kubectl.kubernetes.io/last-applied-configuration",
            "deployment.kubernetes.io/revision",
            "deployment.kubernetes.io/revision-history",
            "deployment.kubernetes.io/desired-replicas",
            "deployment.kubernetes.io/max-replicas",
            "deprecated.deployment.rollback.to",
        ],
    }),
};

const STATEFUL_SET: Kind =
    Kind { group: "apps", version: "v1", name: "StatefulSet", plural: "statefulsets", past: None };

const DAEMON_SET: Kind =
    Kind { group: "apps", version: "v1", name: "DaemonSet", plural: "daemonsets", past: None };

/// Argo Rollouts' (argo-rollouts/utils/annotations).
const ROLLOUT: Kind = Kind {
    group: "argoproj.io",
    version: "v1alpha1",
    name: "Rollout",
    plural: "rollouts",
    past: Some(Past {
        revision: "rollout.argoproj.io/revision",
        hash: "rollouts-pod-template-hash",
        own: &[
            "kubectl.kubernetes.io/last-applied-configuration",
            "rollout.argoproj.io/revision",
            "rollout.argoproj.io/revision-history",
            "rollout.argoproj.io/desired-replicas",
            "rollout.argoproj.io/workload-generation",
        ],
    }),
};

pub(super) const REPLICA_SET: Kind =
    Kind { group: "apps", version: "v1", name: "ReplicaSet", plural: "replicasets", past: None };

pub(super) const AUTOSCALER: Kind = Kind {
    group: "autoscaling",
    version: "v2",
    name: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    past: None,
};

/// Argo Workflows'.
pub(in super::super) const WORKFLOW: Kind =
    Kind { group: "argoproj.io", version: "v1alpha1", name: "Workflow", plural: "workflows", past: None };

impl Kind {
    pub(super) fn of(kind: WorkloadKind) -> Kind {
        match kind {
            WorkloadKind::Deployment => DEPLOYMENT,
            WorkloadKind::StatefulSet => STATEFUL_SET,
            WorkloadKind::DaemonSet => DAEMON_SET,
            WorkloadKind::Rollout => ROLLOUT,
        }
    }

    pub(super) fn is_rollout(self) -> bool {
        self == ROLLOUT
    }

    pub(super) fn is_deployment(self) -> bool {
        self == DEPLOYMENT
    }

    /// Whether it runs as many replicas as it is told to.
    pub(super) fn scales(self) -> bool {
        self != DAEMON_SET
    }

    pub(in super::super) fn resource(self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.name);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }
}
