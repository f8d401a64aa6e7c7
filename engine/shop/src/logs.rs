//! The shop's log lines and how their holes are filled: ids, durations, addresses, and personal data
//! of people who do not exist (so that redaction has something to hide).

use super::fleet::Fleet;
use super::noise::Noise;
use super::topology::{SERVICES, Severity, Template};
use super::walk::{Place, SpanId, TraceId};

/// A service writes at most this many lines of one tick; its logger drops the rest.
const LINES_PER_SERVICE: usize = 40;

/// One log line; `at_ms` counts from the start of the tick.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) at_ms: f64,
    pub(super) severity: Severity,
    pub(super) body: String,
    pub(super) trace: Option<(TraceId, SpanId)>,
}

/// The lines of one tick.
#[derive(Debug)]
pub(super) struct Lines {
    kept: Vec<Line>,
    per_service: [usize; SERVICES.len()],
    share: f64,
}

impl Lines {
    /// `share` scales how many of the requests that went well write a line.
    pub(super) fn new(share: f64) -> Lines {
        Lines { kept: Vec::new(), per_service: [0; SERVICES.len()], share }
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn push(&mut self, line: Line) {
        let written = &mut self.per_service[line.place.service];
        if *written < LINES_PER_SERVICE {
            *written += 1;
            self.kept.push(line);
        }
    }

    /// Moves the lines from `first` on to a later time.
    pub(super) fn delay(&mut self, first: usize, by_ms: f64) {
        for line in &mut self.kept[first..] {
            line.at_ms += by_ms;
        }
    }

    /// All lines by service, pod and time.
    pub(super) fn into_sorted(mut self) -> Vec<Line> {
        self.kept.sort_by(|a, b| a.place.cmp(&b.place).then(a.at_ms.total_cmp(&b.at_ms)));
        self.kept
    }
}

/// Writes each service's housekeeping lines, and those of the pods that start at `now`.
pub(super) fn housekeeping(lines: &mut Lines, fleet: &Fleet, now: i64, noise: &mut Noise, tick_ms: f64) {
    for (service, spec) in SERVICES.iter().enumerate() {
        for (pod, state) in fleet.pods[service].iter().enumerate() {
            let place = Place { service, pod };
            if state.started == now {
                let body = format!("{} {} listens on port 8080", spec.name, state.version);
                lines.push(Line { place, at_ms: 0.0, severity: Severity::Info, body, trace: None });
            }
            for template in spec.housekeeping {
                if noise.chance(0.2) {
                    write(lines, noise, place, template, tick_ms);
                }
            }
        }
    }
}

/// Writes one line at a random moment of the tick.
pub(super) fn write(lines: &mut Lines, noise: &mut Noise, place: Place, template: &Template, tick_ms: f64) {
    let took_ms = 40.0 * noise.factor(0.8);
    let body = fill(template.text, took_ms, None, noise);
    let at_ms = noise.unit() * (tick_ms - 1.0);
    lines.push(Line { place, at_ms, severity: template.severity, body, trace: None });
}

/// Fills the holes of a template: `{ms}` and `{peer}` from the request, the others from the noise.
pub(super) fn fill(template: &str, took_ms: f64, peer: Option<usize>, noise: &mut Noise) -> String {
    let mut filled = String::with_capacity(template.len() + 24);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((hole, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        match (hole, peer) {
            ("ms", _) => filled.push_str(&format!("{took_ms:.0}")),
            ("peer", Some(peer)) => filled.push_str(SERVICES[peer].name),
            _ => filled.push_str(&value(hole, noise)),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn value(hole: &str, noise: &mut Noise) -> String {
    match hole {
        "n" => (1 + noise.below(900)).to_string(),
        "few" => (1 + noise.below(12)).to_string(),
        "pct" => (70 + noise.below(25)).to_string(),
        "id" => format!("{:016x}", noise.next()),
        "token" => format!("{:016x}{:016x}", noise.next(), noise.next()),
        "user" => format!("u{:06}", noise.below(400_000)),
        "order" => format!("ORD-{:08}", 10_000_000 + noise.below(80_000_000)),
        "sku" => format!("SKU-{:05}", noise.below(20_000)),
        "amount" => format!("{}.{:02}", 5 + noise.below(240), noise.below(100)),
        "postcode" => format!("{:05}", 1_000 + noise.below(98_000)),
        "ip" => format!("203.0.113.{}", 1 + noise.below(254)),
        "email" => email(noise),
        "card" => card(noise),
        _ => format!("{{{hole}}}"),
    }
}

fn email(noise: &mut Noise) -> String {
    const FIRST: [&str; 8] = ["ada", "bert", "carla", "dinesh", "emma", "farid", "greta", "hana"];
    const LAST: [&str; 8] = ["novak", "rossi", "schmidt", "tanaka", "okafor", "silva", "jansen", "kaya"];
    const DOMAIN: [&str; 3] = ["example.com", "example.org", "mail.example.net"];
    let first = FIRST[noise.below(FIRST.len())];
    let last = LAST[noise.below(LAST.len())];
    format!("{first}.{last}{}@{}", noise.below(100), DOMAIN[noise.below(DOMAIN.len())])
}

/// A card number with a right check digit (Luhn) that no bank has given out: it starts with the test
/// prefix 4000 00.
fn card(noise: &mut Noise) -> String {
    let mut digits = vec![4, 0, 0, 0, 0, 0];
    digits.extend((0..9).map(|_| noise.below(10)));
    let sum: usize = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
        .sum();
    digits.push((10 - sum % 10) % 10);
    digits.iter().map(ToString::to_string).collect()
}
