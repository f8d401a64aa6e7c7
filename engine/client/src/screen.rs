//! Text that is safe to show, fitted to the terminal. Telemetry can hold anything, also what a terminal would obey.

use std::fmt::Write as _;

use serde::Serialize;

/// How wide tables may be: as the terminal, or as `COLUMNS` says, else 80; never under 40.
pub fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    let terminal = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    terminal.or_else(columns).unwrap_or(80).max(40)
}

/// The text with everything that moves the cursor, colours or reorders written out: `\u{1b}`.
pub fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if obeyed(char) { safe.extend(char.escape_default()) } else { safe.push(char) }
    }
    safe
}

/// One line of JSON, safe to show. Equal to serde's for every reader of JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<String> {
    let text = serde_json::to_string(value)?;
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if obeyed(char) {
            // All of them lie in the first plane, and between quotes, since serde_json writes no spaces.
            write!(safe, "\\u{:04x}", u32::from(char))?;
        } else {
            safe.push(char);
        }
    }
    Ok(safe)
}

/// Controls, marks that reorder or hide text, and ends of lines.
fn obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The plain text in exactly this many columns: padded, or cut with `…`.
pub fn fit(text: &str, columns: usize) -> String {
    let mut fitted = cut(text, columns);
    let used = console::measure_text_width(&fitted);
    fitted.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    fitted
}

/// The plain text in at most this many columns, cut with `…`.
pub fn cut(text: &str, columns: usize) -> String {
    let text = plain(text);
    if console::measure_text_width(&text) <= columns {
        return text;
    }
    let (start, _) = split(&text, columns.saturating_sub(1));
    format!("{start}…")
}

/// The plain text in lines of at most this many columns, broken at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in plain(text).split(' ').filter(|word| !word.is_empty()) {
        let mut word = word;
        let used = lines.last().map_or(0, |line| console::measure_text_width(line));
        if used > 0 && used + 1 + console::measure_text_width(word) > columns {
            lines.push(String::new());
        }
        while console::measure_text_width(word) > columns {
            let (start, rest) = split(word, columns);
            if let Some(line) = lines.last_mut() {
                line.push_str(start);
            }
            lines.push(String::new());
            word = rest;
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The longest start of at most this many columns, one character at least, and the rest.
fn split(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, char) in text.char_indices() {
        used += console::measure_text_width(char.encode_utf8(&mut [0; 4]));
        if used > columns && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// What something means to whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It is well.
    Good,
    /// It waits for a person.
    Waits,
    /// It is not.
    Bad,
    /// It runs its course.
    Plain,
}

/// The text in the colour of what it means, where stdout is a terminal that has colours and `NO_COLOR` is not set.
pub fn paint(text: &str, tone: Tone) -> String {
    let text = console::style(text);
    match tone {
        Tone::Good => text.green(),
        Tone::Waits => text.yellow().bold(),
        Tone::Bad => text.red(),
        Tone::Plain => text,
    }
    .to_string()
}

/// `2026-11-23 14:05:09`, in UTC.
pub fn time(unix_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(unix_ms) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("{unix_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        for (text, safe) in [
            ("grün 日本 👩", "grün 日本 👩"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("abc\u{202e}cba", "abc\\u{202e}cba"),
            ("in\u{200b}visible", "in\\u{200b}visible"),
        ] {
            assert_eq!(plain(text), safe);
            let shown = json(&text).unwrap();
            assert!(!shown.chars().any(obeyed), "{shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }

    #[test]
    fn cells_have_their_width() {
        for (text, columns, cell) in [
            ("abc", 5, "abc  "),
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("日本語", 6, "日本語"),
            ("日本語です", 6, "日本… "),
            ("\u{1b}", 6, "\\u{1b}"),
        ] {
            assert_eq!(fit(text, columns), cell);
            assert_eq!(console::measure_text_width(&fit(text, columns)), columns, "{text}");
        }
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one twothreefour five", 7), ["one", "twothre", "efour", "five"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("日本語日本語", 5), ["日本", "語日", "本語"]);
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_000_000), "1970-01-01 00:16:40");
        assert_eq!(time(i64::MAX), "9223372036854775807 ms");
    }
}
