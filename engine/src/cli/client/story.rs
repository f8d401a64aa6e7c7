//! Incidents for people: one line each, or one in detail.

use std::fmt::Write as _;

use foreshock_core::types::{Adjustment, Incident, IncidentState, Lesson, Member, Suppressed, Suspect};

use super::screen::{Tone, cut, fit, paint, plain, time, wrap};

/// Columns from which a table also says who is suspected.
const WIDE: usize = 110;
/// Columns of the suspect in a wide table.
const SUSPECT: usize = 30;

/// The head of the table.
pub(super) fn head(width: usize) -> String {
    line(width, ["ID", &fit("STATE", STATE), "SEV", "STARTED", "SUSPECT", "TITLE"])
}

/// One incident as a line of the table.
pub(super) fn row(incident: &Incident, width: usize) -> String {
    let severity = format!("{:.2}", incident.severity);
    // Seconds say nothing here, and the title needs the room.
    let started = time(incident.started_ms);
    let suspect = incident
        .suspects
        .first()
        .map_or(String::new(), |suspect| format!("{:.2} {}", suspect.weight, suspect.entity));
    let tone = if incident.state == IncidentState::Open { Tone::Bad } else { Tone::Good };
    let painted = paint(&fit(state(incident), STATE), tone);
    let cells = [
        &*incident.id.to_string(),
        &painted,
        &severity,
        started.get(..16).unwrap_or(&started),
        &suspect,
        &incident.title,
    ];
    line(width, cells)
}

fn line(width: usize, [id, state, severity, started, suspect, title]: [&str; 6]) -> String {
    let mut line = format!("{}  {state}  {}  {}  ", fit(id, 16), fit(severity, 4), fit(started, 16));
    if width >= WIDE {
        line.push_str(&fit(suspect, SUSPECT));
        line.push_str("  ");
    }
    let used = console::measure_text_width(&line);
    line.push_str(&cut(title, width.saturating_sub(used).max(1)));
    line.trim_end().to_string()
}

/// Columns of a state.
const STATE: usize = 8;

fn state(incident: &Incident) -> &'static str {
    match incident.state {
        IncidentState::Open => "open",
        IncidentState::Resolved => "resolved",
    }
}

/// The head of the table of what opened no incident.
pub(super) fn suppressed_head() -> String {
    format!("{}  SERIES, AND WHY IT OPENED NONE", fit("TIME", 19))
}

/// One anomaly that opened no incident, and why.
pub(super) fn suppressed(suppressed: &Suppressed, width: usize) -> String {
    let Suppressed { time_ms, anomaly, why } = suppressed;
    let first = cut(&format!("{}  {}", time(*time_ms), anomaly.series), width);
    reason(first, why, width)
}

/// The head of the table of adjustments.
pub(super) fn adjustment_head() -> String {
    format!("{}  {}  {}  SAID, AND WHAT IS OTHERWISE SINCE", fit("ID", 16), fit("TIME", 19), fit("BY", 10))
}

/// One adjustment: who said what, and what is otherwise since.
pub(super) fn adjustment(adjustment: &Adjustment, width: usize) -> String {
    let Adjustment { id, time_ms, by, said, lesson } = adjustment;
    let since = match lesson {
        Lesson::Evidence { entity, symptom, more } => {
            let what = symptom.as_deref().map(|symptom| format!(": {symptom}")).unwrap_or_default();
            format!("{entity}{what} needs {more:+.1} evidence")
        }
        Lesson::Cause { entity, instead_of: Some(other), odds } => {
            format!("{entity} is believed {odds:+.1} more than {other}")
        }
        Lesson::Cause { entity, instead_of: None, odds } => format!("{entity} is believed {odds:+.1} more"),
        Lesson::Together { a, b } => format!("{a} and {b} belong together"),
    };
    let id = id.to_string();
    let first = format!("{}  {}  {}  {said}", fit(&id, 16), fit(&time(*time_ms), 19), fit(by, 10));
    reason(cut(&first, width), &since, width)
}

/// A line, and below it the reason, indented.
fn reason(mut line: String, why: &str, width: usize) -> String {
    for part in wrap(why, width.saturating_sub(4)) {
        let _ = write!(line, "\n    {part}");
    }
    line
}

