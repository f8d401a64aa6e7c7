//! `foreshock topology`: who calls whom as spans have shown it, what runs where, and what was declared.

use std::fmt::Write as _;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::{
    Ending,
    credentials::Http,
    output::{say, talk},
    screen::{self, fit, plain},
};
use crate::api::Topology;

/// Show who needs whom, as a running engine knows it: calls that it has seen in spans, hosts and workloads that
/// resources name, whose trouble came together again and again, and what its configuration declares.
///
/// Calls are counted lately: a count halves in 347 ticks, about an hour of ticks of 10 s.
///
/// Examples:
///   foreshock topology
///   foreshock topology --format dot | dot -Tsvg > topology.svg
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    engine: Http,
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
    let (url, text) = arguments.engine.get("topology")?;
    let topology: Topology =
        serde_json::from_str(&text).with_context(|| format!("{url} is no engine of this version"))?;
    match arguments.format {
        Format::Json => say(&screen::json(&topology)?)?,
        Format::Dot => say(dot(&topology).trim_end())?,
        Format::Text if topology == Topology::default() => {
            talk!("nothing is known yet: no span has shown a call, no resource names its host");
        }
        Format::Text => say(table(&topology).trim_end())?,
    }
    Ok(Ending::Fine)
}

/// Who, whom, and how: one for each arrow.
fn arrows(topology: &Topology) -> impl Iterator<Item = (&str, &str, String)> {
    let Topology { calls, runs_on, together, declared } = topology;
    let calls = calls.iter().map(|call| (&*call.caller, &*call.callee, format!("{:.0} calls", call.calls)));
    let runs_on = runs_on.iter().map(|(what, place)| {
        let how = if place.starts_with("host/") { "runs on it" } else { "is part of it" };
        (&**what, &**place, how.to_string())
    });
    let together = together.iter().map(|(a, b)| (&**a, &**b, "in trouble together".to_string()));
    let declared = declared.iter().map(|(from, on)| (&**from, &**on, "declared".to_string()));
    calls.chain(runs_on).chain(together).chain(declared)
}

/// One line per arrow.
fn table(topology: &Topology) -> String {
    let width = arrows(topology).map(|(from, ..)| plain(from).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (from, to, how) in arrows(topology) {
        let _ = writeln!(text, "{} -> {}  {how}", fit(&plain(from), width), plain(to));
    }
    text
}

/// The same for Graphviz; names are quoted, for they are what telemetry says.
fn dot(topology: &Topology) -> String {
    let quoted = |name: &str| format!("\"{}\"", plain(name).replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = "digraph topology {\n  rankdir=LR;\n".to_owned();
    for (from, to, how) in arrows(topology) {
        let style = if how.ends_with("calls") { "solid" } else { "dashed" };
        let _ = writeln!(text, "  {} -> {} [label=\"{how}\", style={style}];", quoted(from), quoted(to));
    }
    text + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Call;

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
            runs_on: vec![("service/cart".to_owned(), "host/n1".to_owned())],
            together: vec![("service/cart".to_owned(), "service/mail".to_owned())],
            declared: Vec::new(),
        }
    }

    #[test]
    fn calls_are_lines_of_a_table() {
        let expected = "service/web  -> service/cart  120 calls\n\
            service/cart -> db/a\"; x\\u{1b}  3 calls\nservice/cart -> host/n1  runs on it\n\
            service/cart -> service/mail  in trouble together\n";
        assert_eq!(table(&topology()), expected);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let text = dot(&topology());
        assert!(
            text.contains("  \"service/web\" -> \"service/cart\" [label=\"120 calls\", style=solid];\n"),
            "{text}"
        );
        assert!(text.contains("\"db/a\\\"; x\\\\u{1b}\""), "{text}");
    }
}
