use super::{Bytes, Config, DEFAULTS, Duration};

fn error(text: &str) -> String {
    Config::parse("f.yaml", text).expect_err(text).to_string()
}

#[test]
fn the_file_of_defaults_holds_every_default() {
    let written: serde_yaml_ng::Value = serde_yaml_ng::from_str(DEFAULTS).unwrap();
    let meant = serde_yaml_ng::to_value(Config::default()).unwrap();
    assert_eq!(written, meant, "should be:\n{}", serde_yaml_ng::to_string(&meant).unwrap());
}

#[test]
fn errors_name_the_field_and_the_place() {
    let cases = [
        ("kafka: {brokr: x}", "unknown field `brokr`"),
        ("time:\n  tick: soon\n", "f.yaml: time.tick: "),
        ("time:\n  tick: soon\n", "line 2"),
        ("time: {tick: 1500ms}", "time.tick: is no whole number of seconds"),
        ("ingest: {max_record: 3 cows}", "is no size"),
        ("topics: []", "topics: names no topic"),
        ("spans: {max: 0}", "spans.max: is 0"),
        ("slos: [{name: fast, entity: service/a, objective: 99, latency: 0s}]", "slos.latency: is 0"),
        ("slos: [{name: fast, entity: service/a, objective: 99, latency: 300}]", "slos[0].latency: "),
        ("threads: 1000", "threads: is above 256"),
        ("detect: {close: 9}", "detect.close: is not within"),
        ("grpc: {listen: '0.0.0.0:1'}", "plain text"),
        ("kafka: {security: {sasl: {mechanism: plain}}}", "needs username"),
        ("snapshots: {every: 1ms}", "snapshots.every"),
        ("webhooks: {receivers: [{name: a, kind: github}]}", "secret_file: is missing"),
        ("webhooks: {topic: other, receivers: [{name: a, kind: generic}]}", "nobody would read it"),
        ("webhooks: {receivers: [{name: a/b, kind: generic}]}", "is no name"),
        ("sinks: {slack: [{name: a, to: {}}]}", "needs either url or url_file"),
        ("sinks: {slack: [{name: a b, to: {url: 'http://x'}}]}", "sinks: name: is no name"),
        ("sinks: {grafana: [{name: a, to: {url: 'http://me:pw@x'}}]}", "holds a user"),
        ("sinks: {webhook: [{name: a, on: [open], to: {url: 'http://x'}}]}", "unknown variant `open`"),
        ("sinks: {alertmanager: [{name: a, replicas: []}]}", "names no replica"),
        (
            "sinks: {slack: [{name: a, to: {url: 'http://x'}}], grafana: [{name: a, to: {url: 'http://x'}}]}",
            "given to two sinks",
        ),
    ];
    for (text, expected) in cases {
        let found = error(text);
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(Config::parse("f.yaml", "# nothing\n").unwrap(), Config::default());
    assert_eq!(Config::parse("f.yaml", "{}").unwrap(), Config::default());
}

#[test]
fn units_read_what_they_write() {
    for text in ["10s", "1h 30m", "250ms", "7d 2h"] {
        let parsed: Duration = text.parse().unwrap();
        assert_eq!(parsed.to_string().parse::<Duration>().unwrap(), parsed, "{text}");
    }
    for (text, bytes) in [("64MiB", 64 << 20), ("1MB", 1_000_000), ("512", 512), ("7 KiB", 7 << 10)] {
        assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        assert_eq!(Bytes(bytes).to_string().parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
    }
    assert!("-1s".parse::<Duration>().is_err());
    assert!("99999999999GiB".parse::<Bytes>().is_err());
}

#[test]
fn passwords_come_from_the_environment_and_options_win() {
    let text = "kafka:\n  security: {tls: {}, sasl: {mechanism: scram-sha512, username: me, password_env: PATH}}\n  options: {client.id: other}\n";
    let options = Config::parse("f.yaml", text).unwrap().kafka.connection().unwrap();
    assert_eq!(options["security.protocol"], "sasl_ssl");
    assert_eq!(options["sasl.mechanism"], "SCRAM-SHA-512");
    assert_eq!(options["sasl.password"], std::env::var("PATH").unwrap());
    assert_eq!(options["client.id"], "other");
}

/// Every part of a tree of sections with one field alone, as YAML: `{http: {listen: …}}`.
fn alone(value: &serde_yaml_ng::Value, found: &mut Vec<serde_yaml_ng::Value>) {
    use serde_yaml_ng::{Mapping, Value};
    let Value::Mapping(fields) = value else { return };
    for (name, field) in fields {
        let mut inner = Vec::new();
        alone(field, &mut inner);
        inner.push(field.clone());
        found.extend(
            inner.into_iter().map(|inner| Value::Mapping(Mapping::from_iter([(name.clone(), inner)]))),
        );
    }
}

/// What a section leaves out is as if the whole section were left out, whichever of its fields it gives.
#[test]
fn a_partial_section_keeps_its_own_defaults() {
    let mut defaults: serde_yaml_ng::Value = serde_yaml_ng::from_str(DEFAULTS).unwrap();
    // What is absent by default has no field there.
    let tls = "{certificate: c.pem, key: k.pem, client_certificate_optional: false}";
    let mut parts = Vec::new();
    alone(&defaults, &mut parts);
    assert!(parts.len() > 100, "{}", parts.len());
    for part in parts {
        let text = serde_yaml_ng::to_string(&part).unwrap();
        let config: Config = super::from_yaml("f.yaml", &text).unwrap();
        assert_eq!(config, Config::default(), "{text}");
    }
    for server in ["grpc", "http"] {
        let config: Config = super::from_yaml("f.yaml", &format!("{server}: {{tls: {tls}}}")).unwrap();
        let with_tls = serde_yaml_ng::from_str(tls).unwrap();
        defaults[server]["tls"] = with_tls;
        let mut meant = serde_yaml_ng::to_value(&config).unwrap();
        assert_eq!(meant[server], defaults[server], "{server}");
        meant[server]["max_connections"] = 50.into();
        let text = format!("{server}: {{tls: {tls}, max_connections: 50}}");
        let config: Config = super::from_yaml("f.yaml", &text).unwrap();
        assert_eq!(serde_yaml_ng::to_value(&config).unwrap()[server], meant[server], "{server}");
    }
}
