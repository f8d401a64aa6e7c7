//! Who is let in, to what, over which connection.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use foreshock::serve::{Tls, access::Access};
use foreshock_core::{
    bus::{BusConfig, Event},
    config::{AccessConfig, ServerTls},
    types::Id,
};
use foreshock_proto::v1::{
    self, ControllerKind, ControllerMessage, Hello, ListIncidentsRequest, ListSignalsRequest,
    bus_message::Message as Said, controller_message::Message, incidents_client::IncidentsClient,
    remediation_bus_client::RemediationBusClient,
};
use prost::Message as _;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::MetadataValue,
    transport::{Certificate as Pem, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;

use super::{
    clients::Language,
    commands::{Running, fine, foreshock_with},
    double::{Double, automatic, incident, with_approval},
};

/// Everybody's token is their name, and sixteen characters more.
fn token(name: &str) -> String {
    format!("{name}-0123456789abcdef")
}

const CALLERS: [(&str, &str); 7] = [
    ("nobody", ""),
    ("viewer", "viewer"),
    ("operator", "operator"),
    ("approver", "approver"),
    ("dba", "approver:dba"),
    ("shop", "controller:deploy:namespace=shop"),
    ("bank", "controller:deploy:namespace=bank"),
];

/// A folder with everybody's tokens, and whom they let in.
fn callers(folder: &TempDir) -> AccessConfig {
    let mut text = "tokens:\n".to_string();
    for (name, role) in CALLERS {
        let path = folder.path().join(name);
        std::fs::write(&path, token(name)).unwrap();
        let roles = if role.is_empty() { String::new() } else { format!("'{role}'") };
        text.push_str(&format!("- {{name: {name}, roles: [{roles}], token_file: {}}}\n", path.display()));
    }
    serde_yaml_ng::from_str(&text).unwrap()
}

fn guarded(config: BusConfig, folder: &TempDir) -> Double {
    let access = Access::new(&callers(folder)).unwrap();
    Double::start_with(([127, 0, 0, 1], 0).into(), config, access, None)
}

async fn channel(double: &Double) -> Channel {
    Endpoint::from_shared(double.endpoint()).unwrap().connect().await.unwrap()
}

fn with<T>(name: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !name.is_empty() {
        let value: MetadataValue<_> = format!("Bearer {}", token(name)).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// Every method that the engine serves, as the reflection shows them.
fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap().file;
    let of = |file: prost_types::FileDescriptorProto| {
        let package = file.package().to_string();
        file.service.into_iter().flat_map(move |service| {
            let name = format!("/{package}.{}", service.name());
            service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
        })
    };
    files.into_iter().flat_map(of).collect()
}

/// What comes of asking with an empty message. An answer that does not end is one.
async fn ask(channel: &Channel, name: &str, method: &str) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path: PathAndQuery = method.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let asked = client.server_streaming(with(name, ()), path, codec);
    let Ok(answer) = tokio::time::timeout(Duration::from_millis(500), asked).await else { return Ok(()) };
    let mut answer = answer?.into_inner();
    match tokio::time::timeout(Duration::from_millis(100), answer.message()).await {
        Ok(Err(status)) => Err(status),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

#[tokio::test]
async fn every_method_asks_who_it_is_and_has_a_right_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let double = guarded(automatic(60), &folder);
    let channel = channel(&double).await;
    let see = [
        "Incidents/Watch",
        "Incidents/List",
        "Incidents/Get",
        "Incidents/ListSuppressed",
        "Incidents/ListAdjustments",
        "Silences/List",
    ];
    let operate = [
        "Incidents/Acknowledge",
        "Incidents/Feedback",
        "Incidents/Undo",
        "Silences/Create",
        "Silences/End",
        "RemediationBus/Propose",
        "RemediationBus/CancelSignal",
        "RemediationBus/Halt",
    ];
    let signals =
        ["ListSignals", "GetSignal", "WatchSignals", "History"].map(|name| format!("RemediationBus/{name}"));
    let signals: Vec<&str> = signals.iter().map(String::as_str).collect();
    let more = ["RemediationBus/ListPolicies", "Gate/Check"];
    let seeing: BTreeSet<&str> = see.into_iter().chain(more).chain(signals.clone()).collect();
    let may = |name: &str, method: &str| match name {
        "viewer" => seeing.contains(method),
        "operator" => seeing.contains(method) || operate.contains(&method),
        "approver" | "dba" => seeing.contains(method) || method == "RemediationBus/Decide",
        "shop" | "bank" => signals.contains(&method) || method == "RemediationBus/Subscribe",
        _ => false,
    };
    let methods = methods();
    assert!(methods.len() >= 22, "{methods:?}");
    for method in &methods {
        let denied = ask(&channel, "", method).await.unwrap_err();
        assert_eq!(denied.code(), Code::Unauthenticated, "{method}");
        let denied = ask(&channel, "stranger", method).await.unwrap_err();
        assert_eq!(
            (denied.code(), denied.message()),
            (Code::Unauthenticated, "this token is not known"),
            "{method}"
        );
        for (name, _) in CALLERS {
            let allowed = match ask(&channel, name, method).await {
                Err(status) if status.code() == Code::PermissionDenied => {
                    assert!(status.message().contains("role"), "says what is needed: {status}");
                    false
                }
                Err(status) => {
                    assert!(
                        ![Code::Unauthenticated, Code::Unimplemented].contains(&status.code()),
                        "{method}: {status}"
                    );
                    true
                }
                Ok(()) => true,
            };
            let short = method.trim_start_matches("/foreshock.v1.");
            assert_eq!(allowed, may(name, short), "{name} {method}");
        }
    }
    // Kubernetes asks without a token; people with grpcurl need one.
    let health = ask(&channel, "", "/grpc.health.v1.Health/Check").await;
    assert!(health.is_ok(), "{health:?}");
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert_eq!(ask(&channel, "", reflection).await.unwrap_err().code(), Code::Unauthenticated);
    let known = ask(&channel, "nobody", reflection).await.map_err(|status| status.code());
    assert!([Ok(()), Err(Code::InvalidArgument)].contains(&known), "an empty question: {known:?}");
    assert_eq!(
        ask(&channel, "viewer", "/foreshock.v1.Incidents/Burn").await.unwrap_err().code(),
        Code::Unimplemented
    );
}

/// The first message that a controller hears after Welcome within half a second, or the fault instead of a Welcome.
async fn subscribe(channel: Channel, name: &str, kind: ControllerKind) -> Option<Said> {
    let hello = Hello { controller: format!("{name}/1"), kind: kind.into(), capacity: 1, ..Hello::default() };
    let message = ControllerMessage { message: Some(Message::Hello(hello)) };
    let outgoing = tokio_stream::iter([message]).chain(tokio_stream::pending());
    let mut client = RemediationBusClient::new(channel);
    let mut heard = client.subscribe(with(name, outgoing)).await.unwrap().into_inner();
    loop {
        let next = tokio::time::timeout(Duration::from_millis(500), heard.message()).await.ok()?;
        match next.unwrap()?.message? {
            Said::Welcome(_) => {}
            said => return Some(said),
        }
    }
}

#[tokio::test]
async fn nobody_sees_or_leases_what_their_role_does_not_cover() {
    let folder = tempfile::tempdir().unwrap();
    let double = guarded(automatic(60), &folder);
    double.tell(Event::Incident(incident(7)));
    let channel = channel(&double).await;
    let mut client = RemediationBusClient::new(channel.clone());
    for (name, expected) in [("viewer", 1), ("shop", 1), ("bank", 0)] {
        let listed = client.list_signals(with(name, ListSignalsRequest::default())).await.unwrap();
        assert_eq!(listed.into_inner().signals.len(), expected, "{name}");
    }
    let all = client.list_signals(with("viewer", ListSignalsRequest::default())).await.unwrap().into_inner();
    let request = v1::GetSignalRequest { signal_id: all.signals[0].id.clone() };
    assert_eq!(client.get_signal(with("bank", request.clone())).await.unwrap_err().code(), Code::NotFound);
    client.get_signal(with("shop", request)).await.unwrap();
    assert_eq!(
        subscribe(channel.clone(), "bank", ControllerKind::Deploy).await,
        None,
        "nothing of the shop's"
    );
    let Some(Said::Fault(fault)) = subscribe(channel.clone(), "shop", ControllerKind::Retrain).await else {
        panic!("it may not retrain")
    };
    assert_eq!((fault.code.as_str(), fault.message.contains("retrain")), ("bad_hello", true), "{fault:?}");
    let Some(Said::Lease(lease)) = subscribe(channel, "shop", ControllerKind::Deploy).await else {
        panic!("no lease")
    };
    assert_eq!(lease.signal.unwrap().attributes["namespace"], "shop");
}

#[tokio::test]
async fn a_stream_ends_when_its_caller_is_known_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let double = guarded(automatic(60), &folder);
    let mut client = IncidentsClient::new(channel(&double).await);
    let mut watch = async |name| {
        client.watch(with(name, v1::WatchIncidentsRequest::default())).await.unwrap().into_inner()
    };
    let (mut viewer, mut operator) = (watch("viewer").await, watch("operator").await);
    std::fs::write(folder.path().join("viewer"), "another-0123456789abcdef").unwrap();
    assert!(double.access.reload().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(5), viewer.message()).await.unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    double.tell(Event::Incident(incident(8)));
    assert_eq!(operator.message().await.unwrap().unwrap().id, Id(8).to_string());
}

#[tokio::test]
async fn what_is_written_down_is_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let double = guarded(with_approval(), &folder);
    double.tell(Event::Incident(incident(7)));
    let mut client = RemediationBusClient::new(channel(&double).await);
    let listed =
        client.list_signals(with("viewer", ListSignalsRequest::default())).await.unwrap().into_inner();
    let signal_id = listed.signals[0].id.clone();
    let request =
        v1::DecideRequest { signal_id, approve: true, by: "carol".to_string(), comment: String::new() };
    let denied = client.decide(with("operator", request.clone())).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let decided = client.decide(with("approver", request)).await.unwrap().into_inner().signal.unwrap();
    assert_eq!(decided.note, "approved by approver for carol");
}

