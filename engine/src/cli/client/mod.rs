//! The commands that talk to a running engine over gRPC.
//!
//! * `incidents`, `silences`, `signals`, `gate`, `controller`: the commands · `story`: incidents as tables and in detail

#[cfg(feature = "controllers")]
pub(super) mod controller;
pub(super) mod gate;
pub(super) mod incidents;
pub(super) mod signals;
pub(super) mod silences;
mod story;

use std::{error::Error, time::Duration};

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use tonic::{Code, Status, service::interceptor::InterceptedService, transport};

use super::{
    BadConfig,
    credentials::{Bearer, Credentials},
    output::say,
    screen::{self, plain},
};

/// What an answer may weigh.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Where the engine is.
#[derive(Clone, Debug, Args)]
struct Engine {
    /// Where the engine serves gRPC.
    #[arg(long, env = "FORESHOCK_ENDPOINT", default_value = "http://127.0.0.1:7117", global = true)]
    endpoint: String,
    #[command(flatten)]
    credentials: Credentials,
}

/// A connection to an engine, with our token.
type Channel = InterceptedService<transport::Channel, Bearer>;

impl Engine {
    /// Whether the endpoint can be one, and what we show there; says what to type instead.
    fn parse(&self) -> anyhow::Result<(transport::Endpoint, Bearer)> {
        let bad = || {
            let endpoint = plain(&self.endpoint);
            BadConfig(format!(
                "{endpoint:?} is no endpoint: write --endpoint https://HOST:PORT, or http:// without TLS"
            ))
        };
        let secure = self.endpoint.starts_with("https://");
        if !secure && !self.endpoint.starts_with("http://") {
            return Err(bad().into());
        }
        let mut endpoint = transport::Endpoint::from_shared(self.endpoint.clone()).map_err(|_| bad())?;
        if secure {
            let unusable = |error: transport::Error| {
                BadConfig(format!("--ca, --certificate, --key: {}", reason(&error)))
            };
            endpoint = endpoint.tls_config(self.credentials.tls()?).map_err(unusable)?;
        }
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        Ok((endpoint, self.credentials.bearer(&self.endpoint)?))
    }

    async fn connect(&self) -> anyhow::Result<Channel> {
        let (endpoint, bearer) = self.parse()?;
        let channel = endpoint.connect().await.map_err(|error| {
            let (at, reason) = (&self.endpoint, reason(&error));
            anyhow!("no engine answers at {at}: {reason}; start one with `foreshock run --config FILE`, or say where it is with --endpoint http://HOST:PORT")
        })?;
        Ok(InterceptedService::new(channel, bearer))
    }
}

/// tonic's own words are "transport error"; the reason lies below.
fn reason(error: &transport::Error) -> String {
    let mut reason: &dyn Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// What the engine said instead of an answer, and what to type next.
fn refusal(status: &Status) -> anyhow::Error {
    let said = plain(status.message());
    match status.code() {
        Code::NotFound if said.contains("signal") => anyhow!("{said}: see `foreshock signals list`"),
        Code::NotFound if said.contains("silence") => anyhow!("{said}: see `foreshock silences list`"),
        Code::NotFound if said.contains("adjustment") => {
            anyhow!("{said}: see `foreshock incidents adjustments`")
        }
        Code::NotFound => anyhow!("{said}: see `foreshock incidents list`"),
        Code::InvalidArgument | Code::FailedPrecondition => anyhow!("{said}"),
        Code::Unauthenticated | Code::PermissionDenied => anyhow!("the engine does not let us: {said}"),
        Code::Unavailable => anyhow!("the engine went away: {said}; try again once `foreshock run` is up"),
        Code::Unimplemented => anyhow!("the engine is of another version: {said}; update both to one"),
        code => anyhow!("the engine answered {code:?}: {said}; its log has more"),
    }
}

/// What a newer engine says may be nothing that we know.
fn unknown(problem: foreshock_wire::Invalid) -> anyhow::Error {
    anyhow!("the engine is of another version: {}; update both to one", plain(&problem.to_string()))
}

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

/// `key=value`, as an argument.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err("write key=value, for example namespace=shop".to_string()),
    }
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
