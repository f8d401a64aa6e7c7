//! What must not be kept: tokens, e-mail addresses, card numbers, IP addresses.

use std::sync::LazyLock;

use regex::{CaptureLocations, Regex};

/// One expression for all, so that a line is walked once; the name of the group is what stands in its place.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    let parts = [
        r"(?P<token>\b(?:eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|(?i:bearer)\s+[A-Za-z0-9._~+/-]{8,}=*))",
        r"(?P<email>[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})",
        r"(?P<card>\b[0-9]{4}(?:[ -]?[0-9]{4}){3}\b)",
        r"(?P<ip>\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b)",
        r"(?P<secret>(?i:password|passwd|secret|token|api[_-]?key)\s*[=:]\s*[^\s,;]+)",
    ];
    Regex::new(&parts.join("|")).expect("the expressions are constant and were tested")
});

/// The groups, in their order.
const NAMES: [&str; 5] = ["token", "email", "card", "ip", "secret"];

/// Redacts lines into memory of its own, line after line.
#[derive(Debug)]
pub(crate) struct Redactor {
    enabled: bool,
    found: CaptureLocations,
    line: String,
}

impl Redactor {
    /// A redactor, or one that leaves every line as it is.
    pub(crate) fn new(enabled: bool) -> Redactor {
        Redactor { enabled, found: SECRETS.capture_locations(), line: String::new() }
    }

    /// The line with `<email>` and the like where something secret or personal stood.
    pub(crate) fn redact<'a>(&'a mut self, line: &'a str) -> &'a str {
        let mut done = 0;
        self.line.clear();
        while self.enabled
            && let Some(secret) = SECRETS.captures_read_at(&mut self.found, line, done)
        {
            let name = NAMES.iter().zip(1..).find(|(_, group)| self.found.get(*group).is_some());
            self.line.push_str(&line[done..secret.start()]);
            self.line.push('<');
            self.line.push_str(name.map_or("secret", |(name, _)| name));
            self.line.push('>');
            done = secret.end();
        }
        if done == 0 {
            return line;
        }
        self.line.push_str(&line[done..]);
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::Redactor;

    #[test]
    fn secrets_and_personal_data_are_replaced() {
        let cases = [
            ("login of ann@example.org from 10.1.2.3", "login of <email> from <ip>"),
            ("Authorization: Bearer abcdef0123456789", "Authorization: <token>"),
            ("card 4111 1111 1111 1111 declined", "card <card> declined"),
            ("password=hunter2, retrying", "<secret>, retrying"),
            ("ann@example.org", "<email>"),
            ("10.1.2.3 10.1.2.4", "<ip> <ip>"),
            ("version 1.2.3 took 15 ms", "version 1.2.3 took 15 ms"),
        ];
        let mut redactor = Redactor::new(true);
        for (line, expected) in cases {
            assert_eq!(redactor.redact(line), expected);
            assert_eq!(Redactor::new(false).redact(line), line);
        }
    }
}