/// An authority and what it vouches for, in files.
struct Authority {
    folder: TempDir,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let authority =
            Authority { folder: tempfile::tempdir().unwrap(), certificate, issuer: Issuer::new(params, key) };
        std::fs::write(authority.path("ca.pem"), authority.certificate.pem()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate for this name, which is an address or a URI, and its key.
    fn vouch(&self, file: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::URI(name.try_into().unwrap()),
        }];
        // Its own: with its authority's name it would look like one that vouches for itself.
        params.distinguished_name.push(DnType::CommonName, file);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn tls(&self, clients: bool) -> ServerTls {
        ServerTls {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: clients.then(|| self.path("ca.pem")),
            client_certificate_optional: false,
        }
    }

    /// TLS of a client that believes this authority and shows this certificate.
    fn client(&self, file: Option<&str>) -> ClientTlsConfig {
        let read = |name: String| std::fs::read(self.path(&name)).unwrap();
        let config = ClientTlsConfig::new().ca_certificate(Pem::from_pem(read("ca.pem".to_string())));
        match file {
            Some(file) => {
                let (pem, key) = (read(format!("{file}.pem")), read(format!("{file}.key")));
                config.identity(Identity::from_pem(pem, key))
            }
            None => config,
        }
    }
}

/// What a list of incidents says over such a connection: the code of the refusal, or that there is no connection.
async fn list(double: &Double, tls: ClientTlsConfig) -> Result<(), Option<Code>> {
    let endpoint = Endpoint::from_shared(double.endpoint()).unwrap().tls_config(tls).unwrap();
    let channel = endpoint.connect().await.map_err(|_| None)?;
    let listed = IncidentsClient::new(channel).list(ListIncidentsRequest::default()).await;
    // TLS 1.3 tells a client only when it reads that its certificate is not taken.
    listed.map(drop).map_err(|status| match status.code() {
        Code::Unknown | Code::Unavailable | Code::Cancelled => None,
        code => Some(code),
    })
}

