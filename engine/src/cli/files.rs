//! How files are read: the arguments that `replay`, `diff` and `produce` share.

use std::path::PathBuf;

use clap::Args;

use super::BadConfig;
use crate::replay::{Format, Refused, Table, TableOptions};

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

/// Says what of a table was left out.
pub(super) fn tell(table: &Table) {
    if !table.left_out.is_empty() {
        eprintln!("no numbers in {}: left out", table.left_out.join(", "));
    }
    tell_refused(&table.refused);
}

/// Says which lines were refused.
pub(super) fn tell_refused(refused: &Refused) {
    for words in &refused.first {
        eprintln!("refused: {words}");
    }
    let more = refused.count - refused.first.len() as u64;
    if more > 0 {
        eprintln!("refused: {more} more");
    }
}
