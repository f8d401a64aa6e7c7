//! `foreshock gate`: whether something may be changed now.

use clap::Args;
use foreshock_proto::v1::{CheckRequest, gate_client::GateClient};

use super::{super::Ending, Engine, block_on, refusal, say, screen::plain};

/// Ask whether something may be changed now. Exit code 1: something speaks against it.
///
/// Example: foreshock gate service/shop/payment && kubectl rollout resume deployment/payment
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    #[command(flatten)]
    engine: Engine,
    /// Kind and name of what is to be changed.
    target: String,
}

pub(in super::super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    block_on(async {
        let mut client = GateClient::new(arguments.engine.connect().await?);
        let request = CheckRequest { target: arguments.target.clone() };
        let answer = client.check(request).await.map_err(|status| refusal(&status))?.into_inner();
        if answer.allowed {
            say("go ahead")?;
            return Ok(Ending::Fine);
        }
        answer.reasons.iter().try_for_each(|reason| say(&plain(reason)))?;
        Ok(Ending::Findings)
    })
}
