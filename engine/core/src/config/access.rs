//! Who may do what, and how the servers prove who they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, engine::refuse_unless, kafka::secret};
use crate::types::Role;

/// Who may do what. Without anybody here, whoever reaches a port may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// People and programs that show a token of ours.
    pub tokens: Vec<TokenConfig>,
    /// People and programs that show a token of an identity provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtConfig>,
    /// People and programs that show a certificate, which `grpc.tls.client_ca` or `http.tls.client_ca` has to vouch for.
    pub certificates: Vec<CertificateConfig>,
}

/// Somebody with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Who it is, as the audit log names them.
    pub name: String,
    /// What they may do: `viewer`, `operator`, `approver`, `approver:GROUP`, `controller:KIND:SCOPE` with kind `deploy`, `retrain`, `workflow` or `notify`, and
    /// scope `*` or `key=value,…`.
    pub roles: Vec<Role>,
    /// File whose first line is the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Environment variable that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
}

/// Signed tokens (JWT) of an identity provider (OpenID Connect).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// Claim `iss` that a token must have.
    pub issuer: String,
    /// Claim `aud` that a token must have.
    pub audience: String,
    /// File with the provider's public keys (JWKS). It is read again when it changes.
    pub jwks_file: PathBuf,
    /// Claim that names the caller.
    #[serde(default = "sub")]
    pub name_claim: String,
    /// Claim that lists what the caller is: an array, or words with spaces between them. A path has dots: `realm_access.roles`.
    #[serde(default = "roles")]
    pub roles_claim: String,
    /// What our roles are for each value of that claim; other values say nothing. Empty: the values are our roles themselves.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<Role>>,
}

/// Somebody with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// A name in the certificate: a DNS name or URI (SPIFFE) of its subject alternative names, or, if it has none, the common name.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
}

/// How a server proves who it is. The files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// PEM file of the certificate, and of those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of the authorities that vouch for clients; with it, clients show a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether clients without a certificate are let in, to show a token.
    #[serde(default)]
    pub client_certificate_optional: bool,
}

fn sub() -> String {
    "sub".to_string()
}

fn roles() -> String {
    "roles".to_string()
}

impl AccessConfig {
    /// Whether nobody is named: then everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.jwt.is_none() && self.certificates.is_empty()
    }

    pub(super) fn check(&self, verifies_clients: bool) -> Result<(), ConfigError> {
        let mut known = BTreeSet::new();
        for TokenConfig { name, token_file, token_env, .. } in &self.tokens {
            refuse_unless(!name.is_empty(), "access.tokens.name", "is empty: say who it is")?;
            refuse_unless(
                known.insert(name),
                "access.tokens.name",
                "is given twice: their words would be confused",
            )?;
            let sources = usize::from(token_file.is_some()) + usize::from(token_env.is_some());
            refuse_unless(sources == 1, "access.tokens", "needs either token_file or token_env")?;
        }
        let named = self.certificates.iter().all(|certificate| !certificate.name.is_empty());
        refuse_unless(named, "access.certificates.name", "is empty: say which certificate")?;
        let vouched = self.certificates.is_empty() || verifies_clients;
        refuse_unless(
            vouched,
            "access.certificates",
            "needs grpc.tls.client_ca or http.tls.client_ca: nobody vouches for them",
        )?;
        let Some(jwt) = &self.jwt else { return Ok(()) };
        refuse_unless(!jwt.issuer.is_empty(), "access.jwt.issuer", "is empty: anybody's tokens would do")?;
        refuse_unless(!jwt.audience.is_empty(), "access.jwt.audience", "is empty: tokens for others would do")
    }
}

impl TokenConfig {
    /// The token.
    pub fn token(&self) -> Result<String, ConfigError> {
        let token = secret("access.tokens", self.token_file.as_deref(), self.token_env.as_deref())?;
        let problem = format!("that of {:?} has {} characters: give 16 or more", self.name, token.len());
        refuse_unless(token.len() >= 16, "access.tokens", &problem)?;
        Ok(token)
    }
}
