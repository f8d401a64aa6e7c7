//! Who is whom: ours, an identity provider's, and everything that only looks like it.

use std::{path::Path, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use foreshock_core::{config::TokenConfig, types::Right};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "ann-0123456789abcdef";

fn with_token(folder: &Path, roles: &[&str]) -> AccessConfig {
    let path = folder.join("ann");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    let token = TokenConfig { name: "ann".to_string(), roles, token_file: Some(path), token_env: None };
    AccessConfig { tokens: vec![token], ..AccessConfig::default() }
}

fn header(token: &str) -> String {
    format!("Bearer {token}")
}

fn shown(authorization: &str) -> Shown<'_> {
    Shown { authorization: Some(authorization), certificate: &[] }
}

/// An identity provider with one key, and its tokens.
struct Provider {
    key: KeyPair,
}

impl Provider {
    fn new() -> Provider {
        Provider { key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    fn jwks(&self) -> Value {
        let point = self.key.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..65]].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y}]})
    }

    fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some("one".to_string()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &EncodingKey::from_ec_der(&self.key.serialize_der())).unwrap()
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = json!({
        "iss": "https://id.test", "aud": "foreshock", "sub": "bob", "exp": now() + 600,
        "realm_access": {"roles": ["sre", "nobody"]}, "roles": "viewer controller:deploy:namespace=shop",
    });
    change(&mut claims);
    claims
}

fn with_provider(folder: &Path, provider: &Provider) -> AccessConfig {
    let path = folder.join("jwks.json");
    std::fs::write(&path, provider.jwks().to_string()).unwrap();
    let text = format!("issuer: https://id.test\naudience: foreshock\njwks_file: {}\n", path.display());
    AccessConfig { jwt: Some(serde_yaml_ng::from_str(&text).unwrap()), ..AccessConfig::default() }
}

#[test]
fn where_nobody_is_named_everybody_may_do_everything() {
    let caller = Access::open().caller(Shown::default()).unwrap();
    assert!(
        [Right::See, Right::Operate, Right::Approve, Right::Control].iter().all(|right| caller.may(*right))
    );
}

#[test]
fn tokens_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::new(&with_token(folder.path(), &["operator"])).unwrap();
    let caller = access.caller(shown(&header(TOKEN))).unwrap();
    assert_eq!(
        (caller.name.as_str(), caller.signs(""), caller.signs("bob").as_str()),
        ("ann", "ann".into(), "ann for bob")
    );
    assert!(caller.may(Right::Operate) && !caller.may(Right::Approve) && !caller.may(Right::Control));
    for (authorization, denied) in [
        (header("ann-0123456789abcdeF"), Denied::Unknown),
        (header(""), Denied::Header),
        ("Basic YW5u".to_string(), Denied::Header),
        (String::new(), Denied::Header),
    ] {
        assert_eq!(access.caller(shown(&authorization)), Err(denied), "{authorization}");
    }
    assert_eq!(access.caller(Shown::default()), Err(Denied::Nothing));
    let names = [TOKEN.to_string()];
    assert_eq!(
        access.caller(Shown { authorization: None, certificate: &names }),
        Err(Denied::Nothing),
        "a token is no name"
    );
}

#[test]
fn another_token_ends_the_old_one_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_token(folder.path(), &["viewer"]);
    let access = Access::new(&config).unwrap();
    let before = access.caller(shown(&header(TOKEN))).unwrap();
    assert!(!access.reload().unwrap() && access.still_knows(&before));
    std::fs::write(folder.path().join("ann"), "short").unwrap();
    let problem = access.reload().unwrap_err().to_string();
    assert!(problem.contains("16 or more") && !problem.contains("short"), "{problem}");
    assert!(access.still_knows(&before));
    std::fs::write(folder.path().join("ann"), "ann-fedcba9876543210").unwrap();
    assert!(access.reload().unwrap() && !access.still_knows(&before));
    assert_eq!(access.caller(shown(&header(TOKEN))), Err(Denied::Unknown));
    access.caller(shown(&header("ann-fedcba9876543210"))).unwrap();
}

#[test]
fn certificates_by_a_name_in_them() {
    let text = "certificates: [{name: spiffe://shop/deployer, roles: ['controller:deploy:*']}]";
    let access = Access::new(&serde_yaml_ng::from_str(text).unwrap()).unwrap();
    let caller = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        access.caller(Shown { authorization: None, certificate: &names })
    };
    assert_eq!(caller(&["deployer", "spiffe://shop/deployer"]).unwrap().name, "spiffe://shop/deployer");
    assert_eq!(caller(&["spiffe://shop/deployer/"]), Err(Denied::Nothing));
}

