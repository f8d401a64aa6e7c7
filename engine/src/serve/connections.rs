//! Connections in all: so many are held open, the next is closed at once.

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

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A listener that holds no more than so many connections open.
#[derive(Debug)]
pub struct Limited {
    listener: TcpListener,
    free: Arc<Semaphore>,
    open: Gauge<i64, AtomicI64>,
    refused: Counter<u64, AtomicU64>,
}

/// One connection, and the right to it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    open: Gauge<i64, AtomicI64>,
    _held: OwnedSemaphorePermit,
}

/// Time until the next try when the system gives no connection, for instance for want of file handles.
const PAUSE: Duration = Duration::from_millis(200);

impl Limited {
    /// Holds at most `max` connections open; counts them, and those that are refused.
    pub fn new(
        listener: TcpListener,
        max: usize,
        open: Gauge<i64, AtomicI64>,
        refused: Counter<u64, AtomicU64>,
    ) -> Limited {
        let free = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Limited { listener, free, open, refused }
    }

    fn poll_next_connection(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Connection, SocketAddr)>> {
        loop {
            let (stream, peer) = ready!(self.listener.poll_accept(context))?;
            match self.free.clone().try_acquire_owned() {
                Ok(held) => {
                    stream.set_nodelay(true)?;
                    self.open.inc();
                    return Poll::Ready(Ok((
                        Connection { stream, open: self.open.clone(), _held: held },
                        peer,
                    )));
                }
                // Dropping the stream closes it.
                Err(_) => drop(self.refused.inc()),
            }
        }
    }
}

/// For tonic.
impl Stream for Limited {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.get_mut().poll_next_connection(context));
        Poll::Ready(Some(next.map(|(connection, _)| connection)))
    }
}

/// For axum.
impl axum::serve::Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match poll_fn(|context| self.poll_next_connection(context)).await {
                Ok(accepted) => return accepted,
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

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
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
        let mut limited = Limited::new(listener, 2, open.clone(), refused.clone());
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
