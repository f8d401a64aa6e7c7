//! The bus of a whole engine on a real Kafka under load: `cargo build --release -p foreshock`, then
//! `cargo run --release -p foreshock-benches --bin bus -- --brokers localhost:9092`.
//!
//! The engine runs on core 0, the clients on core 1 (Kafka where the system puts it): `--controllers N` (2000) are connected, people
//! propose and approve `--rate N` (1000) signals a second for `--seconds N` (20), each is leased, accepted and ended. What is measured is the
//! time from before the approval is sent to the lease's arrival: journal, topic, audit log and both ways over the wire are in it.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use foreshock_proto::v1::{
    Ack, ControllerKind, ControllerMessage, DecideRequest, Hello, ListIncidentsRequest, Outcome,
    OutcomeStatus, ProposeRequest, bus_message::Message as Said, controller_message::Message,
    incidents_client::IncidentsClient, remediation_bus_client::RemediationBusClient,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

type Failure = Box<dyn std::error::Error>;

/// Streams that share a connection; the engine allows 64.
const STREAMS: usize = 60;
/// Proposals under way at once.
const AT_ONCE: usize = 256;

/// What the clients know together.
#[derive(Default)]
struct World {
    approved: Mutex<HashMap<String, Instant>>,
    waits: Mutex<Vec<Duration>>,
    tokens: Mutex<BTreeMap<(String, u64), u32>>,
    ended: AtomicU64,
}

/// The engine, which ends with us.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let brokers = after("--brokers").ok_or("say where Kafka is: --brokers HOST:PORT")?;
    let number = |name: &str, default: u64| after(name).map_or(Ok(default), |text| text.parse());
    let (controllers, rate, seconds) =
        (number("--controllers", 2000)? as usize, number("--rate", 1000)?, number("--seconds", 20)?);
    pin(std::process::id(), 1)?;
    let folder = tempfile::tempdir()?;
    let (engine, endpoint) = start(brokers, folder.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(drive(&endpoint, controllers, rate, seconds))?;
    println!("{report}");
    println!("peak memory of the engine {} MiB", peak_mib(engine.0.id())?);
    Ok(())
}

fn pin(process: u32, core: u32) -> Result<(), Failure> {
    let pinned = Command::new("taskset")
        .args(["-a", "-p", "-c", &core.to_string(), &process.to_string()])
        .stdout(Stdio::null())
        .status()?;
    if pinned.success() { Ok(()) } else { Err("taskset cannot pin: is there a second core?".into()) }
}

fn peak_mib(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
}

/// An engine with an open incident, on core 0.
fn start(brokers: &str, folder: &Path) -> Result<(Engine, String), Failure> {
    let name = format!("bench-{}", std::process::id());
    let config = folder.join("foreshock.yaml");
    let outputs: Vec<String> =
        ["anomalies", "incidents", "signals", "dead_letter", "journal", "decisions", "audit"]
            .map(|topic| format!("{topic}: {name}-{topic}"))
            .into();
    std::fs::write(
        &config,
        format!(
            "kafka: {{brokers: ['{brokers}'], group: {name}, start: earliest}}\n\
             topics: [{{name: {name}-in, encoding: otlp_metrics}}]\noutputs: {{{}}}\n\
             snapshots: {{folder: '{}'}}\ngrpc: {{listen: '127.0.0.1:0'}}\nhttp: {{listen: '127.0.0.1:0'}}\n\
             remediation: {{max_signal_age: 24h, max_controllers: 10000, max_signals: 1000000}}\n\
             log: {{level: 'warn,foreshock::cli=info,foreshock::run=warn'}}\n",
            outputs.join(", "),
            folder.join("state").display()
        ),
    )?;
    let binary: PathBuf = std::env::current_exe()?.with_file_name("foreshock");
    let rows = (0..960).map(|tick| {
        let fault = if tick >= 900 { 200.0 } else { 0.0 };
        let wave = 20.0 * (f64::from(tick) / 30.0).sin() + f64::from(tick * 37 % 11) / 5.0;
        format!("{},{:.3}\n", 1_767_225_600 + 10 * i64::from(tick), 120.0 + wave + fault)
    });
    let file = folder.join("latency.csv");
    std::fs::write(&file, format!("timestamp,latency_ms\n{}", rows.collect::<String>()))?;
    let produced = Command::new(&binary)
        .args(["produce", "--config"])
        .arg(&config)
        .args(["--topic", &format!("{name}-in")])
        .arg(&file)
        .output()?;
    if !produced.status.success() {
        return Err(String::from_utf8_lossy(&produced.stderr).into_owned().into());
    }
    let log = folder.join("log");
    let child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(&binary)
        .arg("run")
        .arg("--config")
        .arg(&config)
        .env("FORESHOCK_LOG", "")
        .stderr(std::fs::File::create(&log)?)
        .stdout(Stdio::null())
        .spawn()?;
    let mut engine = Engine(child);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        let said = std::fs::read_to_string(&log)?;
        if let Some(rest) = said.split("grpc=").nth(1) {
            let address = rest.split_whitespace().next().ok_or("no address")?;
            return Ok((engine, format!("http://{address}")));
        }
        if engine.0.try_wait()?.is_some() {
            return Err(said.into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("the engine does not start: {}", std::fs::read_to_string(&log)?).into())
}

async fn drive(endpoint: &str, controllers: usize, rate: u64, seconds: u64) -> Result<String, Failure> {
    let world = Arc::new(World::default());
    let incident = incident(endpoint).await?;
    let (welcomed, mut welcome) = mpsc::channel(controllers);
    let mut channel: Option<Channel> = None;
    for nth in 0..controllers {
        if nth % STREAMS == 0 {
            channel = Some(Channel::from_shared(endpoint.to_string())?.connect().await?);
        }
        let client = RemediationBusClient::new(channel.clone().ok_or("no channel")?);
        tokio::spawn(controller(world.clone(), client, nth, welcomed.clone()));
        welcome.recv().await.ok_or("no controller was welcomed")?;
    }
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(RemediationBusClient::new(Channel::from_shared(endpoint.to_string())?.connect().await?));
    }
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut clock = interval(Duration::from_secs_f64(0.01));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, total) = (Instant::now(), rate * seconds);
    let mut sent = 0;
    while sent < total {
        clock.tick().await;
        let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due.min(total) {
            let permit = room.clone().acquire_owned().await?;
            let client = people[sent as usize % people.len()].clone();
            let (world, incident, nth) = (world.clone(), incident.clone(), sent);
            tokio::spawn(async move {
                if let Err(status) = ask(&world, client, incident, nth).await {
                    eprintln!("{status}");
                }
                drop(permit);
            });
            sent += 1;
        }
    }
    let last = Instant::now();
    while world.ended.load(Ordering::Relaxed) < total && last.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed().as_secs_f64();
    let mut waits = world.waits.lock().expect("waits").clone();
    waits.sort_unstable();
    let at = |share: f64| {
        waits
            .get(((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1)))
            .map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    };
    let twice = world.tokens.lock().expect("tokens").values().filter(|times| **times > 1).count();
    let ended = world.ended.load(Ordering::Relaxed);
    Ok(format!(
        "{controllers} controllers, {total} signals wanted at {rate} a second: {ended} ended in {took:.1} s, {:.0} a second; from approval to lease p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; {} lost, {twice} leases given twice",
        ended as f64 / took,
        at(0.5),
        at(0.99),
        at(1.0),
        total - ended
    ))
}

