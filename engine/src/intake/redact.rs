//! What must not be kept: tokens, e-mail addresses, card numbers, IP addresses.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

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

const NAMES: [&str; 5] = ["token", "email", "card", "ip", "secret"];

/// The line with `<email>` and the like where something secret or personal stood.
pub(super) fn redact(line: &str) -> Cow<'_, str> {
    SECRETS.replace_all(line, |found: &regex::Captures<'_>| {
        let name = NAMES.iter().find(|name| found.name(name).is_some());
        format!("<{}>", name.unwrap_or(&"secret"))
    })
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn secrets_and_personal_data_are_replaced() {
        let cases = [
            ("login of ann@example.org from 10.1.2.3", "login of <email> from <ip>"),
            ("Authorization: Bearer abcdef0123456789", "Authorization: <token>"),
            ("card 4111 1111 1111 1111 declined", "card <card> declined"),
            ("password=hunter2, retrying", "<secret>, retrying"),
            ("version 1.2.3 took 15 ms", "version 1.2.3 took 15 ms"),
        ];
        for (line, expected) in cases {
            assert_eq!(redact(line), expected);
        }
    }
}
