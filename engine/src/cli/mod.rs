//! The command line: arguments in, exit codes out. Data goes to stdout, talk to stderr, both through `output`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod audit;
mod check;
mod client;
#[cfg(test)]
mod command_lines;
mod completions;
#[cfg(feature = "controllers")]
mod demo;
mod diff;
mod files;
mod output;
mod policy;
mod produce;
mod rank;
mod replay;
mod run;
mod status;
mod topology;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use foreshock_client::{BadConfig, Ending, credentials, finish, logging, parse, screen};

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
    Controller(foreshock_controllers::command::Arguments),
}

/// Parses the arguments, runs the command and says how it ended: 0 ok, 1 findings, 2 failure, 64 bad config.
pub fn main() -> ExitCode {
    match parse::<Arguments>() {
        Ok(arguments) => finish("foreshock", arguments.command.run()),
        Err(Ok(ended)) => finish("foreshock", Ok(ended)),
        Err(Err(code)) => code,
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
            Command::Controller(arguments) => foreshock_controllers::command::run(arguments),
        }
    }
}
