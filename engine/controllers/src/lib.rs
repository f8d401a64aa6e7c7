//! The hands at the ends of the bus: controllers that carry out remediation signals, as `foreshock controller` runs them, and
//! `foreshock-controller`, which is the same in a binary of its own.
//!
//! ```text
//! engine ─ gRPC ─ Session ─ Order ─ Routes ─ Hand ─ the system that is changed
//!                    └──── Course ────────────┘
//! ```
//!
//! * `command`: the command itself
//! * `session`: one subscription after the other; leases, renewals, outcomes that are not lost
//! * `course`: what a hand at work knows of its lease, and what it says meanwhile
//! * `config`: which signals go where · `routes`: the hand of each
//! * `words`: names and parameters, made from a signal
//! * `kubernetes`: workloads and Argo Rollouts · `argo_cd`: applications
//! * `jobs`: whatever starts a job and follows it: workflow engines, ML platforms, CI servers, webhooks
//!
//! A hand is idempotent by signal id at its target: what was begun under an earlier lease is found there and followed, not begun again.
//! Where the target cannot tell, the outcome is *unknown*. Hands run on threads of their own and may block.

mod argo_cd;
pub mod command;
mod config;
mod course;
mod jobs;
mod kubernetes;
mod routes;
mod session;
mod words;

use foreshock_core::types::RemediationSignal;

pub use config::{ControllerConfig, Route, markdown, schema};
pub use course::Course;
pub use routes::{RouteError, Routes};
pub use session::{Gone, News, Session};

/// A signal under a lease.
#[derive(Clone, Debug)]
pub struct Order {
    /// The signal.
    pub signal: RemediationSignal,
    /// Grows with every grant of the signal.
    pub fencing_token: u64,
    /// Whether nothing may be changed: what would be done is said.
    pub rehearsal: bool,
}

impl Order {
    /// Whether somebody began it under an earlier lease, so that it may have been carried out in part or in full.
    pub fn may_have_begun(&self) -> bool {
        self.signal.accepted
    }
}

/// Carries out signals at one kind of target.
pub trait Hand: Send + Sync {
    /// Carries out an order, or says of a rehearsal what it would do. Blocks until that is done, or can be waited for no longer.
    fn carry_out(&self, order: &Order, course: &Course) -> Result<Ended, Ended>;
}

/// How the work on an order ended. As an error: it ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It took effect.
    Done(String),
    /// It did not take effect.
    Failed(String),
    /// Nobody can tell.
    Unknown(String),
    /// It would have been done.
    Rehearsed(String),
    /// Not now: nothing was changed.
    Later(String),
    /// Not by this controller: nothing was changed.
    NotOurs(String),
}

impl Ended {
    /// Its words.
    pub fn words(&self) -> &str {
        match self {
            Ended::Done(words)
            | Ended::Failed(words)
            | Ended::Unknown(words)
            | Ended::Rehearsed(words)
            | Ended::Later(words)
            | Ended::NotOurs(words) => words,
        }
    }
}