/// Everything that a person asks first, at most this wide.
pub(super) fn detail(incident: &Incident, width: usize) -> String {
    let mut page = Page { text: String::new(), width };
    page.wrapped("", &incident.title);
    page.head(incident);
    page.section("SUSPECTS", incident.suspects.is_empty(), "none: nothing points anywhere yet");
    for (index, suspect) in incident.suspects.iter().enumerate() {
        page.suspect(index + 1, suspect);
    }
    page.section("MEMBERS, strongest first", incident.members.is_empty(), "none");
    for member in &incident.members {
        page.member(member);
    }
    page.section("CHANGES, oldest first", incident.changes.is_empty(), "none near it");
    for change in &incident.changes {
        let what = format!(
            "{}  {} of {} to {}, {} from {}",
            time(change.time_ms),
            change.kind,
            change.entity,
            if change.version.is_empty() { "?" } else { &change.version },
            change.id,
            change.source,
        );
        page.wrapped("  ", &what);
    }
    page.text
}

/// Lines that are being written.
struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn head(&mut self, incident: &Incident) {
        let id = incident.id;
        let mut stands = match incident.resolved_ms {
            None => format!("{} since {}", state(incident), time(incident.opened_ms)),
            Some(resolved_ms) => {
                format!(
                    "{} at {}, open since {}",
                    state(incident),
                    time(resolved_ms),
                    time(incident.opened_ms)
                )
            }
        };
        match incident.reopened {
            0 => {}
            1 => stands.push_str(", reopened once"),
            times => stands.push_str(&format!(", reopened {times} times")),
        }
        self.field("id", &format!("{id}, revision {}", incident.revision));
        self.field("state", &stands);
        self.field("started", &format!("{} (UTC)", time(incident.started_ms)));
        let harm = incident.harm.as_ref().map(|harm| format!(": {}", harm.why)).unwrap_or_default();
        self.field("severity", &format!("{:.2}{harm}", incident.severity));
        for (word, other) in [
            ("merged", incident.merged_into.map(|id| format!("into incident {id}"))),
            ("split", incident.split_from.map(|id| format!("from incident {id}"))),
        ] {
            if let Some(other) = other {
                self.field(word, &other);
            }
        }
        self.field(
            "owner",
            &incident
                .acknowledged_by
                .clone()
                .unwrap_or_else(|| format!("nobody: foreshock incidents ack {id} --by NAME")),
        );
        if let Some(remediation) = &incident.remediation {
            self.field("fix", remediation);
        }
        self.field("why", &incident.why);
    }

    fn suspect(&mut self, rank: usize, suspect: &Suspect) {
        self.wrapped("  ", &format!("{rank}. {}, {:.0} %", suspect.entity, suspect.weight * 100.0));
        if let Some(change) = &suspect.change {
            let version =
                if change.version.is_empty() { String::new() } else { format!(" to {}", change.version) };
            let blamed = format!("blamed: {}{version} at {}", change.kind, time(change.time_ms));
            self.wrapped("     ", &blamed);
        }
        for reason in &suspect.reasons {
            self.wrapped("     ", reason);
        }
        for example in &suspect.examples {
            self.wrapped("     ", &format!("for example at {}: {example}", time(example.time_ms)));
        }
    }

    fn member(&mut self, member: &Member) {
        let anomaly = &member.anomaly;
        self.wrapped("  ", &anomaly.series);
        let now = if anomaly.active { "" } else { ", normal again" };
        let numbers = format!(
            "score {:.2} by {} since {}{now}: {} came, {} expected ({} to {})",
            anomaly.score,
            anomaly.detector,
            time(anomaly.onset_ms),
            number(anomaly.value),
            number(anomaly.expected),
            number(anomaly.lower),
            number(anomaly.upper),
        );
        self.wrapped("     ", &numbers);
        for words in [&anomaly.explanation, &member.because] {
            if !words.is_empty() {
                self.wrapped("     ", words);
            }
        }
    }

    fn section(&mut self, name: &str, empty: bool, nothing: &str) {
        let _ = writeln!(self.text, "\n{name}");
        if empty {
            self.wrapped("  ", nothing);
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        const NAMES: usize = 10;
        for (index, line) in wrap(value, self.width.saturating_sub(NAMES)).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(self.text, "{}{line}", fit(name, NAMES));
        }
    }

    fn wrapped(&mut self, indent: &str, text: &str) {
        for line in wrap(text, self.width.saturating_sub(indent.len())) {
            let _ = writeln!(self.text, "{indent}{line}");
        }
    }
}

