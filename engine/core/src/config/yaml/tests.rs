use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{DEEPEST, LONGEST, from_yaml, scan::scan};
use crate::{
    chance::Chance,
    config::{Config, ConfigError},
};

/// Nobody waits for an answer. A debug build takes about a tenth of it.
const SOON: Duration = Duration::from_secs(2);

/// The place and words of a refusal, found soon.
fn refusal(text: &str) -> (usize, usize, String) {
    let began = Instant::now();
    let error = Config::parse("f.yaml", text).expect_err("is let through");
    assert!(began.elapsed() < SOON, "{:?} for {:.80}", began.elapsed(), text);
    let words = error.to_string();
    match error {
        ConfigError::Text { line, column, .. } => (line, column, words),
        other => panic!("{other}"),
    }
}

#[test]
fn a_hundred_thousand_of_any_bracket_are_refused_at_their_place() {
    let (line, column, words) = refusal(&"[".repeat(100_000));
    assert_eq!((line, column), (1, 101), "{words}");
    assert!(words.starts_with("f.yaml: line 1 column 101: nests more than 100 lists and maps"), "{words}");
    for opener in [
        "{", "[{", "- ", "? ", ": ", "{? ", "[ \t", "[\n", "- [", "? - ", "[[],", "{a: ", "[\"]\", ",
        "- a: [", "[&a ",
    ] {
        refusal(&opener.repeat(100_000 / opener.len()));
    }
    let (line, _, _) = refusal(&format!("kafka:\n  brokers: {}", "[".repeat(100_000)));
    assert_eq!(line, 2);
}

/// A text that nests too deep somewhere in a configuration.
fn deep(chance: &mut Chance) -> String {
    let before = chance.of(&[
        "",
        "---\n",
        "# [[[ \"\n",
        "kafka:\n  group: a\n   \"\n",
        "kafka: {group: '''[{', x: \"\\\"[\"}\n",
        "measures:\n- sql: |\n    [ '\n   \n",
        "log:\n  level: plain text\n    [ over lines\n",
    ]);
    let section =
        chance.of(&["kafka: ", "topics:\n- ", "sinks:\n  slack: ", "remediation:\n  policies:\n  - ", "? "]);
    let section = if before.is_empty() && chance.below(2) == 0 { "" } else { section };
    let kinds: Vec<&str> = match chance.below(3) {
        0 => vec!["[", "{", "[ ", "[\n ", "{a: ", "{\"b\": ", "['}', ", "[!t ", "{? ", "[# }\n", "[a b,\t"],
        1 if !section.ends_with(": ") => vec!["- ", "? ", "-   "],
        _ => {
            let levels = 101 + chance.below(400);
            let keys = (0..levels).map(|level| format!("{}k{level}:\n", " ".repeat(level)));
            return format!("{}{}", chance.of(&["", "---\n"]), keys.collect::<String>());
        }
    };
    let levels = 101 + chance.below(20_000);
    let openers: String = (0..levels).map(|_| chance.of(&kinds)).collect();
    format!("{before}{section}{openers}")
}

#[test]
fn whatever_nests_too_deep_is_refused() {
    for seed in 1..=50 {
        let text = deep(&mut Chance::new(seed));
        let began = Instant::now();
        let error = Config::parse("f.yaml", &text).expect_err("is let through").to_string();
        assert!(began.elapsed() < SOON, "seed {seed}");
        assert!(error.contains("nests more than 100"), "seed {seed}: {error}: {text:.200}");
    }
}

#[test]
fn brackets_in_texts_are_no_nesting() {
    let many = "[{".repeat(500);
    let template = "{{ a }} [[ {% if b %}".repeat(100);
    for value in [
        format!("'{many}'"),
        format!("\"{many} \\\" {many}\""),
        format!("|\n    {many}\n    {template}\n"),
        format!(">-\n    {template}\n\n     {many}\n"),
        format!("|2\n    {many}\n"),
        format!("plain {many}"),
        format!("plain\n    {many}\n    {template}"),
        format!("x # {many}"),
    ] {
        let text = format!("log:\n  level: {value}\n  format: json\n");
        let config = Config::parse("f.yaml", &text).unwrap_or_else(|error| panic!("{error}: {text:.100}"));
        assert!(config.log.level.contains("[{") || value.starts_with('x'), "{text:.100}");
    }
}

#[test]
fn what_is_not_too_deep_is_read() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(from_yaml::<serde_json::Value>("f", &deep(DEEPEST)).is_ok());
    assert!(from_yaml::<serde_json::Value>("f", &deep(DEEPEST + 1)).is_err());
}

