//! `foreshock controller`: carries out remediation signals, or says what it would do.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc, time::Duration};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use foreshock_client::{
    BadConfig, Ending, Engine, logging, pair, refusal,
    screen::{json, plain},
    stream::say,
    talk, unknown,
};
use foreshock_core::{
    bus::Backoff,
    config::{ConfigError, LogFormat},
    types::ControllerKind,
};
use foreshock_proto::v1::{
    ControllerMessage, Hello, controller_message::Message, remediation_bus_client::RemediationBusClient,
};
use foreshock_wire as wire;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{ControllerConfig, Course, Ended, Gone, Hand, News, Order, Routes, Session};

/// Take remediation signals and carry them out: on Kubernetes, Argo, workflow engines, ML platforms, CI servers, by webhook.
///
/// Without --config, deploy acts on the Deployments that signals are named after, in the current cluster. A signal that is taken is used up,
/// also by --dry-run.
///
/// Example: foreshock controller deploy --config deploy.yaml --scope namespace=shop
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    engine: Engine,
    /// Which signals to take.
    kind: Kind,
    /// Which signals go where: `foreshock schema --controller` describes it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change nothing: say what would be done, with the request as it would be sent.
    #[arg(long)]
    dry_run: bool,
    /// Name that the audit log shows.
    #[arg(long)]
    name: Option<String>,
    /// Only signals whose attributes have this value, as key=value. May be repeated.
    #[arg(long, value_parser = pair)]
    scope: Vec<(String, String)>,
    /// How many leases to hold at once.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    capacity: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Deploy,
    Retrain,
    /// Workflows, such as a CI server's pipelines.
    #[value(alias = "ci")]
    Workflow,
    Notify,
}

/// Where it goes when nothing says otherwise: to Deployments of the signals' names.
const DEPLOYMENTS: &str = "routes: [{workload: {}}]";

const BACKOFF: Backoff = Backoff { first_ms: 500, max_ms: 30_000 };

/// Takes signals until it is told to end.
pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let config = arguments.config()?;
    // Before the first attempt: trying again would not mend it.
    arguments.engine.parse()?;
    logging::start(LogFormat::Human, "warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let ended = runtime.block_on(async {
        let hand: Arc<dyn Hand> = match config.routes.is_empty() {
            true => Arc::new(Rehearsal),
            false => Arc::new(Routes::new(&config).await.map_err(|error| BadConfig(error.to_string()))?),
        };
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut session = Session::new(hand, config.follow.clone(), arguments.dry_run);
        let (lost, mut losses) = mpsc::unbounded_channel();
        let talk = Talk { arguments, lost };
        let ended = tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            Some(unwritten) = losses.recv() => Err(unwritten),
            failed = keep_connected(&talk, &config, &mut session) => failed,
        };
        for id in session.end_all() {
            talk!("signal {id} is under way and is left: the next controller that takes it goes on with it");
        }
        ended
    });
    // Hands that wait for something are not waited for.
    runtime.shutdown_background();
    ended.map(|()| Ending::Fine)
}

impl Arguments {
    /// What the file says, and the arguments beside it. Without a route signals are only said.
    fn config(&self) -> anyhow::Result<ControllerConfig> {
        let bad = |error: ConfigError| BadConfig(error.to_string());
        let mut config = match (&self.config, self.kind) {
            (Some(path), _) => ControllerConfig::read(path).map_err(bad)?,
            (None, _) if self.dry_run => ControllerConfig::default(),
            (None, Kind::Deploy) => ControllerConfig::parse("the default", DEPLOYMENTS).map_err(bad)?,
            (None, _) => {
                let words = "say with --config FILE where the signals go, or only say what would be done with --dry-run";
                return Err(BadConfig(words.to_string()).into());
            }
        };
        config.name = self.name.clone().unwrap_or(config.name);
        config.scope.extend(self.scope.iter().cloned());
        config.capacity = self.capacity.unwrap_or(config.capacity);
        Ok(config)
    }

    fn hello(&self, config: &ControllerConfig) -> Hello {
        let kind = match self.kind {
            Kind::Deploy => ControllerKind::Deploy,
            Kind::Retrain => ControllerKind::Retrain,
            Kind::Workflow => ControllerKind::Workflow,
            Kind::Notify => ControllerKind::Notify,
        };
        let controller = match config.name.as_str() {
            "" => format!("foreshock/{}", kind.name()),
            name => name.to_string(),
        };
        Hello {
            controller,
            kind: wire::controller_kind_to(kind).into(),
            scope: config.scope.clone().into_iter().collect(),
            capacity: config.capacity,
        }
    }
}

