//! Whether brokers answer, and a log in which nothing repeats itself: while a broker is away, librdkafka says so
//! several times a second and client.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError, atomic::AtomicI64},
    time::{Duration, Instant},
};

use prometheus_client::metrics::gauge::Gauge;
use rdkafka::{
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::token::{TokenError, Tokens};

/// Shortest time between two lines about the same.
const PAUSE: Duration = Duration::from_secs(30);

/// What is known of the brokers. Shared by the clients of one connection.
#[derive(Debug)]
pub(crate) struct Link {
    tokens: Option<Tokens>,
    /// 1 while no broker answers.
    away: Gauge<i64, AtomicI64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<Trouble>,
    since: Option<Instant>,
    quiet: Quiet,
}

/// What was wrong last, in the client's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The broker does not believe who we are.
    Refused(String),
    /// TLS does not come about.
    Insecure(String),
    /// Anything else.
    Other(String),
}

impl Link {
    pub(super) fn new(tokens: Option<Tokens>) -> Link {
        Link { tokens, away: Gauge::default(), state: Mutex::default() }
    }

    pub(super) fn needs_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// A token, where one is needed.
    pub(super) fn token(&self) -> Result<Option<OAuthToken>, TokenError> {
        self.tokens.as_ref().map(Tokens::fetch).transpose()
    }

    /// A new token, for librdkafka's callback. It asks again some seconds after a failure.
    pub(crate) fn renew(&self) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let token = self.token().and_then(|token| token.ok_or(TokenError::NotConfigured));
        token.map_err(|error| {
            self.say(error.to_string(), |left_out| {
                tracing::warn!(%error, left_out, "no new token for kafka");
            });
            error.into()
        })
    }

    /// Takes an error that concerns no single request.
    pub(crate) fn error(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let why = reason.to_string();
        let trouble = match code {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                Trouble::Refused(why)
            }
            Some(RDKafkaErrorCode::SSL) => Trouble::Insecure(why),
            // A refusal of our certificate comes after our part of the handshake.
            _ if why.contains("SSL routines") => Trouble::Insecure(why),
            _ => Trouble::Other(why),
        };
        self.with(|state| {
            // That all are down follows from what was said before of each.
            if code != Some(RDKafkaErrorCode::AllBrokersDown) || state.trouble.is_none() {
                state.trouble = Some(trouble);
            }
        });
        self.say(format!("{code:?}"), |left_out| tracing::warn!(%error, reason, left_out, "kafka"));
    }

    /// Takes a line of librdkafka's own log. What concerns us comes as an error too.
    pub(crate) fn log(&self, level: RDKafkaLogLevel, message: &str) {
        if !matches!(level, RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug) {
            tracing::debug!(message, "librdkafka");
        }
    }

    /// No broker answers.
    pub(crate) fn lost(&self) {
        let first =
            self.with(|state| state.since.replace(state.since.unwrap_or_else(Instant::now)).is_none());
        if first {
            self.away.set(1);
            tracing::warn!("kafka is away: the engine waits for it");
        }
    }

    /// A broker answers.
    pub(crate) fn found(&self) {
        if let Some(since) = self.with(|state| {
            state.trouble = None;
            state.since.take()
        }) {
            self.away.set(0);
            tracing::info!(after_seconds = since.elapsed().as_secs(), "kafka is back: going on");
        }
    }

    /// Whether no broker answers.
    pub(crate) fn is_away(&self) -> bool {
        self.away.get() == 1
    }

    /// The gauge that tells it.
    pub(crate) fn gauge(&self) -> Gauge<i64, AtomicI64> {
        self.away.clone()
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.with(|state| state.trouble.clone())
    }

    /// Says something of which this is the subject: the first time, and then at most every [`PAUSE`].
    fn say(&self, subject: String, say: impl FnOnce(u64)) {
        if let Some(left_out) = self.with(|state| state.quiet.may(subject, Instant::now())) {
            say(left_out);
        }
    }

    fn with<T>(&self, take: impl FnOnce(&mut State) -> T) -> T {
        take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// When each subject was spoken of last, and how often it was kept quiet since.
#[derive(Debug, Default)]
struct Quiet(BTreeMap<String, (Instant, u64)>);

impl Quiet {
    /// Most subjects that are remembered.
    const ROOM: usize = 64;

    /// How many times were left out, if it is time to speak again.
    fn may(&mut self, subject: String, now: Instant) -> Option<u64> {
        if let Some((last, left_out)) = self.0.get_mut(&subject) {
            if now.duration_since(*last) < PAUSE {
                *left_out += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(left_out));
        }
        if self.0.len() >= Quiet::ROOM {
            self.0.clear();
        }
        self.0.insert(subject, (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_speaks_once_and_then_every_half_minute_with_what_was_left_out() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let mut at =
            |subject: &str, seconds| quiet.may(subject.to_string(), start + Duration::from_secs(seconds));
        assert_eq!(at("down", 0), Some(0));
        assert_eq!(at("down", 1), None);
        assert_eq!(at("other", 1), Some(0));
        assert_eq!(at("down", 29), None);
        assert_eq!(at("down", 30), Some(2));
        assert_eq!(at("down", 61), Some(0));
    }

    #[test]
    fn away_until_it_is_found() {
        let link = Link::new(None);
        assert!(!link.is_away());
        link.lost();
        link.lost();
        assert!(link.is_away() && link.gauge().get() == 1);
        link.found();
        assert!(!link.is_away());
    }

    #[test]
    fn a_refusal_outlives_that_all_brokers_are_down() {
        let link = Link::new(None);
        link.error(&KafkaError::Global(RDKafkaErrorCode::Authentication), "wrong password");
        link.error(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(link.trouble(), Some(Trouble::Refused("wrong password".to_string())));
        link.found();
        assert_eq!(link.trouble(), None);
    }
}
