//! Who asks: tokens, signed tokens and certificates, and the caller behind each. What a caller may do, its roles say.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use foreshock_core::config::{AccessConfig, ConfigError, JwtConfig};
use foreshock_core::types::{Caller, Role};
use jsonwebtoken::{
    AlgorithmFamily, DecodingKey, Validation, decode, decode_header, errors::ErrorKind, jwk::JwkSet,
};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tonic::codegen::http::{HeaderMap, header::AUTHORIZATION};

/// What a client shows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// The header `authorization`.
    pub authorization: Option<&'a str>,
    /// The names in a certificate that was verified.
    pub certificate: &'a [String],
}

impl<'a> Shown<'a> {
    /// What a request shows, and the certificate of its connection.
    pub fn of(headers: &'a HeaderMap, certificate: &'a [String]) -> Shown<'a> {
        // A header that is no text is none of ours.
        let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        Shown { authorization, certificate }
    }
}

/// Why somebody is nobody to us. Holds nothing that was shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nothing was shown.
    #[error(
        "say who you are: with the header `authorization: Bearer TOKEN`, or with a certificate that access.certificates names"
    )]
    Nothing,
    /// The header is none of ours.
    #[error("the header authorization is not `Bearer TOKEN`")]
    Header,
    /// No token of ours, and there is no identity provider.
    #[error("this token is not known")]
    Unknown,
    /// The identity provider's token does not hold.
    #[error("this token does not hold: {0}")]
    Token(&'static str),
}

/// Who may come in. What it knows can change while it is used.
#[derive(Debug)]
pub struct Access {
    config: AccessConfig,
    keys: RwLock<Arc<Keys>>,
    changed: watch::Sender<()>,
}

/// What callers are known by.
#[derive(Debug, Default, PartialEq)]
struct Keys {
    /// Callers by the digest of what they show: a look-up tells nothing about a token by the time that it takes.
    callers: HashMap<[u8; 32], Caller>,
    /// The identity provider's keys.
    provider: Option<JwkSet>,
}

impl Access {
    /// Everybody may do everything.
    pub fn open() -> Access {
        Access { config: AccessConfig::default(), keys: RwLock::default(), changed: watch::Sender::default() }
    }

    /// Reads tokens and keys.
    pub fn new(config: &AccessConfig) -> Result<Access, ConfigError> {
        let keys = RwLock::new(Arc::new(Keys::read(config)?));
        Ok(Access { config: config.clone(), keys, changed: watch::Sender::default() })
    }

