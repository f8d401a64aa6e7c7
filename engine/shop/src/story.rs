//! The scenario as it unfolds: sets the pods' health before each tick's traffic, rolls versions out,
//! lets actions take effect, and keeps the ground truth.

use super::fleet::{Fleet, Health};
use super::logs::{Lines, write};
use super::noise::{Noise, smooth};
use super::scenario::{Action, Fault, FaultKind, Scenario};
use super::topology::{CATALOGUE, PAYMENT, SERVICES, SHIPPING, Severity, Template, USER};
use super::walk::Place;
use super::{BAD_VERSION, HARMLESS_VERSION, MODEL};

const BAD_HEALTH: Health = Health {
    slow: 6.0,
    failing: 0.3,
    complaint: "gateway handshake failed for merchant {n}: certificate chain is not trusted",
};

const LABEL_TROUBLE: [(f64, Template); 2] = [
    (
        0.12,
        Template {
            severity: Severity::Error,
            text: "label printer rejected address of order {order}: unknown postcode {postcode}",
        },
    ),
    (0.12, Template { severity: Severity::Warn, text: "label of order {order} parked for manual review" }),
];

/// A change that the shop announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: i64,
    pub(super) kind: ChangeKind,
    pub(super) service: &'static str,
    pub(super) version: String,
    pub(super) previous: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Upgraded,
    RolledBack,
    /// A new version of the model in the service.
    ModelDeployed,
}

#[derive(Clone, Debug)]
struct Rollout {
    service: usize,
    version: String,
    next_pod: usize,
}

/// The state of the scenario.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) faults: Vec<Fault>,
    lasts: Vec<i64>,
    begun: Vec<bool>,
    finish: i64,
    actions: Vec<(i64, Action)>,
    rollouts: Vec<Rollout>,
    model_version: u32,
}

impl Story {
    /// The story of a scenario whose warm-up ends at `warm`.
    pub(super) fn new(scenario: &Scenario, warm: i64) -> Story {
        let plans = &scenario.plans;
        Story {
            faults: plans.iter().map(|plan| Fault::planned(plan.kind, warm + plan.after)).collect(),
            lasts: plans.iter().map(|plan| plan.lasts).collect(),
            begun: vec![false; plans.len()],
            finish: warm + scenario.length,
            actions: Vec::new(),
            rollouts: Vec::new(),
            model_version: 7,
        }
    }

    pub(super) fn finish(&self) -> i64 {
        self.finish
    }

    /// Notes an action that takes effect at `at`.
    pub(super) fn plan_action(&mut self, action: Action, at: i64) {
        self.actions.push((at, action));
        self.actions.sort_by_key(|(at, _)| *at);
    }

    /// Moves the story into the tick that starts at `now`, and gives what is announced in it.
    pub(super) fn advance(
        &mut self,
        now: i64,
        tick: i64,
        fleet: &mut Fleet,
        noise: &mut Noise,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for index in 0..self.faults.len() {
            let fault = &self.faults[index];
            if !self.begun[index] && fault.start < now + tick {
                self.begun[index] = true;
                changes.extend(self.begin(index, fleet));
            }
        }
        while self.actions.first().is_some_and(|(at, _)| *at < now + tick) {
            let (at, action) = self.actions.remove(0);
            changes.extend(self.act(at.max(now), action, fleet));
        }
        self.roll_out(now, fleet, noise);
        self.leak(now, tick, fleet);
        self.end_what_is_over(now, fleet);
        for (service, pods) in fleet.pods.iter_mut().enumerate() {
            for pod in pods {
                let bad = service == PAYMENT && pod.version == BAD_VERSION;
                let health = if bad { BAD_HEALTH } else { Health::GOOD };
                pod.health = health.and_slower(pod.memory_pressure(&SERVICES[service]));
            }
        }
        changes
    }

    /// Factor on the traffic at `now`.
    pub(super) fn surge(&self, now: i64) -> f64 {
        self.running(FaultKind::Surge).map_or(1.0, |index| {
            let length = self.lasts[index] as f64;
            let since = (now - self.faults[index].start) as f64;
            let up = smooth(since, 0.0, length / 4.0);
            let down = smooth(since, 0.75 * length, length);
            1.0 + up * (1.0 - down)
        })
    }

    /// How far the model's inputs have moved: 0 not at all, 1 all the way.
    pub(super) fn drift(&self, now: i64) -> f64 {
        self.running(FaultKind::ModelDrift).map_or(0.0, |index| {
            let since = (now - self.faults[index].start) as f64;
            smooth(since, 0.0, self.lasts[index] as f64)
        })
    }

    /// Writes the lines of a log-only failure, in proportion to what shipping does.
    pub(super) fn complain(&self, fleet: &Fleet, lines: &mut Lines, noise: &mut Noise, tick_ms: f64) {
        if self.running(FaultKind::LogFailure).is_none() {
            return;
        }
        for (pod, state) in fleet.pods[SHIPPING].iter().enumerate() {
            for (share, template) in &LABEL_TROUBLE {
                for _ in 0..noise.count(share * f64::from(state.tick.requests)) {
                    write(lines, noise, Place { service: SHIPPING, pod }, template, tick_ms);
                }
            }
        }
    }