#[test]
fn what_is_too_long_is_refused() {
    let (line, column, words) = refusal(&"a".repeat(LONGEST + 1));
    assert!((line, column) == (1, 1) && words.contains("at most 1048576 are read"), "{words}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("long.yaml");
    std::fs::write(&path, "#".repeat(3 * LONGEST)).expect("a file");
    let error = Config::read(&path).expect_err("is let through").to_string();
    assert!(error.contains("long.yaml: line 1 column 1: is 1048577 bytes"), "{error}");
}

#[test]
fn aliases_repeat_only_so_much() {
    let anchors = "log: &log {level: warn}\n";
    assert!(from_yaml::<serde_json::Value>("f", &format!("{anchors}a: *log\nb: [*log, *log]\n")).is_ok());
    for seed in 1..=50 {
        let mut chance = Chance::new(seed);
        let (levels, times) = (8 + chance.below(20), 8 + chance.below(10));
        let mut text = format!("a0: &a0 [{}]\n", "lol, ".repeat(1 + chance.below(20)));
        for level in 1..levels {
            let of = format!("*a{}", level - 1);
            let items = vec![of.as_str(); times];
            let value = match chance.below(3) {
                0 => format!("[{}]", items.join(", ")),
                1 => format!("\n- {}", items.join("\n- ")),
                _ => {
                    let entries = items.iter().enumerate().map(|(key, item)| format!("\n  k{key}: {item}"));
                    entries.collect::<String>()
                }
            };
            text.push_str(&format!("a{level}: &a{level} {value}\n"));
        }
        let (_, _, words) = refusal(&text);
        assert!(words.contains("its aliases (*name) repeat more than"), "seed {seed}: {words}");
    }
    // One long text, and many that repeat it.
    refusal(&format!("a: &a {}\nb: [{}]\n", "x".repeat(LONGEST / 2), "*a, ".repeat(10_000)));
    // One that holds itself.
    assert!(from_yaml::<serde_json::Value>("f", "a: &a [*a, *a]\n").is_err());
}

/// What the parser makes of a text that passes takes time as the text is long.
#[test]
fn the_parser_is_quick_with_all_that_passes() {
    for part in [
        "[],", "{},", "a: b,", "'',", "\"\\n\",", "- a\n", "a: b\n", "? a\n", "&a b,", "!t b,", "\n",
        "# a\n", "a ", ",", ": ", "- \n", "a:\n", "'\n'",
    ] {
        for (before, after) in [("", ""), ("[", "]"), ("{", "}"), ("a: |\n  ", "\n")] {
            let text = format!("{before}{}{after}", part.repeat(100_000 / part.len()));
            let began = Instant::now();
            let _ = from_yaml::<serde::de::IgnoredAny>("f", &text);
            assert!(began.elapsed() < SOON, "{part:?} in {before:?}: {:?}", began.elapsed());
        }
    }
}

fn depth(value: &serde_yaml_ng::Value) -> usize {
    match value {
        serde_yaml_ng::Value::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_yaml_ng::Value::Mapping(entries) => {
            1 + entries.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or(0)
        }
        serde_yaml_ng::Value::Tagged(tagged) => depth(&tagged.value),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    /// The scan sees the end of every text as the parser does: what is added to the end of a text that the parser takes, on the
    /// line of its own, is found.
    #[test]
    fn the_scan_agrees_with_the_parser(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "[", "]", "{", "}", "- ", "? ", ": ", "a: ", ", ", "'", "\"", "''", "\\", "|", ">", "|-", "&a ", "*a", "!t ", "\n", "\n",
                "\n  ", "\n ", " ", "a", "b: ", "#", " #", "\t", "---\n", "-", ":", "é", "|2\n",
            ]),
            0..24,
        ),
    ) {
        let text: String = parts.concat();
        if serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&text).is_ok_and(|value| depth(&value) < 30) {
            let deep = format!("{text}\n{}", "[".repeat(DEEPEST + 1));
            let fails = scan(&text);
            prop_assert!(fails.is_ok(), "{text:?}: {fails:?}");
            let found = scan(&deep);
            let parsed = serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&deep).map_err(|error| error.to_string());
            // Where the parser still takes it, the brackets are text; else they are brackets, or there is another fault before.
            if let Err(error) = &parsed {
                let is_bracket = error.contains("flow node") || error.contains("flow sequence");
                prop_assert!(!is_bracket || found.is_err(), "{text:?}: {error}");
            } else {
                prop_assert!(found.is_ok(), "{text:?}");
            }
        }
    }
}