#[tokio::test]
async fn certificates_on_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    ours.vouch("server", "127.0.0.1");
    ours.vouch("viewer", "spiffe://shop/viewer");
    ours.vouch("other", "spiffe://shop/other");
    theirs.vouch("viewer", "spiffe://shop/viewer");
    let text = "certificates: [{name: spiffe://shop/viewer, roles: [viewer]}]";
    let access = Access::new(&serde_yaml_ng::from_str(text).unwrap()).unwrap();
    let tls = Tls::new("grpc.tls", &ours.tls(true), "h2").unwrap();
    let double = Double::start_with(([127, 0, 0, 1], 0).into(), automatic(60), access, Some(tls));
    assert_eq!(list(&double, ours.client(Some("viewer"))).await, Ok(()));
    assert_eq!(list(&double, ours.client(Some("other"))).await, Err(Some(Code::Unauthenticated)));
    assert_eq!(list(&double, ours.client(None)).await, Err(None), "a certificate must be shown");
    let forged = theirs.client(Some("viewer")).ca_certificate(Pem::from_pem(ours.certificate.pem()));
    assert_eq!(list(&double, forged).await, Err(None), "the same name, by another authority");
    assert_eq!(list(&double, theirs.client(Some("viewer"))).await, Err(None), "it is not the engine");
    let plain = Endpoint::from_shared(format!("http://{}", double.address)).unwrap().connect().await;
    if let Ok(channel) = plain {
        IncidentsClient::new(channel).list(ListIncidentsRequest::default()).await.unwrap_err();
    }
}

