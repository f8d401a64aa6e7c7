//! `foreshock topology`: who calls whom, as spans have shown it.

use std::fmt::Write as _;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::{
    Ending,
    screen::{self, fit, plain},
    status::answer,
};
use crate::run::Topology;

/// Show who calls whom, as a running engine has seen it in spans.
///
/// Calls are counted lately: a count halves in 347 ticks, about an hour of ticks of 10 s.
///
/// Examples:
///   foreshock topology
///   foreshock topology --format dot | dot -Tsvg > topology.svg
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Where the engine serves HTTP.
    #[arg(long, env = "FORESHOCK_HTTP", default_value = "http://127.0.0.1:7118")]
    http: String,
    /// Text, a graph for Graphviz, or one JSON object.
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Dot,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    let (url, text) = answer(&arguments.http, "topology")?;
    let topology: Topology =
        serde_json::from_str(&text).with_context(|| format!("{url} is no engine of this version"))?;
    match arguments.format {
        Format::Json => screen::say(&screen::json(&topology)?)?,
        Format::Dot => screen::say(dot(&topology).trim_end())?,
        Format::Text if topology.calls.is_empty() => eprintln!("no span has shown a call yet"),
        Format::Text => screen::say(table(&topology).trim_end())?,
    }
    Ok(Ending::Fine)
}

/// One line per call: caller, callee, about how many lately.
fn table(topology: &Topology) -> String {
    let width = topology.calls.iter().map(|call| plain(&call.caller).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for call in &topology.calls {
        let (caller, callee) = (fit(&plain(&call.caller), width), plain(&call.callee));
        let _ = writeln!(text, "{caller} -> {callee}  {:.0} calls", call.calls);
    }
    text
}

/// The same for Graphviz; names are quoted, for they are what telemetry says.
fn dot(topology: &Topology) -> String {
    let quoted = |name: &str| format!("\"{}\"", plain(name).replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = "digraph topology {\n  rankdir=LR;\n".to_owned();
    for call in &topology.calls {
        let _ = writeln!(
            text,
            "  {} -> {} [label=\"{:.0}\"];",
            quoted(&call.caller),
            quoted(&call.callee),
            call.calls
        );
    }
    text + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Call;

    fn topology() -> Topology {
        let call = |caller: &str, callee: &str, calls| Call {
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            calls,
        };
        Topology {
            calls: vec![
                call("service/web", "service/cart", 120.4),
                call("service/cart", "db/a\"; x\u{1b}", 3.0),
            ],
        }
    }

    #[test]
    fn calls_are_lines_of_a_table() {
        let expected = "service/web  -> service/cart  120 calls\nservice/cart -> db/a\"; x\\u{1b}  3 calls\n";
        assert_eq!(table(&topology()), expected);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let text = dot(&topology());
        assert!(text.contains("  \"service/web\" -> \"service/cart\" [label=\"120\"];\n"), "{text}");
        assert!(text.contains("\"db/a\\\"; x\\\\u{1b}\""), "{text}");
    }
}
