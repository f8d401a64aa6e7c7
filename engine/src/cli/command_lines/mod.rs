//! Every command line that documents, help, messages and comments show is one that the parser takes.
//!
//! * `collect`: where texts show commands · `shell`: a line of shell as commands and their words

mod collect;
mod shell;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{
    Command, CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Arguments;
use collect::{Found, collect};
use shell::PLACEHOLDER;

/// Fewer than these means that the collector does not see them any more.
const AT_LEAST: usize = 180;

/// What is wrong with a command line, in the parser's words.
fn problem(found: &Found) -> Option<String> {
    let words = std::iter::once("foreshock").chain(found.words.iter().map(String::as_str));
    let error = Arguments::command().try_get_matches_from(words).err()?;
    let is_placeholder = |kind| match error.get(kind) {
        Some(ContextValue::String(value)) => placeholder(value),
        _ => false,
    };
    let has_no_value =
        matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty());
    let is_right = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        // A command may be named without everything that it needs.
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => !found.is_whole,
        ErrorKind::InvalidValue if has_no_value => !found.is_whole,
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => is_placeholder(ContextKind::InvalidValue),
        ErrorKind::InvalidSubcommand => is_placeholder(ContextKind::InvalidSubcommand),
        _ => false,
    };
    let first = error.to_string().lines().next().unwrap_or_default().to_string();
    (!is_right).then_some(first)
}

/// Whether a word stands for others: `ID`, `HOST:PORT`.
fn placeholder(word: &str) -> bool {
    word == PLACEHOLDER
        || word.chars().any(|c| c.is_ascii_uppercase()) && !word.chars().any(|c| c.is_ascii_lowercase())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text that people read to learn what to type.
fn texts() -> Vec<PathBuf> {
    let mut texts = vec![root().join("README.md"), root().join("benches/README.md")];
    for (folder, extensions) in [
        ("docs", &["md", "sh"][..]),
        ("helm", &["md", "yaml", "json", "tpl", "txt", "sh"]),
        ("fixtures", &["md", "sh"]),
        ("engine/src", &["rs", "yaml"]),
        ("engine/core/src", &["rs", "yaml"]),
        ("engine/controllers/src", &["rs"]),
    ] {
        below(&root().join(folder), extensions, &mut texts);
    }
    texts.sort();
    texts
}

fn below(folder: &Path, extensions: &[&str], texts: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        // The examples of what is wrong are here.
        if path.is_dir() && !path.ends_with("cli/command_lines") {
            below(&path, extensions, texts);
        } else if extensions.contains(&extension.as_str()) {
            texts.push(path);
        }
    }
}

fn all() -> Vec<Found> {
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        collect(&name, &fs::read_to_string(&path).unwrap())
    };
    texts().into_iter().flat_map(read).collect()
}

#[test]
fn every_command_line_that_is_shown_is_one() {
    Arguments::command().debug_assert();
    let found = all();
    println!("{} command lines", found.len());
    assert!(found.len() >= AT_LEAST, "{} command lines are found, {AT_LEAST} are there", found.len());
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|found| {
            Some(format!("{}: {}: {}", found.place(), found.words.join(" "), problem(found)?))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (file, words) in [
        ("engine/src/sinks/slack.rs", "incidents show "),
        ("docs/incidents.md", "incidents show "),
        ("engine/src/cli/policy.rs", "policy test "),
        ("engine/src/cli/client/story.rs", "incidents ack "),
        ("engine/controllers/src/config.rs", "controller retrain "),
        ("helm/foreshock/rules/foreshock.rules.yaml", "signals"),
        ("fixtures/kubernetes/cluster.sh", "controller deploy"),
    ] {
        let is_there = |found: &Found| found.file == file && found.words.join(" ").starts_with(words.trim());
        assert!(found.iter().any(is_there), "{file} shows no `foreshock {words}`, or it is not seen");
    }
}

#[test]
fn both_words_for_one_show_it() {
    for words in ["incidents show ID", "incidents get ID", "signals show ID", "signals get ID"] {
        let words = std::iter::once("foreshock").chain(words.split(' '));
        let matches = Arguments::command().try_get_matches_from(words).unwrap();
        let (_, inner) = matches.subcommand().unwrap();
        assert_eq!(inner.subcommand_name(), Some("show"));
    }
}

/// What is wrong in a text, as `line: words`.
fn wrong(file: &str, text: &str) -> Vec<String> {
    let found = collect(file, text);
    let wrong = found.iter().filter(|found| problem(found).is_some());
    wrong.map(|found| format!("{}: {}", found.line, found.words.join(" "))).collect()
}

#[test]
fn wrong_lines_are_found_wherever_they_stand() {
    for (file, text, expected) in [
        ("a.md", "Text.\n\n    foreshock incidents open\n", &["3: incidents open"][..]),
        (
            "a.md",
            "```sh\n$ foreshock replay a.csv \\\n    --score b.csv\n```\n",
            &["2: replay a.csv --score b.csv"],
        ),
        ("a.md", "See `foreshock\nincident list`.\n", &["1: incident list"]),
        ("a.md", "| `foreshock run\\|walk --config F` |\n", &["1: walk --config F"]),
        ("a.md", "    cargo run --release -- dem\n", &["1: dem"]),
        ("a.md", "    sudo target/release/foreshock status --https X | tee a\n", &["1: status --https X"]),
        ("a.md", "    A=1 foreshock schema > x && foreshock cheque 2>&1\n", &["1: cheque"]),
        ("a.md", "    kubectl exec deploy/foreshock -- foreshock statu\n", &["1: statu"]),
        ("a.md", "    foreshock incidents show\n", &["1: incidents show"]),
        ("a.md", "`foreshock incidents show` and `foreshock replay FILE…`\n", &[]),
        ("a.md", "`foreshock policy test FILE` and `foreshock replay <file> [--scores FILE] …`\n", &[]),
        ("a.md", "    helm install foreshock helm/foreshock --wat\n", &[]),
        ("a.md", "    foreshock incidents list --limit some\n", &["1: incidents list --limit some"]),
        ("a.md", "    foreshock incidents list --limit N  # --not-this\n", &[]),
        ("a.rs", "/// Example: foreshock demo --sed 7\n", &["1: demo --sed 7"]),
        ("a.rs", "/// Examples:\n///   foreshock signls\n", &["2: signls"]),
        (
            "a.rs",
            "let a = format!(\"\\n`foreshock incidents shows {}`\", id);\n",
            &["1: incidents shows PLACEHOLDER"],
        ),
        (
            "a.rs",
            "f(\n  '\"', \"nobody: foreshock incidents acc {id}\");\n",
            &["2: incidents acc PLACEHOLDER"],
        ),
        ("a.rs", "let a = r#\"say \"foreshock incidents sho {id}\"\"#;\n", &["1: incidents sho PLACEHOLDER"]),
        ("a.rs", "f(\"one \\\n  two\\n\\\n  `foreshock statu` \\\n three\");\n", &["3: statu"]),
        ("a.yaml", "a:\n  # `foreshock stats` says it\n", &["2: stats"]),
        (
            "a.sh",
            "usage() { cat <<E\nexample: K=$(a b) foreshock controler deploy\nE\n",
            &["2: controler deploy"],
        ),
    ] {
        assert_eq!(wrong(file, text), expected, "{text}");
    }
}

/// Numbers that a seed gives: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// A name that is not quite this one.
fn mistyped(name: &str, dice: &mut Dice) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = 2 + dice.below(letters.len().saturating_sub(2).max(1));
    match dice.below(3) {
        0 if letters.len() > 4 => drop(letters.remove(at.min(letters.len() - 1))),
        1 => letters.insert(at.min(letters.len()), 'x'),
        _ => letters.push('s'),
    }
    letters.into_iter().collect()
}

