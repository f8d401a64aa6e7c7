//! `foreshock demo`: the engine as `run` has it, on an embedded broker, under a simulated shop (`foreshock-shop`) whose telemetry it
//! reads and whose faults it mends. Simulator and engine move in lockstep of event time, so that one seed gives one
//! story.
//!
//! * `broker`: the embedded broker · `hands`: the built-in controllers
//! * `judge`: what was found beside what was wrong · `screen`: what is said

mod broker;
mod hands;
mod judge;
mod screen;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::Receiver;
use foreshock_controllers::ControllerConfig;
use foreshock_core::{
    bus,
    config::{Config, ServerTls},
    pipeline::Effect,
    types::{ControllerKind, Id, RemediationSignal, SignalState, Source},
};
use foreshock_shop::{Shop, ShopConfig};

use crate::{
    api::{self, Api, Command},
    run::{self, Engine, Observation, RunError, RunOptions},
};
use broker::Broker;
use hands::{Hands, UnderWay};
pub use judge::Verdict;
use judge::{Found, Incidents};
use screen::Screen;

/// What a demo depends on.
#[derive(Clone, Debug)]
pub struct DemoConfig {
    /// Seed of the shop.
    pub seed: u64,
    /// Whether to colour what is said.
    pub colour: bool,
    /// Columns of the terminal; 80 to 120 are used.
    pub width: usize,
    /// Keep everything up after the scenario, until a signal.
    pub keep: bool,
    /// Where gRPC and HTTP are served; port 0 for any.
    pub grpc: String,
    /// See `grpc`.
    pub http: String,
    /// Serve gRPC without TLS, to everybody who reaches it.
    pub plain: bool,
    /// What carries signals out instead of the built-in controllers: the real ones, with these configurations. What they did takes effect
    /// in the shop once they say so.
    pub controllers: BTreeMap<ControllerKind, ControllerConfig>,
}

/// How a demo ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What came of each fault.
    pub verdicts: Vec<Verdict>,
    /// Incidents that called people for nothing.
    pub false_alarms: usize,
    /// What the engine took.
    pub report: run::Report,
    /// How long it all took.
    pub elapsed: Duration,
}

impl Ended {
    /// Whether everything was judged rightly.
    pub fn is_right(&self) -> bool {
        self.false_alarms == 0 && self.verdicts.iter().all(Verdict::is_right)
    }
}

