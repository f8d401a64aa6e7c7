//! How a command ends: 0 ok, 1 findings, 2 failure, 64 bad configuration or arguments.

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser;

use crate::{stream, talk};

/// How a command ended, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing to report.
    Fine,
    /// Findings, where the command was asked for them.
    Findings,
}

/// A configuration or an argument that cannot be used: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadConfig(pub String);

/// The arguments of the process. Where there is nothing to run, how that ends: help and versions are data, what is refused is said.
pub fn parse<T: Parser>() -> Result<T, Result<Ending, ExitCode>> {
    T::try_parse().map_err(|refused| {
        if refused.use_stderr() {
            // Who cannot be told still has the exit code.
            refused.print().ok();
            return Err(ExitCode::from(64));
        }
        let text = refused.render();
        let is_painted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let text = if is_painted { text.ansi().to_string() } else { text.to_string() };
        stream::print(&text).map(|()| Ending::Fine).map_err(|error| finish("foreshock", Err(error)))
    })
}

/// Says what failed, under the name of the command, and gives the exit code.
pub fn finish(name: &str, ended: anyhow::Result<Ending>) -> ExitCode {
    match ended {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Findings) => ExitCode::from(1),
        Err(error) if stream::is_gone(&error) => ExitCode::from(2),
        Err(error) => {
            talk!("{name}: {}", told(&error));
            ExitCode::from(if error.is::<BadConfig>() { 64 } else { 2 })
        }
    }
}

/// An error with its causes, each said once: some messages hold their cause already.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    text
}
