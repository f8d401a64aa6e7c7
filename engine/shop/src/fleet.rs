//! The pods of the shop and what each has counted since it started. Counters only grow, and start
//! again from zero when a pod is replaced or restarted.

use super::noise::{Noise, smooth};
use super::topology::{SERVICES, Service};

/// Upper bounds of the duration histogram in seconds: those that the semantic conventions advise.
pub(super) const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The pods of every service, in the order of [`SERVICES`].
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) pods: Vec<Vec<Pod>>,
}

/// One pod.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) instance: String,
    pub(super) version: String,
    /// Unix seconds at which its counters were zero.
    pub(super) started: i64,
    /// One entry per operation of the service.
    pub(super) counters: Vec<Counters>,
    pub(super) health: Health,
    pub(super) tick: TickLoad,
    garbage_mib: f64,
    wobble_mib: f64,
    pub(super) leaked_mib: f64,
}

/// Cumulative counters of one operation on one pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) seconds: f64,
    pub(super) buckets: [u64; BOUNDS.len() + 1],
}

impl Counters {
    pub(super) fn count(&mut self, milliseconds: f64, failed: bool) {
        let seconds = milliseconds / 1_000.0;
        self.requests += 1;
        self.errors += u64::from(failed);
        self.seconds += seconds;
        self.buckets[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
    }
}

/// How well a pod works in this tick; set by the story before the traffic comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// Factor on the pod's own work.
    pub(super) slow: f64,
    /// Share of requests that fail beyond the usual ones.
    pub(super) failing: f64,
    /// What those write to the log.
    pub(super) complaint: &'static str,
}

impl Health {
    pub(super) const GOOD: Health = Health { slow: 1.0, failing: 0.0, complaint: "" };

    pub(super) fn and_slower(self, factor: f64) -> Health {
        Health { slow: self.slow * factor, ..self }
    }
}

/// What a pod did in this tick.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TickLoad {
    pub(super) requests: u32,
    pub(super) busy_ms: f64,
    pub(super) query_ms: f64,
}

impl Fleet {
    pub(super) fn new(start: i64, noise: &mut Noise) -> Fleet {
        let pods = SERVICES
            .iter()
            .map(|service| {
                (0..service.pods).map(|_| Pod::new(service, service.version, start, noise)).collect()
            })
            .collect();
        Fleet { pods }
    }

    /// Forgets what the last tick did, and lets memory move on.
    pub(super) fn begin_tick(&mut self, noise: &mut Noise) {
        for pod in self.pods.iter_mut().flatten() {
            pod.garbage_mib += 0.02 * f64::from(pod.tick.requests) + 0.3;
            if pod.garbage_mib > 18.0 + 4.0 * noise.unit() {
                pod.garbage_mib = 2.0 * noise.unit();
            }
            pod.wobble_mib = 0.9 * pod.wobble_mib + 0.8 * noise.normal();
            pod.tick = TickLoad::default();
        }
    }
}

impl Pod {
    fn new(service: &Service, version: &str, started: i64, noise: &mut Noise) -> Pod {
        let set = replica_set(service.name, version);
        let suffix = noise.next() & 0xf_ffff;
        let id = noise.bytes::<16>();
        Pod {
            name: format!("{}-{set:08x}-{suffix:05x}", service.name),
            instance: super::otlp::uuid(id),
            version: version.to_owned(),
            started,
            counters: vec![Counters::default(); service.operations.len()],
            health: Health::GOOD,
            tick: TickLoad::default(),
            garbage_mib: 10.0 * noise.unit(),
            wobble_mib: 0.0,
            leaked_mib: 0.0,
        }
    }

    /// A deployment's way: a new pod with a new name takes the place of this one.
    pub(super) fn replace(&mut self, service: &Service, version: &str, now: i64, noise: &mut Noise) {
        *self = Pod::new(service, version, now, noise);
    }

    /// The kubelet's way: the container starts again under the same name.
    pub(super) fn restart(&mut self, now: i64) {
        self.started = now;
        self.counters.fill(Counters::default());
        self.garbage_mib = 0.0;
        self.leaked_mib = 0.0;
    }

    pub(super) fn memory_mib(&self, service: &Service) -> f64 {
        service.memory_mib + self.garbage_mib + self.wobble_mib + self.leaked_mib
    }

    /// How much slower a nearly full memory makes the pod: 1 up to 60 % of the limit, 4 at the limit.
    pub(super) fn memory_pressure(&self, service: &Service) -> f64 {
        let full = self.memory_mib(service) / service.memory_limit_mib();
        1.0 + 3.0 * smooth(full, 0.6, 1.0)
    }
}

/// The part of a pod's name that all pods of one version share.
fn replica_set(service: &str, version: &str) -> u32 {
    service
        .bytes()
        .chain(version.bytes())
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
