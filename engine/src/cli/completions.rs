//! `foreshock completions`, `foreshock man`: what a shell and `man` want to know of the commands.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{BadConfig, Ending, output::print};

/// Print the completions of a shell.
///
/// Example: foreshock completions bash > /etc/bash_completion.d/foreshock
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell.
    shell: Shell,
}

/// Print the manual page, or write one of each command into a folder.
///
/// Example: foreshock man --folder /usr/local/share/man/man1
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// The folder; it must be there.
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "foreshock", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(Ending::Fine)
}

pub(super) fn man(arguments: &ManArguments) -> anyhow::Result<Ending> {
    let command = super::Arguments::command();
    match &arguments.folder {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            print(&String::from_utf8(page)?)?;
        }
        Some(folder) if !folder.is_dir() => {
            return Err(BadConfig(format!("--folder {}: there is no such folder", folder.display())).into());
        }
        Some(folder) => clap_mangen::generate_to(command, folder)?,
    }
    Ok(Ending::Fine)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_and_every_command_has_its_text() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(
                *shell,
                &mut super::super::Arguments::command(),
                "foreshock",
                &mut script,
            );
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("incidents") && script.contains("topic-range"), "{shell}");
        }
        let folder = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(super::super::Arguments::command(), &folder).unwrap();
        for command in super::super::Arguments::command().get_subcommands() {
            let page = folder.path().join(format!("foreshock-{}.1", command.get_name()));
            assert!(
                std::fs::read_to_string(&page).unwrap().contains(command.get_name()),
                "{}",
                page.display()
            );
        }
    }
}
