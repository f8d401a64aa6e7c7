//! The connections of a server: how many are held open, who makes room for whom, and how long a peer may keep us waiting.
//!
//! * `shares`: who makes room when one too many comes
//! * `stream`: one connection
//!
//! Where there is TLS, a connection has its place from its first byte on, and is handed out once it is secure.

mod shares;
mod stream;
#[cfg(test)]
pub(super) mod tests;

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Sleep, sleep},
};
use tokio_stream::Stream;

use super::{
    KEEPALIVE,
    tls::{self, Tls},
};
pub(super) use shares::Place;
pub use shares::{Eviction, Tally};
use shares::{Held, Shares};
pub use stream::{Connection, Peer};

/// What a server asks of its connections.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How many are open at once, at most.
    pub max: usize,
    /// Who makes room when one too many comes.
    pub eviction: Eviction,
    /// Bytes that every client sends first, whatever it wants.
    pub preface: usize,
    /// How long a client has to make its connection secure, and again for those bytes.
    pub greet: Duration,
    /// A connection on which no byte goes either way for this long is closed.
    pub stalled: Duration,
}

/// A listener that holds no more than so many connections open.
#[derive(Debug)]
pub struct Limited {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    /// Those that are not secure yet.
    greeting: JoinSet<Option<Connection>>,
    rules: Rules,
    shares: Arc<Shares>,
    /// While it runs nothing is accepted.
    pause: Option<Pin<Box<Sleep>>>,
}

/// Time until the next try when the system gives no connection, for instance for want of file handles.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a client has for the first thing that it must do. Chosen: some round trips on the slowest line.
const GREET: Duration = Duration::from_secs(10);
/// No byte for this long is the end. Derived: gRPC pings, and waits for the answer, for [`KEEPALIVE`] each, so that a living client
/// moves a byte within two of them.
const STALLED: Duration = Duration::from_secs(3 * KEEPALIVE.as_secs());
/// Length of what opens HTTP/2 (RFC 9113, 3.4).
const PREFACE_OF_HTTP2: usize = 24;

impl Rules {
    /// For HTTP/1.1: requests take milliseconds, and whoever comes anew is served. What comes first is HTTP's own business.
    pub fn http(max: usize) -> Rules {
        Rules { max, eviction: Eviction::Oldest, preface: 0, greet: GREET, stalled: STALLED }
    }

    /// For gRPC: streams of controllers last, so that those who are there stay.
    pub fn grpc(max: usize) -> Rules {
        Rules { eviction: Eviction::Newest, preface: PREFACE_OF_HTTP2, ..Rules::http(max) }
    }
}

impl Limited {
    /// Takes connections by these rules, secure ones where there is TLS, and counts them.
    pub fn new(listener: TcpListener, tls: Option<Arc<Tls>>, rules: Rules, tally: Tally) -> Limited {
        let shares = Shares::new(rules.max, rules.eviction, tally);
        Limited { listener, tls, greeting: JoinSet::new(), rules, shares, pause: None }
    }

    /// The next connection. Goes on when the system has none to give, after a pause.
    pub(super) async fn accept(&mut self) -> Connection {
        poll_fn(|context| self.poll_accept(context)).await
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<Connection> {
        loop {
            match self.greeting.poll_join_next(context) {
                Poll::Ready(Some(Ok(Some(connection)))) => return Poll::Ready(connection),
                Poll::Ready(Some(_)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok((stream, address)) => {
                    if let Some(connection) = self.admit(stream, address) {
                        return Poll::Ready(connection);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection");
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }

    /// Gives it a place; dropping the stream closes it. `None` also while it is not secure yet.
    fn admit(&mut self, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
        let held = self.shares.enter(address.ip())?;
        // It fails where the peer is gone already, as the first read will say.
        stream.set_nodelay(true).ok();
        let Some(tls) = &self.tls else {
            let peer = Peer { address, names: Arc::default() };
            return Some(Connection::new(Box::new(stream), peer, &self.rules, held));
        };
        self.greeting.spawn(greet(tls.clone(), stream, address, self.rules.clone(), held));
        None
    }
}

/// Makes a connection a secure one; `None` when that fails.
async fn greet(
    tls: Arc<Tls>,
    stream: TcpStream,
    address: SocketAddr,
    rules: Rules,
    held: Held,
) -> Option<Connection> {
    let greeted = tokio::select! {
        biased;
        () = held.place().displaced() => return None,
        greeted = tokio::time::timeout(rules.greet, tls.accept(stream)) => greeted,
    };
    let stream = match greeted {
        Ok(Ok(stream)) => stream,
        failed => {
            if let Ok(Err(error)) = failed {
                tracing::debug!(%address, %error, "no secure connection");
            }
            held.tally().refused.inc();
            return None;
        }
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let names = shown.map(tls::names).unwrap_or_default();
    let peer = Peer { address, names: names.into() };
    Some(Connection::new(Box::new(stream), peer, &rules, held))
}

/// For tonic.
impl Stream for Limited {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_accept(context).map(|connection| Some(Ok(connection)))
    }
}
