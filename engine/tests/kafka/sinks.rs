//! Sinks on a real Apache Kafka: a real Alertmanager shows an incident and its end; receivers that are down at first, and an
//! engine that is killed meanwhile, miss nothing.
//!
//! Slack, PagerDuty and Grafana are not here: what they are sent is compared with their documented shapes on a plain HTTP server.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::support::{alertmanager::Alertmanager, *};
use serde_json::Value;

/// An Alertmanager that tells nobody.
const QUIET: &str = "route: {receiver: none}\nreceivers: [{name: none}]\n";

/// What a receiver was asked: method, path, headers and body.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    headers: String,
    body: Value,
}

/// An HTTP server that keeps what it is asked, and answers 503 while it is down.
struct Receiver {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    down: Arc<AtomicBool>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let (asked, down) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
        let (keeps, is_down) = (asked.clone(), down.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("connection");
                // A client that is killed meanwhile is none of our business.
                let Some(request) = read(&mut BufReader::new(&stream)) else { continue };
                let answer = match (is_down.load(Ordering::Relaxed), request.line.starts_with("GET")) {
                    (true, _) => {
                        "HTTP/1.1 503 Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_string()
                    }
                    (false, true) => answer(&annotations(&keeps.lock().expect("lock"))),
                    (false, false) => answer("{\"id\": 41}"),
                };
                if !is_down.load(Ordering::Relaxed) {
                    keeps.lock().expect("lock").push(request);
                }
                stream.write_all(answer.as_bytes()).ok();
            }
        });
        Receiver { url, asked, down }
    }

    /// What came below a path, without questions.
    fn told(&self, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().expect("lock");
        let is_it = |asked: &&Asked| asked.line.contains(path) && !asked.line.starts_with("GET");
        asked.iter().filter(is_it).cloned().collect()
    }
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Grafana's answer to who looks for an annotation: there is one once it was made.
fn annotations(asked: &[Asked]) -> String {
    let made = asked.iter().any(|asked| asked.line.starts_with("POST /api/annotations"));
    if made { "[{\"id\": 41, \"text\": \"\"}]".to_string() } else { "[]".to_string() }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let (mut line, mut headers, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        headers.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

/// Two rhythms with a fault near the end, ten seconds a row, and calm after it where asked for.
fn rows(folder: &Path, name: &str, rows: std::ops::Range<usize>) -> PathBuf {
    let fault = |index| if (1900..1960).contains(&index) { 300.0 } else { 0.0 };
    write_latency(folder, name, rows.map(|index| two_rhythms(index, fault(index))))
}

/// A metric of a sink.
fn of_sink(config: &Path, metric: &str, sink: &str) -> Option<f64> {
    find_metric(config, &format!("{metric}{{sink=\"{sink}\"}}"))
}

#[test]
fn sinks_are_told_everything_once_they_answer() {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let Some(alertmanager) = Alertmanager::start(folder.path(), Alertmanager::free_port(), QUIET) else {
        return;
    };
    let receiver = Receiver::start();
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("file");
        path.display().to_string()
    };
    let (key, routing) = (secret("key", "k\n"), secret("routing", "R0UTE\n"));
    let slack = secret("slack", &format!("{}/slack/T0/s3cret\n", receiver.url));
    let token = secret("token", "glsa_t0ken\n");
    let extra = format!(
        "time: {{lateness: 10s}}\n\
         sinks:\n\
         \x20 alertmanager: [{{name: am, replicas: [{{url: '{}'}}], resend: 1s}}]\n\
         \x20 slack: [{{name: chat, to: {{url_file: '{slack}'}}}}]\n\
         \x20 pagerduty: [{{name: pager, routing_key_file: '{routing}', to: {{url: '{url}/pager'}}}}]\n\
         \x20 grafana: [{{name: grafana, to: {{url: '{url}', token_file: '{token}'}}}}]\n\
         \x20 webhook:\n\
         \x20 - {{name: plain, to: {{url: '{url}/plain'}}, key_file: '{key}'}}\n\
         \x20 - {{name: made, on: [opened], to: {{url: '{url}/made'}}, template: '{{\"t\": {{{{ incident.title }}}}}}'}}\n",
        alertmanager.url,
        url = receiver.url,
    );
    let config = write_config(folder.path(), broker, "sinks", "state", &extra);
    create_topics(broker, &[("sinks-in", 1)]);
    let engine = run(&config, false);
    eventually("it runs", || log(&config).contains("running http="));
    produce(&config, "sinks-in", &rows(folder.path(), "first", 0..1950));

    // The real Alertmanager has it while the others are down.
    eventually("alertmanager shows it", || !alertmanager.alerts().is_empty());
    let alert = alertmanager.alerts().remove(0);
    let incidents = distinct(&read_topic(broker, "sinks-incidents"));
    let first: Value = serde_json::from_str(&incidents[0]).expect("JSON");
    assert_eq!(first["event"], "opened");
    assert_eq!(alert["labels"]["foreshock_incident"], first["id"], "{alert}");
    assert_eq!(alert["labels"]["severity"], "warning", "{alert}");
    assert!(alert["annotations"]["description"].as_str().expect("text").contains('%'), "{alert}");
    eventually("the others fail", || of_sink(&config, "foreshock_sink_failing", "chat") == Some(1.0));
    let said = log(&config);
    assert!(!said.contains("s3cret") && !said.contains("t0ken") && !said.contains("R0UTE"), "{said}");

    // Killed; the incident ends while nobody is there; then everybody answers.
    drop(engine);
    produce(&config, "sinks-in", &rows(folder.path(), "second", 1950..2100));
    receiver.down.store(false, Ordering::Relaxed);
    let engine = run(&config, false);
    let resolved = |told: &Asked| told.body["event"] == "resolved";
    eventually("the receiver hears of the end", || receiver.told("/plain").iter().any(resolved));
    eventually("alertmanager has no alert any more", || alertmanager.alerts().is_empty());

    // In order, and nothing left out: every revision of the topic.
    let wanted: Vec<String> = distinct(&read_topic(broker, "sinks-incidents"));
    let plain = receiver.told("/plain");
    let told: Vec<String> = plain.iter().map(|asked| asked.body.to_string()).collect();
    let parsed = |line: &String| serde_json::from_str::<Value>(line).expect("JSON").to_string();
    let mut once: Vec<String> = Vec::new();
    told.iter().for_each(|line| {
        if !once.contains(line) {
            once.push(line.clone());
        }
    });
    assert_eq!(once, wanted.iter().map(parsed).collect::<Vec<_>>());
    let id = format!("idempotency-key: {}/1", first["id"].as_str().expect("id"));
    assert!(plain[0].headers.contains(&id), "{}", plain[0].headers);
    assert!(plain[0].headers.contains("x-foreshock-signature: sha256="), "{}", plain[0].headers);

    eventually("slack hears of the end", || receiver.told("/slack").len() >= 2);
    let slack = receiver.told("/slack/T0/s3cret");
    let text = |at: usize| slack[at].body["text"].as_str().expect("text").to_string();
    assert!(
        text(0).starts_with("*Opened*: ") && text(slack.len() - 1).starts_with("*Resolved*: "),
        "{slack:?}"
    );

    eventually("pagerduty hears of the end", || {
        receiver.told("/pager").iter().any(|told| told.body["event_action"] == "resolve")
    });
    let pager = receiver.told("/pager");
    assert_eq!(pager[0].body["event_action"], "trigger", "{pager:?}");
    assert_eq!(
        (&pager[0].body["dedup_key"], &pager[0].body["routing_key"]),
        (&first["id"], &Value::from("R0UTE"))
    );
    assert_eq!(pager[0].body["payload"]["severity"], "warning", "{pager:?}");

    eventually("grafana has its end", || {
        receiver.told("/api/annotations").iter().any(|told| told.body["timeEnd"].is_i64())
    });
    let grafana = receiver.told("/api/annotations");
    assert!(grafana[0].line.starts_with("POST /api/annotations "), "{grafana:?}");
    assert!(grafana[0].headers.contains("authorization: Bearer glsa_t0ken"), "{grafana:?}");
    let last = grafana.last().expect("told");
    assert!(last.line.starts_with("PATCH /api/annotations/41 "), "{grafana:?}");

    let made = receiver.told("/made");
    assert_eq!(made.len(), 1, "only what is new: {made:?}");
    assert_eq!(made[0].body["t"], first["title"]);
    eventually("nothing waits", || of_sink(&config, "foreshock_sink_waiting", "plain") == Some(0.0));
    terminate(&engine);
    ends_well(engine, &config, std::time::Duration::from_secs(20));
}