    /// Reads tokens and keys again; says whether they are others. On an error the old ones stay.
    pub fn reload(&self) -> Result<bool, ConfigError> {
        let keys = Keys::read(&self.config)?;
        if *self.keys() == keys {
            return Ok(false);
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        self.changed.send_replace(());
        Ok(true)
    }

    /// Tells of every change by [`Access::reload`].
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Who shows this. A token counts before a certificate.
    pub fn caller(&self, shown: Shown<'_>) -> Result<Caller, Denied> {
        if self.config.is_open() {
            return Ok(Caller::anybody());
        }
        let keys = self.keys();
        if let Some(header) = shown.authorization {
            let token = bearer(header).ok_or(Denied::Header)?;
            return match (keys.callers.get(&fingerprint("token", token)), &self.config.jwt, &keys.provider) {
                (Some(caller), ..) => Ok(caller.clone()),
                (None, Some(config), Some(provider)) => signed(token, config, provider),
                (None, ..) => Err(Denied::Unknown),
            };
        }
        let named = |name: &String| keys.callers.get(&fingerprint("certificate", name));
        shown.certificate.iter().find_map(named).cloned().ok_or(Denied::Nothing)
    }

    /// Whether what somebody showed before still holds. Of an identity provider's token only the time is looked at.
    pub fn still_knows(&self, caller: &Caller) -> bool {
        let known = |shown| self.keys().callers.get(shown) == Some(caller);
        caller.shown.as_ref().is_none_or(known) && caller.expires_in().is_none_or(|left| !left.is_zero())
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Keys {
    fn read(config: &AccessConfig) -> Result<Keys, ConfigError> {
        let mut keys = Keys::default();
        let mut add = |shown, name: &str, roles: &[Role]| {
            let caller = Caller {
                name: name.to_string(),
                roles: Some(roles.to_vec()),
                shown: Some(shown),
                until: None,
            };
            keys.callers.insert(shown, caller).is_none()
        };
        for token in &config.tokens {
            if !add(fingerprint("token", &token.token()?), &token.name, &token.roles) {
                let problem = format!("that of {:?} is somebody else's too: give each their own", token.name);
                return Err(ConfigError::Value { field: "access.tokens", problem });
            }
        }
        for certificate in &config.certificates {
            add(fingerprint("certificate", &certificate.name), &certificate.name, &certificate.roles);
        }
        keys.provider = config.jwt.as_ref().map(provider).transpose()?;
        Ok(keys)
    }
}

/// The keys of an identity provider.
fn provider(config: &JwtConfig) -> Result<JwkSet, ConfigError> {
    let path = config.jwks_file.display();
    let refuse = |problem: String| ConfigError::Value { field: "access.jwt.jwks_file", problem };
    let text =
        std::fs::read(&config.jwks_file).map_err(|error| refuse(format!("cannot read {path}: {error}")))?;
    let keys: JwkSet = serde_json::from_slice(&text)
        .map_err(|error| refuse(format!("{path} is no set of keys: {error}")))?;
    if keys.keys.is_empty() {
        return Err(refuse(format!("{path} has no key: no token could be believed")));
    }
    Ok(keys)
}

/// The token in a header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn fingerprint(kind: &str, shown: &str) -> [u8; 32] {
    let digest = digest(&SHA256, format!("{kind} {shown}").as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The caller that an identity provider vouches for.
fn signed(token: &str, config: &JwtConfig, provider: &JwkSet) -> Result<Caller, Denied> {
    let header = decode_header(token).map_err(|_| Denied::Unknown)?;
    let key = match (&header.kid, provider.keys.as_slice()) {
        (Some(kid), _) => provider.find(kid).ok_or(Denied::Token("its key is none of the provider's"))?,
        (None, [only]) => only,
        (None, _) => return Err(Denied::Token("it names no key, and the provider has several")),
    };
    let unusable = |_| Denied::Token("its key cannot be used");
    let decoding = DecodingKey::from_jwk(key).map_err(unusable)?;
    // A secret that both sides know is no proof of who signed.
    if decoding.family() == AlgorithmFamily::Hmac {
        return Err(Denied::Token("its key is a shared secret"));
    }
    let mut validation = Validation::new_for_family(decoding.family());
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&[&config.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    let claims = decode::<Map<String, Value>>(token, &decoding, &validation)
        .map_err(|error| Denied::Token(problem(error.kind())))?
        .claims;
    let name = match claims.get(&config.name_claim) {
        Some(Value::String(name)) if (1..=256).contains(&name.len()) => name.clone(),
        _ => return Err(Denied::Token("the claim that names the caller is missing")),
    };
    let until = claims.get("exp").and_then(Value::as_f64).map(|seconds| seconds as u64 + validation.leeway);
    Ok(Caller { name, roles: Some(roles(&claims, config)), shown: None, until })
}

/// What the claims say that the caller is. What is none of our roles says nothing.
fn roles(claims: &Map<String, Value>, config: &JwtConfig) -> Vec<Role> {
    let mut parts = config.roles_claim.split('.');
    let first = parts.next().and_then(|part| claims.get(part));
    let nested = parts.fold(first, |value, part| value?.get(part));
    // A name with dots in it, such as a URL, is no path.
    let values: Vec<&str> = match claims.get(&config.roles_claim).or(nested) {
        Some(Value::String(words)) => words.split_whitespace().collect(),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let ours = |value: &&str| match config.roles.is_empty() {
        true => value.parse().into_iter().collect::<Vec<Role>>(),
        false => config.roles.get(*value).cloned().unwrap_or_default(),
    };
    values.iter().flat_map(ours).collect()
}

fn problem(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidAlgorithm => "it is signed by another algorithm than its key's",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss or aud",
        _ => "it cannot be read",
    }
}
