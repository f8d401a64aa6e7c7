//! Real sockets on loopback, with clients that are slow in every way we know. Waits are short where a test needs their end.

use std::net::SocketAddr;

use axum::{
    body::Bytes,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, oneshot},
};

use super::*;
use crate::serve::{Rules, Tally, connections::tests::Chance};

/// A server; it stops when this is dropped.
struct Server {
    address: SocketAddr,
    tally: Tally,
    /// Lets one request of `/held` go on.
    go: Arc<Notify>,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

/// More than the system's buffers take.
const LARGE: usize = 32 << 20;

async fn start(max: usize, waits: Waits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, tally, go) = (listener.local_addr().unwrap(), Tally::default(), Arc::new(Notify::new()));
    let held = go.clone();
    let routes = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/large", get(async || Bytes::from_static(&[0; LARGE])))
        .route("/webhooks", post(async |body: Bytes| format!("{} bytes", body.len())))
        .route(
            "/held",
            get(async move || {
                held.notified().await;
                "held\n"
            }),
        );
    let limited = Limited::new(listener, None, Rules::http(max), tally.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(http1(limited, routes, waits, async move { drop(stopped.await) }));
    Server { address, tally, go, stop, serving }
}

fn short() -> Waits {
    Waits { head: Duration::from_millis(300), answer: Duration::from_millis(500) }
}

/// Long enough that nothing ends by it within a test.
fn long() -> Waits {
    Waits { head: Duration::from_secs(600), answer: Duration::from_secs(600) }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A client that sends this and then nothing.
    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// As Kubernetes asks: it must be answered within a second.
    async fn probe(&self) {
        let asked = async {
            let mut stream = self.send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
            all(&mut stream).await
        };
        let answer = timeout(Duration::from_secs(1), asked).await.expect("within a second");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("alive\n"), "{answer:?}");
    }

    /// Returns once nothing is connected.
    async fn is_empty(&self) {
        while self.tally.open.get() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// What comes until the end of the stream, or a reset.
async fn all(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.ok();
    String::from_utf8_lossy(&read).into_owned()
}

/// One answer with this ending, on a connection that stays.
async fn answer(stream: &mut TcpStream, ending: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(ending.as_bytes()) {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "{:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

/// The finding, as it was told: 1,024 slow or idle connections on the default configuration, from the address of the probes.
#[tokio::test]
async fn probes_are_answered_beside_1024_slow_or_idle_connections() {
    let server = start(128, Waits::default()).await;
    let mut clients = Vec::new();
    for number in 0..1024 {
        let text =
            ["", "GET /livez HTT", "POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{"];
        clients.push(server.send(text[number % 3]).await);
        if number % 32 == 0 {
            server.probe().await;
        }
    }
    for _ in 0..100 {
        server.probe().await;
    }
    assert!(server.tally.open.get() <= 128, "{:?}", server.tally);
    assert_eq!(server.tally.refused.get(), 0);
    drop(clients);
    server.is_empty().await;
}

/// Who is displaced comes again at once, all the time.
#[tokio::test]
async fn probes_are_answered_beside_clients_that_come_again() {
    let server = start(16, Waits::default()).await;
    let mut coming = JoinSet::new();
    for _ in 0..64 {
        let address = server.address;
        coming.spawn(async move {
            while let Ok(mut stream) = TcpStream::connect(address).await {
                stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.ok();
                all(&mut stream).await;
            }
        });
    }
    for _ in 0..50 {
        server.probe().await;
    }
    assert!(server.tally.displaced.get() > 0, "{:?}", server.tally);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = start(4, long()).await;
    let mut stream = server.connect().await;
    for _ in 0..5 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(answer(&mut stream, "alive\n").await.starts_with("HTTP/1.1 200"));
        stream.write_all(b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        assert!(answer(&mut stream, "2 bytes").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!((server.tally.open.get(), server.tally.timed_out.get()), (1, 0));
}

#[tokio::test]
async fn a_connection_that_idles_ends() {
    let server = start(4, short()).await;
    let mut used = server.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(all(&mut used).await.ends_with("alive\n"));
    assert_eq!(all(&mut server.connect().await).await, "");
    server.is_empty().await;
    assert_eq!((server.tally.timed_out.get(), server.tally.displaced.get()), (2, 0));
}

#[tokio::test]
async fn a_head_that_drips_ends() {
    let server = start(4, short()).await;
    let stream = server.send("GET /livez HTTP/1.1\r\nHost: x\r\nX: ").await;
    let (mut reads, mut writes) = stream.into_split();
    let dripping = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(10));
        while writes.write_all(b"x").await.is_ok() {
            every.tick().await;
        }
    });
    assert_eq!(reads.read(&mut [0; 64]).await.unwrap_or(0), 0);
    dripping.await.unwrap();
    server.is_empty().await;
    assert_eq!(server.tally.timed_out.get(), 1);
}

#[tokio::test]
async fn a_body_that_never_comes_is_answered_with_408() {
    let server = start(4, short()).await;
    for start in ["Content-Length: 900\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut stream = server.send(&format!("POST /webhooks HTTP/1.1\r\nHost: x\r\n{start}")).await;
        let answer = all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer:?}");
        assert!(answer.ends_with("did not come whole within 500ms: try again\n"), "{answer:?}");
    }
    server.is_empty().await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = start(4, long()).await;
    let mut stream = server.connect().await;
    // It is refused before all of it is sent.
    let head = format!("GET /livez HTTP/1.1\r\nX: {}", "x".repeat(BUFFER_BYTES));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = [0; 12];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&read), "HTTP/1.1 431");
}

