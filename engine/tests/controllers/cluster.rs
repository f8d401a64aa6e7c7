//! A real Kubernetes control plane, as `fixtures/kubernetes/cluster.sh` starts it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// A cluster, shared by the tests of this file; it ends with this process at the latest.
pub struct Cluster {
    folder: PathBuf,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/kubernetes/cluster.sh")
}

/// The cluster, or `None` with a word about it. It is built only with FORESHOCK_REQUIRE_KUBERNETES=1, which makes its absence a failure.
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    let required = std::env::var("FORESHOCK_REQUIRE_KUBERNETES").is_ok_and(|value| value == "1");
    match CLUSTER.get_or_init(|| Cluster::start(required)) {
        Ok(cluster) => Some(cluster),
        Err(why) => {
            assert!(!required, "FORESHOCK_REQUIRE_KUBERNETES=1, but {why}");
            eprintln!("skipped: {why}");
            None
        }
    }
}

impl Cluster {
    fn start(required: bool) -> Result<Cluster, String> {
        let found = Command::new(script()).arg("find").output().map_err(|error| error.to_string())?;
        if !required && !found.status.success() {
            return Err(String::from_utf8_lossy(&found.stderr).trim().to_string());
        }
        let folder = std::env::temp_dir().join(format!("foreshock-kubernetes-{}", std::process::id()));
        let started =
            Command::new(script()).arg("start").arg(&folder).output().map_err(|error| error.to_string())?;
        if !started.status.success() {
            return Err(format!("Kubernetes does not start: {}", String::from_utf8_lossy(&started.stderr)));
        }
        let wait = format!(
            "(while kill -0 {} 2>/dev/null; do sleep 0.2; done; '{}' stop '{folder}'; rm -rf '{folder}') &",
            std::process::id(),
            script().display(),
            folder = folder.display(),
        );
        let mut watcher = Command::new("sh");
        watcher.args(["-c", &wait]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(watcher.status().unwrap().success());
        Ok(Cluster { folder })
    }

    /// A namespace of one's own, in which an account has the rights that the chart gives to controllers, and no others.
    pub fn namespace(&'static self, name: &str) -> Namespace {
        self.kubectl(&["create", "namespace", name]).unwrap();
        let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm/foreshock/rights");
        let files = std::fs::read_dir(rights).unwrap().map(|file| file.unwrap().path());
        let rules: String = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
        self.apply(&format!(
            "
{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: controller, namespace: {name}}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: controller, namespace: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: controller}}
subjects: [{{kind: ServiceAccount, name: controller, namespace: {name}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: controller, namespace: {name}}}
rules:
{rules}"
        ));
        let token = self.kubectl(&["--namespace", name, "create", "token", "controller"]).unwrap();
        let known = std::fs::read_to_string(self.folder.join("kubeconfig")).unwrap();
        let (before, after) = known.split_once("token: ").unwrap();
        let after = after.split_once('}').unwrap().1;
        let kubeconfig = super::scratch("kubeconfig");
        std::fs::write(&kubeconfig, format!("{before}token: {}}}{after}", token.trim())).unwrap();
        Namespace { cluster: self, name: name.to_string(), kubeconfig }
    }

    /// What kubectl says.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let done = Command::new(script()).arg("kubectl").arg(&self.folder).args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if done.status.success() { Ok(text(done.stdout)) } else { Err(text(done.stderr)) }
    }

    /// Makes or changes what a file says.
    pub fn apply(&self, yaml: &str) {
        let file = super::scratch("objects.yaml");
        std::fs::write(&file, yaml).unwrap();
        self.kubectl(&["apply", "-f", file.to_str().unwrap()]).unwrap();
    }
}

/// A namespace.
pub struct Namespace {
    pub cluster: &'static Cluster,
    pub name: String,
    /// Of the account that has a controller's rights.
    pub kubeconfig: PathBuf,
}

impl Namespace {
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.cluster.kubectl(&[&["--namespace", &self.name], arguments].concat())
    }

    /// An object, as JSON.
    pub fn get(&self, what: &str) -> Value {
        serde_json::from_str(
            &self.kubectl(&["get", what, "--output", "json", "--show-managed-fields"]).unwrap(),
        )
        .unwrap()
    }

    /// A Deployment that ran these images, one after the other.
    pub fn deployment(&self, name: &str, images: &[&str], more: &str) {
        for image in images {
            self.cluster.apply(&format!(
                "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}, labels: {{team: shop}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: 'registry/{image}'}}]}}
  {more}
",
                namespace = self.name,
            ));
            if !image.ends_with(":broken") {
                self.kubectl(&["rollout", "status", &format!("deployment/{name}"), "--timeout=30s"]).unwrap();
            }
        }
    }

    /// Configuration of a controller that acts here.
    pub fn config(&self, route: &str) -> String {
        let kubeconfig = &self.kubeconfig;
        format!(
            "{{follow: {{every: 200ms, within: 50s}}, kubernetes: {{kubeconfig: '{}'}}, routes: [{route}]}}",
            kubeconfig.display()
        )
    }
}
