//! Where texts show command lines: blocks of code and inline code in Markdown, comments and strings in Rust.

use super::shell::foreshocks;

/// A command line that a text shows.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: String,
    pub(super) line: usize,
    /// What comes after `foreshock`.
    pub(super) words: Vec<String>,
    /// It can be typed as it is; else it may only name a command.
    pub(super) is_whole: bool,
}

impl Found {
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// All command lines of a text.
pub(super) fn collect(file: &str, text: &str) -> Vec<Found> {
    let mut pieces = Vec::new();
    if file.ends_with(".rs") {
        rust(text, &mut pieces);
    } else if file.ends_with(".md") {
        let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
        markdown(&lines, 4, &mut pieces);
    } else {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start().trim_start_matches('#');
            markdown(&[(number, &format!("    {}", line.trim()))], 4, &mut pieces);
        }
    }
    let found = |piece: Piece| {
        let open = piece.text.contains('…') || piece.text.contains("...");
        let is_whole = piece.is_whole && !open;
        foreshocks(&piece.text)
            .into_iter()
            .map(move |words| Found { file: file.to_string(), line: piece.line, words, is_whole })
            .collect::<Vec<_>>()
    };
    pieces.into_iter().flat_map(found).collect()
}

/// A part of a text that may be shell.
struct Piece {
    line: usize,
    text: String,
    is_whole: bool,
}

/// Fenced and indented blocks, lines joined where they end with a backslash; inline code everywhere else.
fn markdown(lines: &[(usize, &str)], indent: usize, pieces: &mut Vec<Piece>) {
    let mut is_fenced = false;
    let mut paragraph: Vec<(usize, &str)> = Vec::new();
    let mut lines = lines.iter();
    while let Some(&(number, line)) = lines.next() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        let is_indented = line.len() - line.trim_start_matches(' ').len() >= indent && !line.contains('`');
        let example = ["Example: ", "example: "].iter().find_map(|mark| Some(line.split_once(mark)?.1));
        let code = if is_fenced || is_indented { Some(example.unwrap_or(line)) } else { example };
        let Some(code) = code.filter(|code| is_fenced || !code.contains('`')) else {
            if line.trim().is_empty() {
                inline(&std::mem::take(&mut paragraph), pieces);
            } else {
                paragraph.push((number, line));
            }
            continue;
        };
        let mut text = code.trim().to_string();
        while let Some(start) = text.strip_suffix('\\') {
            text = format!("{start} {}", lines.next().map_or("", |(_, line)| line.trim()));
        }
        pieces.push(Piece { line: number, text, is_whole: true });
    }
    inline(&paragraph, pieces);
}

/// Inline code of a paragraph, also where it goes over the end of a line.
fn inline(paragraph: &[(usize, &str)], pieces: &mut Vec<Piece>) {
    let text = paragraph.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    let mut at = 0;
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            let above = text[..at].matches('\n').count();
            let line = paragraph.get(above).map_or(0, |(number, _)| *number);
            let text = part.replace('\n', " ").replace("\\|", "|");
            pieces.push(Piece { line, text, is_whole: false });
        }
        at += part.len() + 1;
    }
}

/// Comments as Markdown, in which two more spaces are a block of code; strings as Markdown, and what they say after a colon.
fn rust(text: &str, pieces: &mut Vec<Piece>) {
    let comment = |line: &str| -> Option<String> {
        let rest = line.trim_start().strip_prefix("//")?;
        Some(rest.trim_start_matches(['/', '!']).strip_prefix(' ').unwrap_or_default().to_string())
    };
    let comments: Vec<(usize, String)> =
        (1..).zip(text.lines()).map(|(number, line)| (number, comment(line).unwrap_or_default())).collect();
    let comments: Vec<(usize, &str)> =
        comments.iter().map(|(number, line)| (*number, line.as_str())).collect();
    markdown(&comments, 2, pieces);
    for string in strings(text) {
        let lines: Vec<(usize, &str)> = string.iter().map(|(line, text)| (*line, text.as_str())).collect();
        let said = lines.iter().filter(|(_, text)| !text.contains('`')).filter_map(|(number, text)| {
            let at = text
                .match_indices("foreshock ")
                .map(|(at, _)| at)
                .find(|at| text[..*at].is_empty() || text[..*at].ends_with([' ', '"', '\'']))?;
            Some(Piece { line: *number, text: text[at..].to_string(), is_whole: true })
        });
        pieces.extend(said);
        inline(&lines, pieces);
    }
}

/// A string, line by line: the line of the file in which each begins, and its text.
type Text = Vec<(usize, String)>;

/// The strings of a Rust file; a line that goes on with a backslash is one.
fn strings(text: &str) -> Vec<Text> {
    let mut strings = Vec::new();
    let mut rest = text;
    let line = |rest: &str| 1 + text[..text.len() - rest.len()].matches('\n').count();
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let before = &rest[..at];
        let here = &rest[at..];
        if let Some(after) = here.strip_prefix("//") {
            rest = after.split_once('\n').map_or("", |(_, next)| next);
        } else if let Some(after) = here.strip_prefix('/') {
            rest = after;
        } else if here.starts_with('\'') {
            // A character, or a lifetime.
            let length = ["'\"'", "'\\\"'", "'\\''"].iter().find(|char| here.starts_with(**char));
            rest = &here[length.map_or(1, |char| char.len())..];
        } else {
            let hashes = before.len() - before.trim_end_matches('#').len();
            let is_raw = before.trim_end_matches('#').ends_with('r');
            let begins = line(here);
            let (string, after) =
                if is_raw { raw(&here[1..], hashes, begins) } else { escaped(&here[1..], begins) };
            strings.push(string);
            rest = after;
        }
    }
    strings
}

fn raw(text: &str, hashes: usize, line: usize) -> (Text, &str) {
    let end = format!("\"{}", "#".repeat(hashes));
    let (string, after) = text.split_once(&end).unwrap_or((text, ""));
    ((line..).zip(string.lines().map(str::to_string)).collect(), after)
}

fn escaped(text: &str, begins: usize) -> (Text, &str) {
    let mut string: Text = vec![(begins, String::new())];
    let mut line = begins;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        let mut char = (char, char);
        if char.0 == '\\' {
            let next = rest.chars().next().unwrap_or_default();
            rest = &rest[next.len_utf8().min(rest.len())..];
            char = ('\\', next);
        }
        match char {
            ('"', _) => break,
            ('\\', '\n') => {
                let left = rest.trim_start();
                line += 1 + rest[..rest.len() - left.len()].matches('\n').count();
                rest = left;
                if let Some(last) = string.last_mut().filter(|(_, text)| text.is_empty()) {
                    last.0 = line;
                }
            }
            ('\\', 'n') => string.push((line, String::new())),
            ('\n', _) => {
                line += 1;
                string.push((line, String::new()));
            }
            (_, char) => {
                let last = string.len() - 1;
                string[last].1.push(char);
            }
        }
    }
    (string, rest)
}