#[tokio::test]
async fn a_whole_request_without_an_answer_is_told_so() {
    let server = start(4, short()).await;
    let answer = all(&mut server.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    assert!(answer.ends_with("the engine gave no answer within 500ms: try again\n"), "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends() {
    let server = start(4, short()).await;
    // One takes nothing, one takes a little now and then.
    let asked = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
    let (silent, mut slow) = (server.send(asked).await, server.send(asked).await);
    let taking = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(10));
        while slow.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {
            every.tick().await;
        }
    });
    server.is_empty().await;
    assert_eq!((server.tally.timed_out.get(), server.tally.displaced.get()), (2, 0));
    taking.abort();
    drop(silent);
}

#[tokio::test]
async fn a_request_that_is_being_answered_stays_while_idle_ones_go() {
    let server = start(4, long()).await;
    let mut held = server.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut idle = Vec::new();
    for _ in 0..12 {
        idle.push(server.connect().await);
        server.probe().await;
    }
    // The oldest of those that idle went first.
    assert_eq!(all(&mut idle[0]).await, "");
    server.go.notify_one();
    answer(&mut held, "held\n").await;
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_ends_what_idles() {
    let server = start(4, long()).await;
    let mut idle = server.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    answer(&mut idle, "alive\n").await;
    let mut held = server.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n").await;
    while server.tally.open.get() < 2 {
        tokio::task::yield_now().await;
    }
    server.probe().await;
    server.stop.send(()).unwrap();
    assert_eq!(all(&mut idle).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    server.go.notify_one();
    assert!(all(&mut held).await.ends_with("held\n"));
    server.serving.await.unwrap();
    assert_eq!(server.tally.open.get(), 0);
}

/// How a client stalls: what it sends before, and what it sends again and again where it drips.
const STALLS: [(&str, &str); 12] = [
    ("", ""),
    ("", "\r\n"),
    ("GET /li", ""),
    ("GET /", "a"),
    ("GET /livez HTTP/1.1\r\nHost: x\r\n", ""),
    ("GET /livez HTTP/1.1\r\nHost: x\r\n", "X: y\r\n"),
    ("POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", ""),
    ("POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", "x"),
    ("POST /webhooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ""),
    ("POST /webhooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ("POST /webhooks HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", ""),
    ("GET /large HTTP/1.1\r\nHost: x\r\n\r\n", ""),
];

/// 50 crowds of slow clients from the probes' address: whatever they send before they stall, dripping or silent, and after however
/// many good requests; probes are answered within a second while they stall, and at last everything is given back.
#[tokio::test]
async fn probes_are_answered_beside_every_kind_of_slow_client() {
    let mut chance = Chance::new(11);
    for crowd in 0..50 {
        let server = start(32, Waits::default()).await;
        let (size, kinds) = (1 + chance.below(120), 1 + chance.below(3));
        let kinds: Vec<usize> = (0..kinds).map(|_| chance.below(STALLS.len())).collect();
        let mut clients = Vec::new();
        for number in 0..size {
            let (before, drip) = STALLS[kinds[number % kinds.len()]];
            let good = chance.below(3);
            clients.push((slow(&server, good, before).await, drip));
            if number % 16 == 0 {
                server.probe().await;
            }
        }
        for _ in 0..5 {
            for (stream, drip) in &mut clients {
                // It may be closed already.
                stream.write_all(drip.as_bytes()).await.ok();
            }
            server.probe().await;
        }
        let tally = &server.tally;
        assert!(tally.open.get() <= 32 && tally.refused.get() == 0, "crowd {crowd} of {kinds:?}: {tally:?}");
        assert!(size <= 33 || tally.displaced.get() > 0, "crowd {crowd} of {kinds:?}: {tally:?}");
        drop(clients);
        server.is_empty().await;
    }
}

/// A client that stalls after so many good requests. Its window is small.
async fn slow(server: &Server, good: usize, before: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    for _ in 0..good {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        answer(&mut stream, "alive\n").await;
    }
    stream.write_all(before.as_bytes()).await.unwrap();
    stream
}
