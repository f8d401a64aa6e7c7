//! What the answer to a sink's request means.

use std::path::Path;

use foreshock_core::{config::Target, types::Incident};
pub(super) use foreshock_wire::http::Method;
use foreshock_wire::http::{self, Unanswered};
use serde_json::Value;

use super::Failure;

/// Where requests go.
#[derive(Debug)]
pub(super) struct Endpoint(http::Endpoint);

impl Endpoint {
    pub(super) fn new(target: &Target) -> Endpoint {
        Endpoint(http::Endpoint::new(target))
    }

    /// Sends JSON to a path below the URL, with headers; gives the body of the answer. An endpoint that is wrong, or does not know us, can be
    /// mended: only a refusal of the content is for good.
    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let answer = self.0.send(method, path, headers, body).map_err(silent)?;
        match answer.status {
            200..300 => Ok(answer.body),
            400 | 409 | 413 | 415 | 422 => Err(Failure::Never(answer.words())),
            _ => Err(Failure::Later { why: answer.words(), after: answer.retry_after }),
        }
    }
}

/// What a repeat is known by.
pub(super) fn repeat_id(incident: &Incident) -> String {
    let Incident { id, revision, .. } = incident;
    format!("{id}/{revision}")
}

/// A value as bytes.
pub(super) fn json(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The first line of a file that holds a secret.
pub(super) fn secret(path: &Path) -> Result<String, Failure> {
    http::secret(path).map_err(silent)
}

pub(super) fn later(why: String) -> Failure {
    Failure::Later { why, after: None }
}

fn silent(silence: Unanswered) -> Failure {
    later(silence.into_words())
}
