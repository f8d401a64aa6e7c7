//! A request with its secrets, and what the answer means.

use std::{path::Path, time::Duration};

use base64::Engine as _;
use serde_json::Value;
use ureq::{Agent, http::Response, tls::TlsConfig};

use super::Failure;
use crate::{
    config::{Target, first_line},
    connect::authorities,
    types::Incident,
};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most of an answer that is read, bytes, and that is shown.
const MAX_ANSWER: u64 = 64 << 10;
const SHOWN: usize = 200;

/// Where requests go.
#[derive(Debug)]
pub(super) struct Endpoint {
    target: Target,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Get,
    Post,
    Patch,
}

impl Endpoint {
    pub(super) fn new(target: &Target) -> Endpoint {
        Endpoint { target: target.clone() }
    }

    /// Sends JSON to a path below the URL, with headers; gives the body of the answer.
    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let target = &self.target;
        let base = match &target.url_file {
            Some(path) => secret(path)?,
            None => target.url.clone(),
        };
        let url = if path.is_empty() { base } else { format!("{}{path}", base.trim_end_matches('/')) };
        let authorization = self.authorization()?;
        let own = [("content-type", "application/json"), ("user-agent", "foreshock")];
        let headers = own.iter().chain(headers).copied();
        let headers = headers.chain(authorization.iter().map(|value| ("authorization", value.as_str())));
        let agent = self.agent()?;
        let answer = match method {
            Method::Get => {
                headers.fold(agent.get(&url), |request, (key, value)| request.header(key, value)).call()
            }
            Method::Post => {
                headers.fold(agent.post(&url), |request, (key, value)| request.header(key, value)).send(body)
            }
            Method::Patch => {
                headers.fold(agent.patch(&url), |request, (key, value)| request.header(key, value)).send(body)
            }
        };
        answer.map_err(|error| later(without_url(&error.to_string(), &url))).and_then(read)
    }

    fn authorization(&self) -> Result<Option<String>, Failure> {
        let target = &self.target;
        if let Some(path) = &target.token_file {
            return Ok(Some(format!("Bearer {}", secret(path)?)));
        }
        let Some(path) = &target.password_file else { return Ok(None) };
        let pair = format!("{}:{}", target.username, secret(path)?);
        Ok(Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))))
    }

    /// A client that trusts who is trusted now.
    fn agent(&self) -> Result<Agent, Failure> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &self.target.ca {
            tls = tls.root_certs(authorities(path).map_err(later)?);
        }
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(tls.build());
        Ok(config.build().into())
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
    first_line(path).map(|line| line.trim().to_string()).map_err(later)
}

pub(super) fn later(why: String) -> Failure {
    Failure::Later { why, after: None }
}

/// URLs may be secrets: errors must not hold them.
fn without_url(words: &str, url: &str) -> String {
    words.replace(url, "the URL")
}

/// What an answer means. An endpoint that is wrong, or does not know us, can be mended: only a refusal of the content is for good.
fn read(mut answer: Response<ureq::Body>) -> Result<Vec<u8>, Failure> {
    let status = answer.status().as_u16();
    let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
    if (200..300).contains(&status) {
        return body.map_err(|error| later(error.to_string()));
    }
    let shown = String::from_utf8_lossy(&body.unwrap_or_default()).chars().take(SHOWN).collect::<String>();
    let why = format!("it answered {status}: {}", shown.trim());
    match status {
        400 | 409 | 413 | 415 | 422 => Err(Failure::Never(why)),
        _ => Err(Failure::Later { why, after }),
    }
}