/// Four significant digits.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return plain(&value.to_string());
    }
    let digits = 3 - value.abs().log10().floor() as i64;
    match usize::try_from(digits.max(0)) {
        Ok(places @ 0..=9) => {
            let text = format!("{value:.places$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_string()
            } else {
                text
            }
        }
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use foreshock_core::types::*;

    use super::*;

    fn member(measure: &str, score: f64, active: bool, because: &str) -> Member {
        let entity = Entity::new(EntityKind::Service, "shop/payment");
        let anomaly = Anomaly {
            id: Id(70),
            revision: 1,
            kind: AnomalyKind::Series,
            series: format!("{entity} {measure}{{operation=POST /charge}}"),
            entity,
            measure: measure.to_string(),
            role: MeasureRole::named(measure),
            active,
            opened_ms: 1_763_906_740_000,
            onset_ms: 1_763_906_710_000,
            updated_ms: 1_763_906_740_000,
            score,
            ticks: 3,
            neg_log_p: 20.0,
            value: 0.372_93,
            expected: 0.001_2,
            lower: 0.0,
            upper: 0.015,
            detector: "residual".to_string(),
            explanation: "error ratio at 0.37, at most 0.015 was expected".to_string(),
            contributions: Vec::new(),
            attribution: Vec::new(),
        };
        Member { anomaly, because: because.to_string() }
    }

    fn bad_deploy() -> Incident {
        let payment = Entity::new(EntityKind::Service, "shop/payment");
        let change = Change {
            time_ms: 1_763_906_700_000,
            id: "deploy-2".to_string(),
            kind: "service.upgraded".to_string(),
            entity: payment.clone(),
            version: "v2".to_string(),
            source: "ci".to_string(),
        };
        let suspect = |name: &str, weight, reasons: &[&str], change: Option<&Change>| Suspect {
            entity: Entity::new(EntityKind::Service, name),
            weight,
            reasons: reasons.iter().map(|reason| reason.to_string()).collect(),
            change: change.cloned(),
            examples: change.map(|_| failed_request()).into_iter().collect(),
        };
        Incident {
            id: Id(0x00c0_ffee_0000_0007),
            revision: 3,
            event: IncidentEvent::Opened,
            state: IncidentState::Open,
            title: "payment: errors up, after deploy v2, seen in payment, checkout and frontend".to_string(),
            started_ms: 1_763_906_710_000,
            opened_ms: 1_763_906_740_000,
            updated_ms: 1_763_906_760_000,
            resolved_ms: None,
            severity: 0.987_6,
            members: vec![
                member("span.error:ratio", 0.987_6, true, "service/shop/checkout calls service/shop/payment"),
                member("log.error:rate", 0.91, false, ""),
            ],
            suspects: vec![
                suspect(
                    "shop/payment",
                    0.81,
                    &["it was changed 10 s before the first sign", "everything that is abnormal calls it"],
                    Some(&change),
                ),
                suspect("shop/check\u{1b}[2Jout", 0.19, &["it is abnormal itself"], None),
            ],
            changes: vec![change],
            reopened: 1,
            acknowledged_by: None,
            remediation: Some("verified".to_string()),
            page: true,
            why:
                "3 anomalies within 30 s along the calls frontend, checkout, payment; it pages, as it is the \
                  first of its kind today"
                    .to_string(),
            ..Incident::default()
        }
    }

    fn failed_request() -> Example {
        Example {
            kind: ExampleKind::FailedRequest,
            time_ms: 1_763_906_750_000,
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_string(),
            text: "a request failed after 3.20 s".to_string(),
        }
    }

    fn quiet() -> Incident {
        Incident {
            id: Id(9),
            state: IncidentState::Resolved,
            resolved_ms: Some(1_763_906_900_000),
            title: "\u{1b}[31mdisk of 日本 full".to_string(),
            severity: 0.5,
            members: Vec::new(),
            suspects: Vec::new(),
            changes: Vec::new(),
            reopened: 0,
            acknowledged_by: Some("ann".to_string()),
            remediation: None,
            why: "one anomaly".to_string(),
            ..bad_deploy()
        }
    }

    #[test]
    fn tables() {
        for width in [80, 120] {
            let table = [head(width), row(&bad_deploy(), width), row(&quiet(), width)].join("\n");
            check(&table, width);
            insta::assert_snapshot!(format!("table_{width}"), table);
        }
    }

    #[test]
    fn details() {
        for width in [80, 120] {
            let screen = [detail(&bad_deploy(), width), detail(&quiet(), width)].join("\n----\n");
            check(&screen, width);
            insta::assert_snapshot!(format!("detail_{width}"), screen);
        }
    }

    fn check(screen: &str, width: usize) {
        for line in screen.lines() {
            assert_eq!(plain(line), line);
            assert!(console::measure_text_width(line) <= width, "{line}");
        }
    }

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.372_93, "0.3729"),
            (12_345.6, "12346"),
            (-0.001_2, "-0.0012"),
            (1e-9, "1.000e-9"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
