//! Who makes room, by tables and by chance; then the same on real sockets. Peers of other addresses are 127.0.0.2 and so on.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use foreshock_core::config::ServerTls;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    time::Instant,
};

use super::*;
use crate::{
    api::Api,
    serve::{Guard, access::Access},
};

/// The address of a letter: `a` is 10.0.0.97.
fn peer(name: char) -> IpAddr {
    IpAddr::from([10, 0, 0, name as u8])
}

/// Lets these in, one after the other, `!` meaning that something is being answered on the one before; says who is there at the
/// end: each with its place in the order in which they came.
#[track_caller]
fn check(eviction: Eviction, max: usize, arrivals: &str, expected: &str) {
    let tally = Tally::default();
    let shares = Shares::new(max, eviction, tally.clone());
    let mut all: Vec<(char, Option<Held>)> = Vec::new();
    for name in arrivals.chars().filter(|name| !name.is_whitespace()) {
        match (name, all.last()) {
            ('!', Some((_, Some(held)))) => held.place().set_answering(true),
            _ => all.push((name, shares.enter(peer(name)))),
        }
    }
    let is_there = |held: &Held| !is_displaced(held.place());
    let there = all.iter().enumerate().filter(|(_, (_, held))| held.as_ref().is_some_and(is_there));
    let there: Vec<String> = there.map(|(number, (name, _))| format!("{name}{number}")).collect();
    assert_eq!(there.join(" "), expected, "{eviction:?} {max}: {arrivals}");
    assert_eq!(tally.open.get() as usize, there.len());
    drop(all);
    assert_eq!(tally.open.get(), 0);
    assert!(shares.is_empty());
}

