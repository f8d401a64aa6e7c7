//! A line of shell as the commands in it. Only what texts show: no loops, no functions.

/// What stands for a word that a reader fills in.
pub(super) const PLACEHOLDER: &str = "PLACEHOLDER";

/// A word, without its quotes.
#[derive(Clone, Debug, Default)]
struct Word {
    text: String,
    is_quoted: bool,
}

/// The arguments of each `foreshock` in a line, alternatives (`a|b`) each by itself.
pub(super) fn foreshocks(line: &str) -> Vec<Vec<String>> {
    commands(line).iter().filter_map(|command| arguments(command)).flat_map(alternatives).collect()
}

/// Words up to the next operator, redirections left out.
fn commands(line: &str) -> Vec<Vec<Word>> {
    let mut commands = vec![Vec::new()];
    let mut words = words(line).into_iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if word.is_quoted {
            commands.last_mut().unwrap().push(word);
        } else if text.starts_with('#') {
            break;
        } else if ["|", "||", "&&", ";", "&"].contains(&text) {
            commands.push(Vec::new());
        } else if let Some(redirected) = redirection(text) {
            if redirected.is_empty() {
                words.next();
            }
        } else if let Some(last) = text.strip_suffix(';') {
            let last = Word { text: last.to_string(), is_quoted: false };
            commands.last_mut().unwrap().push(last);
            commands.push(Vec::new());
        } else {
            commands.last_mut().unwrap().push(word);
        }
    }
    commands
}

/// Where a redirection goes; nothing where that is the next word.
fn redirection(word: &str) -> Option<&str> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
    let is_placeholder = rest.starts_with('<') && rest.contains('>');
    let target = rest.trim_start_matches(['<', '>']);
    (target.len() < rest.len() && !is_placeholder).then_some(target)
}

/// Words, quotes and escapes undone; what another command gives is a placeholder.
fn words(line: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let current = word.get_or_insert_default();
        match c {
            '\'' | '"' => {
                current.is_quoted = true;
                while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                    current.text.push(inner);
                }
            }
            '\\' => current.text.extend(chars.next()),
            '$' if chars.peek() == Some(&'(') => {
                let mut depth = 0;
                for inner in chars.by_ref() {
                    depth += i32::from(inner == '(') - i32::from(inner == ')');
                    if depth == 0 {
                        break;
                    }
                }
                current.text.push_str(PLACEHOLDER);
            }
            // What a message fills in, a space in it or not.
            '{' => {
                let mut depth = 1;
                for inner in chars.by_ref() {
                    depth += i32::from(inner == '{') - i32::from(inner == '}');
                    if depth == 0 {
                        break;
                    }
                }
                current.text.push_str(PLACEHOLDER);
            }
            _ => current.text.push(c),
        }
    }
    words.extend(word);
    words
}

/// What comes after `foreshock`, `target/release/foreshock`, or `cargo run --`; also behind `kubectl exec … --`.
fn arguments(command: &[Word]) -> Option<Vec<Word>> {
    let begins = |word: &Word| {
        let is_assignment = word.text.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        });
        !is_assignment && !["$", "sudo", "exec", "time", "nohup", "("].contains(&word.text.as_str())
    };
    let start = command.iter().position(begins)?;
    let command = &command[start..];
    let is_ours = |word: &Word| word.text == "foreshock" || word.text.ends_with("/foreshock");
    let behind = command.iter().position(|word| word.text == "--").map(|at| &command[at + 1..]);
    let arguments = match (command[0].text.as_str(), behind) {
        _ if is_ours(&command[0]) => &command[1..],
        ("cargo", Some(behind)) if is_run(command) => behind,
        ("kubectl" | "docker" | "podman" | "ssh", Some([first, behind @ ..])) if is_ours(first) => behind,
        _ => return None,
    };
    (!arguments.is_empty()).then(|| arguments.to_vec())
}

/// `cargo run` of the engine, not of a bench.
fn is_run(command: &[Word]) -> bool {
    let value = |flags: [&str; 2]| {
        let at = command.iter().position(|word| flags.contains(&word.text.as_str()))?;
        command.get(at + 1).map(|word| word.text.as_str())
    };
    let is_engine = |name: Option<&str>| name.is_none_or(|name| name == "foreshock");
    command.get(1).is_some_and(|word| word.text == "run")
        && is_engine(value(["-p", "--package"]))
        && is_engine(value(["--bin", "--example"]))
}

/// One list of words for each way to read `a|b`; brackets and dots, which say what may be left out or repeated, are taken away.
fn alternatives(words: Vec<Word>) -> Vec<Vec<String>> {
    let mut read: Vec<Vec<String>> = vec![Vec::new()];
    for word in words {
        let options: Vec<String> = match word.is_quoted {
            true => vec![word.text],
            false => word.text.split('|').filter_map(plain).collect(),
        };
        if !options.is_empty() {
            let longer = |line: &Vec<String>| {
                options
                    .iter()
                    .map(|option| [line.as_slice(), std::slice::from_ref(option)].concat())
                    .collect::<Vec<_>>()
            };
            read = read.iter().flat_map(longer).collect();
        }
    }
    read
}

/// A word without what is only for readers.
fn plain(word: &str) -> Option<String> {
    let word = word.trim_start_matches('[').trim_end_matches([']', '…', ')']).trim_end_matches("...");
    let word = if word.starts_with('<') && word.ends_with('>') { PLACEHOLDER } else { word };
    (!word.is_empty() && word != "…").then(|| word.to_string())
}
