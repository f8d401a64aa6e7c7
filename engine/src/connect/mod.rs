//! How every client of ours reaches Kafka: options, rights and tokens in one place, and what librdkafka says meanwhile.
//!
//! * `token`: tokens for OAUTHBEARER, from a file or an OIDC endpoint
//! * `link`: whether brokers answer, and a log in which nothing repeats itself
//! * `batch`: records on their way from the client to us
//!
//! Knows no topic and no thread.

mod batch;
mod link;
mod token;

use std::{
    borrow::Borrow,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use foreshock_core::config::{ConfigError, KafkaConfig};
use rdkafka::{
    ClientConfig, ClientContext,
    client::OAuthToken,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    metadata::Metadata,
    producer::ProducerContext,
};

pub(crate) use batch::Batch;
pub(crate) use link::Link;
use link::Trouble;
pub use token::TokenError;

/// Why Kafka cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The client does not take its options.
    #[error("kafka.options, or another setting of kafka: {0}")]
    Options(KafkaError),
    /// The broker does not believe who we are.
    #[error("kafka refuses us: {0}; check kafka.security.sasl: mechanism, user, password or token")]
    Refused(String),
    /// No secure connection.
    #[error("no secure connection to kafka: {0}; check kafka.security.tls: ca, certificate and key")]
    Insecure(String),
    /// Nobody answers.
    #[error(
        "no broker of {brokers} answers within {WAIT:?} ({problem}); check kafka.brokers, and whether the listener wants TLS or SASL"
    )]
    Silent {
        /// Where we asked.
        brokers: String,
        /// What the client said last.
        problem: String,
    },
}

/// Longest wait for the first answer of a broker.
const WAIT: Duration = Duration::from_secs(20);

/// Time in which a first token is taken.
const TOKEN_WAIT: Duration = Duration::from_millis(500);
/// Longest wait for the end of a consumer.
const LEAVE: Duration = Duration::from_secs(5);

/// Where Kafka is and who we are there.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    brokers: String,
    options: Vec<(String, String)>,
    link: Arc<Link>,
}

/// Anything that makes a client: what it is told of its connection goes to the [`Link`].
#[derive(Clone, Debug)]
pub(crate) struct Plain(Arc<Link>);

impl Connection {
    /// Reads passwords and gets a first token, so that what is wrong with them is said here.
    pub(crate) fn new(kafka: &KafkaConfig) -> Result<Connection, ConnectError> {
        let link = Arc::new(Link::new(token::Tokens::new(&kafka.security)?));
        link.token()?;
        let options = kafka.connection()?.into_iter().collect();
        Ok(Connection { brokers: kafka.brokers.join(","), options, link })
    }

    /// What is known of the brokers; one for all clients of this connection.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// A context for clients that need nothing else of theirs.
    pub(crate) fn plain(&self) -> Plain {
        Plain(self.link.clone())
    }

    /// A client with options of its own; those of `kafka` win.
    pub(crate) fn client<C, T>(&self, own: &[(&str, &str)], context: C) -> Result<T, ConnectError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        let mut client = ClientConfig::new();
        for (key, value) in own {
            client.set(*key, *value);
        }
        for (key, value) in &self.options {
            client.set(key, value);
        }
        client.create_with_context(context).map_err(ConnectError::Options)
    }

    /// A consumer with options of its own, in with a first token where one is needed: that comes while it is polled.
    pub(crate) fn consumer(&self, own: &[(&str, &str)]) -> Result<BaseConsumer<Plain>, ConnectError> {
        let consumer: BaseConsumer<Plain> = self.client(own, self.plain())?;
        if self.needs_tokens() {
            drop(consumer.poll(TOKEN_WAIT));
        }
        Ok(consumer)
    }

    /// Whether clients get in with tokens. They get theirs while they are polled, and rdkafka's `AdminClient` never is.
    pub(crate) fn needs_tokens(&self) -> bool {
        self.link.needs_tokens()
    }

    /// Asks the brokers for their topics. A refusal is an error at once, silence after [`WAIT`].
    pub(crate) fn reach(&self) -> Result<Metadata, ConnectError> {
        let client: BaseConsumer<Plain> =
            self.client(&[("allow.auto.create.topics", "false")], self.plain())?;
        let began = Instant::now();
        loop {
            let answer = client.fetch_metadata(None, Duration::from_millis(500));
            // Serves the callbacks: what is wrong is said there.
            while client.poll(Duration::from_millis(20)).is_some() {}
            match (answer, self.link.trouble()) {
                (Ok(metadata), _) => return Ok(metadata),
                (_, Some(Trouble::Refused(why))) => return Err(ConnectError::Refused(why)),
                (_, Some(Trouble::Insecure(why))) => return Err(ConnectError::Insecure(why)),
                (Err(error), trouble) if began.elapsed() > WAIT => {
                    let problem = match trouble {
                        Some(Trouble::Other(why)) => why,
                        _ => error.to_string(),
                    };
                    return Err(ConnectError::Silent { brokers: self.brokers.clone(), problem });
                }
                _ => {}
            }
        }
    }
}

impl ClientContext for Plain {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn stats_raw(&self, _: &[u8]) {}

    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        self.0.log(level, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.0.renew()
    }
}

impl ConsumerContext for Plain {}

impl ProducerContext for Plain {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.error(error, "a record could not be written");
        }
    }
}

/// Ends a consumer: it leaves its group once the broker has its last commits. A broker that is away holds nobody up
/// longer than [`LEAVE`]: what was not committed is read again.
pub(crate) fn close<C>(consumer: impl Borrow<BaseConsumer<C>> + Send + 'static)
where
    C: ConsumerContext,
{
    let (ended, end) = mpsc::channel::<()>();
    let closing = move || {
        drop(consumer);
        drop(ended);
    };
    match std::thread::Builder::new().name("leave".to_string()).spawn(closing) {
        // That nothing can come any more is what is waited for.
        Ok(_) if end.recv_timeout(LEAVE) == Err(RecvTimeoutError::Timeout) => {
            tracing::debug!("a consumer ends by itself: kafka does not answer");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "no thread to leave the group with: left at once"),
    }
}

/// First offset and the one after the last of a partition. Just after a topic was made its leader may not be known everywhere:
/// that is asked again.
pub(crate) fn watermarks(
    consumer: &BaseConsumer<Plain>,
    topic: &str,
    partition: i32,
) -> Result<(i64, i64), KafkaError> {
    const PASSING: [RDKafkaErrorCode; 4] = [
        RDKafkaErrorCode::UnknownPartition,
        RDKafkaErrorCode::NotLeaderForPartition,
        RDKafkaErrorCode::LeaderNotAvailable,
        RDKafkaErrorCode::UnknownTopicOrPartition,
    ];
    let began = Instant::now();
    loop {
        let answer = consumer.fetch_watermarks(topic, partition, WAIT);
        let code = answer.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        if !code.is_some_and(|code| PASSING.contains(&code)) || began.elapsed() > WAIT {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether an error says that we lack a right, rather than that something does not work.
pub(crate) fn is_refusal(error: &KafkaError) -> bool {
    let refusals = [
        RDKafkaErrorCode::TopicAuthorizationFailed,
        RDKafkaErrorCode::GroupAuthorizationFailed,
        RDKafkaErrorCode::ClusterAuthorizationFailed,
    ];
    error.rdkafka_error_code().is_some_and(|code| refusals.contains(&code))
}
