//! `foreshock incidents`: what was found, and people's word on it.

use clap::{Args, Subcommand, ValueEnum};
use foreshock_proto::v1::{
    self, AcknowledgeRequest, FeedbackRequest, GetIncidentRequest, ListIncidentsRequest,
    WatchIncidentsRequest, incidents_client::IncidentsClient,
};
use tonic::transport::Channel;

use super::{
    super::Ending,
    Engine, MAX_ANSWER_BYTES, block_on, refusal,
    screen::{json, say, width},
    story, unknown,
};
use crate::{serve::wire, types::Incident};

/// Read incidents of a running engine, and say what you know of them.
///
/// Example: foreshock incidents list --state open
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    #[command(flatten)]
    engine: Engine,
    /// Print JSON, one object per line: the records of the topic foreshock.incidents.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List incidents, newest first.
    List {
        /// Only those in this state.
        #[arg(long)]
        state: Option<State>,
        /// At most this many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one incident: its suspects, its members, what was changed near it.
    Get {
        /// Its id.
        id: String,
    },
    /// Follow: what is open now, then every change.
    Watch,
    /// Say that somebody looks after it.
    Ack {
        /// Its id.
        id: String,
        /// Who.
        #[arg(long)]
        by: String,
    },
    /// Say whether it was real, and what the cause was.
    Feedback {
        /// Its id.
        id: String,
        /// Who says it.
        #[arg(long)]
        by: String,
        /// Whether it was real.
        #[arg(long, action = clap::ArgAction::Set)]
        real: bool,
        /// The entity that was the cause, for example service/payment.
        #[arg(long, default_value = "")]
        cause: String,
        /// Anything else.
        #[arg(long, default_value = "")]
        comment: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Open,
    Resolved,
}

pub(in super::super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    block_on(async {
        let channel = arguments.engine.connect().await?;
        let client = IncidentsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        let output = Output { json: arguments.json, width: width() };
        match &arguments.what {
            What::List { state, limit } => list(client, &output, *state, *limit).await,
            What::Watch => watch(client, &output).await,
            one => output.detail(ask(client, one).await?),
        }
    })?;
    Ok(Ending::Fine)
}

type Client = IncidentsClient<Channel>;

async fn list(mut client: Client, output: &Output, state: Option<State>, limit: u32) -> anyhow::Result<()> {
    let state = match state {
        None => v1::IncidentState::Unspecified,
        Some(State::Open) => v1::IncidentState::Open,
        Some(State::Resolved) => v1::IncidentState::Resolved,
    };
    let request = ListIncidentsRequest { state: state.into(), limit };
    let answer = client.list(request).await.map_err(|status| refusal(&status))?;
    output.head()?;
    answer.into_inner().incidents.into_iter().try_for_each(|incident| output.row(incident))
}

async fn watch(mut client: Client, output: &Output) -> anyhow::Result<()> {
    let request = WatchIncidentsRequest { include_open: true };
    let mut changes = client.watch(request).await.map_err(|status| refusal(&status))?.into_inner();
    output.head()?;
    while let Some(incident) = changes.message().await.map_err(|status| refusal(&status))? {
        output.row(incident)?;
    }
    Ok(())
}

/// Everything that is about one incident.
async fn ask(mut client: Client, what: &What) -> anyhow::Result<v1::Incident> {
    let answer = match what {
        What::Ack { id, by } => {
            client.acknowledge(AcknowledgeRequest { id: id.clone(), by: by.clone() }).await
        }
        What::Feedback { id, by, real, cause, comment } => {
            let (by, cause, comment) = (by.clone(), cause.clone(), comment.clone());
            client.feedback(FeedbackRequest { id: id.clone(), by, real: *real, cause, comment }).await
        }
        What::Get { id } => client.get(GetIncidentRequest { id: id.clone() }).await,
        What::List { .. } | What::Watch => unreachable!("`run` has taken these"),
    };
    Ok(answer.map_err(|status| refusal(&status))?.into_inner())
}

/// How to say it.
struct Output {
    json: bool,
    width: usize,
}

impl Output {
    fn head(&self) -> anyhow::Result<()> {
        if self.json { Ok(()) } else { say(&story::head(self.width)) }
    }

    fn row(&self, message: v1::Incident) -> anyhow::Result<()> {
        self.show(message, |incident| story::row(incident, self.width))
    }

    fn detail(&self, message: v1::Incident) -> anyhow::Result<()> {
        self.show(message, |incident| story::detail(incident, self.width).trim_end().to_string())
    }

    fn show(&self, message: v1::Incident, words: impl FnOnce(&Incident) -> String) -> anyhow::Result<()> {
        let incident = wire::incident_from(message).map_err(unknown)?;
        say(&if self.json { json(&incident)? } else { words(&incident) })
    }
}
