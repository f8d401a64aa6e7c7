//! What the tests on a real Kafka share: the broker, topics, engines as processes of their own.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod alertmanager;
pub mod secure;

use std::{
    collections::{BTreeMap, HashSet},
    io::{Read as _, Write as _},
    net::TcpStream,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::Headers,
};
use serde_json::Value;

/// A real Apache Kafka, or `None` with a word about it. Shared by the tests of a file; stopped once they have ended.
pub fn kafka() -> Option<&'static str> {
    shared().map(|broker| broker.address.as_str())
}

/// The folder of the broker's data, if it is ours.
pub fn kafka_data() -> Option<PathBuf> {
    shared().and_then(|broker| broker.folder.as_ref()).map(|folder| folder.join("data"))
}

fn shared() -> Option<&'static Broker> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    let start = || match std::env::var("FORESHOCK_KAFKA") {
        Ok(address) => Ok(Broker { address, folder: None }),
        Err(_) => Broker::start("plain", &[]),
    };
    BROKER.get_or_init(|| or_skip(start())).as_ref()
}

/// Says why a test is skipped; where Kafka is required that is a failure.
pub fn or_skip<T>(started: Result<T, String>) -> Option<T> {
    let why = match started {
        Ok(started) => return Some(started),
        Err(why) => why,
    };
    let required = std::env::var("FORESHOCK_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
    assert!(!required, "FORESHOCK_REQUIRE_KAFKA=1, but {why}");
    eprintln!("skipped: {why}");
    None
}

/// A broker of our own.
pub struct Broker {
    pub address: String,
    /// Where it keeps all it has; `None`: it is somebody else's.
    pub folder: Option<PathBuf>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/kafka/kafka.sh")
}

impl Broker {
    /// Starts one that ends with this process at the latest.
    pub fn start(name: &str, options: &[&str]) -> Result<Broker, String> {
        if !Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success()) {
            return Err("there is no Java for a real Kafka, and FORESHOCK_KAFKA names no broker".to_string());
        }
        let folder = std::env::temp_dir().join(format!("foreshock-kafka-{name}-{}", std::process::id()));
        let address = start_in(&folder, options)?;
        stop_with_us(&folder);
        Ok(Broker { address, folder: Some(folder) })
    }

    /// Stops it; its data stays.
    pub fn stop(&self) {
        let folder = self.folder.as_ref().expect("our own");
        let output = Command::new(script()).arg("stop").arg(folder).output().expect("kafka.sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts it again at its port.
    pub fn start_again(&self) {
        let port = self.address.rsplit_once(':').expect("a port").1;
        let address = start_in(self.folder.as_ref().expect("our own"), &["--port", port]).expect("it starts");
        assert_eq!(address, self.address);
    }
}

fn start_in(folder: &Path, options: &[&str]) -> Result<String, String> {
    let mut command = Command::new(script());
    let output =
        command.arg("start").arg(folder).args(options).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("Kafka does not start: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Stops the broker once this process has ended, however it ends.
fn stop_with_us(folder: &Path) {
    let wait = format!(
        "(while kill -0 {} 2>/dev/null; do sleep 0.2; done; '{}' stop '{}'; rm -rf '{}') &",
        std::process::id(),
        script().display(),
        folder.display(),
        folder.display()
    );
    let mut watcher = Command::new("sh");
    watcher.args(["-c", &wait]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = watcher.status().expect("sh starts");
    assert!(status.success());
}

/// Creates topics with these numbers of partitions.
pub fn create_topics(broker: &str, topics: &[(&str, i32)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker).create().expect("admin client");
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let made = runtime.block_on(admin.create_topics(&new, &AdminOptions::new())).expect("topics");
    for result in made {
        result.expect("topic");
    }
}

/// A record as it was read back.
#[derive(Clone, Debug)]
pub struct Read {
    pub key: String,
    /// Empty for a tombstone too.
    pub payload: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

/// Every record of a topic's partitions, in order of (partition, offset).
pub fn read_topic(broker: &str, topic: &str) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", "test-reader")
        .set("enable.auto.commit", "false")
        .create()
        .expect("consumer");
    let wait = Duration::from_secs(10);
    let metadata = consumer.fetch_metadata(Some(topic), wait).expect("metadata");
    let mut found = Vec::new();
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), wait).expect("watermarks");
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, partition.id(), Offset::Offset(low)).expect("offset");
        consumer.assign(&from).expect("assign");
        let mut next = low;
        let began = Instant::now();
        while next < high && began.elapsed() < Duration::from_secs(60) {
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
            next = message.offset() + 1;
            let headers = message.headers().map_or_else(BTreeMap::new, |headers| {
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
                headers.iter().map(|header| (header.key.to_string(), text(header.value))).collect()
            });
            let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            found.push(Read { key, payload: message.payload().unwrap_or_default().to_vec(), headers });
        }
        assert_eq!(next, high, "{topic}[{}] was not read to its end", partition.id());
    }
    found
}

/// JSON records without repeats of (id, revision), in their first order; a repeat must be equal.
pub fn distinct(records: &[Read]) -> Vec<String> {
    let mut seen: BTreeMap<(String, u64), String> = BTreeMap::new();
    let mut order = Vec::new();
    for record in records {
        let text = String::from_utf8(record.payload.clone()).expect("text");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let key =
            (value["id"].as_str().expect("id").to_string(), value["revision"].as_u64().expect("revision"));
        match seen.get(&key) {
            Some(known) => assert_eq!(*known, text, "a repeat differs"),
            None => {
                seen.insert(key, text.clone());
                order.push(text);
            }
        }
    }
    order
}

/// The lines as a set.
pub fn set(lines: &[String]) -> HashSet<&str> {
    lines.iter().map(String::as_str).collect()
}

/// The binary under test.
pub fn foreshock() -> Command {
    Command::new(env!("CARGO_BIN_EXE_foreshock"))
}

/// A configuration in a folder: output topics with this prefix, everything on free ports.
///
/// The state's name is also the member's, so that a restarted engine has its partitions again at once.
pub fn write_config(folder: &Path, broker: &str, prefix: &str, state: &str, extra: &str) -> PathBuf {
    write_secure_config(folder, broker, prefix, state, "{}", extra)
}

/// The same with a section `kafka.security`.
pub fn write_secure_config(
    folder: &Path,
    broker: &str,
    prefix: &str,
    state: &str,
    security: &str,
    extra: &str,
) -> PathBuf {
    let member = state;
    let path = folder.join(format!("{prefix}-{state}.yaml"));
    let state = folder.join(state);
    let text = format!(
        "kafka: {{brokers: ['{broker}'], group: {prefix}, instance: {member}, start: earliest, security: {security}, options: {{session.timeout.ms: '6000', \
         heartbeat.interval.ms: '500', fetch.wait.max.ms: '20', \
         statistics.interval.ms: '100'}}}}\n\
         topics: [{{name: {prefix}-in, encoding: otlp_metrics}}]\n\
         outputs: {{anomalies: {prefix}-anomalies, incidents: {prefix}-incidents, signals: {prefix}-signals, \
         dead_letter: {prefix}-dead, journal: {prefix}-journal, decisions: {prefix}-decisions, audit: {prefix}-audit}}\n\
         snapshots: {{folder: '{}', every: 1s}}\n\
         grpc: {{listen: '127.0.0.1:0'}}\n\
         http: {{listen: '127.0.0.1:0'}}\n\
         {extra}\n",
        state.display()
    );
    std::fs::write(&path, text).expect("config");
    path
}

/// A process that is killed when the test that started it is done with it, however it ends.
pub struct Running(pub Child);

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts `foreshock run`; its log goes to a file beside the configuration.
pub fn run(config: &Path, until_end: bool) -> Running {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(config.with_extension("log"))
        .expect("log");
    let mut command = foreshock();
    command.arg("run").arg("--config").arg(config).stderr(log).stdout(Stdio::null());
    if until_end {
        command.arg("--until-end");
    }
    Running(command.spawn().expect("foreshock starts"))
}

/// What an HTTP server of an engine answers: status and body; `None` while it does not serve.
pub fn get(config: &Path, path: &str) -> Option<(u16, String)> {
    let log = log(config);
    let address = log.rsplit("running http=").next().filter(|rest| rest.len() < log.len())?;
    let mut stream = TcpStream::connect(address.split_whitespace().next()?).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_string()))
}