fn is_displaced(place: &Place) -> bool {
    place.poll_displaced(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
}

#[test]
fn of_http_the_oldest_of_the_address_with_most_makes_room() {
    let check = |arrivals, expected| check(Eviction::Oldest, 4, arrivals, expected);
    check("aaaa", "a0 a1 a2 a3");
    // One address alone: attacker and probe share it.
    check("aaaa a", "a1 a2 a3 a4");
    check("aaaa aaaaaa", "a6 a7 a8 a9");
    // Another comes.
    check("aaaa b", "a1 a2 a3 b4");
    check("aaaa bb", "a2 a3 b4 b5");
    // Who has as much as anybody pays for itself.
    check("aaaa bbb", "a2 a3 b5 b6");
    check("aabb a", "a1 b2 b3 a4");
    check("aabb c", "a1 b2 b3 c4");
    // Everybody has one: the oldest of all.
    check("abcd e", "b1 c2 d3 e4");
    check("abcd a", "b1 c2 d3 a4");
    // What is being answered stays, while there is anything else.
    check("a!aaa a", "a0 a2 a3 a4");
    check("a!a!a!a! a", "a1 a2 a3 a4");
    check("a!bcd e", "a0 c2 d3 e4");
}

#[test]
fn of_grpc_the_newest_of_the_address_with_most_makes_room_for_who_has_two_fewer() {
    let check = |arrivals, expected| check(Eviction::Newest, 4, arrivals, expected);
    check("aaaa a", "a0 a1 a2 a3");
    check("aaaa b", "a0 a1 a2 b4");
    check("aaaa bb", "a0 a1 b4 b5");
    check("aaaa bbb", "a0 a1 b4 b5");
    check("aaab b", "a0 a1 b3 b4");
    check("aabb c", "a0 a1 b2 c4");
    check("aabb cc", "a0 a1 b2 c4");
    check("abcd e", "a0 b1 c2 d3");
}

#[test]
fn one_site_is_one_peer() {
    // Each pair: whether the second displaces a connection of the first (they are two) or is refused (they are one).
    let pairs = [
        ("10.1.1.1", "::ffff:10.1.1.1", true),
        ("10.1.1.1", "10.1.1.2", false),
        ("2001:db8::1", "2001:db8::ffff:0:1", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ("::1", "127.0.0.1", false),
    ];
    for (one, other, is_same) in pairs {
        let shares = Shares::new(2, Eviction::Newest, Tally::default());
        let _held = [shares.enter(one.parse().unwrap()), shares.enter(one.parse().unwrap())];
        assert_eq!(shares.enter(other.parse().unwrap()).is_none(), is_same, "{one} and {other}");
    }
}

/// A little chance, from a seed that is printed.
pub(in crate::serve) struct Chance(u64);

impl Chance {
    pub(in crate::serve) fn new(seed: u64) -> Chance {
        println!("seed {seed}");
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `end`.
    pub(in crate::serve) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}

/// 50 crowds of peers that come and go as they like: never too many, HTTP refuses nobody, and who loses one had as many as anybody.
#[test]
fn whoever_comes_and_goes_shares_are_fair() {
    let mut chance = Chance::new(7);
    for crowd in 0..50 {
        let eviction = [Eviction::Oldest, Eviction::Newest][crowd % 2];
        let (max, peers, greed) = (1 + chance.below(24), 1 + chance.below(6), 1 + chance.below(6));
        let tally = Tally::default();
        let shares = Shares::new(max, eviction, tally.clone());
        let mut held: Vec<(usize, Held)> = Vec::new();
        for _ in 0..300 {
            if chance.below(5) == 0 && !held.is_empty() {
                drop(held.swap_remove(chance.below(held.len())));
                continue;
            }
            // The first is greedy.
            let who = chance.below(peers + greed).saturating_sub(greed);
            let mut before: HashMap<usize, usize> = HashMap::new();
            held.iter().for_each(|(who, _)| *before.entry(*who).or_default() += 1);
            let most = before.values().copied().max().unwrap_or(0);
            let (was_full, own) = (held.len() == max, before.get(&who).copied().unwrap_or(0));
            let entered = shares.enter(IpAddr::from([10, 0, 0, who as u8]));
            let is_refused = eviction == Eviction::Newest && was_full && most < own + 2;
            assert_eq!(entered.is_none(), is_refused, "crowd {crowd}, {before:?}, {who} comes");
            let gone = held.extract_if(.., |(_, held)| is_displaced(held.place()));
            let gone: Vec<usize> = gone.map(|(who, _)| who).collect();
            assert_eq!(gone.len(), usize::from(was_full && !is_refused), "crowd {crowd}");
            assert!(gone.iter().all(|loser| before[loser] == most || *loser == who), "crowd {crowd}");
            held.extend(entered.map(|held| (who, held)));
            assert!(held.len() <= max && tally.open.get() as usize == held.len(), "crowd {crowd}");
        }
    }
}

/// What a client at 127.0.0.`last` opens.
async fn connect(address: SocketAddr, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(address).await.unwrap()
}

async fn listen(rules: Rules, tls: Option<Arc<Tls>>) -> (Limited, SocketAddr, Tally) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, tally) = (listener.local_addr().unwrap(), Tally::default());
    (Limited::new(listener, tls, rules, tally.clone()), address, tally)
}

/// Reads until the end of the stream, or a reset.
async fn ended(stream: &mut TcpStream) {
    while stream.read(&mut [0; 1024]).await.unwrap_or(0) > 0 {}
}

#[tokio::test]
async fn a_displaced_connection_is_closed_at_once_and_room_is_given_back() {
    let (mut limited, address, tally) = listen(Rules::http(2), None).await;
    let mut clients = [connect(address, 1).await, connect(address, 1).await];
    let (mut first, second) = (limited.accept().await, limited.accept().await);
    assert_eq!(tally.open.get(), 2);
    // Somebody waits for its next byte, and is woken.
    let reading = tokio::spawn(async move { first.read(&mut [0; 1]).await });
    tokio::task::yield_now().await;
    let _third = connect(address, 1).await;
    let third = limited.accept().await;
    let problem = reading.await.unwrap().unwrap_err();
    assert_eq!(problem.kind(), io::ErrorKind::ConnectionAborted, "{problem}");
    ended(&mut clients[0]).await;
    assert_eq!((tally.open.get(), tally.refused.get(), tally.displaced.get()), (2, 0, 1));
    drop(second);
    assert_eq!(tally.open.get(), 1);
    drop((third, clients));
    assert_eq!(tally.open.get(), 0);
}

#[tokio::test]
async fn who_is_refused_is_closed_at_once() {
    let (mut limited, address, tally) = listen(Rules::grpc(2), None).await;
    let _clients = [connect(address, 1).await, connect(address, 1).await];
    let (_first, mut second) = (limited.accept().await, limited.accept().await);
    let accepting = tokio::spawn(async move { limited.accept().await });
    let mut third = connect(address, 1).await;
    ended(&mut third).await;
    assert_eq!((tally.open.get(), tally.refused.get(), tally.displaced.get()), (2, 1, 0));
    let _fourth = connect(address, 2).await;
    let fourth = accepting.await.unwrap();
    assert_eq!(fourth.peer().address.ip(), IpAddr::from([127, 0, 0, 2]));
    assert_eq!((tally.open.get(), tally.refused.get(), tally.displaced.get()), (2, 1, 1));
    assert!(second.read(&mut [0; 1]).await.is_err());
}

#[tokio::test]
async fn who_never_sends_what_comes_first_is_closed_however_it_drips() {
    let greet = Duration::from_millis(100);
    for drips in [false, true] {
        let (mut limited, address, tally) = listen(Rules { greet, ..Rules::grpc(2) }, None).await;
        let mut client = connect(address, 1).await;
        let mut connection = limited.accept().await;
        let dripping = tokio::spawn(async move {
            let mut every = tokio::time::interval(greet / 12);
            while drips && client.write_all(b"P").await.is_ok() {
                every.tick().await;
            }
            client
        });
        let mut sink = Vec::new();
        let problem = connection.read_to_end(&mut sink).await.unwrap_err();
        assert_eq!((problem.kind(), tally.timed_out.get()), (io::ErrorKind::TimedOut, 1), "{sink:?}");
        drop((connection, dripping));
    }
}

#[tokio::test]
async fn who_sends_and_takes_nothing_is_closed() {
    let rules = Rules { stalled: Duration::from_millis(100), ..Rules::http(2) };
    let (mut limited, address, tally) = listen(rules, None).await;
    // It reads nothing.
    let _client = connect(address, 1).await;
    let mut connection = limited.accept().await;
    let began = Instant::now();
    let problem = connection.write_all(&vec![0; 64 << 20]).await.unwrap_err();
    assert_eq!((problem.kind(), tally.timed_out.get()), (io::ErrorKind::TimedOut, 1));
    // It sends something now and then, for longer than it may be silent, then nothing any more.
    let mut client = connect(address, 1).await;
    let mut connection = limited.accept().await;
    let talking = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..10 {
            every.tick().await;
            client.write_all(b"x").await.unwrap();
        }
        client
    });
    let mut read = Vec::new();
    let problem = connection.read_to_end(&mut read).await.unwrap_err();
    assert_eq!((problem.kind(), read.len(), tally.timed_out.get()), (io::ErrorKind::TimedOut, 10, 2));
    assert!(began.elapsed() < Duration::from_secs(20));
    drop(talking);
}

