//! The bus of a whole engine on a real Apache Kafka: who is let in, what they decide survives a kill, and the audit log has it all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use foreshock_proto::v1::{
    Ack, ControllerKind, ControllerMessage, Hello, Outcome, OutcomeStatus, bus_message::Message as Said,
    controller_message::Message, remediation_bus_client::RemediationBusClient,
};
use serde_json::{Value, json};

use crate::support::*;

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
        let request = agent().get(format!("{}{path}", self.http));
        let shown = who.map(|who| format!("Bearer {who}-0123456789abcdef"));
        answer(shown.iter().fold(request, |request, shown| request.header("authorization", shown)).call())
    }

    /// What Flagger is answered.
    fn flagger(&self, hook: &str, canary: &Value) -> (u16, String) {
        let request = agent().post(format!("{}/gate/flagger/{hook}", self.http));
        answer(request.header("authorization", "Bearer carol-0123456789abcdef").send(canary.to_string()))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn answer(answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    let mut answered = answered.expect("an answer");
    let body = answered.body_mut().read_to_string().expect("text");
    (answered.status().as_u16(), body.trim().to_string())
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
    let denied = |entry: &Value| {
        entry["what"] == "deny" && entry["who"] == "somebody at 127.0.0.1" && entry["about"] == "/status"
    };
    assert!(entries(&text).iter().any(denied), "nobody was refused in {text}");
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

/// What controllers and their target know, whatever becomes of the engine.
#[derive(Default)]
struct World {
    /// Where the engine is now; empty while it is down.
    endpoint: Mutex<String>,
    /// What was done at the target, by signal: it does each once.
    done: Mutex<BTreeSet<String>>,
    /// Tokens of the leases that were had, by signal, in their order.
    tokens: Mutex<BTreeMap<String, Vec<u64>>>,
    over: AtomicBool,
}

/// A controller that comes back whenever its stream ends.
fn controller(world: &World, name: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    while !world.over.load(Ordering::Relaxed) {
        let endpoint = world.endpoint.lock().expect("endpoint").clone();
        // The stream ends with the engine: that is what is tested.
        runtime.block_on(stream(world, name, endpoint)).ok();
        std::thread::sleep(Duration::from_millis(50));
    }
}

async fn stream(world: &World, name: &str, endpoint: String) -> Result<(), Box<dyn std::error::Error>> {
    let mut client = RemediationBusClient::connect(endpoint).await?;
    let (say, said) = tokio::sync::mpsc::channel(16);
    let tell = |message| say.send(ControllerMessage { message: Some(message) });
    let kind = ControllerKind::Deploy.into();
    let hello = Hello { controller: name.to_string(), kind, capacity: 4, ..Hello::default() };
    tell(Message::Hello(hello)).await?;
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(said);
    let mut heard = client.subscribe(outgoing).await?.into_inner();
    while !world.over.load(Ordering::Relaxed) {
        let Ok(heard) = tokio::time::timeout(Duration::from_millis(200), heard.message()).await else {
            continue;
        };
        let Some(Said::Lease(lease)) = heard?.ok_or("the stream ended")?.message else { continue };
        let (signal, fencing_token) = (lease.signal.expect("a signal"), lease.fencing_token);
        let signal_id = signal.id;
        world.tokens.lock().expect("tokens").entry(signal_id.clone()).or_default().push(fencing_token);
        tell(Message::Ack(Ack { signal_id: signal_id.clone(), fencing_token })).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.done.lock().expect("done").insert(signal_id.clone());
        let (status, message) = (OutcomeStatus::Succeeded.into(), "done".to_string());
        tell(Message::Outcome(Outcome { signal_id, fencing_token, status, message })).await?;
    }
    Ok(())
}

#[test]
fn killed_ten_times_nothing_is_forgotten_and_no_lease_is_given_twice() {
    const KILLS: usize = 10;
    const SIGNALS: usize = 60;
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let remediation = "remediation: {max_signal_age: 24h, lease: 2s, redelivery_limit: 1000, backoff: 1s, max_backoff: 1s}\n";
    let config = write_config(folder.path(), broker, "leased", "state", remediation);
    create_topics(broker, &[("leased-in", 1)]);
    let world = Arc::new(World::default());
    let mut engine = Engine::start(&config, folder.path(), 1);
    produce(&config, "leased-in", &rows(folder.path(), 0..960, 900));
    let open = || {
        let text = foreshock().args(["incidents", "list", "--json", "--endpoint", &engine.endpoint]).output();
        let text = String::from_utf8(text.expect("foreshock starts").stdout).expect("text");
        text.lines().next().map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
    };
    eventually("there is an incident", || open().is_some());
    let incident = open().expect("incident")["id"].as_str().expect("id").to_string();
    world.endpoint.lock().expect("endpoint").clone_from(&engine.endpoint);
    let controllers: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let world = world.clone();
            std::thread::spawn(move || controller(&world, name))
        })
        .into();

    // People go on asking until they are heard, while the engine dies again and again.
    let endpoint = |world: &World| world.endpoint.lock().expect("endpoint").clone();
    let people = {
        let (world, incident) = (world.clone(), incident.clone());
        std::thread::spawn(move || {
            let say = |arguments: &[&str]| {
                let output = foreshock().args(arguments).args(["--endpoint", &endpoint(&world)]).output();
                let output = output.expect("foreshock starts");
                output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
            };
            let mut wanted = BTreeSet::new();
            for nth in 0..SIGNALS {
                let target = format!("service/shop/part-{nth}");
                let propose = [
                    "signals", "propose", &incident, "--action", "restart", "--target", &target, "--by",
                    "ann", "--json",
                ];
                let id = loop {
                    if let Some(text) = say(&propose) {
                        let signal: Value = serde_json::from_str(&text).expect("JSON");
                        let id = signal["id"].as_str().expect("id").to_string();
                        // An approval whose answer was lost may have been heard.
                        if signal["state"] != "awaiting_approval"
                            || say(&["signals", "approve", &id, "--by", "ben"]).is_some()
                        {
                            break id;
                        }
                    }
                    std::thread::sleep(Duration::from_millis(50));
                };
                wanted.insert(id);
            }
            wanted
        })
    };
    let mut random = u64::from(std::process::id());
    for nth in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(300 + (random >> 33) % 2500));
        // Dropping it kills it.
        drop(engine);
        engine = Engine::start(&config, folder.path(), nth + 2);
        world.endpoint.lock().expect("endpoint").clone_from(&engine.endpoint);
    }
    let wanted = people.join().expect("people");
    assert_eq!(wanted.len(), SIGNALS);
    let signals = || -> Vec<Value> {
        let listed = foreshock()
            .args(["signals", "list", "--limit", "1000", "--json", "--endpoint"])
            .arg(&engine.endpoint)
            .output();
        let text = String::from_utf8(listed.expect("foreshock starts").stdout).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let is_over = |signal: &Value| {
        ["succeeded", "verified", "not_recovered", "unknown"]
            .contains(&signal["state"].as_str().unwrap_or(""))
    };
    let began = Instant::now();
    while !(signals().len() == SIGNALS && signals().iter().all(is_over)) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{:#?}",
            signals().iter().filter(|signal| !is_over(signal)).collect::<Vec<_>>()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    world.over.store(true, Ordering::Relaxed);
    controllers.into_iter().for_each(|controller| controller.join().expect("controller"));

    let ended = signals();
    let known: BTreeSet<String> =
        ended.iter().map(|signal| signal["id"].as_str().expect("id").to_string()).collect();
    assert_eq!(known, wanted, "nothing is forgotten, nothing is made twice");
    assert_eq!(*world.done.lock().expect("done"), wanted, "everything was done");
    let tokens = world.tokens.lock().expect("tokens");
    for (id, had) in tokens.iter() {
        let distinct: BTreeSet<u64> = had.iter().copied().collect();
        assert_eq!(distinct.len(), had.len(), "a token of {id} was given twice: {had:?}");
    }
    for signal in &ended {
        let id = signal["id"].as_str().expect("id");
        let latest = tokens[id].iter().max();
        // The last grant may have been written down by an engine that was killed before it could tell.
        assert!(signal["fencing_token"].as_u64() >= latest.copied(), "{signal}");
        assert_ne!(signal["state"], "failed", "{signal}");
    }
    let again = tokens.values().filter(|had| had.len() > 1).count();
    println!("{SIGNALS} signals, {KILLS} kills: {again} were offered again");
    let file = folder.path().join("state/audit.ndjson");
    let output = foreshock().args(["audit", "verify"]).arg(&file).output().expect("foreshock starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // A kill may cut a line off; the chain goes on behind it.
    assert!(said.lines().all(|line| line.contains("cut off") || line.contains("last hash")), "{said}");
}
