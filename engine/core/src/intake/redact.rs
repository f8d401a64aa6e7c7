//! What must not be kept: tokens, e-mail addresses, card numbers, IP addresses. Names and values are cut here too, once they are redacted.

use std::sync::{Arc, LazyLock};

use regex::{CaptureLocations, Regex};

use crate::types::{
    Alert, Change, Entity, MAX_ATTRIBUTES, MAX_NAME, SeriesDef, StreamKind, cut, cut_attributes,
};

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
const NAMES: [&str; 5] = ["token", "email", CARD, IP, "secret"];
const CARD: &str = "card";
const IP: &str = "ip";

/// Whether digits are a card's number: the check digit of ISO/IEC 7812-1 (Luhn) fits. Of other numbers one in ten has it.
fn is_card(text: &str) -> bool {
    let digits = text.chars().rev().filter_map(|char| char.to_digit(10));
    let sum: u32 = digits
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, times)| digit * times / 10 + digit * times % 10)
        .sum();
    sum.is_multiple_of(10)
}

/// Redacts lines into memory of its own, line after line.
#[derive(Debug)]
pub struct Redactor {
    enabled: bool,
    found: CaptureLocations,
    line: String,
}

impl Redactor {
    /// A redactor, or one that leaves every line as it is.
    pub fn new(enabled: bool) -> Redactor {
        Redactor { enabled, found: SECRETS.capture_locations(), line: String::new() }
    }

    /// The line with `<email>` and the like where something secret or personal stood.
    pub fn redact<'a>(&'a mut self, line: &'a str) -> &'a str {
        self.replace(line, "")
    }

    /// The name of a thing: an address may be all the name that a host has.
    pub(super) fn name(&mut self, name: &str) -> String {
        cut(self.replace(name, IP), MAX_NAME).into_owned()
    }

    /// Redacts all but what is kept.
    fn replace<'a>(&'a mut self, line: &'a str, kept: &str) -> &'a str {
        let mut done = 0;
        self.line.clear();
        while self.enabled
            && let Some(secret) = SECRETS.captures_read_at(&mut self.found, line, done)
        {
            let name = NAMES.iter().zip(1..).find(|(_, group)| self.found.get(*group).is_some());
            let name = name.map_or("secret", |(name, _)| name);
            self.line.push_str(&line[done..secret.start()]);
            if name == kept || name == CARD && !is_card(secret.as_str()) {
                self.line.push_str(secret.as_str());
            } else {
                self.line.extend(["<", name, ">"]);
            }
            done = secret.end();
        }
        if done == 0 {
            return line;
        }
        self.line.push_str(&line[done..]);
        &self.line
    }

    /// An entity with its name redacted.
    pub(super) fn entity(&mut self, entity: Arc<Entity>) -> Arc<Entity> {
        let name = self.name(&entity.name);
        if name == entity.name { entity } else { Arc::new(Entity::new(entity.kind, name)) }
    }

    /// A series with its names and attributes redacted.
    pub(super) fn series(&mut self, series: SeriesDef) -> SeriesDef {
        let entity = self.entity(series.entity.clone());
        let redacted = |(key, value): &(String, String)| (key.clone(), self.redact(value).to_string());
        let attributes = series.attributes.iter().map(redacted).collect();
        let attributes = cut_attributes(attributes, MAX_NAME, MAX_ATTRIBUTES);
        let measure = cut(&series.measure, MAX_NAME);
        if entity == series.entity && attributes == series.attributes && measure == series.measure {
            return series;
        }
        SeriesDef::new(entity, measure.into_owned(), attributes)
    }

    /// How a stream's samples become values, with the peer redacted.
    pub(super) fn kind(&mut self, kind: StreamKind) -> StreamKind {
        match kind {
            StreamKind::Spans { inbound, peer: Some(peer) } => {
                StreamKind::Spans { inbound, peer: Some(self.entity(peer)) }
            }
            other => other,
        }
    }

    /// A change with its names redacted.
    pub(super) fn change(&mut self, change: Change) -> Change {
        Change {
            id: self.name(&change.id),
            kind: cut(&change.kind, MAX_NAME).into_owned(),
            entity: Entity::new(change.entity.kind, self.name(&change.entity.name)),
            version: self.name(&change.version),
            source: self.name(&change.source),
            ..change
        }
    }

    /// An alert with its names cut. They are the labels of somebody's rule, and its summary was redacted when it was read.
    pub(super) fn alert(&mut self, alert: Alert) -> Alert {
        Alert {
            fingerprint: cut(&alert.fingerprint, MAX_NAME).into_owned(),
            name: cut(&alert.name, MAX_NAME).into_owned(),
            entity: Entity::new(alert.entity.kind, cut(&alert.entity.name, MAX_NAME)),
            ..alert
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EntityKind;

    #[test]
    fn names_and_attributes_too_but_for_the_addresses_of_hosts() {
        let mut redactor = Redactor::new(true);
        let host = Arc::new(Entity::new(EntityKind::Host, "10.1.2.3"));
        let attributes = vec![("user".to_string(), "ann@example.org".to_string())];
        let series = redactor.series(SeriesDef::new(host.clone(), "logins", attributes));
        assert_eq!(series.name, "host/10.1.2.3 logins{user=<email>}");
        let peer = Some(Arc::new(Entity::new(EntityKind::Database, "password=hunter2")));
        let StreamKind::Spans { peer, .. } = redactor.kind(StreamKind::Spans { inbound: false, peer }) else {
            panic!("another kind")
        };
        assert_eq!(peer.unwrap().name, "<secret>");
        let plain = SeriesDef::new(host, "logins", Vec::new());
        assert_eq!(redactor.series(plain.clone()), plain);
    }

    #[test]
    fn secrets_and_personal_data_are_replaced() {
        let cases = [
            ("login of ann@example.org from 10.1.2.3", "login of <email> from <ip>"),
            ("Authorization: Bearer abcdef0123456789", "Authorization: <token>"),
            ("card 4111 1111 1111 1111 declined", "card <card> declined"),
            ("took 0.4111111111111112 s", "took 0.4111111111111112 s"),
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
