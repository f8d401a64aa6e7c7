//! HTTP/1.1 with an end to every wait: for a request's head, for the rest of it, for its answer, and for the client to take that.
//! Knows no route.
//!
//! * `received`: the body of a request, and whether all of it came

mod received;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{
        StatusCode,
        header::{CONNECTION, HeaderValue},
    },
    response::{IntoResponse, Response},
};
use hyper::{Request, body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tower::Service;

use super::connections::{Connection, Limited, Peer, Place};
use received::Received;

/// How long a client of HTTP may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// From the opening of a connection, or the end of an answer, to the end of the next request's head: also how long a
    /// connection may idle.
    pub head: Duration,
    /// From the end of a request's head to its answer; its body must have come by then.
    pub answer: Duration,
}

impl Default for Waits {
    /// Chosen: 10 s for a head are more than any round trip, 30 s for a request more than a webhook's body and Kafka's 5 s.
    fn default() -> Waits {
        Waits { head: Duration::from_secs(10), answer: Duration::from_secs(30) }
    }
}

/// Memory for the head of a request and for what is sent at once, per connection.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves until `stop` ends; then what is under way is answered.
pub async fn http1(mut listener: Limited, routes: Router, waits: Waits, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(());
    let mut serving = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let connection = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = serving.join_next() => continue,
            connection = listener.accept() => connection,
        };
        serving.spawn(serve(connection, routes.clone(), waits, stopped.clone()));
        // Those who are connected have their turn before the next: in a flood nobody is displaced unheard.
        tokio::task::yield_now().await;
    }
    drop((listener, stopping));
    while serving.join_next().await.is_some() {}
}

/// Serves one connection until it ends, is displaced, or keeps us waiting.
async fn serve(connection: Connection, routes: Router, waits: Waits, mut stopped: watch::Receiver<()>) {
    let (place, tally) = (connection.place().clone(), connection.tally().clone());
    let exchange = Arc::new(Exchange {
        routes,
        peer: connection.peer().clone(),
        place: place.clone(),
        waits,
        began: Mutex::new(Instant::now()),
    });
    let service = service_fn(|request| exchange.clone().answer(request));
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(waits.head).max_buf_size(BUFFER_BYTES);
    let mut http = pin!(builder.serve_connection(TokioIo::new(connection), service));
    let mut is_stopping = false;
    loop {
        let due = exchange.due();
        tokio::select! {
            biased;
            () = place.displaced() => return,
            ended = http.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(address = %exchange.peer.address, %error, "a connection ended early");
                    tally.timed_out.inc_by(u64::from(error.is_timeout()));
                }
                return;
            }
            // An error is what is waited for: the sender is gone.
            _ = stopped.changed(), if !is_stopping => {
                is_stopping = true;
                http.as_mut().graceful_shutdown();
            }
            () = sleep_until(due) => {
                if exchange.due() <= due {
                    tally.timed_out.inc();
                    return;
                }
            }
        }
    }
}

/// What a connection is used for: one request after the other.
struct Exchange {
    routes: Router,
    peer: Peer,
    place: Arc<Place>,
    waits: Waits,
    /// When the head of the latest request had come, or the connection was opened.
    began: Mutex<Instant>,
}

impl Exchange {
    /// When the next head must have come. A client that does not take its answer sends none.
    fn due(&self) -> Instant {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) + self.waits.answer + self.waits.head
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response, Infallible> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut request = request.map(|body| Received::new(body, self.place.clone()));
        request.extensions_mut().insert(ConnectInfo(self.peer.clone()));
        let answered = timeout(self.waits.answer, self.routes.clone().call(request)).await;
        let is_whole = self.place.is_answering();
        self.place.set_answering(false);
        match answered {
            Ok(answered) => answered,
            Err(_) => Ok(too_late(is_whole, self.waits.answer)),
        }
    }
}

/// What a client is told after a request for which there was no answer in time.
fn too_late(is_whole: bool, within: Duration) -> Response {
    let (status, problem) = if is_whole {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine gave no answer")
    } else {
        (StatusCode::REQUEST_TIMEOUT, "the request did not come whole")
    };
    let text = format!("{problem} within {within:?}: try again\n");
    let mut response = (status, text).into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
