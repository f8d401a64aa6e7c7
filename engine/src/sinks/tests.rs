//! What is sent, and what an answer means; the real Alertmanager and the way there are `tests/kafka/sinks.rs`'s.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
};

use foreshock_core::{
    config::Target,
    types::{Change, Entity, EntityKind, Example, ExampleKind, Id, IncidentState, Suspect},
};

use super::{endpoint::*, words::*, *};

/// Text of telemetry tries to be markup.
fn incident() -> Incident {
    let cart = Entity::new(EntityKind::Service, "cart");
    let change = Change {
        time_ms: 1_764_000_000_000,
        id: "d1".to_string(),
        kind: "service.upgraded".to_string(),
        entity: cart.clone(),
        version: "v2".to_string(),
        source: "ci".to_string(),
    };
    Incident {
        id: Id(7),
        revision: 3,
        event: IncidentEvent::Opened,
        state: IncidentState::Open,
        title: "cart: <!channel> \"failing\" & slow".to_string(),
        started_ms: 1_764_000_010_000,
        opened_ms: 1_764_000_020_000,
        updated_ms: 1_764_000_020_000,
        resolved_ms: None,
        severity: 0.95,
        members: Vec::new(),
        suspects: vec![Suspect {
            entity: cart,
            weight: 0.8,
            reasons: vec!["its errors are <b>up</b>".to_string()],
            change: Some(change.clone()),
            examples: vec![Example {
                kind: ExampleKind::FailedRequest,
                time_ms: 1_000,
                trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_string(),
                text: "a request failed after 3.20 s".to_string(),
            }],
        }],
        changes: vec![change],
        reopened: 0,
        acknowledged_by: None,
        remediation: None,
        page: true,
        why: String::new(),
        ..Incident::default()
    }
}

/// Answers one request with this; gives what was asked.
fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut asked, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            asked.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        asked.push_str(&String::from_utf8(body).unwrap());
        stream.write_all(answer.as_bytes()).unwrap();
        asked
    });
    (url, thread)
}

#[test]
fn an_answer_says_whether_to_try_again() {
    let cases = [
        ("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok", Ok(b"ok".to_vec())),
        (
            "HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",
            Err(Failure::Later { why: "it answered 429: ".to_string(), after: Some(7) }),
        ),
        ("HTTP/1.1 401 Who\r\ncontent-length: 3\r\n\r\nno!", Err(later("it answered 401: no!".to_string()))),
        (
            "HTTP/1.1 302 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            Err(later("it answered 302: ".to_string())),
        ),
        (
            "HTTP/1.1 400 Bad\r\ncontent-length: 4\r\n\r\nwhat",
            Err(Failure::Never("it answered 400: what".to_string())),
        ),
    ];
    for (answer, meaning) in cases {
        let (url, _) = answering(answer);
        let endpoint = Endpoint::new(&Target { url, ..Target::default() });
        assert_eq!(endpoint.send(Method::Post, "", &[], b"{}"), meaning, "{answer}");
    }
}

#[test]
fn secrets_go_to_their_owner_and_into_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let (url, asked) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let target = Target {
        url_file: file("url", &format!("{url}/T0/secret-path\n")),
        username: "me".to_string(),
        password_file: file("password", "pass\n"),
        ..Target::default()
    };
    Endpoint::new(&target).send(Method::Post, "", &[("idempotency-key", "7/3")], b"[]").unwrap();
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("POST /T0/secret-path HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Basic bWU6cGFzcw==\r\n"), "{asked}");
    assert!(asked.contains("idempotency-key: 7/3\r\n") && asked.ends_with("[]"), "{asked}");

    // Nobody listens there now.
    for url in [format!("{url}/T0/secret-path"), "http://no such host/secret-path".to_string()] {
        let silent = Endpoint::new(&Target { url_file: file("url", &url), ..Target::default() });
        let error = silent.send(Method::Post, "", &[], b"").unwrap_err();
        assert!(!error.to_string().contains("secret-path"), "{error}");
        assert!(matches!(error, Failure::Later { .. }), "{error}");
    }
    let missing = Target { token_file: Some(folder.path().join("none")), url, ..Target::default() };
    let error = Endpoint::new(&missing).send(Method::Get, "/x", &[], &[]).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
}

#[test]
fn templates_fill_in_data_and_never_markup() {
    let text = Template::text("s", "{{ incident.title }} by {{ incident.suspects[0].entity.name }}").unwrap();
    assert_eq!(text.fill(&incident()).unwrap(), "cart: &lt;!channel&gt; \"failing\" &amp; slow by cart");
    let json = Template::json("s", "{\"t\": {{ incident.title }}, \"n\": {{ lines | length }}}").unwrap();
    let filled: serde_json::Value = serde_json::from_str(&json.fill(&incident()).unwrap()).unwrap();
    assert_eq!(filled, serde_json::json!({ "t": incident().title, "n": 3 }));
    let error = Template::text("ops", "{{ incident.").unwrap_err().to_string();
    assert!(error.contains("\"ops\"") && error.contains("message:1"), "{error}");
    let endless = "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}";
    let error = Template::text("ops", endless).unwrap().fill(&incident()).unwrap_err();
    assert!(matches!(error, Failure::Never(_)), "{error}");
}

#[test]
fn words_name_suspects_and_changes() {
    assert_eq!(
        lines(&incident()),
        [
            "service/cart (80 %): its errors are <b>up</b>",
            "for example: a request failed after 3.20 s, trace 4bf92f3577b34da6a3ce929d0e0e4736",
            "changed: service/cart service.upgraded v2 at 2025-11-24T16:00:00.000Z"
        ]
    );
    assert_eq!(first(&incident()).unwrap().to_string(), "service/cart");
}
