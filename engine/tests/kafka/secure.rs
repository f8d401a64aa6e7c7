//! On a real Apache Kafka with secured listeners: everything that the configuration offers to get in works, and what does
//! not get in ends with an error that says what to do and holds no secret.
//!
//! Does not prove anything about Kerberos, certificates with a password, or other brokers than Apache Kafka.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::support::{
    secure::{Endpoint, Renewing, Resource, SECRET, Secure, secure},
    *,
};

/// A day with a fault in it, ten seconds a row.
fn write_series(folder: &Path, rows: std::ops::Range<usize>) -> PathBuf {
    let row = |index: usize| {
        let fault = if (1300..1340).contains(&index) { 300.0 } else { 0.0 };
        let noise = (index * 7919 % 101) as f64 / 25.0;
        let value = 120.0 + 20.0 * (index as f64 / 60.0).sin() + noise + fault;
        format!("{},{value:.2}\n", 1_767_225_600 + 10 * index)
    };
    let path = folder.join("latency.csv");
    std::fs::write(&path, format!("timestamp,latency\n{}", rows.map(row).collect::<String>())).expect("file");
    path
}

/// `check --connect`: exit code, and all that it says.
fn check(config: &Path) -> (Option<i32>, String) {
    let output = foreshock().args(["check", "--connect", "--config"]).arg(config).output().expect("starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Produces, checks, runs and reads results over the listener, with this section `kafka.security`.
fn gets_in(broker: &Secure, listener: &str, name: &str, security: &str) {
    let folder = tempfile::tempdir().expect("folder");
    let config = write_secure_config(folder.path(), &broker.listener(listener), name, "state", security, "");
    let topic = format!("{name}-in");
    create_topics(&broker.plain, &[(&topic, 1)]);
    let (code, said) = check(&config);
    assert_eq!(code, Some(0), "{name}: {said}");
    if listener == "oauth" {
        let code = exit_code(run(&config, true), &config, Duration::from_secs(40));
        assert_eq!(code, Some(2), "{name}: {}", log(&config));
        assert!(log(&config).contains("cannot create topics with a token"), "{name}: {}", log(&config));
        create_outputs(broker, name);
    }
    produce(&config, &topic, &write_series(folder.path(), 0..1500));
    ends_well(run(&config, true), &config, Duration::from_secs(60));
    let found = distinct(&read_topic(&broker.plain, &format!("{name}-anomalies")));
    assert!(!found.is_empty(), "{name}: {}", log(&config));
}

/// The output topics of a configuration with this name: a client with tokens cannot make them.
fn create_outputs(broker: &Secure, name: &str) {
    let topics = ["anomalies", "incidents", "signals", "dead", "journal", "decisions", "audit"];
    let topics = topics.map(|topic| format!("{name}-{topic}"));
    create_topics(&broker.plain, &topics.each_ref().map(|topic| (topic.as_str(), 1)));
}

/// `run` and `check --connect` end with this code and these words, and without the secret.
fn stays_out(broker: &Secure, listener: &str, name: &str, security: &str, words: &[&str], secret: &str) {
    let folder = tempfile::tempdir().expect("folder");
    let config = write_secure_config(folder.path(), &broker.listener(listener), name, "state", security, "");
    let began = Instant::now();
    let code = exit_code(run(&config, true), &config, Duration::from_secs(40));
    let took = began.elapsed();
    let (checked, said) = check(&config);
    for (code, said) in [(code, log(&config)), (checked, said)] {
        assert_eq!(code, Some(2), "{name}: {said}");
        let error = said.lines().find(|line| line.starts_with("foreshock: ")).unwrap_or_default();
        assert!(words.iter().all(|word| error.contains(word)), "{name}: {words:?} not in {error:?}, {said}");
        assert!(secret.is_empty() || !said.contains(secret), "{name}: the secret is in {said}");
    }
    println!("{name}: refused after {took:?}");
}

fn tls(broker: &Secure) -> String {
    format!("tls: {{ca: '{}'}}", broker.file("ca.pem"))
}

fn password(broker: &Secure, mechanism: &str, file: &str) -> String {
    let tls = tls(broker);
    format!("{{{tls}, sasl: {{mechanism: {mechanism}, username: foreshock, password_file: '{file}'}}}}")
}

#[test]
fn tls_and_mutual_tls() {
    let Some(broker) = secure() else { return };
    gets_in(broker, "tls", "tls", &format!("{{{}}}", tls(broker)));
    let files = [broker.file("ca.pem"), broker.file("client.pem"), broker.file("client.key")];
    let [ca, certificate, key] = &files;
    let mutual = format!("{{tls: {{ca: '{ca}', certificate: '{certificate}', key: '{key}'}}}}");
    gets_in(broker, "mtls", "mtls", &mutual);
    let other = format!("{{tls: {{ca: '{}'}}}}", broker.file("other-ca.pem"));
    stays_out(
        broker,
        "tls",
        "untrusted",
        &other,
        &["no secure connection", "kafka.security.tls", "verif"],
        "",
    );
    stays_out(
        broker,
        "mtls",
        "nameless",
        &format!("{{{}}}", tls(broker)),
        &["kafka.security.tls", "certificate"],
        "",
    );
}

#[test]
fn passwords() {
    let Some(broker) = secure() else { return };
    for mechanism in ["plain", "scram-sha256", "scram-sha512"] {
        gets_in(broker, "sasl", mechanism, &password(broker, mechanism, &broker.file("password")));
    }
    let folder = tempfile::tempdir().expect("folder");
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "not-the-password\n").expect("file");
    let wrong = wrong.display().to_string();
    for mechanism in ["plain", "scram-sha256"] {
        let security = password(broker, mechanism, &wrong);
        let words = ["kafka refuses us", "kafka.security.sasl", "password"];
        stays_out(broker, "sasl", &format!("wrong-{mechanism}"), &security, &words, "not-the-password");
    }
}

#[test]
fn a_missing_right_is_named() {
    let Some(broker) = secure() else { return };
    create_topics(&broker.plain, &[("forbidden-in", 1)]);
    broker.allow("limited", Resource::Topic, "limited-", 2);
    broker.allow("limited", Resource::Group, "limited", 2);
    broker.allow("limited", Resource::Topic, "forbidden-in", 8);
    let security = password(broker, "plain", &broker.file("password"))
        .replace("username: foreshock", "username: limited");
    let folder = tempfile::tempdir().expect("folder");
    let config =
        write_secure_config(folder.path(), &broker.listener("sasl"), "limited", "state", &security, "");
    let text =
        std::fs::read_to_string(&config).expect("config").replace("name: limited-in,", "name: forbidden-in,");
    std::fs::write(&config, text).expect("config");
    let code = exit_code(run(&config, false), &config, Duration::from_secs(60));
    let said = log(&config);
    assert_eq!(code, Some(2), "{said}");
    for word in ["refuses to be read", "forbidden-in", "rights Describe and Read", "group \"limited\""] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert!(!said.contains(&broker.password()), "the password is in {said}");
    // Without the right to make topics it ends earlier.
    let config = write_secure_config(folder.path(), &broker.listener("sasl"), "mine", "state", &security, "");
    let code = exit_code(run(&config, false), &config, Duration::from_secs(60));
    let said = log(&config);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cannot create topic") && said.contains("give the right to"), "{said}");
}

#[test]
fn tokens_from_a_file_and_from_an_endpoint() {
    let Some(broker) = secure() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let token = folder.path().join("token");
    broker.write_token(&token, 600);
    let sasl = |how: &str| format!("{{{}, sasl: {{mechanism: oauthbearer, {how}}}}}", tls(broker));
    let file = sasl(&format!("token_file: '{}'", token.display()));
    gets_in(broker, "oauth", "token-file", &file);

    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("secret");
    let endpoint = Endpoint::start(broker, 600);
    let oidc = |secret: &Path| {
        let (url, secret) = (&endpoint.url, secret.display());
        sasl(&format!("oidc: {{endpoint: '{url}', client_id: me, secret_file: '{secret}', scope: kafka}}"))
    };
    gets_in(broker, "oauth", "oidc", &oidc(&secret));
    assert!(endpoint.given.load(Ordering::Relaxed) > 0);

    // Refused by the endpoint, and by the broker.
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "not-the-secret").expect("secret");
    let words = ["401", "invalid_client", "kafka.security.sasl.oidc"];
    stays_out(broker, "oauth", "wrong-oidc", &oidc(&wrong), &words, "not-the-secret");
    let forged = broker.token(600) + "x";
    std::fs::write(&token, &forged).expect("token");
    stays_out(broker, "oauth", "forged", &file, &["kafka refuses us", "kafka.security.sasl"], &forged);
    std::fs::write(&token, broker.token(-10)).expect("token");
    stays_out(broker, "oauth", "expired", &file, &["has expired", "renewed"], &broker.token(-10)[..60]);
}

