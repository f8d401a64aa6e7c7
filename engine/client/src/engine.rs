//! A connection to an engine over gRPC, and what to type when there is none.

use std::{error::Error, time::Duration};

use anyhow::anyhow;
use clap::Args;
use tonic::{Code, Status, service::interceptor::InterceptedService, transport};

use crate::{BadConfig, Bearer, Credentials, screen::plain};

/// Where the engine is.
#[derive(Clone, Debug, Args)]
pub struct Engine {
    /// Where the engine serves gRPC.
    #[arg(long, env = "FORESHOCK_ENDPOINT", default_value = "http://127.0.0.1:7117", global = true)]
    pub endpoint: String,
    #[command(flatten)]
    credentials: Credentials,
}

/// A connection to an engine, with our token.
pub type Channel = InterceptedService<transport::Channel, Bearer>;

impl Engine {
    /// Whether the endpoint can be one, and what we show there; says what to type instead.
    pub fn parse(&self) -> anyhow::Result<(transport::Endpoint, Bearer)> {
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

    /// A connection; says what to type where nobody answers.
    pub async fn connect(&self) -> anyhow::Result<Channel> {
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
pub fn refusal(status: &Status) -> anyhow::Error {
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
pub fn unknown(problem: foreshock_wire::Invalid) -> anyhow::Error {
    anyhow!("the engine is of another version: {}; update both to one", plain(&problem.to_string()))
}
