//! The controllers as processes of their own, between a real bus and what they act on: a real Kubernetes, and servers that hold the
//! published shapes of the others' APIs.
#![cfg(test)]

mod closed_loop;
mod cluster;
#[path = "../alone/grpc/double.rs"]
#[expect(dead_code, reason = "shared with the tests of gRPC, which use more of it")]
mod double;
mod jobs;
mod kubernetes;
mod servers;
mod training;
#[path = "../support/venv.rs"]
mod venv;
mod wire;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use foreshock_core::{
    bus::Event,
    types::{Entity, Incident, RemediationSignal, SignalState},
};

use double::{Double, config, incident};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// `foreshock controller` at work. Killed when it is dropped.
pub struct Controller {
    child: Child,
    talk: Arc<Mutex<String>>,
}

impl Controller {
    /// With this configuration, and these arguments and variables beside it.
    pub fn start(double: &Double, kind: &str, yaml: &str, arguments: &[&str]) -> Controller {
        let file = scratch("controller.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_foreshock"));
        command.args(["controller", kind, "--config"]).arg(file).args(arguments);
        command.env("FORESHOCK_ENDPOINT", double.endpoint()).env_remove("KUBECONFIG");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let talk = Arc::new(Mutex::new(String::new()));
        let (stderr, heard) = (BufReader::new(child.stderr.take().unwrap()), talk.clone());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("controller: {line}");
                heard.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Controller { child, talk }
    }

    /// What it said so far.
    pub fn talk(&self) -> String {
        self.talk.lock().unwrap().clone()
    }

    /// As `kill -9` does it: nothing more is said or done.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A path in a folder of its own that lasts as long as this process.
pub fn scratch(name: &str) -> PathBuf {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
    folder.join(name)
}

/// A bus with one policy and leases of two seconds.
pub fn bus(policy: &str) -> Double {
    Double::start(config(2, policy))
}

/// A bad deploy of what the tests act on.
pub fn trouble(target: &str) -> Event {
    let entity = Entity::parse(target);
    let mut incident: Incident = incident(7);
    for change in
        incident.changes.iter_mut().chain(incident.suspects.iter_mut().filter_map(|it| it.change.as_mut()))
    {
        change.entity = entity.clone();
    }
    incident.suspects[0].entity = entity;
    Event::Incident(incident)
}

/// The signals of a bus.
pub fn signals(double: &Double) -> Vec<RemediationSignal> {
    let listed = Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .args(["signals", "list", "--json", "--endpoint", &double.endpoint()])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for the one signal to be as it is wanted.
pub fn until(double: &Double, what: &str, wanted: impl Fn(&RemediationSignal) -> bool) -> RemediationSignal {
    await_some(what, || signals(double).into_iter().find(|signal| wanted(signal)))
}

/// Waits for the one signal to end, or to have been succeeded.
pub fn end(double: &Double) -> RemediationSignal {
    use SignalState::{Failed, Succeeded, Unknown};
    until(double, "the end of a signal", |signal| matches!(signal.state, Succeeded | Failed | Unknown))
}

/// Waits until there is something.
pub fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
