//! What the demo says: one line per event in event time on stdout, and the table at the end, as wide as the terminal.

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use foreshock_core::types::{Change, Incident, IncidentState, RemediationSignal, SignalState};

use super::judge::Verdict;

/// Writes the demo's lines. Colour only for terminals.
pub(super) struct Screen<W> {
    out: W,
    colour: bool,
    /// Columns of the text behind time and word.
    text: usize,
    /// Unix seconds from which times are counted.
    zero: i64,
}

/// Columns of a line: as the terminal has, within these bounds. Longer lines are hard to read.
const NARROW: usize = 80;
const WIDE: usize = 120;

/// Columns before the text: time, word and blanks.
const MARGIN: usize = 18;

/// Columns from which a row of the table has room for what came of the repair.
const REPAIR: usize = 100;

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

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W, colour: bool, width: usize, zero: i64) -> Screen<W> {
        Screen { out, colour, text: width.clamp(NARROW, WIDE) - MARGIN, zero }
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
        let ink = if matches!(ink, Ink::Red) { Ink::Bold } else { Ink::Plain };
        self.block(&format!("{clock} {word}"), ink, text)
    }

    /// More about the line before, under a word of its own.
    fn note(&mut self, word: &str, text: &str) -> io::Result<()> {
        let word = self.paint(&format!("{word:<8}"), Ink::Dim);
        self.block(&format!("{:8} {word}", ""), Ink::Dim, text)
    }

    fn block(&mut self, head: &str, ink: Ink, text: &str) -> io::Result<()> {
        for (index, line) in wrap(text, self.text).iter().enumerate() {
            let line = self.paint(line, ink);
            match index {
                0 => writeln!(self.out, "{head} {line}")?,
                _ => writeln!(self.out, "{:17} {line}", "")?,
            }
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
        let text = format!("{} {}: {}", change.entity.name, change.version, change.kind);
        self.line(change.time_ms / 1000, "change", Ink::Blue, &text)
    }

    pub(super) fn incident(&mut self, incident: &Incident, ms_per_tick: i64) -> io::Result<()> {
        let seconds = (incident.updated_ms + ms_per_tick) / 1000;
        if incident.page {
            writeln!(self.out)?;
            self.line(seconds, "PAGE", Ink::Red, &incident.title)?;
            if let Some(first) = incident.suspects.first() {
                let (entity, weight) = (&first.entity, first.weight * 100.0);
                let reasons = first.reasons.join("; ");
                self.note("suspect", &format!("{entity}, {weight:.0} %: {reasons}"))?;
            }
            if let Some(strongest) = incident.members.first() {
                let anomaly = &strongest.anomaly;
                self.note("sign", &format!("{}: {}", anomaly.entity, anomaly.explanation))?;
            }
            return self.note("why", &incident.why);
        }
        // What came of remediation is said by its signal.
        if incident.state == IncidentState::Resolved && incident.remediation.is_none() {
            let title = incident.title.trim_end_matches(", resolved");
            return self.line(seconds, "resolved", Ink::Green, title);
        }
        Ok(())
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
        let has_repair = self.text + MARGIN >= REPAIR;
        let repair = if has_repair { format!("{:<15} ", "repair") } else { String::new() };
        let head = format!(
            "{:<17} {:<15} {:>8}  {:<15} {:<15} {repair}ok",
            "what was wrong", "where", "began", "called people", "blamed first"
        );
        let head = self.paint(&head, Ink::Bold);
        writeln!(self.out, "\n{head}")?;
        for verdict in verdicts {
            self.verdict(verdict, has_repair)?;
        }
        let right = verdicts.iter().filter(|verdict| verdict.is_right()).count();
        let sum =
            format!("{right} of {} judged rightly, {} false alarms", verdicts.len(), false_alarms.len());
        let ink = if right == verdicts.len() && false_alarms.is_empty() { Ink::Green } else { Ink::Red };
        let sum = self.paint(&sum, ink);
        writeln!(self.out, "\n{sum}")?;
        for incident in false_alarms {
            self.line(incident.opened_ms / 1000, "false", Ink::Red, &incident.title)?;
        }
        self.out.flush()
    }

    fn verdict(&mut self, verdict: &Verdict, has_repair: bool) -> io::Result<()> {
        let called = match (verdict.paged_after, verdict.should_page) {
            (Some(seconds), _) => format!("after {seconds} s"),
            (None, true) => "never".to_string(),
            (None, false) => "no, rightly".to_string(),
        };
        let repair = verdict.remediation.as_deref();
        let column = if has_repair { format!("{:<15} ", repair.unwrap_or("-")) } else { String::new() };
        let ok = match verdict.is_right() {
            true => self.paint("yes", Ink::Green),
            false => self.paint("NO", Ink::Red),
        };
        writeln!(
            self.out,
            "{:<17} {:<15} {}  {called:<15} {:<15} {column}{ok}",
            verdict.kind.name(),
            verdict.service.unwrap_or("everywhere"),
            self.clock(verdict.start),
            verdict.suspect.as_deref().unwrap_or("-"),
        )?;
        match repair.filter(|_| !has_repair) {
            Some(word) => {
                let text = self.paint(&format!("  repair {word}"), Ink::Dim);
                writeln!(self.out, "{text}")
            }
            None => Ok(()),
        }
    }
}

/// Lines of at most this many characters, broken at blanks. Control characters are shown, never sent.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let mut lines = vec![String::new()];
    for word in clean.split(' ').flat_map(|word| broken(word, width)) {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word);
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(&word);
        }
    }
    lines
}

/// A word in parts that are no wider than a line: names of series know no spaces.
fn broken(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let parts = letters.chunks(width.max(1)).map(|part| part.iter().collect());
    if letters.is_empty() { vec![String::new()] } else { parts.collect() }
}
