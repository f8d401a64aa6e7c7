//! A real Alertmanager, and what `amtool` says of it.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::Running;

/// A real Alertmanager; ends with the test.
pub struct Alertmanager {
    pub url: String,
    _process: Running,
}

impl Alertmanager {
    /// A port that is free now.
    pub fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").expect("port").local_addr().expect("address").port()
    }

    /// One with this configuration; `None` where the machine has none, unless one is required.
    pub fn start(folder: &Path, port: u16, text: &str) -> Option<Alertmanager> {
        let required = std::env::var_os("FORESHOCK_REQUIRE_PROMETHEUS").is_some();
        let free = format!("127.0.0.1:{port}");
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, text).expect("config");
        let log = std::fs::File::create(folder.join("alertmanager.log")).expect("log");
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.join("alertmanager").display()));
        command.arg(format!("--web.listen-address={free}")).arg("--cluster.listen-address=");
        match command.stdout(Stdio::null()).stderr(log).spawn() {
            Ok(process) => Some(Alertmanager { url: format!("http://{free}"), _process: Running(process) }),
            Err(error) if !required => {
                eprintln!("skipped: no prometheus-alertmanager ({error})");
                None
            }
            Err(error) => panic!("prometheus-alertmanager is required: {error}"),
        }
    }

    /// What `amtool` shows of our alerts.
    pub fn alerts(&self) -> Vec<Value> {
        let output = self.amtool(&["alert", "query", "alertname=ForeshockIncident", "--output=json"]);
        serde_json::from_slice(output.as_bytes()).unwrap_or_default()
    }

    /// What `amtool` says; empty while nobody answers.
    pub fn amtool(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("amtool");
        command.args(arguments).arg(format!("--alertmanager.url={}", self.url));
        String::from_utf8(command.output().expect("amtool").stdout).expect("UTF-8")
    }
}
