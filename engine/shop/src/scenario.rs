//! What goes wrong in the shop and when: the plan that a run is given, and the ground truth that it
//! leaves beside what the engine found.

/// A kind of trouble, or of something that only looks like trouble. Each has its place in the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A new version of `user` that works.
    HarmlessDeploy,
    /// A new version of `payment` that fails and is slow, and takes its callers with it.
    BadDeploy,
    /// The pods of `catalogue` use more and more memory until they are killed.
    MemoryLeak,
    /// Twice the usual customers; everything keeps up.
    Surge,
    /// `shipping` logs errors while all its metrics stay as they were.
    LogFailure,
    /// The inputs of the model in `recommendation` move away from what it was trained on.
    ModelDrift,
}

impl FaultKind {
    /// A short name for people.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::HarmlessDeploy => "harmless deploy",
            FaultKind::BadDeploy => "bad deploy",
            FaultKind::MemoryLeak => "memory leak",
            FaultKind::Surge => "traffic surge",
            FaultKind::LogFailure => "log-only failure",
            FaultKind::ModelDrift => "model drift",
        }
    }

    /// The service where it starts; none for what touches all alike.
    pub fn service(self) -> Option<&'static str> {
        match self {
            FaultKind::HarmlessDeploy => Some("user"),
            FaultKind::BadDeploy => Some("payment"),
            FaultKind::MemoryLeak => Some("catalogue"),
            FaultKind::Surge => None,
            FaultKind::LogFailure => Some("shipping"),
            FaultKind::ModelDrift => Some("recommendation"),
        }
    }

    /// Whether a person should be called.
    pub fn should_page(self) -> bool {
        !matches!(self, FaultKind::HarmlessDeploy | FaultKind::Surge)
    }

    /// What there is to see, in words.
    pub fn expect(self) -> &'static str {
        match self {
            FaultKind::HarmlessDeploy => "a change of user and restarted counters; nothing gets worse",
            FaultKind::BadDeploy => "errors and latency of payment, then of checkout and frontend",
            FaultKind::MemoryLeak => "memory of catalogue climbs, later its latency",
            FaultKind::Surge => "twice the requests of every service; error ratio and latency unchanged",
            FaultKind::LogFailure => "a new error template and more warnings of shipping; no metric moves",
            FaultKind::ModelDrift => "input means and prediction scores of the recommendation model move",
        }
    }
}

/// Ground truth about one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// The service where it starts; none for what touches all alike.
    pub service: Option<&'static str>,
    /// Unix seconds at which it starts; may lie ahead.
    pub start: i64,
    /// Unix seconds at which it was over; none while it is ahead or goes on.
    pub end: Option<i64>,
    /// What there is to see, in words.
    pub expect: &'static str,
    /// Whether a person should be called.
    pub should_page: bool,
}

impl Fault {
    pub(super) fn planned(kind: FaultKind, start: i64) -> Fault {
        let (service, expect, should_page) = (kind.service(), kind.expect(), kind.should_page());
        Fault { kind, service, start, end: None, expect, should_page }
    }
}

/// One fault of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it is.
    pub kind: FaultKind,
    /// Seconds from the end of the warm-up to its start.
    pub after: i64,
    /// Seconds that it lasts: exactly for a surge and a log-only failure; for a memory leak until the
    /// first pod is full; for a drift until it has moved all the way. A deploy does not use it.
    pub lasts: i64,
}

/// What happens after the warm-up. Each kind may appear once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The faults, by start.
    pub plans: Vec<Plan>,
    /// Seconds from the end of the warm-up to the end of the run.
    pub length: i64,
}

impl Scenario {
    /// All six kinds with at least ten quiet minutes between them: about three hours.
    pub fn full() -> Scenario {
        let plan = |kind, after, lasts| Plan { kind, after, lasts };
        Scenario {
            plans: vec![
                plan(FaultKind::HarmlessDeploy, 600, 0),
                plan(FaultKind::BadDeploy, 720, 0),
                plan(FaultKind::MemoryLeak, 2_400, 2_400),
                plan(FaultKind::Surge, 5_700, 900),
                plan(FaultKind::LogFailure, 7_500, 600),
                plan(FaultKind::ModelDrift, 9_000, 900),
            ],
            length: 11_000,
        }
    }

    /// Nothing but ordinary traffic for this many seconds after the warm-up.
    pub fn quiet(length: i64) -> Scenario {
        Scenario { plans: Vec::new(), length }
    }

    /// One fault alone: it starts ten minutes after the warm-up and the run ends `length` seconds
    /// after the warm-up. `lasts` as in [`Scenario::full`].
    pub fn only(kind: FaultKind, length: i64) -> Scenario {
        let full = Scenario::full();
        let plans = full.plans.iter().filter(|plan| plan.kind == kind);
        Scenario { plans: plans.map(|plan| Plan { after: 600, ..*plan }).collect(), length }
    }
}

/// What a controller does to the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Puts a service back to this version, one pod per tick.
    Rollback {
        /// The service's name.
        service: String,
        /// The version that all its pods shall run.
        to_version: String,
    },
    /// Replaces the pods of a service, one per tick, and keeps the version.
    Restart {
        /// The service's name.
        service: String,
    },
    /// Trains a model on what it sees now, and puts it into service.
    Retrain {
        /// The model's name: [`MODEL`](super::MODEL).
        model: String,
    },
}

impl Action {
    /// Seconds from the decision to the effect in a real shop. [`Shop::apply`](super::Shop::apply)
    /// takes the time of the effect, so a caller adds this.
    pub fn delay_seconds(&self) -> i64 {
        match self {
            Action::Rollback { .. } | Action::Restart { .. } => 60,
            Action::Retrain { .. } => 300,
        }
    }
}
