//! Sessions: the events of one request, job or block in their order, judged when the session ends.
//!
//! Three questions, each against the sessions learnt so far: does it hold events that were never seen; how far are its
//! counts from the nearest known ones; how many of its steps (an event after two others) are unknown. Simple rules of
//! this kind do as well as recurrent networks on the common data sets: Landauer, Skopik & Wurzenberger 2023, "A critical
//! review of common log data sets used for evaluation of sequence-based anomaly detection techniques". What is ours:
//! each answer is calibrated by how often learnt sessions gave one as bad before they were learnt, so the threshold is
//! a false-alarm rate and needs no labels, and a question to which normal sessions keep answering badly falls silent.
//!
//! Not fed by the engine yet: it would take template ids gathered by trace id or by an attribute of the log records.
//!
//! * `known`: what was learnt: events, steps and count vectors, bounded
//! * `tail`: how often an answer as bad came

mod known;
mod tail;

use crate::bank::score_of;
use crate::columns::{ColumnData, Columns, LoadError};
use known::{Answer, Known};
use tail::Tail;

/// Settings of a bank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionConfig {
    /// Share of normal sessions that may alarm, in (0, 1). Nothing alarms before about three times its inverse of
    /// sessions were learnt: fewer cannot tell.
    pub false_alarms: f64,
    /// Sessions before any is judged.
    pub warmup: u64,
    /// Sessions after which the past fades.
    pub memory: f64,
    /// Alarms with the same counts after which these are taken as normal.
    pub adopt: u32,
    /// Most count vectors; the rarest makes room.
    pub max_vectors: usize,
    /// Most kinds of events; more stay unknown.
    pub max_events: usize,
    /// Most steps; more stay unknown.
    pub max_steps: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            false_alarms: 0.002,
            warmup: 200,
            memory: 20_000.0,
            adopt: 100,
            max_vectors: 1024,
            max_events: 4096,
            max_steps: 16_384,
        }
    }
}

/// Which question was answered worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionSpeaker {
    /// Nobody: too early, or nothing to say.
    #[default]
    None,
    /// Events that were never seen.
    Event,
    /// Counts unlike any known ones.
    Count,
    /// Steps that were never seen.
    Order,
}

/// What is said of a session.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SessionScore {
    /// −ln p, at least 0.
    pub nlp: f64,
    /// The same in [0, 1), see [`score_of`].
    pub score: f64,
    /// Which question was answered worst.
    pub speaker: SessionSpeaker,
    /// The event that shows it best.
    pub event: Option<u32>,
    /// Whether `nlp` reaches the false-alarm rate.
    pub alarm: bool,
    /// Whether the bank has seen enough to judge.
    pub warm: bool,
}

const NAME: &str = "session";
const VERSION: u32 = 1;

/// The questions, in the order of their answers.
const QUESTIONS: [SessionSpeaker; 3] = [SessionSpeaker::Event, SessionSpeaker::Count, SessionSpeaker::Order];

/// A detector for the sessions of one source.
///
/// Equal sessions in equal order give equal output to the bit, wherever the state was saved and loaded in between.
#[derive(Debug, Clone)]
pub struct SessionBank {
    config: SessionConfig,
    sessions: u64,
    known: Known,
    tails: [Tail; QUESTIONS.len()],
}

impl SessionBank {
    /// A bank that has seen nothing.
    pub fn new(config: SessionConfig) -> Self {
        Self { config, sessions: 0, known: Known::default(), tails: [Tail::default(); QUESTIONS.len()] }
    }

    /// Number of sessions learnt.
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Judges a finished session by what is known; learns nothing. A session without events is normal.
    pub fn score(&self, events: &[u32]) -> SessionScore {
        self.judge(&self.known.answers(events))
    }

    /// Judges a session and learns it, whatever was said: for sessions that are known to be normal.
    pub fn learn(&mut self, events: &[u32]) -> SessionScore {
        let answers = self.known.answers(events);
        let judged = self.judge(&answers);
        let gain = self.gain();
        for (tail, answer) in self.tails.iter_mut().zip(&answers) {
            tail.learn(answer.badness, gain);
        }
        self.sessions += 1;
        self.known.learn(events, &self.config);
        judged
    }

    /// Judges a session and learns it unless it alarms; what alarms with the same counts again and again is adopted.
    pub fn advance(&mut self, events: &[u32]) -> SessionScore {
        let judged = self.score(events);
        if !judged.alarm || self.known.held(events, &self.config) {
            self.learn(events);
        }
        judged
    }

    /// Weight of the next session: all count alike at first in a way that favours the later ones, then the past fades.
    fn gain(&self) -> f64 {
        (2.0 / (self.sessions as f64 + 2.0)).max(1.0 / self.config.memory)
    }

    fn judge(&self, answers: &[Answer; QUESTIONS.len()]) -> SessionScore {
        let warm = self.sessions >= self.config.warmup;
        let mut judged = SessionScore { warm, ..SessionScore::default() };
        if !warm {
            return judged;
        }
        // Three questions were asked: the best of three p-values is three times as likely.
        let several = (QUESTIONS.len() as f64).ln();
        for ((tail, answer), speaker) in self.tails.iter().zip(answers).zip(QUESTIONS) {
            let nlp = -tail.probability(answer.badness, self.gain()).ln() - several;
            if nlp > judged.nlp {
                judged.nlp = nlp;
                (judged.speaker, judged.event) = (speaker, answer.event);
            }
        }
        judged.score = score_of(judged.nlp);
        judged.alarm = judged.nlp >= -self.config.false_alarms.ln();
        judged
    }

    /// The state as columns.
    pub fn save(&self) -> Columns {
        let tails = self.tails.iter().flat_map(|tail| tail.weights).collect();
        let mut columns = vec![
            ("sessions".to_owned(), ColumnData::U64(vec![self.sessions])),
            ("tails".to_owned(), ColumnData::F64(tails)),
        ];
        self.known.save(&mut columns);
        Columns { name: NAME.to_owned(), version: VERSION, rows: 1, columns }
    }

    /// Replaces the state by a saved one.
    ///
    /// # Errors
    /// When the columns are not of this bank; the state is then unchanged.
    pub fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        columns.check(NAME, VERSION)?;
        let sessions = columns.u64(NAME, "sessions", 1)?[0];
        let weights = columns.f64(NAME, "tails", tail::BINS * QUESTIONS.len())?;
        let known = Known::load(columns, NAME)?;
        for (tail, weights) in self.tails.iter_mut().zip(weights.chunks_exact(tail::BINS)) {
            tail.weights.copy_from_slice(weights);
        }
        (self.sessions, self.known) = (sessions, known);
        Ok(())
    }
}
