//! What goes wrong in an estate and when, and what that does to its services.

use super::estate::{Estate, Role};
use crate::generated::random::Random;

/// A kind of trouble, or of something that only looks like trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A new version that fails and is slow.
    BadDeploy,
    /// Memory climbs until the pods are killed.
    MemoryLeak,
    /// Something else takes the processors.
    CpuHog,
    /// Every statement takes several times as long.
    SlowDatabase,
    /// A service is gone: it refuses connections and tells nothing.
    LostDependency,
    /// The way to a service takes longer.
    NetworkDelay,
    /// A worker does not keep up.
    QueueBacklog,
    /// A changed configuration makes a part of the requests fail.
    ConfigError,
    /// A certificate runs out: only the log tells.
    CertificateExpiry,
    /// A part of a database's requests is far slower.
    HotPartition,
    /// A cache misses, and the databases behind it bear the load.
    CacheStampede,
    /// The inputs of a model move away.
    ModelDrift,
    /// A disk fills until writes fail.
    DiskFull,
    /// More customers; everything keeps up.
    Surge,
    /// A new version that works.
    HarmlessDeploy,
}

impl Kind {
    /// Every kind of trouble.
    pub const TROUBLE: [Kind; 13] = [
        Kind::BadDeploy,
        Kind::MemoryLeak,
        Kind::CpuHog,
        Kind::SlowDatabase,
        Kind::LostDependency,
        Kind::NetworkDelay,
        Kind::QueueBacklog,
        Kind::ConfigError,
        Kind::CertificateExpiry,
        Kind::HotPartition,
        Kind::CacheStampede,
        Kind::ModelDrift,
        Kind::DiskFull,
    ];

    /// Whether nobody should be called.
    pub fn is_benign(self) -> bool {
        matches!(self, Kind::Surge | Kind::HarmlessDeploy)
    }

    fn fits(self, role: Role) -> bool {
        match self {
            Kind::SlowDatabase | Kind::HotPartition | Kind::DiskFull => role == Role::Database,
            Kind::CacheStampede => role == Role::Cache,
            Kind::QueueBacklog => role == Role::Worker,
            Kind::ModelDrift => role == Role::Model,
            _ => role == Role::App,
        }
    }

    fn lasts_s(self) -> i64 {
        match self {
            Kind::MemoryLeak | Kind::DiskFull => 1_500,
            _ => 900,
        }
    }
}

/// One thing that happens; the truth about it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub kind: Kind,
    pub at: usize,
    pub start_s: i64,
    pub end_s: i64,
    /// How bad it is, about 1.
    pub grade: f64,
}

/// What is wrong with a service during a tick.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Factor on its own work.
    pub slow: f64,
    /// Share of its requests that fail by themselves.
    pub failing: f64,
    pub busy: f64,
    /// Share of the memory beyond the usual, of the usual.
    pub memory: f64,
    /// On the way to it, milliseconds.
    pub way_ms: f64,
    pub is_gone: bool,
    /// Share of its requests that take this many times as long.
    pub tail: (f64, f64),
    /// Share of keys that a cache has.
    pub hits: f64,
    /// Share of the usual load that a worker can bear.
    pub pace: f64,
    pub drift: f64,
    pub disk: f64,
    /// Lines beside the usual: severity, text, lines a tick.
    pub lines: Vec<(i32, &'static str, f64)>,
}

/// Share of keys that a cache has when all is well.
pub(super) const USUAL_HITS: f64 = 0.95;

impl Default for Trouble {
    fn default() -> Trouble {
        Trouble {
            slow: 1.0,
            failing: 0.0004,
            busy: 0.0,
            memory: 0.0,
            way_ms: 0.0,
            is_gone: false,
            tail: (0.0, 1.0),
            hits: USUAL_HITS,
            pace: 1.6,
            drift: 0.0,
            disk: 0.55,
            lines: Vec::new(),
        }
    }
}

const ERROR: i32 = 17;
const WARN: i32 = 13;

/// Quiet time between two faults, seconds.
const QUIET_S: i64 = 2_100;

