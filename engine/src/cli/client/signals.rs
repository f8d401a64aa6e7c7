//! `foreshock signals`: what controllers are asked to do, and people's yes or no.

use clap::{Args, Subcommand};
use foreshock_proto::v1::{
    self, DecideRequest, ListSignalsRequest, remediation_bus_client::RemediationBusClient,
};

use super::{
    super::Ending,
    Engine, MAX_ANSWER_BYTES, block_on, print_list, refusal,
    screen::{cut, fit, width},
};
use crate::{
    serve::wire,
    types::{RemediationSignal, SignalState},
};

/// Read the remediation signals of a running engine, and decide those that wait for approval.
///
/// Example: foreshock signals approve 00c0ffee00000007 --by ann
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    #[command(flatten)]
    engine: Engine,
    /// Print JSON, one object per line: the records of the topic foreshock.signals.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List signals, newest first.
    List {
        /// Only those that wait for a person.
        #[arg(long)]
        waiting: bool,
        /// At most this many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Let it happen.
    Approve(Word),
    /// Do not let it happen.
    Reject(Word),
}

#[derive(Debug, Args)]
struct Word {
    /// The signal's id.
    id: String,
    /// Who decides. Kept in the audit log.
    #[arg(long)]
    by: String,
    /// Why. Kept in the audit log.
    #[arg(long, default_value = "")]
    comment: String,
}

pub(in super::super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let signals = block_on(ask(arguments))?;
    let width = width();
    print_list(arguments.json, &head(width), signals, wire::signal_from, |signal| row(signal, width))?;
    Ok(Ending::Fine)
}

async fn ask(arguments: &Arguments) -> anyhow::Result<Vec<v1::Signal>> {
    let channel = arguments.engine.connect().await?;
    let mut client = RemediationBusClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let (approve, word) = match &arguments.what {
        What::List { waiting, limit } => {
            let state =
                if *waiting { v1::SignalState::AwaitingApproval } else { v1::SignalState::Unspecified };
            let request = ListSignalsRequest { state: state.into(), limit: *limit };
            let answer = client.list_signals(request).await.map_err(|status| refusal(&status))?;
            return Ok(answer.into_inner().signals);
        }
        What::Approve(word) => (true, word),
        What::Reject(word) => (false, word),
    };
    let (signal_id, by, comment) = (word.id.clone(), word.by.clone(), word.comment.clone());
    let answer = client.decide(DecideRequest { signal_id, approve, by, comment }).await;
    Ok(answer.map_err(|status| refusal(&status))?.into_inner().signal.into_iter().collect())
}

fn head(width: usize) -> String {
    line(width, ["ID", "STATE", "ACTION", "TARGET", "NOTE"])
}

fn row(signal: &RemediationSignal, width: usize) -> String {
    let target = signal.target.to_string();
    // Before anybody said anything, what matters is why it was made.
    let note = if signal.note.is_empty() { &signal.reason } else { &signal.note };
    line(width, [&signal.id.to_string(), &state(signal.state), signal.action.name(), &target, note])
}

fn line(width: usize, [id, state, action, target, note]: [&str; 5]) -> String {
    /// Columns from which there is room for the note.
    const WIDE: usize = 110;
    let start = format!("{}  {}  {}  ", fit(id, 16), fit(state, 17), fit(action, 8));
    let rest = width.saturating_sub(start.len()).max(1);
    let line = match width {
        WIDE.. => format!("{start}{}  {}", fit(target, 28), cut(note, rest - 30)),
        _ => format!("{start}{}", cut(target, rest)),
    };
    line.trim_end().to_string()
}

/// The state in words.
fn state(state: SignalState) -> String {
    state.name().replace('_', " ")
}