    fn running(&self, kind: FaultKind) -> Option<usize> {
        let mut indices = 0..self.faults.len();
        indices.find(|&index| {
            self.begun[index] && self.faults[index].kind == kind && self.faults[index].end.is_none()
        })
    }

    fn begin(&mut self, index: usize, fleet: &Fleet) -> Option<Change> {
        let at = self.faults[index].start;
        match self.faults[index].kind {
            FaultKind::HarmlessDeploy => self.deploy(at, USER, HARMLESS_VERSION, ChangeKind::Upgraded, fleet),
            FaultKind::BadDeploy => self.deploy(at, PAYMENT, BAD_VERSION, ChangeKind::Upgraded, fleet),
            FaultKind::MemoryLeak | FaultKind::Surge | FaultKind::LogFailure | FaultKind::ModelDrift => None,
        }
    }

    fn act(&mut self, at: i64, action: Action, fleet: &Fleet) -> Option<Change> {
        let place = |name: &str| SERVICES.iter().position(|service| service.name == name);
        match action {
            Action::Rollback { service, to_version } => {
                let service = place(&service)?;
                let runs = |version: &str| fleet.pods[service].iter().all(|pod| pod.version == version);
                if runs(&to_version) && !self.rollouts.iter().any(|rollout| rollout.service == service) {
                    return None;
                }
                self.deploy(at, service, &to_version, ChangeKind::RolledBack, fleet)
            }
            Action::Restart { service } => {
                let service = place(&service)?;
                let version = fleet.pods[service][0].version.clone();
                self.deploy(at, service, &version, ChangeKind::Upgraded, fleet);
                None
            }
            Action::Retrain { model } => self.retrain(at, &model),
        }
    }

    fn deploy(
        &mut self,
        at: i64,
        service: usize,
        version: &str,
        kind: ChangeKind,
        fleet: &Fleet,
    ) -> Option<Change> {
        let previous = fleet.pods[service][0].version.clone();
        self.rollouts.retain(|rollout| rollout.service != service);
        self.rollouts.push(Rollout { service, version: version.to_owned(), next_pod: 0 });
        Some(Change { at, kind, service: SERVICES[service].name, version: version.to_owned(), previous })
    }

    fn retrain(&mut self, at: i64, model: &str) -> Option<Change> {
        if model != MODEL {
            return None;
        }
        if let Some(index) = self.running(FaultKind::ModelDrift) {
            self.faults[index].end = Some(at);
        }
        let previous = self.model_version.to_string();
        self.model_version += 1;
        let version = self.model_version.to_string();
        let service = FaultKind::ModelDrift.service()?;
        Some(Change { at, kind: ChangeKind::ModelDeployed, service, version, previous })
    }

    /// Every rollout replaces one pod per tick.
    fn roll_out(&mut self, now: i64, fleet: &mut Fleet, noise: &mut Noise) {
        for rollout in &mut self.rollouts {
            let service = &SERVICES[rollout.service];
            let pod = &mut fleet.pods[rollout.service][rollout.next_pod];
            pod.replace(service, &rollout.version, now, noise);
            rollout.next_pod += 1;
        }
        self.rollouts.retain(|rollout| rollout.next_pod < SERVICES[rollout.service].pods);
    }

    /// Pods that have run since the leak began lose memory; a full one is killed and starts again.
    fn leak(&mut self, now: i64, tick: i64, fleet: &mut Fleet) {
        let Some(index) = self.running(FaultKind::MemoryLeak) else { return };
        let service = &SERVICES[CATALOGUE];
        let per_tick =
            (service.memory_limit_mib() - service.memory_mib) / self.lasts[index] as f64 * tick as f64;
        for (place, pod) in fleet.pods[CATALOGUE].iter_mut().enumerate() {
            if pod.started > self.faults[index].start {
                continue;
            }
            pod.leaked_mib += per_tick * (1.0 - 0.03 * place as f64);
            if pod.memory_mib(service) >= service.memory_limit_mib() {
                pod.restart(now);
            }
        }
    }

    fn end_what_is_over(&mut self, now: i64, fleet: &Fleet) {
        for index in 0..self.faults.len() {
            let fault = &self.faults[index];
            if !self.begun[index] || fault.end.is_some() {
                continue;
            }
            let rolling = |service| self.rollouts.iter().any(|rollout| rollout.service == service);
            let over = match fault.kind {
                FaultKind::HarmlessDeploy => !rolling(USER),
                FaultKind::BadDeploy => {
                    !rolling(PAYMENT) && fleet.pods[PAYMENT].iter().all(|pod| pod.version != BAD_VERSION)
                }
                FaultKind::MemoryLeak => fleet.pods[CATALOGUE].iter().all(|pod| pod.started > fault.start),
                FaultKind::Surge | FaultKind::LogFailure => now >= fault.start + self.lasts[index],
                FaultKind::ModelDrift => false,
            };
            if over {
                self.faults[index].end = Some(now);
            }
        }
    }
}