/// The broker ends a session with its token. Tokens hold eight seconds here, and the engine works for three times that.
#[test]
fn tokens_are_renewed_while_the_engine_runs() {
    let Some(broker) = secure() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let token = folder.path().join("token");
    let _renewing = Renewing::start(broker, &token, 8);
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("secret");
    let endpoint = Endpoint::start(broker, 8);
    let sources = [
        ("renewed-file", format!("token_file: '{}'", token.display())),
        (
            "renewed-oidc",
            format!(
                "oidc: {{endpoint: '{}', client_id: me, secret_file: '{}', scope: kafka}}",
                endpoint.url,
                secret.display()
            ),
        ),
    ];
    let engines = sources.map(|(name, how)| {
        create_topics(&broker.plain, &[(&format!("{name}-in"), 1)]);
        create_outputs(broker, name);
        let security = format!("{{{}, sasl: {{mechanism: oauthbearer, {how}}}}}", tls(broker));
        let config = write_secure_config(folder.path(), &broker.listener("oauth"), name, name, &security, "");
        (name, run(&config, false), config)
    });
    let plain = write_config(folder.path(), &broker.plain, "plain", "plain", "");
    let began = Instant::now();
    // Rows up to the fault at once, those of the fault when three tokens have ended.
    for (name, ..) in &engines {
        produce(&plain, &format!("{name}-in"), &write_series(folder.path(), 0..1200));
    }
    std::thread::sleep(Duration::from_secs(25).saturating_sub(began.elapsed()));
    for (name, ..) in &engines {
        produce(&plain, &format!("{name}-in"), &write_series(folder.path(), 1200..1500));
        let topic = format!("{name}-anomalies");
        eventually("anomalies after the tokens were renewed", || {
            !read_topic(&broker.plain, &topic).is_empty()
        });
    }
    for (name, engine, config) in engines {
        assert!(!log(&config).contains("no new token"), "{name}: {}", log(&config));
        terminate(&engine);
        ends_well(engine, &config, Duration::from_secs(30));
    }
    // Three clients at the start, and two of them again for each of three tokens.
    let given = endpoint.given.load(Ordering::Relaxed);
    assert!(given >= 8, "{given} tokens");
}
