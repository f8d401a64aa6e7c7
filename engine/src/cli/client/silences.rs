//! `foreshock silences`: what is known to be otherwise than it should be.

use clap::{Args, Subcommand};
use foreshock_core::{
    config::Duration,
    types::{Matcher, Silence},
};
use foreshock_proto::v1::{
    self, CreateSilenceRequest, EndSilenceRequest, ListSilencesRequest, silences_client::SilencesClient,
};
use foreshock_wire as wire;

use super::{
    super::Ending,
    Engine, MAX_ANSWER_BYTES, block_on, print_list, refusal,
    screen::{cut, fit, time, width},
};

/// Silence what is known: it opens no incident and teaches no model until it is over.
///
/// Example: foreshock silences add 'entity=database/orders' --for 2h --by ann --comment 'move to new disks'
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    #[command(flatten)]
    engine: Engine,
    /// Print JSON, one object per line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Give one.
    Add {
        /// What is silenced: every one must match. Labels are entity, kind, name, measure, series and the attributes of a
        /// series; operators =, !=, =~ and !~.
        #[arg(required = true)]
        matchers: Vec<Matcher>,
        /// How long it lasts, for example 2h.
        #[arg(long = "for")]
        lasts: Duration,
        /// Where it begins, event time, for example 2026-12-01T22:00:00Z; now when not given.
        #[arg(long)]
        from: Option<jiff::Timestamp>,
        /// Who gives it. Not needed where the engine knows who asks.
        #[arg(long, env = "FORESHOCK_BY", default_value = "")]
        by: String,
        /// Why.
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// List them, by their beginning: those that people gave, and of the configuration those that hold now.
    List,
    /// End one now.
    End {
        /// Its id.
        id: String,
        /// Who ends it. Not needed where the engine knows who asks.
        #[arg(long, env = "FORESHOCK_BY", default_value = "")]
        by: String,
    },
}

pub(in super::super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let silences = block_on(ask(arguments))?;
    let width = width();
    print_list(arguments.json, &head(width), silences, wire::silence_from, |silence| row(silence, width))?;
    Ok(Ending::Fine)
}

async fn ask(arguments: &Arguments) -> anyhow::Result<Vec<v1::Silence>> {
    let channel = arguments.engine.connect().await?;
    let mut client = SilencesClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let told = |status| refusal(&status);
    match &arguments.what {
        What::Add { matchers, lasts, from, by, comment } => {
            let request = CreateSilenceRequest {
                matchers: matchers.iter().map(Matcher::to_string).collect(),
                from_unix_ms: from.map_or(0, jiff::Timestamp::as_millisecond),
                lasts_ms: lasts.millis(),
                by: by.clone(),
                comment: comment.clone(),
            };
            Ok(vec![client.create(request).await.map_err(told)?.into_inner()])
        }
        What::End { id, by } => {
            client.end(EndSilenceRequest { id: id.clone(), by: by.clone() }).await.map_err(told)?;
            let all = client.list(ListSilencesRequest {}).await.map_err(told)?.into_inner().silences;
            Ok(all.into_iter().filter(|silence| silence.id == *id).collect())
        }
        What::List => Ok(client.list(ListSilencesRequest {}).await.map_err(told)?.into_inner().silences),
    }
}

fn head(width: usize) -> String {
    line(width, ["ID", "FROM", "UNTIL", "BY", "WHAT"])
}

fn row(silence: &Silence, width: usize) -> String {
    let matchers: Vec<String> = silence.matchers.iter().map(Matcher::to_string).collect();
    let mut what = matchers.join(" ");
    if !silence.comment.is_empty() {
        what.push_str(&format!(" ({})", silence.comment));
    }
    // Seconds say nothing here.
    let minute = |unix_ms| time(unix_ms).chars().take(16).collect::<String>();
    let (from, until) = (minute(silence.from_ms), minute(silence.until_ms));
    line(width, [&silence.id.to_string(), &from, &until, &silence.by, &what])
}

fn line(width: usize, [id, from, until, by, what]: [&str; 5]) -> String {
    let start = format!("{}  {}  {}  {}  ", fit(id, 16), fit(from, 16), fit(until, 16), fit(by, 12));
    let rest = width.saturating_sub(start.len()).max(20);
    format!("{start}{}", cut(what, rest)).trim_end().to_string()
}
