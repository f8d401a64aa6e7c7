//! The command line: arguments in, exit codes out. Data goes to stdout, talk to stderr.

mod audit;
mod check;
mod client;
mod credentials;
mod demo;
mod diff;
mod files;
mod logging;
mod policy;
mod produce;
mod rank;
mod replay;
mod run;
mod screen;
mod status;
mod topology;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Streaming AIOps: reads telemetry from Kafka, finds what broke and why, and hands the fix to controllers.
#[derive(Debug, Parser)]
#[command(name = "foreshock", version, about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Arguments),
    Diff(diff::Arguments),
    Rank(rank::Arguments),
    Demo(demo::Arguments),
    Run(run::Arguments),
    Produce(produce::Arguments),
    Schema(run::SchemaArguments),
    Check(check::Arguments),
    Status(status::Arguments),
    Topology(topology::Arguments),
    Incidents(client::incidents::Arguments),
    Silences(client::silences::Arguments),
    Signals(client::signals::Arguments),
    Policy(policy::Arguments),
    Gate(client::gate::Arguments),
    Audit(audit::Arguments),
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
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let talk = error.print();
            return ExitCode::from(if talk.is_err() {
                2
            } else if error.use_stderr() {
                64
            } else {
                0
            });
        }
    };
    let ended = match arguments.command {
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Rank(arguments) => rank::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Produce(arguments) => produce::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Topology(arguments) => topology::run(&arguments),
        Command::Schema(arguments) => run::schema(&arguments),
        Command::Incidents(arguments) => client::incidents::run(&arguments),
        Command::Silences(arguments) => client::silences::run(&arguments),
        Command::Signals(arguments) => client::signals::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Gate(arguments) => client::gate::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Controller(arguments) => client::controller::run(&arguments),
    };
    match ended {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Findings) => ExitCode::from(1),
        Err(error) => {
            eprintln!("foreshock: {}", told(&error));
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
