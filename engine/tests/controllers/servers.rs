//! Servers that jobs are started at, as processes of their own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{await_some, scratch, venv};

/// A server that ends when it is dropped, with all that it started.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its group: some start others.
        let group = format!("-{}", self.child.id());
        Command::new("kill").args(["-KILL", "--", &group]).status().ok();
        self.child.wait().ok();
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/controllers").join(name)
}

/// The Python of a server; `None`: the test is skipped.
pub fn python(server: &str) -> Option<PathBuf> {
    venv::required(&format!("controllers-{server}"), &fixture(&format!("requirements-{server}.txt")))
}

fn spawn(command: &mut Command) -> Child {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0).spawn().unwrap()
}

/// What Argo CD publishes of its API.
const ARGO_CD: &str = "github.com/argoproj/argo-cd/v3@v3.1.9";

/// The folder of a Go module, which holds what its project publishes of its API; `None`, with a word, where there is no Go.
pub fn module(name: &str) -> Option<PathBuf> {
    let Ok(done) = Command::new("go").args(["mod", "download", "-json", name]).output() else {
        eprintln!("skipped: there is no Go to fetch {name} with");
        return None;
    };
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    Some(PathBuf::from(told["Dir"].as_str().unwrap_or_else(|| panic!("{told}"))))
}

/// Whether an API can be held against what is published of it.
pub fn is_known(api: &str) -> bool {
    api != "argo_cd" || module(ARGO_CD).is_some()
}

impl Server {
    /// One of the APIs of `fixtures/controllers/server.py`.
    pub fn double(python: &Path, api: &str) -> Server {
        let mut command = Command::new(python);
        if api == "argo_cd" {
            let module = module(ARGO_CD).expect("it was asked for");
            command.env("ARGO_CD_SWAGGER", module.join("assets/swagger.json"));
        }
        let mut child = spawn(command.arg("-B").arg(fixture("server.py")).arg(api).stdout(Stdio::piped()));
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Server { child, url: url.trim().to_string() }
    }

    /// How it is to behave.
    pub fn plan(&self, plan: &Value) {
        self.post("/_plan", plan);
    }

    /// Every start that had an effect, as it was sent.
    pub fn starts(&self) -> Vec<Value> {
        let seen = self.get("/_seen").unwrap();
        seen["starts"].as_array().unwrap().clone()
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.get_as(path, None)
    }

    pub fn get_as(&self, path: &str, token: Option<&str>) -> Option<Value> {
        let mut request = ureq::get(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = request.call().ok()?;
        serde_json::from_slice(&answer.body_mut().read_to_vec().ok()?).ok()
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let mut answer = request.send(body.to_string()).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_slice(&answer.body_mut().read_to_vec().unwrap()).unwrap_or_default()
    }

    /// A real MLflow with a database of its own.
    pub fn mlflow(python: &Path) -> Server {
        let (folder, port) = (scratch("mlflow"), free_port());
        std::fs::create_dir(&folder).unwrap();
        let store = format!("sqlite:///{}", folder.join("mlflow.db").display());
        let mut command = Command::new(python);
        command.args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]);
        command
            .args(["--port", &port, "--backend-store-uri", &store, "--artifacts-destination"])
            .arg(&folder);
        command.current_dir(&folder).stdout(Stdio::null()).stderr(log(&folder));
        let server = Server { child: spawn(&mut command), url: format!("http://127.0.0.1:{port}") };
        await_some("MLflow", || ureq::get(format!("{}/health", server.url)).call().ok());
        server
    }

    /// A real Airflow with one DAG, `retrain_checkout`, and the password of its one user.
    pub fn airflow(python: &Path) -> (Server, PathBuf) {
        let (home, port) = (scratch("airflow"), free_port());
        std::fs::create_dir_all(home.join("dags")).unwrap();
        std::fs::copy(fixture("retrain_checkout.py"), home.join("dags/retrain_checkout.py")).unwrap();
        let bin = python.parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(bin.join("airflow"));
        command.arg("standalone").env("AIRFLOW_HOME", &home).env("PATH", path);
        for (key, value) in [
            ("CORE__DAGS_FOLDER", home.join("dags").to_string_lossy().as_ref()),
            ("CORE__LOAD_EXAMPLES", "False"),
            ("CORE__DAGS_ARE_PAUSED_AT_CREATION", "False"),
            ("CORE__SIMPLE_AUTH_MANAGER_USERS", "foreshock:op"),
            ("CORE__EXECUTION_API_SERVER_URL", &format!("http://127.0.0.1:{port}/execution/")),
            ("API__HOST", "127.0.0.1"),
            ("API__PORT", &port),
            ("API__WORKERS", "1"),
            // Two of these may run side by side.
            ("LOGGING__WORKER_LOG_SERVER_PORT", &free_port()),
            ("LOGGING__TRIGGER_LOG_SERVER_PORT", &free_port()),
        ] {
            command.env(format!("AIRFLOW__{key}"), value);
        }
        command.stdout(Stdio::null()).stderr(log(&home));
        let server = Server { child: spawn(&mut command), url: format!("http://127.0.0.1:{port}") };
        await_some("Airflow", || server.get("/api/v2/version"));
        let passwords =
            std::fs::read_to_string(home.join("simple_auth_manager_passwords.json.generated")).unwrap();
        let passwords: Value = serde_json::from_str(&passwords).unwrap();
        let password = home.join("password");
        std::fs::write(&password, passwords["foreshock"].as_str().unwrap()).unwrap();
        (server, password)
    }
}

fn log(folder: &Path) -> std::fs::File {
    std::fs::File::create(folder.join("log")).unwrap()
}

fn free_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}