/// Everything that happens after the warm-up, in the order of time.
pub(super) fn plan(estate: &Estate, begin_s: i64, random: &mut Random) -> Vec<Fault> {
    let mut kinds: Vec<Vec<Kind>> = Kind::TROUBLE.iter().map(|kind| vec![*kind]).collect();
    kinds.extend([vec![Kind::Surge], vec![Kind::HarmlessDeploy], vec![Kind::SlowDatabase, Kind::BadDeploy]]);
    for last in (1..kinds.len()).rev() {
        kinds.swap(last, random.whole(0, last + 1));
    }
    let mut faults: Vec<Fault> = Vec::new();
    let mut start_s = begin_s + QUIET_S / 2;
    for together in kinds {
        let first = faults.len();
        for kind in together {
            let far = |at: usize| faults[first..].iter().all(|other| !estate.touched(other.at).contains(&at));
            let fits = |at: &usize| kind.fits(estate.services[*at].role) && estate.usual[*at] >= 2.0;
            let places: Vec<usize> = (0..estate.services.len()).filter(fits).collect();
            let apart: Vec<usize> = places.iter().copied().filter(|at| far(*at)).collect();
            let places = if apart.is_empty() { places } else { apart };
            if places.is_empty() {
                continue;
            }
            let at = places[random.whole(0, places.len())];
            // Seconds within a tick: nothing waits for a round time.
            let start_s = start_s + random.whole(0, 10) as i64;
            let end_s = start_s + kind.lasts_s();
            faults.push(Fault { kind, at, start_s, end_s, grade: random.between(0.7, 1.3) });
        }
        start_s = faults.last().map_or(start_s, |fault| fault.end_s / 10 * 10) + QUIET_S;
    }
    faults
}

/// What the faults do to every service at a time.
pub(super) fn troubles(estate: &Estate, faults: &[Fault], now_s: i64) -> Vec<Trouble> {
    let mut troubles = vec![Trouble::default(); estate.services.len()];
    for fault in faults.iter().filter(|fault| (fault.start_s..fault.end_s).contains(&now_s)) {
        let part = (now_s - fault.start_s) as f64 / (fault.end_s - fault.start_s) as f64;
        let since_s = (now_s - fault.start_s) as f64;
        let (grade, it) = (fault.grade, &mut troubles[fault.at]);
        match fault.kind {
            Kind::BadDeploy => {
                // One pod after the other.
                let rolled = if since_s < 10.0 { 0.5 } else { 1.0 };
                it.failing += 0.15 * grade * rolled;
                it.slow *= 1.0 + 1.5 * grade * rolled;
                it.lines.push((ERROR, "unexpected state {n} of request {id}: no handler", 2.0 * grade));
            }
            Kind::MemoryLeak => {
                it.memory += 1.2 * part;
                it.slow *= 1.0 + (part - 0.6).max(0.0) * 2.0 * grade;
                if part > 0.6 {
                    it.lines.push((WARN, "collector pause of {ms} ms", 1.0));
                }
            }
            Kind::CpuHog => {
                it.busy += 0.4 * grade;
                it.slow *= 1.0 + 1.2 * grade;
            }
            Kind::SlowDatabase => {
                it.slow *= 6.0 * grade;
                it.busy += 0.2;
            }
            Kind::LostDependency => it.is_gone = true,
            Kind::NetworkDelay => it.way_ms += 150.0 * grade,
            Kind::QueueBacklog => {
                it.pace = 0.5 / grade;
                it.slow *= 2.5 * grade;
            }
            Kind::ConfigError => {
                it.failing += 0.4 * grade;
                it.lines.push((ERROR, "missing setting for region {n}, request {id} refused", 4.0));
            }
            Kind::CertificateExpiry => {
                let text = "TLS handshake with {ip} failed: certificate has expired, {n} days ago";
                it.lines.push((ERROR, text, 2.0 * grade));
            }
            Kind::HotPartition => {
                it.tail = (0.15, 10.0 * grade);
                it.busy += 0.25 * grade;
            }
            Kind::CacheStampede => it.hits = 0.35 / grade,
            Kind::ModelDrift => it.drift = grade * (2.0 * part).min(1.0),
            Kind::DiskFull => {
                it.disk += 0.44 * (1.2 * part).min(1.0);
                if part > 0.83 {
                    it.failing += 0.3;
                    it.lines.push((ERROR, "could not extend file {id}: no space left on device", 3.0));
                }
            }
            Kind::Surge | Kind::HarmlessDeploy => {}
        }
    }
    troubles
}
