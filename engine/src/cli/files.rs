//! How files are read: the arguments that `replay`, `diff` and `produce` share.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{BadConfig, output::talk};
use crate::replay::{Format, Input, InputError, Refused, Table, TableError, TableOptions};

/// Which files, and what is in them.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// CSV, NDJSON or Parquet (a timestamp and one column per series), OTLP JSON lines, or text logs; `.gz` too.
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// What the files hold; without it their beginning and extension tell.
    #[arg(long)]
    pub(super) format: Option<Format>,
    /// Name of the timestamp column; ISO 8601, or seconds to nanoseconds since the epoch.
    #[arg(long, default_value = "timestamp")]
    timestamp_column: String,
    /// Columns to leave out, for example labels. May be repeated.
    #[arg(long)]
    ignore_column: Vec<String>,
    /// The file has no timestamps: rows are taken as `--step` apart, beginning at the epoch.
    #[arg(long)]
    no_timestamp: bool,
    /// Seconds between rows without timestamps.
    #[arg(long, default_value_t = 60)]
    step: i64,
}

impl Files {
    pub(super) fn options(&self) -> Result<TableOptions, BadConfig> {
        if self.files.is_empty() {
            return Err(BadConfig("no file is given".to_string()));
        }
        if self.step < 1 {
            return Err(BadConfig(format!("--step is {}: give at least 1 second", self.step)));
        }
        Ok(TableOptions {
            timestamp_column: self.timestamp_column.clone(),
            ignore: self.ignore_column.clone(),
            step_seconds: self.no_timestamp.then_some(self.step),
            entity_separator: None,
        })
    }
}

/// A file that can be opened, and what it holds.
pub(super) struct Looked<'a> {
    pub(super) path: &'a Path,
    pub(super) format: Format,
    /// What cannot be read twice stays open, such as a FIFO; of all other files there may be more than can be open at once.
    input: Option<Input>,
}

impl Files {
    /// Looks at every file, before anything comes of any: whether it can be read, what it holds, and whether the header of a CSV file
    /// fits. Without `--format` the files hold what is assumed, or else what they look like.
    pub(super) fn look(
        &self,
        assumed: Option<Format>,
        options: &TableOptions,
    ) -> Result<Vec<Looked<'_>>, TableError> {
        let mut found = Vec::with_capacity(self.files.len());
        for path in &self.files {
            let input = Input::open(path, self.format.or(assumed))?;
            let format = input.format;
            let mut looked = Looked { path, format, input: None };
            if fs::metadata(path).is_ok_and(|found| found.is_file()) {
                Table::check_header(input, path, options)?;
            } else {
                looked.input = Some(input);
            }
            found.push(looked);
        }
        Ok(found)
    }
}

impl Looked<'_> {
    pub(super) fn open(self) -> Result<Input, InputError> {
        self.input.map_or_else(|| Input::open(self.path, Some(self.format)), Ok)
    }
}

/// Says what of a table was left out.
pub(super) fn tell(table: &Table) {
    if !table.left_out.is_empty() {
        talk!("no numbers in {}: left out", table.left_out.join(", "));
    }
    tell_refused(&table.refused);
}

/// Says which lines were refused.
pub(super) fn tell_refused(refused: &Refused) {
    for words in &refused.first {
        talk!("refused: {words}");
    }
    let more = refused.count - refused.first.len() as u64;
    if more > 0 {
        talk!("refused: {more} more");
    }
}