/// Why a demo broke off.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The embedded broker failed.
    #[error("the embedded broker: {0}")]
    Broker(#[from] rdkafka::error::KafkaError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] RunError),
    /// The engine stopped in the middle.
    #[error(transparent)]
    Stopped(#[from] api::Stopped),
    /// The engine took no record, or answered no signal, for too long.
    #[error("the engine does not answer: {0}")]
    Silent(&'static str),
    /// The output went away.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
    /// A controller failed.
    #[error("a controller of the demo: {0}")]
    Controller(String),
    /// No folder for the state could be made.
    #[error("cannot make a folder for the state: {0}")]
    Folder(std::io::Error),
}

/// Policies of the demo.
const POLICIES: &str = include_str!("policies.yaml");

/// Folder of the demo's keys, within that of its state.
const KEYS: &str = "keys";

/// Who may do what in the demo.
const ROLES: &str = "
tokens:
- {name: you, roles: [operator, approver], token_file: KEYS/you.token}
certificates:
- {name: spiffe://demo/deploy, roles: ['controller:deploy:*']}
- {name: spiffe://demo/retrain, roles: ['controller:retrain:*']}
";

/// Ticks that the shop may be ahead of the engine during the warm-up.
const AHEAD: u64 = 20;

/// Longest wait for the engine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait for controllers that act on something real.
const LONG_PATIENCE: Duration = Duration::from_secs(300);

fn engine_config(demo: &DemoConfig, state: &std::path::Path) -> Config {
    let mut config = Config::default();
    config.kafka.start = foreshock_core::config::Start::Earliest;
    // A story takes six hours: one in twenty may have a false alarm.
    config.incidents.false_alarms_per_day = 0.2;
    for (key, value) in
        [("fetch.wait.max.ms", "5"), ("fetch.error.backoff.ms", "5"), ("statistics.interval.ms", "100")]
    {
        config.kafka.options.insert(key.to_string(), value.to_string());
    }
    config.snapshots.folder = state.to_path_buf();
    config.grpc.listen.clone_from(&demo.grpc);
    config.http.listen.clone_from(&demo.http);
    if !demo.plain {
        let keys = state.join(KEYS);
        config.grpc.tls = Some(ServerTls {
            certificate: keys.join("engine.pem"),
            key: keys.join("engine.key"),
            client_ca: Some(keys.join("ca.pem")),
            client_certificate_optional: false,
        });
        let yaml = ROLES.replace("KEYS", &keys.display().to_string());
        config.access =
            serde_yaml_ng::from_str(&yaml).expect("the roles are part of the program; a test reads them");
    }
    config.remediation.policies =
        serde_yaml_ng::from_str(POLICIES).expect("the policies are part of the program; a test reads them");
    config
}

/// Runs the demo: what is the same every time goes to `out`, the rest to `progress`.
pub fn demo(
    config: &DemoConfig,
    out: impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Ended, DemoError> {
    let began = Instant::now();
    let state = std::env::temp_dir().join(format!("foreshock-demo-{}", std::process::id()));
    std::fs::create_dir_all(&state).map_err(DemoError::Folder)?;
    let _removed = Removed(state.clone());
    if !config.plain {
        hands::keys(&state.join(KEYS))?;
    }
    let mut engine_config = engine_config(config, &state);
    let broker = Broker::start(&mut engine_config)?;
    let (sender, observations) = run::observer(100_000);
    let engine = Engine::start(&engine_config, RunOptions { until_end: false, observer: Some(sender) })?;
    let scheme = if config.plain { "http" } else { "https" };
    let reached = hands::Engine {
        endpoint: format!("{scheme}://{}", engine.grpc()),
        keys: (!config.plain).then(|| state.join(KEYS)),
    };
    tracing::info!(broker = broker.address(), http = %engine.http(), grpc = %engine.grpc(), "the demo is up");
    if config.keep {
        tracing::info!("to look around, in another terminal: {}", environment(&reached, engine.http()));
    }
    let shop = Shop::new(ShopConfig { seed: config.seed, ..ShopConfig::default() });
    let warm_up = u64::from(ShopConfig::default().warmup_ticks);
    let tick_seconds = i64::from(ShopConfig::default().tick_seconds);
    let zero = shop.now() + warm_up as i64 * tick_seconds;
    let (real, built_in): (Vec<ControllerKind>, Vec<ControllerKind>) =
        [ControllerKind::Deploy, ControllerKind::Retrain]
            .into_iter()
            .partition(|kind| config.controllers.contains_key(kind));
    for kind in &real {
        hands::run_real(&reached, *kind, &config.controllers[kind])?;
    }
    let hands = built_in.into_iter().map(|kind| Hands::connect(&reached, kind).map(Arc::new));
    let mut drive = Drive {
        hands: hands.collect::<Result<Vec<Arc<Hands>>, DemoError>>()?,
        real: real.into_iter().collect(),
        screen: Screen::new(out, config.colour, config.width, zero),
        shop,
        broker,
        observations,
        taken: BTreeMap::new(),
        incidents: Incidents::new(),
        waiting: BTreeSet::new(),
        under_way: Vec::new(),
        tick_ms: tick_seconds * 1000,
    };
    drive.screen.opening(config.seed)?;
    drive.play(warm_up, engine.api(), progress)?;
    let (verdicts, false_alarms) = judge::judge(drive.shop.truth(), &drive.incidents);
    drive.screen.table(&verdicts, &false_alarms)?;
    if config.keep {
        tracing::info!(broker = drive.broker.address(), http = %engine.http(), grpc = %engine.grpc(), "kept up: Ctrl-C ends it");
        loop {
            std::thread::park();
        }
    }
    engine.stopper()();
    let report = engine.join()?;
    Ok(Ended { verdicts, false_alarms: false_alarms.len(), report, elapsed: began.elapsed() })
}

/// What tells the commands where the demo is, and that it is you.
fn environment(engine: &hands::Engine, http: std::net::SocketAddr) -> String {
    let mut line = format!("export FORESHOCK_HTTP=http://{http} FORESHOCK_ENDPOINT={}", engine.endpoint);
    if let Some(keys) = &engine.keys {
        for (variable, file) in [
            ("FORESHOCK_CA", "ca.pem"),
            ("FORESHOCK_CERTIFICATE", "you.pem"),
            ("FORESHOCK_KEY", "you.key"),
            ("FORESHOCK_TOKEN_FILE", "you.token"),
        ] {
            line.push_str(&format!(" {variable}={}", keys.join(file).display()));
        }
    }
    line
}

/// A folder that is removed at the end.
struct Removed(std::path::PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // What cannot be removed stays in the folder for temporary files.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Shop and engine in lockstep.
struct Drive<W> {
    shop: Shop,
    broker: Broker,
    /// The built-in controllers.
    hands: Vec<Arc<Hands>>,
    /// The kinds that real controllers carry out.
    real: BTreeSet<ControllerKind>,
    screen: Screen<W>,
    observations: Receiver<Observation>,
    /// The next record that the engine has not taken, per partition.
    taken: BTreeMap<Source, i64>,
    incidents: Incidents,
    /// Signals that are allowed and not yet in a controller's hands.
    waiting: BTreeSet<Id>,
    under_way: Vec<UnderWay>,
    tick_ms: i64,
}

impl<W: Write> Drive<W> {
    fn play(&mut self, warm_up: u64, api: &Api, progress: &mut dyn FnMut(u64, u64)) -> Result<(), DemoError> {
        let total = self.shop.total_ticks();
        let mut tick = 0;
        while !self.shop.finished() {
            let produced = self.shop.step();
            self.broker.write(&produced)?;
            tick += 1;
            if tick >= warm_up || tick % AHEAD == 0 {
                self.catch_up()?;
                self.act()?;
                progress(tick, total);
            }
            if tick == warm_up {
                self.learnt(api)?;
            }
        }
        Ok(())
    }

    fn learnt(&mut self, api: &Api) -> Result<(), DemoError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        api.send(Command::Ping(reply))?;
        answer.blocking_recv().map_err(|_| api::Stopped)?;
        let view = api.view()?;
        let pages = self.incidents.values().filter(|found| found.first.page).count();
        Ok(self.screen.learnt(self.shop.now(), view.status.warm_series, pages)?)
    }

    /// Waits until the engine has taken everything that was produced.
    fn catch_up(&mut self) -> Result<(), DemoError> {
        let behind = |drive: &Drive<W>| {
            drive
                .broker
                .ends()
                .iter()
                .any(|(source, end)| drive.taken.get(source).is_none_or(|taken| taken < end))
        };
        while behind(self) {
            self.observe("it takes no record")?;
        }
        Ok(())
    }

    fn observe(&mut self, awaited: &'static str) -> Result<(), DemoError> {
        match self.observations.recv_timeout(PATIENCE).map_err(|_| DemoError::Silent(awaited))? {
            Observation::Taken(source, next) => {
                self.taken.insert(source, next);
                Ok(())
            }
            Observation::Effect(effect) => self.effect(effect),
        }
    }

    fn effect(&mut self, effect: Effect) -> Result<(), DemoError> {
        match effect {
            Effect::Change(change) => self.screen.change(&change)?,
            Effect::Incident(incident) => {
                self.screen.incident(&incident, self.tick_ms)?;
                let found = self.incidents.entry(incident.id);
                found
                    .and_modify(|found| found.last.clone_from(&incident))
                    .or_insert_with(|| Found { first: incident.clone(), last: incident });
            }
            Effect::Bus(bus::Effect::Signal(signal)) => {
                self.screen.signal(&signal)?;
                match signal.state {
                    SignalState::Ready => {
                        self.waiting.insert(signal.id);
                    }
                    SignalState::Leased => {}
                    SignalState::Succeeded if self.is_real(&signal) && self.waiting.remove(&signal.id) => {
                        if let Some(action) = hands::action(&signal) {
                            self.shop.apply(action, self.shop.now());
                        }
                    }
                    _ => {
                        self.waiting.remove(&signal.id);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn is_real(&self, signal: &RemediationSignal) -> bool {
        self.real.contains(&signal.action.controller())
    }

    /// The shop stands still until every signal that is allowed is in a controller's hands, or was carried out where that is real, and until
    /// the bus knows of every action that has taken effect.
    fn act(&mut self) -> Result<(), DemoError> {
        let began = Instant::now();
        let patience = if self.real.is_empty() { PATIENCE } else { LONG_PATIENCE };
        while !self.waiting.is_empty() {
            for hands in self.hands.clone() {
                while let Some(signal) = hands.granted() {
                    hands.ack(&signal)?;
                    self.until(signal.id, |signal| signal.accepted)?;
                    self.begin(hands.clone(), signal);
                }
            }
            if let Ok(observation) = self.observations.recv_timeout(Duration::from_millis(5))
                && let Observation::Effect(effect) = observation
            {
                self.effect(effect)?;
            }
            if began.elapsed() > patience {
                return Err(DemoError::Silent("a signal is not carried out"));
            }
        }
        let now = self.shop.now();
        let (due, later) =
            std::mem::take(&mut self.under_way).into_iter().partition(|work| work.effect_at <= now);
        self.under_way = later;
        let due: Vec<UnderWay> = due;
        for work in due {
            self.finish(&work)?;
        }
        Ok(())
    }

    fn begin(&mut self, hands: Arc<Hands>, signal: RemediationSignal) {
        self.waiting.remove(&signal.id);
        let Some(action) = hands::action(&signal) else { return };
        let effect_at = signal.created_ms / 1000 + action.delay_seconds();
        self.shop.apply(action, effect_at);
        self.under_way.push(UnderWay { hands, signal, effect_at });
    }

    fn finish(&mut self, work: &UnderWay) -> Result<(), DemoError> {
        work.hands.succeeded(&work.signal, "took effect in the shop")?;
        let signal = self.until(work.signal.id, |signal| signal.state == SignalState::Succeeded)?;
        Ok(self.screen.signal(&signal)?)
    }

    /// Waits until the bus has heard what a controller said; gives that revision.
    fn until(
        &mut self,
        id: Id,
        heard: impl Fn(&RemediationSignal) -> bool,
    ) -> Result<RemediationSignal, DemoError> {
        loop {
            match self
                .observations
                .recv_timeout(PATIENCE)
                .map_err(|_| DemoError::Silent("it does not hear a controller"))?
            {
                Observation::Effect(Effect::Bus(bus::Effect::Signal(signal)))
                    if signal.id == id && heard(&signal) =>
                {
                    return Ok(signal);
                }
                Observation::Effect(effect) => self.effect(effect)?,
                Observation::Taken(source, next) => {
                    self.taken.insert(source, next);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use foreshock_core::bus::{BusConfig, Policy};

    use super::POLICIES;

    #[test]
    fn the_policies_are_valid() {
        let policies: Vec<Policy> = serde_yaml_ng::from_str(POLICIES).unwrap();
        BusConfig { policies, ..BusConfig::default() }.check().unwrap();
    }
}
