//! `foreshock audit verify`: whether an audit log is whole.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::PathBuf,
};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{Ending, output::say, screen::plain};
use crate::audit;

/// Look after the audit log.
///
/// Example: foreshock audit verify foreshock-state/audit.*.ndjson foreshock-state/audit.ndjson
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say whether the chain holds, and what its last hash is: kept elsewhere, it proves later that nothing before it was touched. Exit
    /// code 1: something was changed, taken out or put in, or a crash cut a line off.
    Verify {
        /// The files in the order in which they were written; `-` is stdin, for the topic foreshock.audit.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let What::Verify { files } = &arguments.what;
    let open = |path: &PathBuf| -> anyhow::Result<_> {
        let name = path.display().to_string();
        let reader: Box<dyn Read> = match name.as_str() {
            "-" => Box::new(std::io::stdin()),
            _ => Box::new(File::open(path).with_context(|| format!("cannot read {name}"))?),
        };
        Ok((name, BufReader::new(reader)))
    };
    let files = files.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let found = audit::verify(files)?;
    found.problems.iter().try_for_each(|problem| say(&plain(problem)))?;
    let audit::Verified { entries, first, last, hash, problems } = found;
    say(&format!("{entries} entries, {first} to {last}, last hash {hash}"))?;
    Ok(if problems.is_empty() { Ending::Fine } else { Ending::Findings })
}
