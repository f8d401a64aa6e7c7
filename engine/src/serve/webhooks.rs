//! Webhooks that are taken in: who sent it is checked, then the body is written to Kafka as it came, then it is answered.

use std::{collections::HashMap, path::Path, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use base64::Engine as _;
use foreshock_core::{
    config::{Config, Receiver, WebhookKind, first_line},
    intake::{RECEIVER, WEBHOOK},
};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use ring::hmac;

use crate::connect::{ConnectError, Connection, Plain};

/// Longest wait for Kafka; the sender tries again.
const WAIT: Duration = Duration::from_secs(5);
/// Bodies that wait for Kafka, in KiB, but two of the largest at least. A sender whose body finds no room within [`WAIT`] is told to
/// try again. Chosen: that of the engine's own outputs.
const QUEUE_KIB: u64 = 64 * 1024;
/// How old a signed delivery of MLflow may be, seconds: older ones may be somebody's copy.
const FRESH: u64 = 300;

/// Everybody who may send.
pub(crate) struct Webhooks {
    producer: FutureProducer<Plain>,
    topic: String,
    receivers: HashMap<String, Receiver>,
}

/// What a sender is answered.
pub(crate) type Answer = (StatusCode, String);

impl Webhooks {
    /// Connects; `None` where nobody may send.
    pub(crate) fn connect(
        config: &Config,
        connection: &Connection,
    ) -> Result<Option<Webhooks>, ConnectError> {
        let webhooks = &config.webhooks;
        if webhooks.receivers.is_empty() {
            return Ok(None);
        }
        let timeout = WAIT.as_millis().to_string();
        let queue = QUEUE_KIB.max(webhooks.max_body.0.div_ceil(512)).min(i32::MAX as u64).to_string();
        let own = [
            ("enable.idempotence", "true"),
            ("queue.buffering.max.kbytes", queue.as_str()),
            ("message.timeout.ms", timeout.as_str()),
            ("compression.type", "zstd"),
        ];
        let producer = connection.client(&own, connection.plain())?;
        let receivers = webhooks.receivers.iter().map(|receiver| (receiver.name.clone(), receiver.clone()));
        Ok(Some(Webhooks { producer, topic: webhooks.topic.clone(), receivers: receivers.collect() }))
    }

    /// Takes what was sent: 202 once Kafka has it, 401 where the sender is not believed, 404 where nobody has this name, 503 when
    /// Kafka or the secret cannot be had.
    pub(crate) async fn take(&self, name: &str, headers: &HeaderMap, body: &Bytes) -> Answer {
        let Some(receiver) = self.receivers.get(name) else {
            return (
                StatusCode::NOT_FOUND,
                format!("no receiver {name:?} is configured (webhooks.receivers)\n"),
            );
        };
        match receiver.secret_file.as_deref().map(secret).transpose() {
            Err(problem) => {
                tracing::error!(receiver = name, problem, "a webhook cannot be checked");
                return (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the secret of this receiver cannot be read\n".to_string(),
                );
            }
            Ok(Some(secret)) if !is_theirs(receiver.kind, &secret, headers, body, now()) => {
                tracing::warn!(receiver = name, "a webhook was refused: wrong signature or token");
                return (StatusCode::UNAUTHORIZED, "wrong signature or token\n".to_string());
            }
            Ok(_) => {}
        }
        self.keep(receiver, headers, body).await
    }

    async fn keep(&self, receiver: &Receiver, headers: &HeaderMap, body: &Bytes) -> Answer {
        let mut kept = OwnedHeaders::new()
            .insert(Header { key: WEBHOOK, value: Some(receiver.kind.name()) })
            .insert(Header { key: RECEIVER, value: Some(&receiver.name) });
        // A CloudEvent in binary mode is half in the headers; Kafka's binding writes `ce_` where HTTP's writes `ce-`.
        let events = headers.iter().filter(|(name, _)| name.as_str().starts_with("ce-"));
        for (name, value) in events.filter(|_| receiver.kind == WebhookKind::CloudEvents) {
            let key = name.as_str().replacen("ce-", "ce_", 1);
            kept = kept.insert(Header { key: &key, value: Some(value.as_bytes()) });
        }
        let record = FutureRecord::to(&self.topic).key(&receiver.name).payload(body.as_ref()).headers(kept);
        match self.producer.send(record, WAIT).await {
            Ok(_) => (StatusCode::ACCEPTED, "taken\n".to_string()),
            Err((error, _)) => {
                tracing::warn!(receiver = receiver.name, %error, "a webhook could not be kept");
                (StatusCode::SERVICE_UNAVAILABLE, format!("kafka did not take it: {error}; send it again\n"))
            }
        }
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The first line of the file; never empty, or anybody could sign.
fn secret(path: &Path) -> Result<String, String> {
    match first_line(path)?.trim() {
        "" => Err(format!("{} is empty", path.display())),
        line => Ok(line.to_string()),
    }
}

/// Whether the sender knows the secret. Compared in constant time.
fn is_theirs(kind: WebhookKind, secret: &str, headers: &HeaderMap, body: &[u8], now: u64) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    match kind {
        WebhookKind::Github => {
            let tag = header("x-hub-signature-256").strip_prefix("sha256=").and_then(unhex);
            tag.is_some_and(|tag| hmac::verify(&key, body, &tag).is_ok())
        }
        WebhookKind::Gitlab => is_equal(secret, header("x-gitlab-token")),
        WebhookKind::Mlflow => {
            let (delivery, at) = (header("x-mlflow-delivery-id"), header("x-mlflow-timestamp"));
            let is_fresh = at.parse::<u64>().is_ok_and(|at| at.abs_diff(now) <= FRESH);
            let signed = [delivery.as_bytes(), b".", at.as_bytes(), b".", body].concat();
            let tag = header("x-mlflow-signature").strip_prefix("v1,");
            let tag = tag.and_then(|tag| base64::engine::general_purpose::STANDARD.decode(tag).ok());
            is_fresh && tag.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
        }
        _ => is_equal(secret, header("authorization").strip_prefix("Bearer ").unwrap_or_default()),
    }
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
fn is_equal(ours: &str, theirs: &str) -> bool {
    let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key(theirs), b"webhook");
    hmac::verify(&key(ours), b"webhook", tag.as_ref()).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    (digits.len().is_multiple_of(2)).then(|| digits.chunks(2).map(byte).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_who_knows_the_secret_is_believed() {
        // The example of GitHub's documentation, "Validating webhook deliveries".
        let github = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = "It's a Secret to Everybody";
        let now = 1_764_000_000;
        let mlflow = {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = hmac::sign(&key, b"d1.1763999900.Hello, World!");
            format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(tag))
        };
        let of_mlflow = |at| {
            headers(&[
                ("x-mlflow-signature", &mlflow),
                ("x-mlflow-delivery-id", "d1"),
                ("x-mlflow-timestamp", at),
            ])
        };
        for (kind, headers, body, theirs) in [
            (WebhookKind::Github, headers(&[("x-hub-signature-256", github)]), "Hello, World!", true),
            (WebhookKind::Github, headers(&[("x-hub-signature-256", github)]), "Hello, World?", false),
            (WebhookKind::Github, headers(&[("x-hub-signature-256", "sha256=xy")]), "Hello, World!", false),
            (WebhookKind::Github, headers(&[]), "Hello, World!", false),
            (WebhookKind::Gitlab, headers(&[("x-gitlab-token", secret)]), "", true),
            (WebhookKind::Gitlab, headers(&[("x-gitlab-token", "other")]), "", false),
            (WebhookKind::Mlflow, of_mlflow("1763999900"), "Hello, World!", true),
            (WebhookKind::Mlflow, of_mlflow("1763999901"), "Hello, World!", false),
            (WebhookKind::Generic, headers(&[("authorization", &format!("Bearer {secret}"))]), "", true),
            (WebhookKind::Alertmanager, headers(&[("authorization", "Bearer ")]), "", false),
        ] {
            assert_eq!(
                is_theirs(kind, secret, &headers, body.as_bytes(), now),
                theirs,
                "{kind:?} {headers:?}"
            );
        }
        let old =
            is_theirs(WebhookKind::Mlflow, secret, &of_mlflow("1763999900"), b"Hello, World!", now + 300);
        assert!(!old, "an old delivery is somebody's copy");
    }

    #[test]
    fn an_empty_secret_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(secret(&path).unwrap_err().contains("cannot read"));
        std::fs::write(&path, "\n").unwrap();
        assert!(secret(&path).unwrap_err().contains("is empty"));
        std::fs::write(&path, "s3cret\r\nmore").unwrap();
        assert_eq!(secret(&path).unwrap(), "s3cret");
    }
}