/// The commands that the first words name, and the last of them as clap has it.
fn named<'a>(words: &[String], command: &'a Command) -> (usize, &'a Command) {
    match words.first().and_then(|word| command.find_subcommand(word)) {
        Some(inner) => {
            let (depth, last) = named(&words[1..], inner);
            (depth + 1, last)
        }
        None => (0, command),
    }
}

/// The words with a wrong subcommand or a wrong flag, if there is room for one.
fn spoiled(words: &[String], dice: &mut Dice) -> Option<Vec<String>> {
    let mut words = words.to_vec();
    let command = Arguments::command();
    let (depth, _) = named(&words, &command);
    let flags: Vec<usize> = (depth..words.len()).filter(|&at| words[at].starts_with("--")).collect();
    let at = match dice.below(3) {
        0 => dice.below(depth.max(1)),
        1 if !flags.is_empty() => *dice.one(&flags),
        _ => {
            words.insert(depth, format!("--{}", mistyped("verbose", dice)));
            return Some(words);
        }
    };
    let (_, parent) = named(&words[..at.min(depth)], &command);
    let spoiled = mistyped(&words[at], dice);
    let is_known = parent.find_subcommand(&spoiled).is_some();
    (!is_known && words[at].len() > 2).then(|| words[at] = spoiled)?;
    Some(words)
}

/// A text of some kind that shows a line, and the number of that line.
fn shown(line: &str, dice: &mut Dice) -> (&'static str, String, usize) {
    let above = dice.below(4);
    let (file, before, text) = match dice.below(6) {
        0 => ("a.md", "words\n", format!("\n```sh\n$ {line} | head -3\n```\n")),
        1 => ("a.md", "\n", format!("\n\n    {line}\n")),
        2 => ("a.md", "words\n", format!("\n\nSee `{line}`, or not.\n")),
        3 => ("a.rs", "fn f() {}\n", format!("\n/// Words.\n///   {line}\n")),
        4 => ("a.rs", "const A: u8 = 1;\n", format!("\n\nlet a = \"see `{line}`\";\n")),
        _ => ("a.yaml", "a: b\n", format!("\n\n# `{line}` shows it\n")),
    };
    (file, format!("{}{text}", before.repeat(above)), above + 3)
}

#[test]
fn fifty_spoiled_lines_are_all_caught() {
    let simple = |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || "-./:=_".contains(c));
    let found: Vec<Found> = all();
    let right: Vec<&Found> = found
        .iter()
        .filter(|found| found.is_whole && found.words.iter().all(simple) && problem(found).is_none())
        .collect();
    let seed = 0x5eed_0007;
    println!("seed {seed:#x}, {} lines to spoil", right.len());
    let mut dice = Dice(seed);
    let mut caught = 0;
    while caught < 50 {
        let original = dice.one(&right);
        let Some(words) = spoiled(&original.words, &mut dice) else { continue };
        let line = format!("foreshock {}", words.join(" "));
        let (file, text, number) = shown(&line, &mut dice);
        assert_eq!(wrong(file, &text), [format!("{number}: {}", words.join(" "))], "{text}");
        let unspoiled = text.replace(&line, &format!("foreshock {}", original.words.join(" ")));
        assert!(wrong(file, &unspoiled).is_empty(), "{unspoiled}");
        caught += 1;
    }
}