/// One subscription after the other; ends only with what trying again cannot mend.
async fn keep_connected(
    talk: &Talk<'_>,
    config: &ControllerConfig,
    session: &mut Session,
) -> anyhow::Result<()> {
    let mut losses = 0;
    loop {
        let mut welcomed = false;
        let mut news = |news: News<'_>| {
            welcomed |= matches!(news, News::Welcome { .. });
            talk.tell(&news);
        };
        let lost = match subscribe(talk.arguments, config, session, &mut news).await {
            ControlFlow::Continue(lost) => lost,
            ControlFlow::Break(hopeless) => return Err(hopeless),
        };
        // A welcome makes the next rest a short one again.
        losses = if welcomed { 1 } else { losses + 1 };
        let rest = Duration::from_millis(BACKOFF.after(losses));
        talk!("{lost:#}\ntrying again in {} s", rest.as_secs_f64());
        session.wait(rest, &mut |news| talk.tell(&news)).await;
    }
}

/// One subscription, from Hello to its end. Gives what ended it: worth another attempt, or not.
async fn subscribe(
    arguments: &Arguments,
    config: &ControllerConfig,
    session: &mut Session,
    news: &mut impl FnMut(News<'_>),
) -> ControlFlow<anyhow::Error, anyhow::Error> {
    let channel = match arguments.engine.connect().await {
        Ok(channel) => channel,
        Err(lost) => return ControlFlow::Continue(lost),
    };
    let (say, said) = mpsc::channel(16);
    let hello = ControllerMessage { message: Some(Message::Hello(arguments.hello(config))) };
    // There is room for it.
    say.try_send(hello).ok();
    let mut client = RemediationBusClient::new(channel);
    let mut heard = match client.subscribe(ReceiverStream::new(said)).await {
        Ok(heard) => heard.into_inner(),
        Err(status) => return ControlFlow::Continue(refusal(&status)),
    };
    match session.attend(&say, &mut heard, news).await {
        Gone::Away(None) => ControlFlow::Continue(anyhow!("the engine ended the subscription")),
        Gone::Away(Some(status)) => ControlFlow::Continue(refusal(&status)),
        Gone::Refused(why) => {
            ControlFlow::Break(anyhow!("the engine refuses this controller: {}", plain(&why)))
        }
        Gone::Foreign(invalid) => ControlFlow::Break(unknown(invalid)),
    }
}

/// Says what happens.
struct Talk<'a> {
    arguments: &'a Arguments,
    /// Takes why stdout took no more: nobody reads what a rehearsal would do.
    lost: mpsc::UnboundedSender<anyhow::Error>,
}

impl Talk<'_> {
    /// What happened, on stderr; of a rehearsal without routes the signals too, on stdout.
    fn tell(&self, news: &News<'_>) {
        match news {
            News::Welcome { session } => {
                talk!("connected to {} as {}", plain(&self.arguments.engine.endpoint), plain(session));
            }
            News::Granted { order, attempt } => {
                let (signal, token) = (&order.signal, order.fencing_token);
                let verb = if order.rehearsal { "would" } else { "carrying out:" };
                let (intent, reason) = (plain(&intent(order)), plain(&signal.reason));
                talk!("{verb} {intent} (signal {}, token {token}, attempt {attempt}): {reason}", signal.id);
                if self.arguments.dry_run
                    && let Err(unwritten) = json(signal).and_then(|line| say(&line))
                {
                    self.lost.send(unwritten).ok();
                }
            }
            News::Again { order } => {
                talk!("signal {} is ours again (token {})", order.signal.id, order.fencing_token);
            }
            News::Cancelled { signal, reason } => {
                talk!("signal {} is cancelled: {}", plain(signal), plain(reason));
            }
            News::Ended { order, ended } => {
                talk!("signal {} {}: {}", order.signal.id, outcome(ended), plain(ended.words()));
            }
            News::Fault { signal, code, message } => {
                let (signal, code, message) = (plain(signal), plain(code), plain(message));
                talk!("the engine refuses a message about {signal:?}: {code}: {message}");
            }
        }
    }
}

fn outcome(ended: &Ended) -> &'static str {
    match ended {
        Ended::Done(_) => "succeeded",
        Ended::Failed(_) => "failed",
        Ended::Unknown(_) => "ended, nobody knows how",
        Ended::Rehearsed(_) => "was a dry run",
        Ended::Later(_) => "is given back for now",
        Ended::NotOurs(_) => "is given back",
    }
}

/// Says what a signal asks for, and does nothing.
struct Rehearsal;

impl Hand for Rehearsal {
    fn carry_out(&self, order: &Order, _: &Course) -> Result<Ended, Ended> {
        Ok(Ended::Rehearsed(intent(order)))
    }
}

/// `rollback service/shop/payment from v2 to v1`.
fn intent(order: &Order) -> String {
    let signal = &order.signal;
    let mut intent = format!("{} {}", signal.action.name(), signal.target);
    for (key, word) in [("version", "from"), ("to_version", "to")] {
        if let Some(value) = signal.attributes.get(key).filter(|value| !value.is_empty()) {
            intent.push_str(&format!(" {word} {value}"));
        }
    }
    intent
}
