//! `foreshock controller`: a reference client of the remediation bus that says what it would do, and does nothing.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use foreshock_proto::v1::{
    self, Ack, ControllerMessage, Hello, Lease, Outcome, OutcomeStatus, bus_message::Message as Said,
    controller_message::Message, remediation_bus_client::RemediationBusClient,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    super::{BadConfig, Ending},
    Engine, block_on, pair, refusal,
    screen::{json, plain, say},
    unknown,
};
use crate::{serve::wire, types::RemediationSignal};

/// Take remediation signals as a controller does, say on stderr what it would do, and end each as a dry run.
///
/// A signal that it takes is used up: no other controller will execute it.
///
/// Example: foreshock controller deploy --dry-run --scope namespace=shop
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    #[command(flatten)]
    engine: Engine,
    /// Which signals to take.
    kind: Kind,
    /// Do nothing but say what would be done. Required: there is no other way yet.
    #[arg(long)]
    dry_run: bool,
    /// Name that the audit log shows.
    #[arg(long, default_value = "foreshock-dry-run")]
    name: String,
    /// Only signals whose attributes have this value, as key=value. May be repeated.
    #[arg(long, value_parser = pair)]
    scope: Vec<(String, String)>,
    /// How many leases to hold at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    capacity: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Deploy,
    Retrain,
    Workflow,
    Notify,
}

const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(30);

pub(in super::super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    if !arguments.dry_run {
        return Err(BadConfig("only --dry-run exists: add it".to_string()).into());
    }
    // Before the first attempt: trying again would not mend it.
    arguments.engine.parse()?;
    block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            failed = keep_connected(arguments) => failed,
        }
    })?;
    Ok(Ending::Fine)
}

/// One subscription after the other; ends only with what trying again cannot mend.
async fn keep_connected(arguments: &Arguments) -> anyhow::Result<()> {
    let mut rest = FIRST_REST;
    loop {
        let lost = match subscribe(arguments, &mut rest).await {
            Ok(()) => anyhow!("the engine ended the subscription"),
            Err(ControlFlow::Continue(lost)) => lost,
            Err(ControlFlow::Break(hopeless)) => return Err(hopeless),
        };
        eprintln!("{lost:#}\ntrying again in {} s", rest.as_secs_f64());
        tokio::time::sleep(rest).await;
        rest = (rest * 2).min(LONGEST_REST);
    }
}

/// What ended a subscription: worth another attempt, or not.
type Ended = ControlFlow<anyhow::Error, anyhow::Error>;

/// One subscription, from Hello to its end. A welcome makes the next rest a short one again.
async fn subscribe(arguments: &Arguments, rest: &mut Duration) -> Result<(), Ended> {
    let channel = arguments.engine.connect().await.map_err(Ended::Continue)?;
    let (say, said) = mpsc::channel(16);
    let lost = |status| Ended::Continue(refusal(&status));
    say.send(message(Message::Hello(hello(arguments)))).await.map_err(gone)?;
    let mut client = RemediationBusClient::new(channel);
    let mut heard = client.subscribe(ReceiverStream::new(said)).await.map_err(lost)?.into_inner();
    while let Some(heard) = heard.message().await.map_err(lost)? {
        match heard.message {
            Some(Said::Welcome(welcome)) => {
                *rest = FIRST_REST;
                let session = plain(&welcome.session);
                eprintln!("connected to {} as {session}", plain(&arguments.engine.endpoint));
            }
            Some(Said::Lease(lease)) => {
                for answer in rehearse(lease).map_err(Ended::Break)? {
                    say.send(message(answer)).await.map_err(gone)?;
                }
            }
            Some(Said::Cancel(cancel)) => {
                let (id, reason) = (plain(&cancel.signal_id), plain(&cancel.reason));
                eprintln!("signal {id} is cancelled: {reason}");
            }
            Some(Said::Fault(fault)) => {
                let said = format!("{}: {}", plain(&fault.code), plain(&fault.message));
                if fault.code == "bad_hello" {
                    return Err(Ended::Break(anyhow!("the engine refuses this controller: {said}")));
                }
                eprintln!("the engine refuses a message about {:?}: {said}", plain(&fault.signal_id));
            }
            None => eprintln!("the engine says something that this version does not know"),
        }
    }
    Ok(())
}

/// Says what would be done about a signal; gives what the engine is told.
fn rehearse(lease: Lease) -> anyhow::Result<[Message; 2]> {
    let signal =
        lease.signal.ok_or_else(|| anyhow!("the engine granted a lease of nothing: this is a bug"))?;
    let signal_id = signal.id.clone();
    let signal = wire::signal_from(signal).map_err(unknown)?;
    let intent = intent(&signal);
    eprintln!(
        "would {} (signal {}, token {}, attempt {}): {}",
        plain(&intent),
        signal.id,
        lease.fencing_token,
        lease.attempt,
        plain(&signal.reason)
    );
    say(&json(&signal)?)?;
    let fencing_token = lease.fencing_token;
    let status = OutcomeStatus::DryRun.into();
    Ok([
        Message::Ack(Ack { signal_id: signal_id.clone(), fencing_token }),
        Message::Outcome(Outcome { signal_id, fencing_token, status, message: intent }),
    ])
}

/// `rollback service/shop/payment from v2 to v1`.
fn intent(signal: &RemediationSignal) -> String {
    let mut intent = format!("{} {}", signal.action.name(), signal.target);
    for (key, word) in [("version", "from"), ("to_version", "to")] {
        if let Some(value) = signal.attributes.get(key).filter(|value| !value.is_empty()) {
            intent.push_str(&format!(" {word} {value}"));
        }
    }
    intent
}

fn hello(arguments: &Arguments) -> Hello {
    let kind = match arguments.kind {
        Kind::Deploy => v1::ControllerKind::Deploy,
        Kind::Retrain => v1::ControllerKind::Retrain,
        Kind::Workflow => v1::ControllerKind::Workflow,
        Kind::Notify => v1::ControllerKind::Notify,
    };
    let scope: HashMap<String, String> = arguments.scope.iter().cloned().collect();
    Hello {
        controller: arguments.name.clone(),
        kind: kind.into(),
        scope: scope.into_iter().collect(),
        capacity: arguments.capacity,
    }
}

fn message(message: Message) -> ControllerMessage {
    ControllerMessage { message: Some(message) }
}

/// The stream took its end while we spoke.
fn gone(_: mpsc::error::SendError<ControllerMessage>) -> Ended {
    Ended::Continue(anyhow!("the engine went away"))
}
