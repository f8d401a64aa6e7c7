//! `foreshock signals`: what controllers are asked to do, and what people say of it.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use foreshock_core::types::{RemediationSignal, SignalState};
use foreshock_proto::v1::{
    self, CancelSignalRequest, DecideRequest, GetSignalRequest, HaltRequest, HistoryRequest,
    ListPoliciesRequest, ListSignalsRequest, ProposeRequest, WatchSignalsRequest,
    remediation_bus_client::RemediationBusClient,
};
use foreshock_wire as wire;

use super::{
    super::Ending,
    Channel, Engine, MAX_ANSWER_BYTES, block_on, pair, print_list, refusal, say,
    screen::{Tone, cut, fit, json, paint, plain, time, width, wrap},
    unknown,
};

/// Read the remediation signals of a running engine, decide those that wait for approval, want others, and stop it all.
///
/// Examples:
///   foreshock signals
///   foreshock signals approve 00c0ffee00000007 --by ann
///   foreshock signals halt --by ann --comment 'the rollbacks make it worse'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in super::super) struct Arguments {
    #[command(flatten)]
    engine: Engine,
    /// Print JSON, one object per line: the records of the topic foreshock.signals.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List signals, newest first.
    List {
        /// Only those that wait for a person.
        #[arg(long)]
        waiting: bool,
        /// Only the dead letters: those whose every holder was lost, up to the redelivery limit.
        #[arg(long, conflicts_with = "waiting")]
        dead_letters: bool,
        /// At most this many.
        #[arg(long, default_value_t = ROWS, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one with what became of it.
    #[command(visible_alias = "get")]
    Show {
        /// Its id.
        id: String,
    },
    /// Print every revision as it comes, those that are not over first.
    Watch,
    /// Let it happen.
    Approve(Word),
    /// Do not let it happen.
    Reject(Word),
    /// Want something done about an open incident. Somebody else has to approve it.
    Propose {
        /// The incident's id.
        incident: String,
        /// What is to be done: rollback, pause_rollout, promote_hold, restart, scale, disable_flag, retrain, rollback_model, run_workflow or
        /// notify.
        #[arg(long)]
        action: String,
        /// To what, for example service/shop/payment.
        #[arg(long)]
        target: String,
        /// What the controller has to be told, as key=value: replicas for scale, flag for disable_flag, workflow for run_workflow. May be
        /// repeated.
        #[arg(long = "parameter", value_parser = pair)]
        parameters: Vec<(String, String)>,
        /// Let controllers only say what they would do; nobody has to approve that.
        #[arg(long)]
        dry_run: bool,
        /// Who wants it. Not needed where the engine knows who asks.
        #[arg(long, env = "FORESHOCK_BY", default_value = "")]
        by: String,
        /// Why. Kept in the audit log.
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Withdraw one that is not carried out yet.
    Cancel(Word),
    /// The kill switch: withdraw everything that is not carried out yet, and make nothing more.
    Halt(Switch),
    /// Take the kill switch back.
    Resume(Switch),
    /// List the policies, with what became of each.
    Policies,
}

#[derive(Debug, Args)]
struct Word {
    /// The signal's id.
    id: String,
    #[command(flatten)]
    said: Switch,
}

#[derive(Debug, Args)]
struct Switch {
    /// Who says it. Not needed where the engine knows who asks. Kept in the audit log.
    #[arg(long, env = "FORESHOCK_BY", default_value = "")]
    by: String,
    /// Why. Kept in the audit log.
    #[arg(long, default_value = "")]
    comment: String,
}

/// Signals that a list has at most, unless told otherwise.
const ROWS: u32 = 100;

type Client = RemediationBusClient<Channel>;

pub(in super::super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let as_json = arguments.json;
    let list = What::List { waiting: false, dead_letters: false, limit: ROWS };
    block_on(async {
        let channel = arguments.engine.connect().await?;
        let client = RemediationBusClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        match arguments.what.as_ref().unwrap_or(&list) {
            What::Show { id } => show(client, id, as_json).await,
            What::Watch => watch(client, as_json).await,
            What::Halt(said) => halt(client, true, said).await,
            What::Resume(said) => halt(client, false, said).await,
            What::Policies => policies(client, as_json).await,
            one => {
                let width = width();
                let signals = ask(client, one).await?;
                print_list(as_json, &head(width), signals, wire::signal_from, |signal| row(signal, width))
            }
        }
    })?;
    Ok(Ending::Fine)
}

/// What ends with signals: lists, and words about one.
async fn ask(mut client: Client, what: &What) -> anyhow::Result<Vec<v1::Signal>> {
    let told = |status| refusal(&status);
    let (approve, word) = match what {
        What::List { waiting, dead_letters, limit } => {
            let state =
                if *waiting { v1::SignalState::AwaitingApproval } else { v1::SignalState::Unspecified };
            let request =
                ListSignalsRequest { state: state.into(), limit: *limit, dead_letters: *dead_letters };
            return Ok(client.list_signals(request).await.map_err(told)?.into_inner().signals);
        }
        What::Propose { incident, action, target, parameters, dry_run, by, comment } => {
            let request = ProposeRequest {
                incident_id: incident.clone(),
                action: action.clone(),
                target: target.clone(),
                parameters: parameters.iter().cloned().collect(),
                dry_run: *dry_run,
                by: by.clone(),
                comment: comment.clone(),
            };
            return Ok(vec![client.propose(request).await.map_err(told)?.into_inner()]);
        }
        What::Cancel(Word { id, said: Switch { by, comment } }) => {
            let (signal_id, by, comment) = (id.clone(), by.clone(), comment.clone());
            let request = CancelSignalRequest { signal_id, by, comment };
            return Ok(vec![client.cancel_signal(request).await.map_err(told)?.into_inner()]);
        }
        What::Approve(word) => (true, word),
        What::Reject(word) => (false, word),
        _ => return Ok(Vec::new()),
    };
    let Word { id, said: Switch { by, comment } } = word;
    let (signal_id, by, comment) = (id.clone(), by.clone(), comment.clone());
    let answer = client.decide(DecideRequest { signal_id, approve, by, comment }).await;
    Ok(answer.map_err(told)?.into_inner().signal.into_iter().collect())
}

async fn show(mut client: Client, id: &str, as_json: bool) -> anyhow::Result<()> {
    let told = |status| refusal(&status);
    let signal_id = id.to_string();
    let signal = client.get_signal(GetSignalRequest { signal_id: signal_id.clone() }).await.map_err(told)?;
    let signal = wire::signal_from(signal.into_inner()).map_err(unknown)?;
    if as_json {
        return say(&json(&signal)?);
    }
    let history = client.history(HistoryRequest { signal_id }).await.map_err(told)?.into_inner();
    let width = width();
    for line in detail(&signal, width) {
        say(&line)?;
    }
    say("")?;
    for step in history.steps {
        let state = wire::optional_signal_state(step.state).map_err(unknown)?;
        let words = fit(&state.map(in_words).unwrap_or_default(), STATE);
        let words = state.map(|state| paint(&words, tone(state))).unwrap_or(words);
        let time = time(step.time_unix_ms);
        let rest = width.saturating_sub(time.len() + STATE + 2 * 2);
        say(format!("{time}  {words}  {}", cut(&step.note, rest)).trim_end())?;
    }
    Ok(())
}

/// A signal, field by field.
fn detail(signal: &RemediationSignal, width: usize) -> Vec<String> {
    /// Columns of the names.
    const NAMES: usize = 11;
    let mut lines = Vec::new();
    let mut field = |name: &str, value: &str| {
        let rows = wrap(&plain(value), width.saturating_sub(NAMES + 2).max(20));
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        lines.extend(rows.iter().zip(names).map(|(row, name)| format!("{}  {row}", fit(name, NAMES))));
    };
    field("signal", &format!("{}, {}", signal.id, in_words(signal.state)));
    field("action", &format!("{} {}", signal.action.name(), signal.target));
    for (key, value) in &signal.attributes {
        field("", &format!("{key}={value}"));
    }
    field("incident", &signal.incident.to_string());
    match signal.proposed_by.as_str() {
        "" => field("policy", &signal.policy),
        by => field("wanted by", by),
    }
    if let Some(undone) = signal.undoes {
        field("takes back", &undone.to_string());
    }
    field("why", &signal.reason);
    let consent = &signal.consent;
    if consent.needed > 0 {
        let group = if consent.group.is_empty() { String::new() } else { format!(" of {}", consent.group) };
        let by = if consent.by.is_empty() { String::new() } else { format!(": {}", consent.by.join(", ")) };
        field(
            "agreed",
            &format!(
                "{} of {}{group}, until {}{by}",
                consent.by.len(),
                consent.needed,
                time(consent.until_ms)
            ),
        );
    }
    if signal.dead_letter {
        field("dead letter", "every holder was lost, up to the redelivery limit");
    }
    if let Some(recovery) = signal.recovery {
        field("came of it", &recovery.name().replace('_', " "));
    }
    lines
}

async fn watch(mut client: Client, as_json: bool) -> anyhow::Result<()> {
    let answer = client.watch_signals(WatchSignalsRequest { include_current: true }).await;
    let mut signals = answer.map_err(|status| refusal(&status))?.into_inner();
    let width = width();
    if !as_json {
        say(&head(width))?;
    }
    while let Some(message) = signals.message().await.map_err(|status| refusal(&status))? {
        let signal = wire::signal_from(message).map_err(unknown)?;
        say(&if as_json { json(&signal)? } else { row(&signal, width) })?;
    }
    Err(anyhow!("the engine ended the stream"))
}

async fn halt(mut client: Client, halt: bool, said: &Switch) -> anyhow::Result<()> {
    let Switch { by, comment } = said;
    let request = HaltRequest { halt, by: by.clone(), comment: comment.clone() };
    client.halt(request).await.map_err(|status| refusal(&status))?;
    say(if halt { "remediation is halted: nothing is made or granted" } else { "remediation goes on" })
}

async fn policies(mut client: Client, as_json: bool) -> anyhow::Result<()> {
    let answer =
        client.list_policies(ListPoliciesRequest {}).await.map_err(|status| refusal(&status))?.into_inner();
    if as_json {
        return answer.policies.iter().try_for_each(|policy| say(&json(&policy_json(policy))?));
    }
    if !answer.halted.is_empty() {
        say(&plain(&answer.halted))?;
    }
    let width = width();
    let row = |[name, action, asks, stands, tried]: [&str; 5]| {
        let start =
            format!("{}  {}  {}  {}  ", fit(name, 24), fit(action, 14), fit(asks, 14), fit(stands, 16));
        say(format!("{start}{}", cut(tried, width.saturating_sub(start.len()).max(20))).trim_end())
    };
    row(["POLICY", "ACTION", "APPROVAL", "STANDS", "HELPED"])?;
    for policy in answer.policies {
        let stands = match (policy.stopped, policy.failures) {
            (true, failures) => format!("stopped after {failures}"),
            (false, 0) => "ready".to_string(),
            (false, failures) => format!("{failures} failed"),
        };
        let tried = policy.tried.iter().map(|tried| {
            format!("{} of {} ({})", tried.helped, tried.helped + tried.failed, plain(&tried.cause))
        });
        let tried = tried.collect::<Vec<_>>().join(", ");
        let name = match policy.playbook.as_str() {
            "" => plain(&policy.name),
            playbook => format!("{}/{}", plain(playbook), plain(&policy.name)),
        };
        row([&name, &policy.action, &policy.approval, &stands, &tried])?;
    }
    Ok(())
}

fn policy_json(policy: &v1::PolicyStatus) -> serde_json::Value {
    let tried = |tried: &v1::Tried| serde_json::json!({"cause": tried.cause, "helped": tried.helped, "failed": tried.failed});
    serde_json::json!({
        "name": policy.name,
        "action": policy.action,
        "playbook": policy.playbook,
        "approval": policy.approval,
        "failures": policy.failures,
        "stopped": policy.stopped,
        "tried": policy.tried.iter().map(tried).collect::<Vec<_>>(),
    })
}

fn head(width: usize) -> String {
    line(width, ["ID", &fit("STATE", STATE), "ACTION", "TARGET", "NOTE"])
}

fn row(signal: &RemediationSignal, width: usize) -> String {
    let target = signal.target.to_string();
    // Before anybody said anything, what matters is why it was made.
    let note = if signal.note.is_empty() { &signal.reason } else { &signal.note };
    let id = signal.id.to_string();
    let state = paint(&fit(&in_words(signal.state), STATE), tone(signal.state));
    line(width, [&id, &state, signal.action.name(), &target, note])
}

/// Columns of a state.
const STATE: usize = 17;

fn line(width: usize, [id, state, action, target, note]: [&str; 5]) -> String {
    /// Columns from which there is room for the note.
    const WIDE: usize = 110;
    let start = format!("{}  {state}  {}  ", fit(id, 16), fit(action, 14));
    let rest = width.saturating_sub(16 + STATE + 14 + 3 * 2).max(1);
    let line = match width {
        WIDE.. => {
            let target_columns = (rest * 2 / 5).min(40);
            format!("{start}{}  {}", fit(target, target_columns), cut(note, rest - target_columns - 2))
        }
        _ => format!("{start}{}", cut(target, rest)),
    };
    line.trim_end().to_string()
}

/// What a state means to whoever looks.
fn tone(state: SignalState) -> Tone {
    use SignalState::*;
    match state {
        AwaitingApproval => Tone::Waits,
        Failed | Unknown | NotRecovered => Tone::Bad,
        Verified => Tone::Good,
        Ready | Leased | Succeeded | Rejected | Cancelled | DryRun => Tone::Plain,
    }
}

/// The state in words.
fn in_words(state: SignalState) -> String {
    state.name().replace('_', " ")
}
