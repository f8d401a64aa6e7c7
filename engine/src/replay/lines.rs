//! Plain text logs as templates: one row per line, in order.

use std::{
    io::{BufRead as _, Write},
    path::Path,
};

use foreshock_core::measures::{TemplateConfig, TemplateMiner};

use super::{Input, InputError, OutputError};

/// A log that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The rows cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Mines the templates of a text log and writes `line,template_id,template`: the number of the line from 1, and its
/// template as it is at the end of the file (a template loses words as lines come that differ there, and templates
/// that turn out to be one have one id). A line without words has neither. Gives the number of lines and of templates.
pub fn replay_lines(
    mut input: Input,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(usize, usize), LinesError> {
    let failed = |source| InputError::Read { path: path.display().to_string(), source };
    let mut miner = TemplateMiner::new(TemplateConfig::default());
    let mut found = Vec::new();
    let mut line = Vec::new();
    while input.reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let text = String::from_utf8_lossy(&line);
        found.push(miner.learn(text.trim_end_matches(['\r', '\n'])).map(|found| found.index));
        line.clear();
    }
    let written = |source| OutputError { what: "templates", source };
    let mut rows = csv::Writer::from_writer(out);
    let mut row = |fields: [&str; 3]| rows.write_record(fields).map_err(|error| written(system(error)));
    row(["line", "template_id", "template"])?;
    for (index, template) in found.iter().enumerate() {
        let template = template.map(|index| miner.current(index));
        let id = template.map_or_else(String::new, |index| index.to_string());
        let text = template.map_or_else(String::new, |index| miner.template(index));
        row([&(index + 1).to_string(), &id, &text])?;
    }
    rows.flush().map_err(written)?;
    Ok((found.len(), miner.live()))
}

/// What the system said, where that was the problem.
fn system(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => std::io::Error::other(format!("{kind:?}")),
    }
}
