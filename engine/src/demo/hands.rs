//! The demo's controllers, over gRPC and mutual TLS like any other: the built-in ones, which act on the shop alone, and those of
//! `foreshock controller` in their place.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, mpsc as std_mpsc},
};

use foreshock_controllers::{ControllerConfig, News, Routes, Session};
use foreshock_core::types::{self, ControllerKind, RemediationSignal};
use foreshock_proto::v1::{
    self, Ack, ControllerMessage, Hello, Outcome, OutcomeStatus, bus_message::Message as Said,
    controller_message::Message, remediation_bus_client::RemediationBusClient,
};
use foreshock_shop::Action;
use foreshock_wire as wire;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::DemoError;

/// A controller of one kind on the engine's bus.
pub(super) struct Hands {
    say: mpsc::Sender<ControllerMessage>,
    leases: std_mpsc::Receiver<RemediationSignal>,
}

/// Where the engine serves gRPC, and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) endpoint: String,
    /// Folder with `ca.pem`, and with certificate and key of each client; `None` without TLS.
    pub(super) keys: Option<PathBuf>,
}

impl Engine {
    fn endpoint(&self, client: &str) -> Result<Endpoint, DemoError> {
        let lost = |error: tonic::transport::Error| DemoError::Controller(error.to_string());
        let endpoint = Endpoint::from_shared(self.endpoint.clone()).map_err(lost)?;
        let Some(folder) = &self.keys else { return Ok(endpoint) };
        let read = |name: String| std::fs::read(folder.join(name)).map_err(DemoError::Folder);
        let identity = Identity::from_pem(read(format!("{client}.pem"))?, read(format!("{client}.key"))?);
        let authority = Certificate::from_pem(read("ca.pem".to_string())?);
        let tls = ClientTlsConfig::new().ca_certificate(authority).identity(identity);
        endpoint.tls_config(tls).map_err(lost)
    }
}

impl Hands {
    /// Connects; returns once the engine has welcomed it.
    pub(super) fn connect(engine: &Engine, kind: ControllerKind) -> Result<Hands, DemoError> {
        let endpoint = engine.endpoint(kind.name())?;
        let (say, said) = mpsc::channel(64);
        let (sender, leases) = std_mpsc::channel();
        let (welcomed, welcome) = std_mpsc::channel();
        let hello = Hello {
            controller: format!("demo/{}", kind.name()),
            kind: wire::controller_kind_to(kind).into(),
            capacity: 8,
            ..Hello::default()
        };
        // There is room for it.
        say.try_send(message(Message::Hello(hello))).ok();
        std::thread::Builder::new().name(format!("demo-{}", kind.name())).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
                runtime
                    .block_on(listen(endpoint, said, &sender, &welcomed))
                    .map_err(|status| status.to_string())
            });
            // Nobody waits for the welcome of one that had it.
            welcomed.send(ended).ok();
        })?;
        match welcome.recv() {
            Ok(Ok(())) => Ok(Hands { say, leases }),
            Ok(Err(problem)) => Err(DemoError::Controller(problem)),
            Err(_) => Err(DemoError::Silent("a controller was not welcomed")),
        }
    }

    /// The next signal that was granted, if one was.
    pub(super) fn granted(&self) -> Option<RemediationSignal> {
        self.leases.try_recv().ok()
    }

    /// Work begins.
    pub(super) fn ack(&self, signal: &RemediationSignal) -> Result<(), DemoError> {
        let (signal_id, fencing_token) = (signal.id.to_string(), signal.fencing_token);
        self.tell(Message::Ack(Ack { signal_id, fencing_token }))
    }

    /// Work is done.
    pub(super) fn succeeded(&self, signal: &RemediationSignal, words: &str) -> Result<(), DemoError> {
        let (signal_id, fencing_token) = (signal.id.to_string(), signal.fencing_token);
        let (status, message) = (OutcomeStatus::Succeeded.into(), words.to_string());
        self.tell(Message::Outcome(Outcome { signal_id, fencing_token, status, message }))
    }

    fn tell(&self, said: Message) -> Result<(), DemoError> {
        let gone = |_| DemoError::Controller("its stream has ended".to_string());
        self.say.blocking_send(message(said)).map_err(gone)
    }
}

/// Runs the controller that `foreshock controller` runs, on a thread of its own, until the engine ends. Returns once the engine has welcomed it.
pub(super) fn run_real(
    engine: &Engine,
    kind: ControllerKind,
    config: &ControllerConfig,
) -> Result<(), DemoError> {
    let (endpoint, config) = (engine.endpoint(kind.name())?, config.clone());
    let (welcomed, welcome) = std_mpsc::channel();
    std::thread::Builder::new().name(format!("demo-{}", kind.name())).spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let ended = runtime
            .map_err(|error| error.to_string())
            .and_then(|runtime| runtime.block_on(attend(endpoint, kind, &config, &welcomed)));
        // Nobody waits for the welcome of one that had it.
        welcomed.send(ended).ok();
    })?;
    welcome
        .recv()
        .map_err(|_| DemoError::Silent("a controller was not welcomed"))?
        .map_err(DemoError::Controller)
}

