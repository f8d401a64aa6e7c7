//! One connection. It ends when it makes room for another, and when its peer sends and takes nothing for too long.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tonic::transport::server::Connected;

use super::{
    Rules,
    shares::{Held, Place, Tally},
};

/// One connection, and the right to it.
pub struct Connection {
    stream: Box<dyn Bytes>,
    peer: Peer,
    patience: Patience,
    held: Held,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The names in its certificate; empty where it showed none.
    pub names: Arc<[String]>,
}

pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// How long the peer may keep us waiting.
struct Patience {
    timer: Pin<Box<Sleep>>,
    /// Until when the first bytes must have come.
    greeted_by: Instant,
    /// How many of them are still to come.
    missing: usize,
    stalled: Duration,
    /// When a byte went either way.
    moved: Instant,
    ran_out: bool,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Bytes>, peer: Peer, rules: &Rules, held: Held) -> Connection {
        Connection { stream, peer, patience: Patience::new(rules), held }
    }

    /// The other end.
    pub(in crate::serve) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What others know of it too.
    pub(in crate::serve) fn place(&self) -> &Arc<Place> {
        self.held.place()
    }

    /// Where it is counted.
    pub(in crate::serve) fn tally(&self) -> &Tally {
        self.held.tally()
    }

    /// An error when it made room for another.
    fn keep(&self, context: &mut Context<'_>) -> io::Result<()> {
        match self.held.place().poll_displaced(context) {
            Poll::Ready(()) => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it made room for another"))
            }
            Poll::Pending => Ok(()),
        }
    }

    /// Waits, but not for ever.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.patience.poll_end(context));
        if !self.patience.ran_out {
            self.patience.ran_out = true;
            self.held.tally().timed_out.inc();
        }
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "its peer sent and took nothing for too long",
        )))
    }

    /// Bytes that were written show that the peer takes them.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(bytes)) => {
                self.patience.moved(0, bytes > 0);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(context),
        }
    }
}

impl Patience {
    fn new(rules: &Rules) -> Patience {
        let moved = Instant::now();
        let greeted_by = moved + rules.greet;
        let mut patience = Patience {
            timer: Box::pin(sleep_until(moved)),
            greeted_by,
            missing: rules.preface,
            stalled: rules.stalled,
            moved,
            ran_out: false,
        };
        let due = patience.due();
        patience.timer.as_mut().reset(due);
        patience
    }

    fn due(&self) -> Instant {
        let stalled = self.moved + self.stalled;
        if self.missing > 0 { stalled.min(self.greeted_by) } else { stalled }
    }

    fn moved(&mut self, read: usize, moved: bool) {
        if moved {
            self.missing = self.missing.saturating_sub(read);
            self.moved = Instant::now();
        }
    }

    /// Ready when it ran out. The timer is set anew only when it rings, not for every byte.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let due = self.due();
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

/// For tonic: every request carries it as an extension.
impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.keep(context)?;
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let read = buffer.filled().len() - before;
                self.patience.moved(read, read > 0);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(context),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.keep(context)?;
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.keep(context)?;
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.wait(context),
            ended => ended,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.keep(context)?;
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Pending => self.wait(context),
            ended => ended,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.keep(context)?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.written(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