fn secure(folder: &std::path::Path) -> (Arc<Tls>, tokio_rustls::TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = ServerTls { certificate, key, client_ca: None, client_certificate_optional: false };
    let tls = Tls::new("http.tls", &files, "http/1.1").unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(crypto);
    let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    (Arc::new(tls), tokio_rustls::TlsConnector::from(Arc::new(client.with_no_client_auth())))
}

#[tokio::test]
async fn those_who_are_not_secure_yet_make_room_too() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, connector) = secure(folder.path());
    let (mut limited, address, tally) = listen(Rules::http(4), Some(tls)).await;
    let accepting = tokio::spawn(async move { limited.accept().await });
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(connect(address, 1).await);
    }
    let stream = connect(address, 1).await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = connector.connect(name, stream).await.unwrap();
    let mut connection = accepting.await.unwrap();
    client.write_all(b"x").await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 1);
    for stream in &mut silent[..17] {
        ended(stream).await;
    }
    assert_eq!((tally.displaced.get(), tally.refused.get()), (17, 0));
}

/// The port of gRPC is full of somebody's idle connections; a client from elsewhere is answered, and one that is there stays.
#[tokio::test]
async fn grpc_answers_while_somebody_holds_every_connection() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let (limited, address, tally) = listen(Rules::grpc(64), None).await;
    let (commands, _asked) = crossbeam_channel::unbounded();
    let (api, _publisher) = Api::new(commands, Default::default());
    let guard = Guard::new(Arc::new(Access::open()), Default::default(), api.clone());
    let serving = tokio::spawn(crate::serve::grpc::serve(limited, api, guard, std::future::pending()));
    let ask = || HealthCheckRequest { service: String::new() };
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut there = HealthClient::new(endpoint.connect().await.unwrap());
    there.check(ask()).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..1024 {
        idle.push(connect(address, 2).await);
    }
    for _ in 0..10 {
        let mut new = HealthClient::new(endpoint.connect().await.unwrap());
        new.check(ask()).await.unwrap();
        there.check(ask()).await.unwrap();
    }
    assert!(tally.open.get() <= 64 && tally.displaced.get() > 0, "{tally:?}");
    serving.abort();
}