/// One subscription of a real controller.
async fn attend(
    endpoint: Endpoint,
    kind: ControllerKind,
    config: &ControllerConfig,
    welcomed: &std_mpsc::Sender<Result<(), String>>,
) -> Result<(), String> {
    let hand = Arc::new(Routes::new(config).await.map_err(|error| error.to_string())?);
    let (say, said) = mpsc::channel(64);
    let hello = Hello {
        controller: format!("demo/{}", kind.name()),
        kind: wire::controller_kind_to(kind).into(),
        capacity: config.capacity,
        ..Hello::default()
    };
    // There is room for it.
    say.try_send(message(Message::Hello(hello))).ok();
    let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
    let subscribed = RemediationBusClient::new(channel).subscribe(ReceiverStream::new(said)).await;
    let mut heard = subscribed.map_err(|status| status.to_string())?.into_inner();
    let mut session = Session::new(hand, config.follow.clone(), false);
    session
        .attend(&say, &mut heard, &mut |news| {
            if let News::Welcome { .. } = news {
                welcomed.send(Ok(())).ok();
            }
        })
        .await;
    Ok(())
}

fn message(message: Message) -> ControllerMessage {
    ControllerMessage { message: Some(message) }
}

/// One stream, from Hello to its end.
async fn listen(
    endpoint: Endpoint,
    said: mpsc::Receiver<ControllerMessage>,
    leases: &std_mpsc::Sender<RemediationSignal>,
    welcomed: &std_mpsc::Sender<Result<(), String>>,
) -> Result<(), tonic::Status> {
    let lost = |error: tonic::transport::Error| tonic::Status::from_error(Box::new(error));
    let mut client = RemediationBusClient::new(endpoint.connect().await.map_err(lost)?);
    let mut heard = client.subscribe(ReceiverStream::new(said)).await?.into_inner();
    while let Some(message) = heard.message().await? {
        match message.message {
            Some(Said::Welcome(_)) => drop(welcomed.send(Ok(()))),
            Some(Said::Lease(v1::Lease { signal: Some(signal), .. })) => {
                let signal = wire::signal_from(signal)
                    .map_err(|invalid| tonic::Status::internal(invalid.to_string()))?;
                if leases.send(signal).is_err() {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Keys for the demo alone: an authority, the engine, its controllers, and whoever looks in.
pub(super) fn keys(folder: &Path) -> Result<(), DemoError> {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    };
    let failed = |error: rcgen::Error| DemoError::Folder(std::io::Error::other(error));
    // Nobody else's.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(DemoError::Folder)?;
    let write =
        |name: String, text: String| std::fs::write(folder.join(name), text).map_err(DemoError::Folder);
    let key = KeyPair::generate().map_err(failed)?;
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem".to_string(), authority.self_signed(&key).map_err(failed)?.pem())?;
    let issuer = Issuer::new(authority, key);
    for name in ["engine", "deploy", "retrain", "you"] {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.subject_alt_names = match name {
            "engine" => vec![
                SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
                SanType::DnsName("localhost".try_into().map_err(failed)?),
            ],
            client => {
                vec![SanType::URI(format!("spiffe://demo/{client}").as_str().try_into().map_err(failed)?)]
            }
        };
        // Its own: with its authority's name it would look like one that vouches for itself.
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        write(format!("{name}.pem"), certificate.pem())?;
        write(format!("{name}.key"), key.serialize_pem())?;
    }
    let mut token = [0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut token)
        .map_err(|_| DemoError::Folder(std::io::Error::other("the system gives no random numbers")))?;
    write("you.token".to_string(), token.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a signal means in the shop; its policies ask for nothing else.
pub(super) fn action(signal: &RemediationSignal) -> Option<Action> {
    let name = signal.target.name.clone();
    Some(match signal.action {
        types::Action::Rollback => {
            let to_version = signal.attributes.get("to_version").filter(|version| !version.is_empty());
            let previous = to_version.cloned().unwrap_or_else(|| foreshock_shop::GOOD_VERSION.to_string());
            Action::Rollback { service: name, to_version: previous }
        }
        types::Action::Restart => Action::Restart { service: name },
        types::Action::Retrain => Action::Retrain { model: name },
        _ => return None,
    })
}

/// A signal under way.
pub(super) struct UnderWay {
    pub(super) hands: Arc<Hands>,
    pub(super) signal: RemediationSignal,
    /// Unix seconds at which it takes effect.
    pub(super) effect_at: i64,
}
