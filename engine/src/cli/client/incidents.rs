//! `foreshock incidents`: what was found, and people's word on it.

use clap::{Args, Subcommand, ValueEnum};
use foreshock_core::types::{self, Adjustment, Incident, Suppressed};
use foreshock_proto::v1::{
    self, AcknowledgeRequest, FeedbackRequest, GetIncidentRequest, ListAdjustmentsRequest,
    ListIncidentsRequest, ListSuppressedRequest, UndoRequest, WatchIncidentsRequest,
    incidents_client::IncidentsClient,
};
use foreshock_wire as wire;

use super::{
    super::Ending,
    Channel, Engine, MAX_ANSWER_BYTES, block_on, print_list, refusal, say,
    screen::{json, width},
    story, unknown,
};

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
    /// The latest anomalies that opened no incident, and why: short for `list --suppressed`.
    #[arg(long)]
    suppressed: bool,
    /// Without one, the list.
    #[command(subcommand)]
    what: Option<What>,
}

/// Most rows of a list, where nobody says.
const ROWS: u32 = 100;

#[derive(Debug, Subcommand)]
enum What {
    /// List incidents, newest first.
    List {
        /// Only those in this state.
        #[arg(long)]
        state: Option<State>,
        /// The latest anomalies that opened no incident, and why, instead.
        #[arg(long, conflicts_with = "state")]
        suppressed: bool,
        /// At most this many.
        #[arg(long, default_value_t = ROWS, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one incident: its suspects, its members, what was changed near it.
    #[command(visible_alias = "get")]
    Show {
        /// Its id.
        id: String,
    },
    /// Follow: what is open now, then every change.
    Watch,
    /// Say that somebody looks after it.
    Ack {
        /// Its id.
        id: String,
        /// Who. Not needed where the engine knows who asks.
        #[arg(long, env = "FORESHOCK_BY", default_value = "")]
        by: String,
    },
    /// Say what it was worth, and what the cause was. It is learnt from at once: see `adjustments`.
    Feedback {
        /// Its id; none for an incident that was missed.
        #[arg(required_unless_present = "missed")]
        id: Option<String>,
        /// Who says it. Not needed where the engine knows who asks.
        #[arg(long, env = "FORESHOCK_BY", default_value = "")]
        by: String,
        #[command(flatten)]
        verdict: Verdict,
        /// The entity that was the cause, for example service/payment; for what was missed, the one that was in trouble.
        #[arg(long, default_value = "")]
        cause: String,
        /// Anything else.
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// What judgements changed, oldest first.
    Adjustments,
    /// Forget what a judgement taught.
    Undo {
        /// The id of the adjustment.
        id: String,
        /// Who. Not needed where the engine knows who asks.
        #[arg(long, env = "FORESHOCK_BY", default_value = "")]
        by: String,
    },
}

/// What an incident was worth.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Verdict {
    /// It was real and worth knowing.
    #[arg(long)]
    useful: bool,
    /// Nothing was wrong.
    #[arg(long = "false")]
    not_real: bool,
    /// It was part of this other incident.
    #[arg(long, value_name = "ID")]
    duplicate_of: Option<String>,
    /// There was none, and there should have been.
    #[arg(long)]
    missed: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Open,
    Resolved,
}

pub(in super::super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    block_on(async {
        let channel = arguments.engine.connect().await?;
        let mut client = IncidentsClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        let output = Output { json: arguments.json, width: width() };
        let list = What::List { state: None, suppressed: arguments.suppressed, limit: ROWS };
        match arguments.what.as_ref().unwrap_or(&list) {
            What::List { suppressed: true, limit, .. } => suppressed(client, &output, *limit).await,
            What::List { state, limit, .. } => known(client, &output, *state, *limit).await,
            What::Watch => watch(client, &output).await,
            What::Feedback { id, by, verdict, cause, comment } => {
                let request = verdict.request(id.as_deref(), by, cause, comment);
                let answer = client.feedback(request).await.map_err(|status| refusal(&status))?;
                output.adjustments(answer.into_inner().adjustments)
            }
            What::Adjustments => {
                let answer = client.list_adjustments(ListAdjustmentsRequest {}).await;
                output.adjustments(answer.map_err(|status| refusal(&status))?.into_inner().adjustments)
            }
            What::Undo { id, by } => {
                let request = UndoRequest { id: id.clone(), by: by.clone() };
                client.undo(request).await.map_err(|status| refusal(&status))?;
                let answer = client.list_adjustments(ListAdjustmentsRequest {}).await;
                output.adjustments(answer.map_err(|status| refusal(&status))?.into_inner().adjustments)
            }
            one => output.detail(ask(client, one).await?),
        }
    })?;
    Ok(Ending::Fine)
}

type Client = IncidentsClient<Channel>;

async fn known(mut client: Client, output: &Output, state: Option<State>, limit: u32) -> anyhow::Result<()> {
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

async fn suppressed(mut client: Client, output: &Output, limit: u32) -> anyhow::Result<()> {
    let answer = client.list_suppressed(ListSuppressedRequest { limit }).await;
    let answer = answer.map_err(|status| refusal(&status))?.into_inner();
    let row = |suppressed: &Suppressed| story::suppressed(suppressed, output.width);
    print_list(output.json, &story::suppressed_head(), answer.suppressed, wire::suppressed_from, row)
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
        What::Show { id } => client.get(GetIncidentRequest { id: id.clone() }).await,
        _ => unreachable!("`run` has taken these"),
    };
    Ok(answer.map_err(|status| refusal(&status))?.into_inner())
}

impl Verdict {
    fn request(&self, id: Option<&str>, by: &str, cause: &str, comment: &str) -> FeedbackRequest {
        let verdict = match self {
            Verdict { useful: true, .. } => types::Verdict::Useful,
            Verdict { not_real: true, .. } => types::Verdict::False,
            Verdict { duplicate_of: Some(_), .. } => types::Verdict::Duplicate,
            _ => types::Verdict::Missed,
        };
        FeedbackRequest {
            id: id.unwrap_or_default().to_string(),
            by: by.to_string(),
            cause: cause.to_string(),
            comment: comment.to_string(),
            verdict: wire::verdict(verdict).into(),
            duplicate_of: self.duplicate_of.clone().unwrap_or_default(),
        }
    }
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

    fn adjustments(&self, messages: Vec<v1::Adjustment>) -> anyhow::Result<()> {
        let row = |adjustment: &Adjustment| story::adjustment(adjustment, self.width);
        print_list(self.json, &story::adjustment_head(), messages, wire::adjustment_from, row)
    }

    fn show(&self, message: v1::Incident, words: impl FnOnce(&Incident) -> String) -> anyhow::Result<()> {
        let incident = wire::incident_from(message).map_err(unknown)?;
        say(&if self.json { json(&incident)? } else { words(&incident) })
    }
}
