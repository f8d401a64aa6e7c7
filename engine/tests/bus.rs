//! The bus of a whole engine on a real Apache Kafka: who is let in, what they decide survives a kill, and the audit log has it all.

#[allow(dead_code, reason = "each test file uses its own part")]
mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use support::*;

/// Two rhythms every ten seconds, far too high from a tick on.
fn rows(folder: &Path, ticks: std::ops::Range<usize>, fault: usize) -> PathBuf {
    let row = |tick: usize| two_rhythms(tick, if tick >= fault { 200.0 } else { 0.0 });
    write_latency(folder, "latency", ticks.map(row))
}

/// Everybody's token is in a file of their name.
fn tokens(folder: &Path) -> String {
    let roles = [
        ("ann", "operator"),
        ("ben", "approver"),
        ("carol", "viewer"),
        ("hand", "controller:deploy:name=latency"),
    ];
    let mut text = "access:\n  tokens:\n".to_string();
    for (name, role) in roles {
        let path = folder.join(name);
        std::fs::write(&path, format!("{name}-0123456789abcdef\n")).expect("token");
        let line = format!("  - {{name: {name}, roles: ['{role}'], token_file: '{}'}}\n", path.display());
        text.push_str(&line);
    }
    text
}

/// A running engine, and how people reach it.
struct Engine {
    process: Running,
    endpoint: String,
    http: String,
    folder: PathBuf,
}

impl Engine {
    /// Starts for the `nth` time.
    fn start(config: &Path, folder: &Path, nth: usize) -> Engine {
        let process = run(config, false);
        eventually("it serves", || log(config).matches("running http=").count() == nth);
        let said = log(config);
        let address = |key: &str| {
            let rest = said.rsplit(key).next().and_then(|rest| rest.split_whitespace().next());
            format!("http://{}", rest.expect("address"))
        };
        Engine { process, endpoint: address("grpc="), http: address("http="), folder: folder.to_path_buf() }
    }

    /// What a command says as somebody, and whether it went well.
    fn said(&self, who: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = foreshock();
        command.args(arguments).args(["--endpoint", &self.endpoint]);
        command.arg("--token-file").arg(self.folder.join(who));
        let output = command.output().expect("foreshock starts");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), text.concat())
    }

    fn fine(&self, who: &str, arguments: &[&str]) -> String {
        let (fine, text) = self.said(who, arguments);
        assert!(fine, "{who} {arguments:?}: {text}");
        text
    }

    fn signals(&self) -> Vec<Value> {
        let listed = self.fine("carol", &["signals", "list", "--json"]);
        listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Status and body of a page, with or without a token.
    fn page(&self, path: &str, who: Option<&str>) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-s", "-w", "\n%{http_code}"]).arg(format!("{}{path}", self.http));
        if let Some(who) = who {
            command.arg("-H").arg(format!("authorization: Bearer {who}-0123456789abcdef"));
        }
        answer(command)
    }

    /// What Flagger is answered.
    fn flagger(&self, hook: &str, canary: &Value) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args(["-s", "-w", "\n%{http_code}", "-d", &canary.to_string()]);
        command.args(["-H", "authorization: Bearer carol-0123456789abcdef"]);
        command.arg(format!("{}/gate/flagger/{hook}", self.http));
        answer(command)
    }
}

fn answer(mut command: Command) -> (u16, String) {
    let output = command.output().expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), body.trim().to_string())
}

