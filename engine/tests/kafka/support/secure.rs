//! A broker with secured listeners, rights on it, and tokens that it believes.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Broker, or_skip};

/// The broker of `kafka.sh start --secure`.
pub struct Secure {
    pub plain: String,
    folder: PathBuf,
}

/// One for all tests of a file, or `None` with a word about it.
pub fn secure() -> Option<&'static Secure> {
    static BROKER: OnceLock<Option<Secure>> = OnceLock::new();
    let start = || {
        let broker = Broker::start("secure", &["--secure"])?;
        Ok(Secure { plain: broker.address, folder: broker.folder.expect("our own").join("secure") })
    };
    BROKER.get_or_init(|| or_skip(start())).as_ref()
}

impl Secure {
    /// Address of the listener `tls`, `mtls`, `sasl` or `oauth`.
    pub fn listener(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.join("listeners")).expect("listeners");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect(name).to_string()
    }

    /// A file of `DIR/secure`.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub fn password(&self) -> String {
        std::fs::read_to_string(self.file("password")).expect("password").trim().to_string()
    }

    /// Allows a user an operation on the resources that begin with this name. Operations: 2 all, 8 describe.
    pub fn allow(&self, user: &str, resource: Resource, prefix: &str, operation: u8) {
        let mut body = Vec::new();
        let text = |body: &mut Vec<u8>, text: &str| {
            body.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
            body.extend(text.as_bytes());
        };
        // CreateAcls, version 1, correlation 7, no client id, one creation.
        body.extend([0, 30, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1, resource as u8]);
        text(&mut body, prefix);
        body.push(4);
        text(&mut body, &format!("User:{user}"));
        text(&mut body, "*");
        body.extend([operation, 3]);
        let mut stream = TcpStream::connect(&self.plain).expect("broker");
        let length = u32::try_from(body.len()).expect("short");
        stream.write_all(&[&length.to_be_bytes()[..], &body].concat()).expect("request");
        let mut answer = [0; 18];
        stream.read_exact(&mut answer).expect("answer");
        assert_eq!(answer[16..18], [0, 0], "CreateAcls: {answer:?}");
    }

    /// A token of the user `foreshock` that holds so many seconds.
    pub fn token(&self, seconds: i64) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("clock").as_secs() as i64;
        let claims = format!(
            r#"{{"iss":"http://localhost/foreshock-test","sub":"foreshock","aud":"kafka","iat":{now},"exp":{}}}"#,
            now + seconds
        );
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!(
            "{}.{}",
            encode(br#"{"alg":"RS256","kid":"test","typ":"JWT"}"#),
            encode(claims.as_bytes())
        );
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", &self.file("token.key")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl starts");
        openssl.stdin.take().expect("stdin").write_all(signed.as_bytes()).expect("claims");
        let output = openssl.wait_with_output().expect("openssl");
        assert!(output.status.success());
        format!("{signed}.{}", encode(&output.stdout))
    }

    /// Puts such a token into a file, whole or not at all.
    pub fn write_token(&self, path: &Path, seconds: i64) {
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, self.token(seconds)).expect("token");
        std::fs::rename(&fresh, path).expect("token");
    }
}

/// What a right is on, as Kafka numbers it.
#[derive(Clone, Copy)]
pub enum Resource {
    Topic = 2,
    Group = 3,
}

/// Renews the token in a file every second, as Kubernetes does more seldom, until it is dropped.
pub struct Renewing {
    going: Arc<AtomicBool>,
}

impl Renewing {
    /// Each token holds so many seconds; the first one is there when this returns.
    pub fn start(broker: &'static Secure, path: &Path, seconds: i64) -> Renewing {
        broker.write_token(path, seconds);
        let going = Arc::new(AtomicBool::new(true));
        let (path, on) = (path.to_path_buf(), going.clone());
        std::thread::spawn(move || {
            while on.load(Ordering::Relaxed) {
                broker.write_token(&path, seconds);
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        Renewing { going }
    }
}

impl Drop for Renewing {
    fn drop(&mut self) {
        self.going.store(false, Ordering::Relaxed);
    }
}

/// A token endpoint for client credentials.
pub struct Endpoint {
    pub url: String,
    /// Tokens given so far.
    pub given: Arc<AtomicUsize>,
}

/// Who may have tokens of an [`Endpoint`]: `me:sec%2Fret` in base64, so that what is encoded is proven too.
pub const SECRET: &str = "sec/ret";
const BASIC: &str = "authorization: Basic bWU6c2VjJTJGcmV0";

impl Endpoint {
    /// Serves until the process ends; each token holds so many seconds.
    pub fn start(broker: &'static Secure, seconds: i64) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let url = format!("http://{}/token", listener.local_addr().expect("address"));
        let given = Arc::new(AtomicUsize::new(0));
        let count = given.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("connection");
                stream.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
                if answer(stream, broker, seconds) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Endpoint { url, given }
    }
}

fn answer(stream: TcpStream, broker: &Secure, seconds: i64) -> bool {
    let mut reader = BufReader::new(stream.try_clone().expect("stream"));
    let (mut allowed, mut length) = (false, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("request");
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        allowed |= line.eq_ignore_ascii_case(BASIC) && line.ends_with(&BASIC[21..]);
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.parse().expect("length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("body");
    let wanted = body == b"grant_type=client_credentials&scope=kafka";
    let (status, text) = if allowed && wanted {
        let token = broker.token(seconds);
        ("200 OK", format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}}}"#))
    } else {
        ("401 Unauthorized", r#"{"error":"invalid_client"}"#.to_string())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close",
        text.len()
    );
    let mut stream = stream;
    write!(stream, "{head}\r\n\r\n{text}").expect("answer");
    allowed && wanted
}
