//! Everything that parses what others wrote, as functions of bytes: whatever the bytes, nothing breaks off, and what is refused leaves
//! nothing behind. A parser that does otherwise panics here.
//!
//! Two ways in. `tests/bent.rs` bends real inputs at random, in every test run. `fuzz.sh` lets libFuzzer look for hours, guided by what the
//! engine's code did with the inputs before.
//!
//! * `records`: what comes to topics · `texts`: what operators write · `state`: what the engine wrote itself · `messages`: gRPC
//!
//! The parsers of HTTP, TLS and Kafka's protocol are their libraries'; the tokens of callers are bent in `serve::access`.

mod messages;
mod records;
mod state;
mod texts;

/// Something that parses.
#[derive(Debug)]
pub struct Target {
    /// Its name for `fuzz.sh`.
    pub name: &'static str,
    /// Gives it these bytes; panics where it does not do as it should.
    pub feed: fn(&[u8]),
    /// Inputs as they really come.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "records", feed: records::feed, seeds: records::seeds },
    Target { name: "configurations", feed: texts::configuration, seeds: texts::configurations },
    Target { name: "words", feed: texts::word, seeds: texts::words },
    Target { name: "tables", feed: texts::table, seeds: texts::tables },
    Target { name: "cases", feed: texts::case, seeds: texts::cases },
    Target { name: "journals", feed: state::journal, seeds: state::journals },
    Target { name: "audit_logs", feed: state::audit_log, seeds: state::audit_logs },
    Target { name: "messages", feed: messages::feed, seeds: messages::seeds },
];

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Target> {
        const { &TARGETS }.iter().find(|target| target.name == name)
    }
}