/// Entries of an audit log.
fn entries(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn people_are_in_charge() {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let policies = "remediation: {max_signal_age: 24h, policies: [{name: again, action: restart, approvals: 1, min_evidence_kinds: 1}]}\n";
    let extra = policies.to_string() + &tokens(folder.path());
    let config = write_config(folder.path(), broker, "charge", "state", &extra);
    create_topics(broker, &[("charge-in", 1)]);
    let engine = Engine::start(&config, folder.path(), 1);

    // Who is not known sees nothing but what probes and Prometheus need.
    assert_eq!(engine.page("/status", None).0, 401);
    assert_eq!(engine.page("/status", Some("mallory")).0, 401);
    assert_eq!(engine.page("/status", Some("hand")).0, 403);
    assert_eq!(engine.page("/status", Some("carol")).0, 200);
    assert_eq!(engine.page("/livez", None).0, 200);
    let (status, metrics) = engine.page("/metrics", None);
    assert!(
        status == 200 && metrics.contains("foreshock_denied_requests_total{server=\"http\"} 3"),
        "{metrics}"
    );

    let target = "service/latency";
    let gate = |engine: &Engine| {
        serde_json::from_str::<Value>(&engine.page(&format!("/gate/{target}"), Some("carol")).1)
            .expect("JSON")
    };
    produce(&config, "charge-in", &rows(folder.path(), 0..900, 900));
    eventually("it is read", || metric(&config, "foreshock_ticks_total") >= 890.0);
    eventually("it has caught up", || gate(&engine)["allowed"] == true);
    let canary = json!({"name": "latency", "namespace": "", "metadata": {"target": target}});
    assert_eq!(engine.flagger("confirm-promotion", &canary), (200, "nothing speaks against it".to_string()));
    assert_eq!(engine.flagger("rollback", &canary).0, 412);

    // A fault: a signal waits for a person, and the gate closes.
    produce(&config, "charge-in", &rows(folder.path(), 900..960, 900));
    eventually("a signal waits", || !engine.signals().is_empty());
    let signal = engine.signals().remove(0);
    let id = signal["id"].as_str().expect("id").to_string();
    assert_eq!(
        (&signal["state"], &signal["target"]["name"]),
        (&json!("awaiting_approval"), &json!("latency"))
    );
    assert_eq!(gate(&engine)["allowed"], false);
    let (status, why) = engine.flagger("confirm-promotion", &canary);
    assert!(status == 412 && why.contains("open incident"), "{why}");
    assert_eq!(engine.flagger("rollback", &canary).0, 200);
    for who in ["ann", "carol", "hand"] {
        let (fine, said) = engine.said(who, &["signals", "approve", &id]);
        assert!(!fine && said.contains("the role approver"), "{who}: {said}");
    }
    engine.fine("ben", &["signals", "approve", &id, "--comment", "go"]);
    assert_eq!(engine.signals()[0]["note"], "approved by ben: go");
    engine.fine("ann", &["signals", "halt", "--comment", "drill"]);
    assert_eq!(engine.signals()[0]["state"], "cancelled");

    // Killed: what was decided holds.
    drop(engine);
    let engine = Engine::start(&config, folder.path(), 2);
    let policies = || engine.fine("carol", &["signals", "policies"]);
    eventually("it is halted again", || policies().contains("remediation was halted by ann: drill"));
    assert_eq!(engine.signals()[0]["state"], "cancelled");
    let incident = signal["incident"].as_str().expect("id");
    let propose = ["signals", "propose", incident, "--action", "restart", "--target", target];
    eventually("the incident is known again", || {
        !engine.said("ann", &propose).1.contains("no open incident")
    });
    let (fine, said) = engine.said("ann", &propose);
    assert!(!fine && said.contains("halted by ann: drill"), "{said}");
    engine.fine("ann", &["signals", "resume"]);
    let proposed = engine.fine("ann", &propose);
    assert!(proposed.contains("awaiting approval"), "{proposed}");
    let (fine, said) = engine.said("ann", &["signals", "approve", &id]);
    assert!(!fine && said.contains("approver"), "{said}");
    terminate(&engine.process);
    ends_well(engine.process, &config, Duration::from_secs(30));

    // All of it is in the audit log, in both places, and the chain holds.
    let file = folder.path().join("state/audit.ndjson");
    let text = std::fs::read_to_string(&file).expect("audit log");
    let decided: Vec<(String, String, String)> = entries(&text)
        .iter()
        .map(|entry| {
            ["who", "what", "why"].map(|key| entry[key].as_str().unwrap_or_default().to_string()).into()
        })
        .collect();
    for (who, what, why) in [
        ("policy again", "awaiting_approval", ""),
        ("ben", "approve", "go"),
        ("ann", "halt", "drill"),
        ("engine", "cancelled", "remediation was halted by ann: drill"),
        ("ann", "resume", ""),
        ("ann", "propose", ""),
    ] {
        let entry = (who.to_string(), what.to_string(), why.to_string());
        assert!(decided.contains(&entry), "{entry:?} is not in {text}");
    }
    let topic: Vec<String> = read_topic(broker, "charge-audit")
        .iter()
        .map(|record| String::from_utf8(record.payload.clone()).expect("text"))
        .collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), topic, "file and topic");
    let verify = |file: &Path| {
        let output = foreshock().args(["audit", "verify"]).arg(file).output().expect("foreshock starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = verify(&file);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with(&format!("{} entries, 1 to ", topic.len())), "{said}");
    std::fs::write(&file, text.replacen("\"ben\"", "\"eve\"", 1)).expect("audit log");
    let (code, said) = verify(&file);
    assert!(code == Some(1) && said.contains("was changed"), "{said}");
    assert!(!log(&config).contains("0123456789abcdef"), "no token is logged");
}