/// The value of a metric, 0 while nobody answers; labels belong to the name.
pub fn metric(config: &Path, name: &str) -> f64 {
    find_metric(config, name).unwrap_or(0.0)
}

/// The same, `None` while nobody answers or it is not there.
pub fn find_metric(config: &Path, name: &str) -> Option<f64> {
    let text = get(config, "/metrics").map(|(_, body)| body).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().expect("number"))
}

/// Writes a table of one series into a folder of its own; each row is a line `timestamp,value`.
pub fn write_latency(folder: &Path, name: &str, rows: impl Iterator<Item = String>) -> PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).expect("folder");
    let path = folder.join("latency.csv");
    std::fs::write(&path, format!("timestamp,latency\n{}", rows.collect::<String>())).expect("file");
    path
}

/// A row of two rhythms, ten seconds after the one before it, raised by `fault`.
pub fn two_rhythms(index: usize, fault: f64) -> String {
    let noise = (index * 7919 % 101) as f64 / 25.0;
    let value = 120.0 + 20.0 * (index as f64 / 60.0).sin() + noise + fault;
    format!("{},{value:.2}\n", 1_767_225_600 + 10 * index)
}

/// Writes a file to a topic, as users do.
pub fn produce(config: &Path, topic: &str, file: &Path) {
    let output = foreshock().args(["produce", "--topic", topic, "--config"]).arg(config).arg(file).output();
    let output = output.expect("foreshock starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What an engine has logged so far.
pub fn log(config: &Path) -> String {
    std::fs::read_to_string(config.with_extension("log")).unwrap_or_default()
}

/// Waits until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Asks a process to stop, as Kubernetes does.
pub fn terminate(child: &Running) {
    let status = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(status.success());
}

/// Waits for a process that must end well.
pub fn ends_well(child: Running, config: &Path, within: Duration) {
    let code = exit_code(child, config, within);
    assert_eq!(code, Some(0), "{}", log(config));
}

/// How a process ends, which it must within a time.
pub fn exit_code(mut child: Running, config: &Path, within: Duration) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("status") {
            return status.code();
        }
        assert!(began.elapsed() <= within, "not ended within {within:?}: {}", log(config));
        std::thread::sleep(Duration::from_millis(50));
    }
}
