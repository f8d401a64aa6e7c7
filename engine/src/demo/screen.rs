//! What the demo says: one line per event in event time on stdout, and the table at the end.

use std::io::{self, Write};

use super::judge::Verdict;
use crate::types::{Change, Incident, IncidentState, RemediationSignal, SignalState};

/// Writes the demo's lines. Colour only for terminals.
pub(super) struct Screen<W> {
    out: W,
    colour: bool,
    /// Unix seconds from which times are counted.
    zero: i64,
}

#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Dim,
    Bold,
    Red,
    Green,
    Yellow,
    Blue,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Dim => "2",
            Ink::Bold => "1",
            Ink::Red => "1;31",
            Ink::Green => "32",
            Ink::Yellow => "33",
            Ink::Blue => "34",
        }
    }
}

/// Width of the text behind time and word.
const TEXT: usize = 62;

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W, colour: bool, zero: i64) -> Screen<W> {
        Screen { out, colour, zero }
    }

    fn paint(&self, text: &str, ink: Ink) -> String {
        match (self.colour, ink.code()) {
            (false, _) | (_, "") => text.to_string(),
            (true, code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    /// `h:mm:ss` since the scenario began.
    fn clock(&self, seconds: i64) -> String {
        let since = seconds - self.zero;
        let (sign, size) = if since < 0 { ("-", -since) } else { ("", since) };
        format!("{:>8}", format!("{sign}{}:{:02}:{:02}", size / 3600, size / 60 % 60, size % 60))
    }

    fn line(&mut self, seconds: i64, word: &str, ink: Ink, text: &str) -> io::Result<()> {
        let (clock, word) =
            (self.paint(&self.clock(seconds), Ink::Dim), self.paint(&format!("{word:<8}"), ink));
        let mut lines = wrap(text, TEXT).into_iter();
        writeln!(self.out, "{clock} {word} {}", lines.next().unwrap_or_default())?;
        lines.try_for_each(|rest| writeln!(self.out, "{:17} {rest}", ""))
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        for line in wrap(text, TEXT) {
            let line = self.paint(&line, Ink::Dim);
            writeln!(self.out, "{:17} {line}", "")?;
        }
        Ok(())
    }

    pub(super) fn opening(&mut self, seed: u64) -> io::Result<()> {
        let title = self.paint("foreshock demo", Ink::Bold);
        writeln!(self.out, "{title}: a shop of ten services, its telemetry on Kafka topics, seed {seed}")?;
        writeln!(self.out, "Times are event time since the scenario began; one hour is the shop's day.\n")
    }

    pub(super) fn learnt(&mut self, seconds: i64, series: u64, incidents: usize) -> io::Result<()> {
        let text = format!("three days of ordinary traffic: {series} series, {incidents} pages");
        self.line(seconds, "learnt", Ink::Green, &text)
    }

    pub(super) fn change(&mut self, change: &Change) -> io::Result<()> {
        let text = format!("{} {} {}", change.kind, change.entity.name, change.version);
        self.line(change.time_ms / 1000, "change", Ink::Blue, &text)
    }

    pub(super) fn incident(&mut self, incident: &Incident, ms_per_tick: i64) -> io::Result<()> {
        let seconds = (incident.updated_ms + ms_per_tick) / 1000;
        if incident.page {
            self.line(seconds, "PAGE", Ink::Red, &incident.title)?;
            if let Some(first) = incident.suspects.first() {
                let weight = first.weight * 100.0;
                self.note(&format!(
                    "first suspect {} ({weight:.0} %): {}",
                    first.entity,
                    first.reasons.join("; ")
                ))?;
            }
            if let Some(strongest) = incident.members.first() {
                self.note(&format!("{}: {}", strongest.anomaly.entity, strongest.anomaly.explanation))?;
            }
            return self.note(&incident.why);
        }
        if incident.state == IncidentState::Resolved && incident.remediation.is_none() {
            return self.line(seconds, "resolved", Ink::Green, &incident.title);
        }
        match &incident.remediation {
            Some(word) if incident.state == IncidentState::Resolved => {
                self.line(seconds, "verdict", Ink::Green, &format!("{}: remediation {word}", incident.title))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn signal(&mut self, signal: &RemediationSignal) -> io::Result<()> {
        let seconds = signal.updated_ms / 1000;
        let action = format!("{} {}", signal.action.name(), signal.target.name);
        let version = |key: &str| signal.attributes.get(key).map(String::as_str).unwrap_or_default();
        let versions = match (version("version"), version("to_version")) {
            ("", _) => String::new(),
            (from, "") => format!(", away from {from}"),
            (from, to) => format!(", {from} to {to}"),
        };
        match signal.state {
            SignalState::Ready => self.line(
                seconds,
                "signal",
                Ink::Yellow,
                &format!("{action}{versions}, allowed by policy {}", signal.policy),
            ),
            SignalState::Succeeded => {
                self.line(seconds, "done", Ink::Yellow, &format!("{action}: {}", signal.note))
            }
            SignalState::Verified => {
                self.line(seconds, "verified", Ink::Green, &format!("{action}: {}", signal.note))
            }
            SignalState::NotRecovered | SignalState::Failed | SignalState::Unknown => {
                self.line(seconds, "unhealed", Ink::Red, &format!("{action}: {}", signal.note))
            }
            _ => Ok(()),
        }
    }

    /// The ground truth beside what was found.
    pub(super) fn table(&mut self, verdicts: &[Verdict], false_alarms: &[Incident]) -> io::Result<()> {
        let head = format!(
            "{:<17} {:<15} {:>8}  {:<15} {:<15} {:<3}",
            "what was wrong", "where", "began", "called people", "blamed first", "ok"
        );
        let head = self.paint(&head, Ink::Bold);
        writeln!(self.out, "\n{head}")?;
        for verdict in verdicts {
            let found = match (verdict.paged_after, verdict.should_page) {
                (Some(seconds), _) => format!("after {seconds} s"),
                (None, true) => "never".to_string(),
                (None, false) => "no, rightly".to_string(),
            };
            let ink = if verdict.is_right() { Ink::Green } else { Ink::Red };
            let ok = self.paint(if verdict.is_right() { "yes" } else { "NO" }, ink);
            writeln!(
                self.out,
                "{:<17} {:<15} {}  {found:<15} {:<15} {ok}",
                verdict.kind.name(),
                verdict.service.unwrap_or("everywhere"),
                self.clock(verdict.start),
                verdict.suspect.as_deref().unwrap_or("-"),
            )?;
            if let Some(word) = &verdict.remediation {
                let text = self.paint(&format!("  remediation {word}"), Ink::Dim);
                writeln!(self.out, "{text}")?;
            }
        }
        let right = verdicts.iter().filter(|verdict| verdict.is_right()).count();
        let sum =
            format!("{right} of {} judged rightly, {} false alarms", verdicts.len(), false_alarms.len());
        let ink = if right == verdicts.len() && false_alarms.is_empty() { Ink::Green } else { Ink::Red };
        let sum = self.paint(&sum, ink);
        writeln!(self.out, "\n{sum}")?;
        for incident in false_alarms {
            let clock = self.clock(incident.opened_ms / 1000);
            writeln!(
                self.out,
                "false alarm at {} {}",
                clock.trim(),
                self.paint(&incident.title, Ink::Plain)
            )?;
        }
        self.out.flush()
    }
}

/// Lines of at most this many characters, broken at blanks. Control characters are shown, never sent.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let mut lines = vec![String::new()];
    for word in clean.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_string());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
