//! The commands that talk to a running engine over gRPC.
//!
//! * `incidents`, `silences`, `signals`, `gate`: the commands · `story`: incidents as tables and in detail

pub(super) mod gate;
pub(super) mod incidents;
pub(super) mod signals;
pub(super) mod silences;
mod story;

use foreshock_client::{Channel, Engine, pair, refusal, unknown};
use serde::Serialize;

use super::{output::say, screen};

/// What an answer may weigh.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Prints what an engine listed: a table with this head, or JSON, one object per line.
fn print_list<M, T: Serialize>(
    as_json: bool,
    head: &str,
    messages: Vec<M>,
    read: impl Fn(M) -> Result<T, foreshock_wire::Invalid>,
    row: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    if !as_json {
        say(head)?;
    }
    messages.into_iter().try_for_each(|message| {
        let one = read(message).map_err(unknown)?;
        say(&if as_json { screen::json(&one)? } else { row(&one) })
    })
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
