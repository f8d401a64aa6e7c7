//! Sessions: the bank learns the normal ones and judges the others; thresholds come from the learning alone.

use std::collections::{BTreeMap, BTreeSet};

use foreshock_detectors::{SessionBank, SessionConfig};

use super::corpus::Session;

/// How alarms and labels agree.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Judged {
    /// Abnormal sessions with an alarm.
    pub hits: usize,
    /// Normal sessions with an alarm.
    pub false_alarms: usize,
    /// Abnormal sessions without.
    pub missed: usize,
}

impl Judged {
    /// Share of alarms that are right; 0 without alarms.
    pub fn precision(&self) -> f64 {
        self.hits as f64 / (self.hits + self.false_alarms).max(1) as f64
    }

    /// Share of abnormal sessions with an alarm.
    pub fn recall(&self) -> f64 {
        self.hits as f64 / (self.hits + self.missed).max(1) as f64
    }

    /// Harmonic mean of both.
    pub fn f1(&self) -> f64 {
        2.0 * self.hits as f64 / (2 * self.hits + self.false_alarms + self.missed).max(1) as f64
    }

    fn of(alarms: impl IntoIterator<Item = bool>, sessions: &[Numbered]) -> Judged {
        let mut judged = Judged::default();
        for (alarm, session) in alarms.into_iter().zip(sessions) {
            judged.hits += usize::from(alarm && session.abnormal);
            judged.false_alarms += usize::from(alarm && !session.abnormal);
            judged.missed += usize::from(!alarm && session.abnormal);
        }
        judged
    }
}

/// A session with numbers for events.
#[derive(Debug, Clone)]
pub struct Numbered {
    abnormal: bool,
    events: Vec<u32>,
}

/// Sessions of several files with the same number for the same event, in the order in which events come.
pub fn numbered<const N: usize>(files: [&[Session]; N]) -> [Vec<Numbered>; N] {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    files.map(|sessions| {
        let mut number = |session: &Session| {
            let mut event = |template: &String| {
                let next = numbers.len() as u32;
                *numbers.entry(template.clone()).or_insert(next)
            };
            Numbered {
                abnormal: session.label != 0,
                events: session.templates.iter().map(&mut event).collect(),
            }
        };
        sessions.iter().map(&mut number).collect()
    })
}

/// The session bank with its default configuration; with `streaming` it goes on learning while it judges.
pub fn by_session_bank(train: &[Numbered], test: &[Numbered], streaming: bool) -> Judged {
    let mut bank = SessionBank::new(SessionConfig::default());
    for session in train {
        bank.learn(&session.events);
    }
    let judge = |session: &Numbered| match streaming {
        true => bank.advance(&session.events).alarm,
        false => bank.score(&session.events).alarm,
    };
    Judged::of(test.iter().map(judge).collect::<Vec<_>>(), test)
}

/// The peer: an alarm when the counts of events are those of no normal session (which includes new events and
/// lengths). The rule that scores 0.988 on the whole of HDFS.
pub fn by_counts(train: &[Numbered], test: &[Numbered]) -> Judged {
    let counts = |session: &Numbered| {
        let mut sorted = session.events.clone();
        sorted.sort_unstable();
        sorted
    };
    let known: BTreeSet<Vec<u32>> = train.iter().map(counts).collect();
    Judged::of(test.iter().map(|session| !known.contains(&counts(session))), test)
}

/// The best that anything can do that sees a session's events in their order and nothing else, knowing the labels:
/// the same sequence gets the same answer.
pub fn ceiling(test: &[Numbered]) -> Judged {
    let mut sequences: BTreeMap<&[u32], (usize, usize)> = BTreeMap::new();
    for session in test {
        let (abnormal, normal) = sequences.entry(&session.events).or_default();
        *(if session.abnormal { abnormal } else { normal }) += 1;
    }
    let mut order: Vec<(usize, usize)> =
        sequences.into_values().filter(|(abnormal, _)| *abnormal > 0).collect();
    order.sort_by(|a, b| (b.0 * (a.0 + a.1)).cmp(&(a.0 * (b.0 + b.1))));
    let mut now = Judged { missed: order.iter().map(|(abnormal, _)| abnormal).sum(), ..Judged::default() };
    let mut best = now;
    for (abnormal, normal) in order {
        now.hits += abnormal;
        now.missed -= abnormal;
        now.false_alarms += normal;
        if now.f1() > best.f1() {
            best = now;
        }
    }
    best
}
