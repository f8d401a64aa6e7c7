//! Requests over HTTP with their secrets, and whether they were heard. What an answer means is for who asks.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::Engine as _;
use foreshock_core::config::{Target, first_line};
use ring::hmac;
use ureq::{
    Agent, Timeout,
    http::{Request, Response},
    tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// Longest wait for a connection, and for an answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Most of an answer that is read, bytes.
const MAX_ANSWER: u64 = 16 << 20;
/// Most of an answer that is shown, characters.
const SHOWN: usize = 200;

/// Where requests go, and who we are there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    target: Target,
    /// The latest client, and what it trusts.
    latest: Arc<Mutex<Option<Latest>>>,
}

#[derive(Debug)]
struct Latest {
    pem: Option<Vec<u8>>,
    agent: Agent,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes something, or has something done.
    Post,
    /// Changes something.
    Patch,
}

impl Method {
    /// As it is written in a request.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
        }
    }
}

/// An answer, whatever it says.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, up to 16 MiB.
    pub body: Vec<u8>,
    /// Seconds to wait, where it says so.
    pub retry_after: Option<u64>,
    /// Where something is from now on.
    pub location: Option<String>,
}

/// Why there is no answer. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody was asked.
    Unsent(String),
    /// Something was sent, and what became of it is not known.
    Lost(String),
}

impl Unanswered {
    /// Why.
    pub fn into_words(self) -> String {
        match self {
            Unanswered::Unsent(why) | Unanswered::Lost(why) => why,
        }
    }
}

impl Answer {
    /// `it answered 503: try again later`.
    pub fn words(&self) -> String {
        let shown = String::from_utf8_lossy(&self.body).chars().take(SHOWN).collect::<String>();
        format!("it answered {}: {}", self.status, shown.trim())
    }
}

impl Endpoint {
    /// Where a target is.
    pub fn new(target: &Target) -> Endpoint {
        Endpoint { target: target.clone(), latest: Arc::default() }
    }

    /// Sends a body to a path below the URL, with headers; JSON and our own authorization, where they do not say otherwise. One without a
    /// value is not sent.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Unanswered> {
        let url = self.url(path)?;
        let authorization = self.authorization()?;
        let own = [("content-type", "application/json"), ("user-agent", "foreshock")];
        let own = own.into_iter().filter(|(key, _)| headers.iter().all(|(given, _)| given != key));
        let authorization = authorization.iter().map(|value| ("authorization", value.as_str()));
        let authorization = authorization.filter(|(key, _)| headers.iter().all(|(given, _)| given != key));
        let all =
            own.chain(headers.iter().copied()).chain(authorization).filter(|(_, value)| !value.is_empty());
        let request = Request::builder().method(method.name()).uri(&url);
        let request = all.fold(request, |request, (key, value)| request.header(key, value));
        let unsent = |error: ureq::http::Error| Unanswered::Unsent(without_url(&error.to_string(), &url));
        let answer = match method {
            Method::Get => self.client()?.run(request.body(()).map_err(unsent)?),
            Method::Post | Method::Patch => self.client()?.run(request.body(body).map_err(unsent)?),
        };
        answer.map_err(|error| silence(&error, &url)).and_then(read)
    }

    /// The user and the password that are configured.
    pub fn user(&self) -> Result<Option<(&str, String)>, Unanswered> {
        let target = &self.target;
        let Some(path) = &target.password_file else { return Ok(None) };
        Ok(Some((&target.username, secret(path)?)))
    }

    fn url(&self, path: &str) -> Result<String, Unanswered> {
        let base = match &self.target.url_file {
            Some(path) => secret(path)?,
            None => self.target.url.clone(),
        };
        Ok(if path.is_empty() { base } else { format!("{}{path}", base.trim_end_matches('/')) })
    }

    fn authorization(&self) -> Result<Option<String>, Unanswered> {
        if let Some(path) = &self.target.token_file {
            return Ok(Some(format!("Bearer {}", secret(path)?)));
        }
        Ok(self.user()?.map(|(user, password)| {
            let pair = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }))
    }

    /// A client that trusts who is trusted now: the same one while the file with the authorities is.
    fn client(&self) -> Result<Agent, Unanswered> {
        let pem = self.target.ca.as_deref().map(read_file).transpose().map_err(Unanswered::Unsent)?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = latest.as_ref().filter(|known| known.pem == pem) {
            return Ok(known.agent.clone());
        }
        let roots = self.target.ca.as_deref().map(authorities).transpose().map_err(Unanswered::Unsent)?;
        let agent = client(roots, None, ANSWER_WITHIN);
        *latest = Some(Latest { pem, agent: agent.clone() });
        Ok(agent)
    }
}

/// A client that trusts these authorities (absent: Mozilla's list), shows this certificate, and waits this long for an answer. It takes any
/// status as an answer and follows no redirect. It keeps no connection for later: of one that the server has closed meanwhile nobody
/// would know whether a request was heard.
pub fn client(roots: Option<RootCerts>, certificate: Option<ClientCert>, within: Duration) -> Agent {
    let tls = TlsConfig::builder().client_cert(certificate);
    let tls = match roots {
        Some(roots) => tls.root_certs(roots),
        None => tls,
    };
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT_WITHIN))
        .timeout_global(Some(within))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .tls_config(tls.build());
    config.build().into()
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The first line of a file that holds a secret.
pub fn secret(path: &Path) -> Result<String, Unanswered> {
    first_line(path).map(|line| line.trim().to_string()).map_err(Unanswered::Unsent)
}

/// `sha256=<hex>`, as GitHub signs its own webhooks.
pub fn signature(key: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body);
    let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256={}", hex.collect::<String>())
}

fn read(mut answer: Response<ureq::Body>) -> Result<Answer, Unanswered> {
    let status = answer.status().as_u16();
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let (retry_after, location) = (header("retry-after"), header("location"));
    let (retry_after, location) =
        (retry_after.and_then(|value| value.parse().ok()), location.map(str::to_string));
    let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
    // What was refused is refused, whether its reasons could be read or not.
    let body = if (200..300).contains(&status) {
        body.map_err(|error| Unanswered::Lost(error.to_string()))?
    } else {
        body.unwrap_or_default()
    };
    Ok(Answer { status, body, retry_after, location })
}

fn silence(error: &ureq::Error, url: &str) -> Unanswered {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let words = without_url(&error.to_string(), url);
    let unsent = match error {
        ureq::Error::Io(io) => matches!(io.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable),
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Pem(_)
        | ureq::Error::Rustls(_) => true,
        _ => false,
    };
    if unsent { Unanswered::Unsent(words) } else { Unanswered::Lost(words) }
}

/// URLs may be secrets: errors must not hold them.
fn without_url(words: &str, url: &str) -> String {
    words.replace(url, "the URL")
}

/// The authorities of a PEM file, for clients of HTTPS.
pub fn authorities(path: &Path) -> Result<RootCerts, String> {
    let pem = read_file(path)?;
    let found = certificates(&pem);
    if found.is_empty() {
        return Err(format!("{} holds no certificate in PEM", path.display()));
    }
    Ok(RootCerts::new_with_certs(&found))
}

/// The certificates among what is written in PEM.
pub fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    parse_pem(pem).filter_map(certificate).collect()
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn bodies_are_signed_as_github_documents_it() {
        // The example of GitHub's documentation, "Validating webhook deliveries".
        let signed = signature("It's a Secret to Everybody", b"Hello, World!");
        assert_eq!(signed, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }
}
