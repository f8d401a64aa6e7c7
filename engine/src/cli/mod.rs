//! The command line: arguments in, exit codes out. Data goes to stdout, talk to stderr, both through `output`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod audit;
mod check;
mod client;
#[cfg(test)]
mod command_lines;
mod completions;
mod credentials;
#[cfg(feature = "controllers")]
mod demo;
mod diff;
mod files;
mod logging;
mod output;
mod policy;
mod produce;
mod rank;
mod replay;
mod run;
mod screen;
mod status;
mod topology;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::{Parser, Subcommand};
use output::talk;

/// Streaming AIOps: reads telemetry from Kafka, finds what broke and why, and hands the fix to controllers.
#[derive(Debug, Parser)]
#[command(name = "foreshock", version = env!("FORESHOCK_BUILD"), about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Arguments),
    Diff(diff::Arguments),
    Rank(rank::Arguments),
    #[cfg(feature = "controllers")]
    Demo(demo::Arguments),
    Run(run::Arguments),
    Produce(produce::Arguments),
    Schema(run::SchemaArguments),
    Completions(completions::Arguments),
    Man(completions::ManArguments),
    Check(check::Arguments),
    Status(status::Arguments),
    Topology(topology::Arguments),
    Incidents(client::incidents::Arguments),
    Silences(client::silences::Arguments),
    Signals(client::signals::Arguments),
    Policy(policy::Arguments),
    Gate(client::gate::Arguments),
    Audit(audit::Arguments),
    #[cfg(feature = "controllers")]
    Controller(client::controller::Arguments),
}

/// How a command ended, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nothing to report.
    Fine,
    /// Findings, where the command was asked for them.
    Findings,
}

/// A configuration or an argument that cannot be used: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadConfig(String);

/// Parses the arguments, runs the command and says how it ended: 0 ok, 1 findings, 2 failure, 64 bad config.
pub fn main() -> ExitCode {
    let ended = match Arguments::try_parse() {
        Ok(arguments) => arguments.command.run(),
        Err(refused) if refused.use_stderr() => {
            // Who cannot be told still has the exit code.
            refused.print().ok();
            return ExitCode::from(64);
        }
        Err(help) => print_help(&help),
    };
    match ended {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Findings) => ExitCode::from(1),
        Err(error) if output::is_gone(&error) => ExitCode::from(2),
        Err(error) => {
            talk!("foreshock: {}", told(&error));
            ExitCode::from(if error.is::<BadConfig>() { 64 } else { 2 })
        }
    }
}

impl Command {
    fn run(&self) -> anyhow::Result<Ending> {
        match self {
            Command::Replay(arguments) => replay::run(arguments),
            Command::Diff(arguments) => diff::run(arguments),
            Command::Rank(arguments) => rank::run(arguments),
            #[cfg(feature = "controllers")]
            Command::Demo(arguments) => demo::run(arguments),
            Command::Produce(arguments) => produce::run(arguments),
            Command::Run(arguments) => run::run(arguments),
            Command::Check(arguments) => check::run(arguments),
            Command::Status(arguments) => status::run(arguments),
            Command::Topology(arguments) => topology::run(arguments),
            Command::Schema(arguments) => run::schema(arguments),
            Command::Completions(arguments) => completions::run(arguments),
            Command::Man(arguments) => completions::man(arguments),
            Command::Incidents(arguments) => client::incidents::run(arguments),
            Command::Silences(arguments) => client::silences::run(arguments),
            Command::Signals(arguments) => client::signals::run(arguments),
            Command::Policy(arguments) => policy::run(arguments),
            Command::Gate(arguments) => client::gate::run(arguments),
            Command::Audit(arguments) => audit::run(arguments),
            #[cfg(feature = "controllers")]
            Command::Controller(arguments) => client::controller::run(arguments),
        }
    }
}

/// Help and version are data.
fn print_help(help: &clap::Error) -> anyhow::Result<Ending> {
    let text = help.render();
    let is_painted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    output::print(&if is_painted { text.ansi().to_string() } else { text.to_string() })?;
    Ok(Ending::Fine)
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
