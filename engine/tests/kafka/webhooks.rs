//! Webhooks on a real Apache Kafka: a real Alertmanager tells us of an alert and shows our incident about it, which does not come back to
//! us; a deploy by HTTP is blamed; who does not know the secret is refused; what is secret in an alert stands nowhere.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::support::{alertmanager::Alertmanager, *};
use serde_json::Value;

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("clock").as_secs() as i64
}

/// Calm values every ten seconds.
fn rows(folder: &Path, name: &str, seconds: std::ops::Range<i64>) -> PathBuf {
    let row = |second: i64| format!("{second},{}\n", 100 + second / 10 * 7919 % 11);
    write_latency(folder, name, seconds.step_by(10).map(row))
}

/// Whether a record's value holds this.
fn holds(record: &crate::support::Read, text: &str) -> bool {
    String::from_utf8_lossy(&record.payload).contains(text)
}

/// Sends a body with a bearer token; gives the status, 0 where the server hangs up.
fn post(address: &str, path: &str, token: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("connect");
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .expect("send");
    let mut answer = Vec::new();
    // A server that does not want the rest of a body may hang up before its answer is read.
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer);
    answer.split_whitespace().nth(1).map_or(0, |status| status.parse().expect("number"))
}

#[test]
fn alerts_and_deploys_come_in_by_http() {
    let Some(broker) = kafka() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "t0ken\n").expect("token");
    let port = Alertmanager::free_port();
    let extra = format!(
        "webhooks:\n\
         \x20 topic: hooks-changes\n\
         \x20 max_body: 10KiB\n\
         \x20 receivers:\n\
         \x20 - {{name: am, kind: alertmanager, secret_file: '{token}'}}\n\
         \x20 - {{name: deploys, kind: generic, secret_file: '{token}'}}\n\
         sinks: {{alertmanager: [{{name: am, replicas: [{{url: 'http://127.0.0.1:{port}'}}], resend: 1s}}]}}\n",
        token = token.display()
    );
    let config = write_config(folder.path(), broker, "hooks", "state", &extra);
    let text = std::fs::read_to_string(&config).expect("config");
    let both = "encoding: otlp_metrics}, {name: hooks-changes, quiet: true}]";
    std::fs::write(&config, text.replace("encoding: otlp_metrics}]", both)).expect("config");
    create_topics(broker, &[("hooks-in", 1), ("hooks-changes", 1)]);
    let engine = run(&config, false);
    eventually("it runs", || log(&config).contains("running http="));
    let said = log(&config);
    let address = said.rsplit("running http=").next().and_then(|rest| rest.split_whitespace().next());
    let address = address.expect("address").to_string();
    let everything = format!(
        "route: {{receiver: foreshock, group_wait: 0s, group_interval: 1s, group_by: ['...']}}\n\
         receivers:\n\
         - name: foreshock\n\
         \x20 webhook_configs:\n\
         \x20 - {{url: 'http://{address}/webhooks/am', send_resolved: true, http_config: {{authorization: {{credentials: t0ken}}}}}}\n"
    );
    let Some(alertmanager) = Alertmanager::start(folder.path(), port, &everything) else { return };

    // Who may say what.
    let began = now();
    let at = jiff::Timestamp::from_second(began - 60).expect("time");
    let deploy = format!(r#"{{"service": "checkout", "version": "v2", "id": "d1", "time": "{at}"}}"#);
    assert_eq!(post(&address, "/webhooks/deploys", "wrong", &deploy), 401);
    assert_eq!(post(&address, "/webhooks/other", "t0ken", &deploy), 404);
    // That nothing was written of it, the only dead letter says below.
    assert!(matches!(post(&address, "/webhooks/deploys", "t0ken", &"x".repeat(11_000)), 413 | 0));
    assert_eq!(post(&address, "/webhooks/deploys", "t0ken", &deploy), 202);
    assert_eq!(
        post(&address, "/webhooks/deploys", "t0ken", "no JSON"),
        202,
        "taken, and a dead letter later"
    );

    // Event time comes to the present, then the alert, then a few minutes more.
    produce(&config, "hooks-in", &rows(folder.path(), "past", began - 7200..began));
    eventually("alertmanager takes an alert", || {
        let firing = "summary=customers see errors, password=hunter2";
        let ready = alertmanager.amtool(&["alert", "query"]).contains("Alertname");
        ready && {
            let new = ["alert", "add", "alertname=HighErrors", "service=checkout", "severity=critical"];
            alertmanager.amtool(&[&new[..], &["--annotation", firing]].concat());
            true
        }
    });
    eventually("alertmanager tells us", || read_topic(broker, "hooks-changes").len() >= 3);
    let read_all = || {
        let there = read_topic(broker, "hooks-changes").len() as f64;
        let taken = "foreshock_records_total{topic=\"hooks-changes\"}";
        eventually("the engine has read it", || metric(&config, taken) >= there);
    };
    read_all();
    produce(&config, "hooks-in", &rows(folder.path(), "then", began..now() + 120));
    let incidents = || -> Vec<Value> {
        let lines = distinct(&read_topic(broker, "hooks-incidents"));
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    eventually("it is an incident", || !incidents().is_empty());
    let incident = incidents().remove(0);
    assert_eq!(incident["members"][0]["anomaly"]["kind"], "alert", "{incident}");
    assert_eq!(incident["suspects"][0]["entity"]["name"], "checkout", "{incident}");
    assert_eq!(incident["suspects"][0]["change"]["version"], "v2", "{incident}");

    // Alertmanager shows ours, and tells us of it: that is nothing new.
    eventually("alertmanager shows it", || !alertmanager.alerts().is_empty());
    let ours = "foreshock_incident";
    eventually("it comes back", || {
        read_topic(broker, "hooks-changes").iter().any(|record| holds(record, ours))
    });

    // The alert ends, and the incident with it.
    let end = jiff::Timestamp::from_second(now() - 1).expect("time").to_string();
    let over = ["alert", "add", "alertname=HighErrors", "service=checkout", "severity=critical"];
    alertmanager.amtool(&[&over[..], &["--end", &end]].concat());
    let resolved = |record: &crate::support::Read| {
        holds(record, "\"status\":\"resolved\"") && holds(record, "HighErrors")
    };
    eventually("alertmanager tells us of the end", || {
        read_topic(broker, "hooks-changes").iter().any(resolved)
    });
    read_all();
    produce(&config, "hooks-in", &rows(folder.path(), "after", now() + 120..now() + 500));
    eventually("the incident ends", || incidents().iter().any(|incident| incident["event"] == "resolved"));
    eventually("and so does our alert", || alertmanager.alerts().is_empty());
    let ids: std::collections::BTreeSet<String> =
        incidents().iter().map(|incident| incident["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "our own alert made no incident: {ids:?}");

    let dead = read_topic(broker, "hooks-dead");
    assert_eq!(dead.len(), 1, "{dead:?}");
    for topic in ["hooks-incidents", "hooks-anomalies", "hooks-decisions", "hooks-journal", "hooks-dead"] {
        let secret = read_topic(broker, topic).iter().any(|record| holds(record, "hunter2"));
        assert!(!secret, "{topic}");
    }
    assert!(!log(&config).contains("hunter2") && !log(&config).contains("t0ken"));
    terminate(&engine);
    ends_well(engine, &config, Duration::from_secs(20));
}
