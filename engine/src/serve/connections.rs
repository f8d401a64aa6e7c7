//! Connections in all: so many are held open, the next is closed at once. Where there is TLS, a connection is one only once it
//! is secure.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::serve::IncomingStream;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::tls::{self, Tls};

/// A listener that holds no more than so many connections open.
#[derive(Debug)]
pub struct Limited {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    /// Those that are not secure yet.
    greeting: JoinSet<Option<Connection>>,
    free: Arc<Semaphore>,
    open: Gauge<i64, AtomicI64>,
    refused: Counter<u64, AtomicU64>,
}

/// One connection, and the right to it.
pub struct Connection {
    stream: Box<dyn Bytes>,
    peer: Peer,
    _held: Held,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The names in its certificate; empty where it showed none.
    pub names: Arc<[String]>,
}

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// Counted for as long as it is held.
#[derive(Debug)]
struct Held {
    open: Gauge<i64, AtomicI64>,
    _permit: OwnedSemaphorePermit,
}

/// Time until the next try when the system gives no connection, for instance for want of file handles.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a client has to make its connection secure.
const GREET_WITHIN: Duration = Duration::from_secs(10);

impl Limited {
    /// Holds at most `max` connections open, secure ones where there is TLS; counts them, and those that are refused.
    pub fn new(
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        max: usize,
        open: Gauge<i64, AtomicI64>,
        refused: Counter<u64, AtomicU64>,
    ) -> Limited {
        let free = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Limited { listener, tls, greeting: JoinSet::new(), free, open, refused }
    }

    fn poll_next_connection(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        loop {
            match self.greeting.poll_join_next(context) {
                Poll::Ready(Some(Ok(Some(connection)))) => return Poll::Ready(Ok(connection)),
                Poll::Ready(Some(_)) => {
                    self.refused.inc();
                    continue;
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
            let (stream, address) = ready!(self.listener.poll_accept(context))?;
            let Ok(permit) = self.free.clone().try_acquire_owned() else {
                // Dropping the stream closes it.
                self.refused.inc();
                continue;
            };
            stream.set_nodelay(true)?;
            self.open.inc();
            let held = Held { open: self.open.clone(), _permit: permit };
            match &self.tls {
                Some(tls) => drop(self.greeting.spawn(greet(tls.clone(), stream, address, held))),
                None => {
                    let peer = Peer { address, names: Arc::default() };
                    return Poll::Ready(Ok(Connection { stream: Box::new(stream), peer, _held: held }));
                }
            }
        }
    }
}

/// Makes a connection a secure one; `None` when that fails.
async fn greet(tls: Arc<Tls>, stream: TcpStream, address: SocketAddr, held: Held) -> Option<Connection> {
    let stream = match tokio::time::timeout(GREET_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "no secure connection");
            return None;
        }
        Err(_) => return None,
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let names = shown.map(tls::names).unwrap_or_default();
    let peer = Peer { address, names: names.into() };
    Some(Connection { stream: Box::new(stream), peer, _held: held })
}

/// For tonic.
impl Stream for Limited {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_connection(context).map(Some)
    }
}

/// For axum.
impl axum::serve::Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match poll_fn(|context| self.poll_next_connection(context)).await {
                Ok(connection) => {
                    let address = connection.peer.address;
                    return (connection, address);
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// For tonic: every request carries it as an extension.
impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// For axum: every request carries it as `ConnectInfo`.
impl axum::extract::connect_info::Connected<IncomingStream<'_, Limited>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Peer {
        stream.io().peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use axum::serve::Listener as _;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn the_next_is_closed_at_once_and_room_is_given_back() {
        let (open, refused) = (Gauge::default(), Counter::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut limited = Limited::new(listener, None, 2, open.clone(), refused.clone());
        let clients =
            [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let first = limited.accept().await;
        let second = limited.accept().await;
        assert_eq!(open.get(), 2);
        let accepting = tokio::spawn(async move { limited.accept().await });
        let mut third = TcpStream::connect(address).await.unwrap();
        // The end of the stream, or a reset.
        assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert_eq!((open.get(), refused.get()), (2, 1));
        drop(first);
        assert_eq!(open.get(), 1);
        let _fourth = TcpStream::connect(address).await.unwrap();
        let accepted = accepting.await.unwrap();
        assert_eq!((open.get(), refused.get()), (2, 1));
        drop((clients, second, accepted));
        assert_eq!(open.get(), 0);
    }
}