#[test]
fn an_identity_provider_names_callers_and_their_roles() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::new());
    let mut config = with_provider(folder.path(), &provider);
    let caller = |config: &AccessConfig| {
        let token = header(&provider.token(&claims(|_| {})));
        Access::new(config).unwrap().caller(shown(&token)).unwrap()
    };
    let bob = caller(&config);
    assert_eq!(bob.name, "bob");
    assert!(bob.may(Right::See) && bob.may(Right::Control) && !bob.may(Right::Operate));
    let left = bob.expires_in().unwrap().as_secs();
    assert!((600..=661).contains(&left), "{left} s, with a minute for clocks that differ");
    let jwt = config.jwt.as_mut().unwrap();
    jwt.roles_claim = "realm_access.roles".to_string();
    jwt.roles = serde_yaml_ng::from_str("sre: [operator, approver]").unwrap();
    let bob = caller(&config);
    assert!(bob.may(Right::Operate) && bob.may(Right::Approve) && !bob.may(Right::Control));
}

#[test]
fn tokens_that_do_not_hold() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::new());
    let access = Access::new(&with_provider(folder.path(), &provider)).unwrap();
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 7] = [
        ("expired", |claims| claims["exp"] = json!(now() - 61)),
        ("not valid yet", |claims| claims["nbf"] = json!(now() + 120)),
        ("another issuer", |claims| claims["iss"] = json!("https://evil.test")),
        ("another audience", |claims| claims["aud"] = json!("grafana")),
        ("lacks exp", |claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        ("names the caller", |claims| drop(claims.as_object_mut().unwrap().remove("sub"))),
        ("lacks exp, iss or aud", |claims| drop(claims.as_object_mut().unwrap().remove("aud"))),
    ];
    for (expected, change) in cases {
        let token = header(&provider.token(&claims(change)));
        let denied = access.caller(shown(&token)).unwrap_err().to_string();
        assert!(denied.contains(expected), "{expected}: {denied}");
    }
    let good = provider.token(&claims(|_| {}));
    let [head, body, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let forged = |head: Value| BASE64_URL_SAFE_NO_PAD.encode(head.to_string());
    let other = Provider::new().token(&claims(|_| {}));
    let secret = EncodingKey::from_secret(b"what everybody knows").unwrap();
    for token in [
        other,
        format!("{}.{body}.", forged(json!({"alg": "none", "kid": "one"}))),
        format!("{}.{body}.{signature}", forged(json!({"alg": "RS256", "kid": "one"}))),
        format!("{head}.{}.{signature}", forged(claims(|claims| claims["sub"] = json!("root")))),
        format!("{}.{body}.{signature}", forged(json!({"alg": "ES256", "kid": "two"}))),
        encode(&Header { kid: Some("one".into()), ..Header::default() }, &claims(|_| {}), &secret).unwrap(),
        "a.b.c".to_string(),
    ] {
        let denied = access.caller(shown(&header(&token))).expect_err(&token);
        assert!(!denied.to_string().contains(&token), "nothing that was shown is told");
    }
    // A provider whose key is a secret vouches for nobody.
    let oct = json!({"keys": [{"kty": "oct", "kid": "one", "k": BASE64_URL_SAFE_NO_PAD.encode("what everybody knows")}]});
    std::fs::write(folder.path().join("jwks.json"), oct.to_string()).unwrap();
    assert!(access.reload().unwrap());
    let token =
        encode(&Header { kid: Some("one".into()), ..Header::default() }, &claims(|_| {}), &secret).unwrap();
    assert_eq!(access.caller(shown(&header(&token))), Err(Denied::Token("its key is a shared secret")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// A signature is checked over every byte: nothing that was done to a token leaves it one.
    #[test]
    fn a_bent_token_is_nobodys(edits in prop::collection::vec((any::<u16>(), 0_u8..3, 32_u8..127), 1..4)) {
        static ISSUED: LazyLock<(tempfile::TempDir, Access, String)> = LazyLock::new(|| {
            let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::new());
            let access = Access::new(&with_provider(folder.path(), &provider)).unwrap();
            (folder, access, provider.token(&claims(|_| ())))
        });
        let (_, access, token) = &*ISSUED;
        let mut bent = token.clone().into_bytes();
        for (at, edit, byte) in edits {
            let at = (usize::from(at) * bent.len()) >> 16;
            match edit {
                0 => bent[at] = byte,
                1 => bent.insert(at, byte),
                _ => drop(bent.remove(at)),
            }
        }
        let bent = String::from_utf8(bent).unwrap();
        prop_assert!(access.caller(shown(&header(token))).is_ok());
        prop_assert!(bent == *token || access.caller(shown(&header(&bent))).is_err(), "{bent}");
    }
}