/// The incident that everything is about.
async fn incident(endpoint: &str) -> Result<String, Failure> {
    let mut client = IncidentsClient::connect(endpoint.to_string()).await?;
    for _ in 0..600 {
        let listed = client.list(ListIncidentsRequest::default()).await?.into_inner();
        if let Some(incident) = listed.incidents.first() {
            return Ok(incident.id.clone());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err("the fault became no incident".into())
}

/// Proposes and approves one signal.
async fn ask(
    world: &World,
    mut client: RemediationBusClient<Channel>,
    incident_id: String,
    nth: u64,
) -> Result<(), tonic::Status> {
    let request = ProposeRequest {
        incident_id,
        action: "restart".to_string(),
        target: format!("service/shop/part-{nth}"),
        by: "ann".to_string(),
        ..ProposeRequest::default()
    };
    let signal_id = client.propose(request).await?.into_inner().id;
    world.approved.lock().expect("approved").insert(signal_id.clone(), Instant::now());
    let request = DecideRequest { signal_id, approve: true, by: "ben".to_string(), comment: String::new() };
    client.decide(request).await.map(drop)
}

/// A controller that does at once what it is granted.
async fn controller(
    world: Arc<World>,
    mut client: RemediationBusClient<Channel>,
    nth: usize,
    welcomed: mpsc::Sender<()>,
) -> Result<(), tonic::Status> {
    let (say, said) = mpsc::channel(64);
    let hello = Hello {
        controller: format!("bench/{nth}"),
        kind: ControllerKind::Deploy.into(),
        capacity: 4,
        ..Hello::default()
    };
    let tell = |message| {
        let say = say.clone();
        async move { say.send(ControllerMessage { message: Some(message) }).await.ok() }
    };
    tell(Message::Hello(hello)).await;
    let mut heard = client.subscribe(ReceiverStream::new(said)).await?.into_inner();
    while let Some(message) = heard.message().await? {
        match message.message {
            Some(Said::Welcome(_)) => drop(welcomed.send(()).await),
            Some(Said::Lease(lease)) => {
                let signal_id = lease.signal.map(|signal| signal.id).unwrap_or_default();
                let fencing_token = lease.fencing_token;
                if let Some(approved) = world.approved.lock().expect("approved").remove(&signal_id) {
                    world.waits.lock().expect("waits").push(approved.elapsed());
                }
                *world
                    .tokens
                    .lock()
                    .expect("tokens")
                    .entry((signal_id.clone(), fencing_token))
                    .or_default() += 1;
                tell(Message::Ack(Ack { signal_id: signal_id.clone(), fencing_token })).await;
                let status = OutcomeStatus::Succeeded.into();
                tell(Message::Outcome(Outcome { signal_id, fencing_token, status, message: String::new() }))
                    .await;
                world.ended.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
    Ok(())
}
