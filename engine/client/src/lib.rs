//! What commands share: how they reach an engine, what they show to people, and how they end.
//!
//! * `engine`: a connection to an engine over gRPC, and what to type when there is none · `credentials`: who we are to it
//! * `screen`: text that is safe to show · `stream`: stdout and stderr · `logging`: our own log
//! * `ending`: exit codes

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod credentials;
pub mod ending;
pub mod engine;
pub mod logging;
pub mod screen;
pub mod stream;

pub use credentials::{Bearer, Credentials, Http};
pub use ending::{BadConfig, Ending, finish, parse};
pub use engine::{Channel, Engine, refusal, unknown};

/// Says something on stderr, one line. Who cannot be told is not told.
#[macro_export]
macro_rules! talk {
    ($($words:tt)*) => {
        $crate::stream::write_to_stderr(format_args!($($words)*))
    };
}

/// `key=value`, as an argument.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err("write key=value, for example namespace=shop".to_string()),
    }
}