#[tokio::test]
async fn another_certificate_is_taken_up_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    old.vouch("server", "127.0.0.1");
    new.vouch("server", "127.0.0.1");
    let tls = Tls::new("grpc.tls", &old.tls(false), "h2").unwrap();
    let double = Double::start_with(([127, 0, 0, 1], 0).into(), automatic(60), Access::open(), Some(tls));
    assert_eq!(list(&double, old.client(None)).await, Ok(()));
    let before = Endpoint::from_shared(double.endpoint()).unwrap().tls_config(old.client(None)).unwrap();
    let before = before.connect().await.unwrap();
    let tls = double.tls.as_ref().unwrap();
    assert!(!tls.reload().unwrap());
    // Half of it is there: certificate and key do not belong together.
    std::fs::copy(new.path("server.pem"), old.path("server.pem")).unwrap();
    let problem = tls.reload().unwrap_err().to_string();
    assert!(problem.starts_with("grpc.tls: ") && problem.contains("server.pem"), "{problem}");
    assert_eq!(list(&double, old.client(None)).await, Ok(()), "the old one goes on");
    std::fs::copy(new.path("server.key"), old.path("server.key")).unwrap();
    assert!(tls.reload().unwrap());
    assert_eq!(list(&double, old.client(None)).await, Err(None));
    assert_eq!(list(&double, new.client(None)).await, Ok(()));
    IncidentsClient::new(before)
        .list(ListIncidentsRequest::default())
        .await
        .expect("what is connected stays");
}

#[test]
fn commands_show_who_they_are() {
    let authority = Authority::new();
    authority.vouch("server", "127.0.0.1");
    let folder = tempfile::tempdir().unwrap();
    let access = Access::new(&callers(&folder)).unwrap();
    let tls = Tls::new("grpc.tls", &authority.tls(false), "h2").unwrap();
    let double = Double::start_with(([127, 0, 0, 1], 0).into(), with_approval(), access, Some(tls));
    double.tell(Event::Incident(incident(7)));
    let endpoint = double.endpoint();
    let ca = authority.path("ca.pem").display().to_string();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let own = |name: &str| vec!["--ca".to_string(), ca.clone(), "--token-file".to_string(), file(name)];
    let run = |arguments: &[&str], own: Vec<String>| {
        let all: Vec<&str> = arguments.iter().copied().chain(own.iter().map(String::as_str)).collect();
        foreshock_with(&endpoint, &all)
    };
    let (code, out, err) = run(&["signals", "list", "--json"], own("viewer"));
    assert_eq!((code, err.as_str()), (0, ""));
    let id = serde_json::from_str::<serde_json::Value>(&out).unwrap()["id"].as_str().unwrap().to_string();
    let (code, _, err) = run(&["signals", "approve", &id], own("viewer"));
    assert_eq!(code, 2);
    assert!(err.contains("the engine does not let us") && err.contains("the role approver"), "{err}");
    let (code, out, err) = run(&["signals", "approve", &id, "--json"], own("approver"));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("approved by approver"), "{out}");
    let (code, _, err) = run(&["incidents"], vec!["--ca".to_string(), ca.clone()]);
    assert!(code == 2 && err.contains("Bearer TOKEN"), "{err}");
    let (code, _, err) = run(&["incidents"], vec!["--token-file".to_string(), file("viewer")]);
    assert!(code == 2 && err.contains("no engine answers"), "an engine that nobody vouches for: {err}");
    let (code, _, err) =
        run(&["incidents"], vec!["--ca".to_string(), ca.clone(), "--key".to_string(), ca.clone()]);
    assert!(code == 64 && err.contains("go together"), "{err}");
    let (code, _, err) =
        foreshock_with("http://engine.test:7117", &["incidents", "--token-file", &file("viewer")]);
    assert!(code == 64 && err.contains("plain text"), "{err}");
    // Without all of that, as on a laptop.
    let open = Double::start(with_approval());
    fine(&open.endpoint(), &["incidents"]);
}

#[test]
fn controllers_of_other_languages_show_who_they_are() {
    for (language, script) in [(Language::PYTHON, "controller.py"), (Language::NODE, "controller.js")] {
        let Some(ready) = language.required() else { continue };
        let authority = Authority::new();
        authority.vouch("server", "127.0.0.1");
        let folder = tempfile::tempdir().unwrap();
        let access = Access::new(&callers(&folder)).unwrap();
        let tls = Tls::new("grpc.tls", &authority.tls(false), "h2").unwrap();
        let double = Double::start_with(([127, 0, 0, 1], 0).into(), automatic(60), access, Some(tls));
        let start = |token: &str| {
            let mut script = ready.script(script);
            script.arg(double.address.to_string()).arg("--ca").arg(authority.path("ca.pem"));
            Running::spawn(script.arg("--token-file").arg(folder.path().join(token)))
        };
        let refused = start("viewer").talk();
        assert!(refused.contains("controller:KIND:SCOPE"), "{script}: {refused}");
        let welcome = start("shop").talk();
        assert!(welcome.starts_with("welcome {"), "{script}: {welcome}");
    }
}
