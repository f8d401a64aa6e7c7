//! `foreshock-controller`: `foreshock controller` by itself, in a binary that needs neither Kafka nor SQL.

use std::process::ExitCode;

use clap::Parser;
use foreshock_client::{finish, parse};
use foreshock_controllers::command;

/// Carries out remediation signals of a Foreshock engine: the same as `foreshock controller`.
#[derive(Debug, Parser)]
#[command(name = "foreshock-controller", version, long_about = None)]
struct Binary {
    #[command(flatten)]
    arguments: command::Arguments,
}

fn main() -> ExitCode {
    match parse::<Binary>() {
        Ok(arguments) => finish("foreshock-controller", command::run(&arguments.arguments)),
        Err(Ok(ended)) => finish("foreshock-controller", Ok(ended)),
        Err(Err(code)) => code,
    }
}
