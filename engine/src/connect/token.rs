//! Tokens for OAUTHBEARER: from a file that somebody renews, or from an OIDC endpoint by client credentials.
//!
//! Sources: RFC 6749 section 4.4 (client credentials), RFC 7519 (`exp` of a JWT). The broker checks the token; here only
//! its end is looked at, so that it is renewed in time.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use foreshock_core::config::{ConfigError, Oidc, SaslMechanism, Security};
use foreshock_wire::http;
use rdkafka::client::OAuthToken;
use serde::Deserialize;
use ureq::Agent;

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum Tokens {
    /// A file that holds one, read anew each time.
    File(PathBuf),
    /// An endpoint that gives them.
    Endpoint(Endpoint),
}

/// An OIDC token endpoint and who we are there.
pub(super) struct Endpoint {
    url: String,
    credentials: String,
    scope: String,
    agent: Agent,
}

/// Why there is no token. Never holds one, nor a secret.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("kafka.security.sasl.token_file: cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The token is past its end.
    #[error("the token of {from} has expired: see to it that it is renewed")]
    Expired {
        /// Where it came from.
        from: String,
    },
    /// The endpoint gives none.
    #[error("{url} gives no token: {problem}; check kafka.security.sasl.oidc")]
    Endpoint {
        /// The endpoint.
        url: String,
        /// What it said.
        problem: String,
    },
    /// librdkafka does not take it.
    #[error("the token cannot be used: {0}")]
    Unusable(String),
    /// The broker wants a token, and the configuration says of none.
    #[error("kafka.security.sasl: oauthbearer needs token_file or oidc")]
    NotConfigured,
}

/// How long a token is taken to hold that does not say so, and how old one from a file may become.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(300);
/// Longest wait for the endpoint.
const WAIT: Duration = Duration::from_secs(10);
/// Longest answer that is read, bytes.
const MAX_ANSWER: u64 = 256 << 10;

impl Tokens {
    /// The source that the configuration names, if tokens are wanted.
    pub(super) fn new(security: &Security) -> Result<Option<Tokens>, ConfigError> {
        let Some(sasl) = security.sasl.as_ref().filter(|sasl| sasl.mechanism == SaslMechanism::Oauthbearer)
        else {
            return Ok(None);
        };
        Ok(match (&sasl.token_file, &sasl.oidc) {
            (Some(path), _) => Some(Tokens::File(path.clone())),
            (None, Some(oidc)) => Some(Tokens::Endpoint(Endpoint::new(oidc)?)),
            (None, None) => None,
        })
    }

    /// Reads or asks for a token.
    pub(super) fn fetch(&self) -> Result<OAuthToken, TokenError> {
        let now_ms = now_ms();
        let (token, from, lifetime_ms) = match self {
            Tokens::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| TokenError::File { path: path.clone(), source })?;
                let token = text.trim().to_string();
                let until = now_ms + UNKNOWN_LIFETIME.as_millis() as i64;
                let until = expires_ms(&token).map_or(until, |end| end.min(until));
                (token, path.display().to_string(), until)
            }
            Tokens::Endpoint(endpoint) => {
                let answer = endpoint.ask()?;
                let token = answer.access_token;
                let seconds =
                    answer.expires_in.map(|seconds| now_ms.saturating_add(seconds.saturating_mul(1000)));
                let until = seconds
                    .or_else(|| expires_ms(&token))
                    .unwrap_or(now_ms + UNKNOWN_LIFETIME.as_millis() as i64);
                (token, endpoint.url.clone(), until)
            }
        };
        if lifetime_ms <= now_ms {
            return Err(TokenError::Expired { from });
        }
        // The broker takes who we are from the token; this name only stands in librdkafka's log.
        Ok(OAuthToken { token, principal_name: "foreshock".to_string(), lifetime_ms })
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds.
    expires_in: Option<i64>,
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Endpoint {
    fn new(oidc: &Oidc) -> Result<Endpoint, ConfigError> {
        let credentials = format!("{}:{}", form(&oidc.client_id), form(&oidc.secret()?));
        let refuse = |problem| ConfigError::Value { field: "kafka.security.sasl.oidc.ca", problem };
        let roots = oidc.ca.as_deref().map(http::authorities).transpose().map_err(refuse)?;
        Ok(Endpoint {
            url: oidc.endpoint.clone(),
            credentials: BASE64_STANDARD.encode(credentials),
            scope: oidc.scope.clone(),
            agent: http::client(roots, None, WAIT),
        })
    }

    fn ask(&self) -> Result<Answer, TokenError> {
        let refuse = |problem: String| TokenError::Endpoint { url: self.url.clone(), problem };
        let mut fields = vec![("grant_type", "client_credentials")];
        if !self.scope.is_empty() {
            fields.push(("scope", &self.scope));
        }
        let mut answer = self
            .agent
            .post(&self.url)
            .header("authorization", format!("Basic {}", self.credentials))
            .header("accept", "application/json")
            .send_form(fields)
            .map_err(|error| refuse(error.to_string()))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| refuse(error.to_string()))?;
        if !status.is_success() {
            let said: Problem = serde_json::from_slice(&body).unwrap_or_default();
            let said = format!("it answers {status} {} {}", said.error, said.error_description);
            return Err(refuse(said.trim_end().to_string()));
        }
        // The error of the parser could quote a token.
        serde_json::from_slice(&body).map_err(|_| refuse("it answers without an access_token".to_string()))
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A word as HTML forms write it: RFC 6749 section 2.3.1 wants it so.
fn form(text: &str) -> String {
    let write = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        b' ' => "+".to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(write).collect()
}

/// The end of a JWT, unix milliseconds; `None` where it does not say, or is none.
fn expires_ms(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        /// Unix seconds.
        exp: f64,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some((claims.exp * 1000.0) as i64)
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_end_of_a_token_is_found() {
        for (token, end) in [
            (jwt(r#"{"sub":"a","exp":1700000000}"#), Some(1_700_000_000_000)),
            (jwt(r#"{"exp":1700000000.5}"#), Some(1_700_000_000_500)),
            (jwt(r#"{"sub":"a"}"#), None),
            ("opaque".to_string(), None),
            ("a.?.b".to_string(), None),
        ] {
            assert_eq!(expires_ms(&token), end, "{token}");
        }
    }

    #[test]
    fn a_file_is_read_each_time_and_what_is_expired_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let tokens = Tokens::File(path.clone());
        assert!(matches!(tokens.fetch(), Err(TokenError::File { .. })));
        std::fs::write(&path, "opaque\n").unwrap();
        let now = now_ms();
        let token = tokens.fetch().unwrap();
        assert_eq!(token.token, "opaque");
        assert!((now + 290_000..=now + 310_000).contains(&token.lifetime_ms));
        let soon = now / 1000 + 20;
        std::fs::write(&path, jwt(&format!("{{\"exp\":{soon}}}"))).unwrap();
        assert_eq!(tokens.fetch().unwrap().lifetime_ms, soon * 1000);
        std::fs::write(&path, jwt("{\"exp\":1700000000}")).unwrap();
        assert!(matches!(tokens.fetch(), Err(TokenError::Expired { .. })));
    }

    #[test]
    fn forms_are_written_as_the_standard_says() {
        assert_eq!(form("a b&c=é:~*-._9"), "a+b%26c%3D%C3%A9%3A%7E*-._9");
    }
}
