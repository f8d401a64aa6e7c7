//! What the tests on a real Kafka share: the broker, topics, engines as processes of their own.

use std::{
    collections::{BTreeMap, HashSet},
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

/// A real Apache Kafka, or `None` with a word about it. Shared by the tests of a file; stopped by `stop_kafka`.
pub fn kafka() -> Option<&'static str> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| match Broker::start() {
        Ok(broker) => Some(broker),
        Err(why) => {
            let required = std::env::var("FORESHOCK_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
            assert!(!required, "FORESHOCK_REQUIRE_KAFKA=1, but {why}");
            eprintln!("skipped: {why}");
            None
        }
    });
    broker.as_ref().map(|broker| broker.address.as_str())
}

struct Broker {
    address: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/kafka/kafka.sh")
}

impl Broker {
    /// Takes the broker that `FORESHOCK_KAFKA` names, or starts one that ends with this process.
    fn start() -> Result<Broker, String> {
        if let Ok(address) = std::env::var("FORESHOCK_KAFKA") {
            return Ok(Broker { address });
        }
        if !Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success()) {
            return Err("there is no Java for a real Kafka, and FORESHOCK_KAFKA names no broker".to_string());
        }
        let folder = std::env::temp_dir().join(format!("foreshock-kafka-{}", std::process::id()));
        let output =
            Command::new(script()).arg("start").arg(&folder).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("Kafka does not start: {}", String::from_utf8_lossy(&output.stderr)));
        }
        stop_with_us(&folder);
        let address = String::from_utf8_lossy(&output.stdout).trim().to_string();
        Ok(Broker { address })
    }
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
        .map(|(name, partitions)| {
            NewTopic::new(name, *partitions, TopicReplication::Fixed(1)).set("max.message.bytes", "16777216")
        })
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
    pub payload: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

/// Every record of a topic's partitions, in order of (partition, offset).
pub fn read_topic(broker: &str, topic: &str) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", "test-reader")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "20000000")
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
            found.push(Read { payload: message.payload().unwrap_or_default().to_vec(), headers });
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
    let member = state;
    let path = folder.join(format!("{prefix}-{state}.yaml"));
    let state = folder.join(state);
    let text = format!(
        "kafka: {{brokers: ['{broker}'], group: {prefix}, instance: {member}, start: earliest, options: {{session.timeout.ms: '6000', \
         heartbeat.interval.ms: '500', fetch.wait.max.ms: '20', fetch.message.max.bytes: '20000000', \
         statistics.interval.ms: '100'}}}}\n\
         topics: [{{name: {prefix}-in, encoding: otlp_metrics}}]\n\
         outputs: {{anomalies: {prefix}-anomalies, incidents: {prefix}-incidents, signals: {prefix}-signals, \
         dead_letter: {prefix}-dead, journal: {prefix}-journal, decisions: {prefix}-decisions}}\n\
         snapshots: {{folder: '{}', every: 1s}}\n\
         grpc: {{listen: '127.0.0.1:0'}}\n\
         http: {{listen: '127.0.0.1:0'}}\n\
         {extra}\n",
        state.display()
    );
    std::fs::write(&path, text).expect("config");
    path
}

/// Starts `foreshock run`; its log goes to a file beside the configuration.
pub fn run(config: &Path, until_end: bool) -> Child {
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
    command.spawn().expect("foreshock starts")
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
pub fn terminate(child: &Child) {
    let status = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(status.success());
}

/// Waits for a process that must end well.
pub fn ends_well(mut child: Child, config: &Path, within: Duration) {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("status") {
            assert!(status.success(), "{status}: {}", log(config));
            return;
        }
        if began.elapsed() > within {
            child.kill().expect("kill");
            panic!("not ended within {within:?}: {}", log(config));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
