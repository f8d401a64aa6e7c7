//! Our own log, on stderr.

use std::io::IsTerminal;

use foreshock_core::config::LogFormat;
use tracing_subscriber::EnvFilter;

use crate::BadConfig;

/// Starts it; once per process.
pub fn start(format: LogFormat, level: &str) -> Result<(), BadConfig> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        BadConfig(format!("log.level {level:?}: {error}; write info, or foreshock=debug,warn"))
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // What cannot be logged is lost: to say so on stderr would panic there.
    let log = log.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false);
    match format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
