//! Whatever starts a job and follows it to its end.
//!
//! ```text
//! find ── found ──────────────────────────────┐
//!   └─ none ── start ── started ──────────────┴─ look … look ── outcome
//!                └── no answer ── find …  none: start again where names are unique, else unknown
//! ```
//!
//! A job is known at its target by the signal's id, so that it is found after a crash of ours between start and report.
//!
//! * `rest`: HTTP, and what its answers mean
//! * `airflow`, `argo_workflows`, `kubeflow`, `mlflow`: what trains · `github`, `gitlab`, `jenkins`: what builds · `webhook`: anything else

pub(super) mod airflow;
pub(super) mod argo_workflows;
pub(super) mod github;
pub(super) mod gitlab;
pub(super) mod jenkins;
pub(super) mod kubeflow;
pub(super) mod mlflow;
pub(super) mod rest;
pub(super) mod webhook;

use std::time::Duration;

use super::{Course, Ended, Hand, Order};

/// How long a job that may have been started is looked for where it takes time to show.
const SHOWS_WITHIN: Duration = Duration::from_secs(60);

/// Starts jobs of one sort.
pub(super) trait Starter: Send + Sync {
    /// What is needed to ask for a job again.
    type Job;

    /// The job that was started for an order, if it was.
    fn find(&self, order: &Order) -> Result<Option<Self::Job>, Trouble>;

    /// What would start it, in words and as it would be sent.
    fn describe(&self, order: &Order) -> Result<String, Ended>;

    /// Starts it.
    fn start(&self, order: &Order) -> Result<Self::Job, Trouble>;

    /// How it stands.
    fn look(&self, job: &Self::Job) -> Result<State, Trouble>;

    /// What the target says of a second start for one order.
    fn repeats(&self) -> Repeats;
}

/// What a target says of a second start for one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// It refuses it, or takes both as one.
    Refused,
    /// It would start another; what it started shows at once.
    Shown,
    /// It would start another; what it started may take a while to show.
    ShownLater,
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is at work.
    Running(String),
    /// It ended well.
    Succeeded(String),
    /// It ended badly.
    Failed(String),
    /// It ended, or is gone, and nobody can tell how.
    Unknown(String),
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody was asked, or not now.
    Unreachable(String),
    /// It was asked, and what became of it is not known.
    Unanswered(String),
    /// The target says no.
    Refused(String),
    /// There is one for this order already.
    Exists,
    /// The work ends before anything is asked.
    Ended(Ended),
}

impl From<Ended> for Trouble {
    fn from(ended: Ended) -> Trouble {
        Trouble::Ended(ended)
    }
}

/// A hand that starts jobs.
pub(super) struct Jobs<S>(pub(super) S);

impl<S: Starter> Jobs<S> {
    /// The job of an order: the one that there is, or a new one.
    fn job(&self, order: &Order, course: &Course) -> Result<S::Job, Ended> {
        let starter = &self.0;
        if let Some(job) = self.found(order)? {
            return Ok(job);
        }
        if order.may_have_begun() && starter.repeats() == Repeats::ShownLater {
            return self.shown(order, course, "an earlier lease may have started a job");
        }
        course.say(starter.describe(order)?);
        course.may_act()?;
        match starter.start(order) {
            Ok(job) => Ok(job),
            Err(Trouble::Ended(ended)) => Err(ended),
            Err(Trouble::Refused(why)) => Err(Ended::Failed(why)),
            Err(Trouble::Unreachable(why)) => Err(Ended::Later(why)),
            Err(Trouble::Exists) => self.shown(order, course, "there is one for this signal already"),
            Err(Trouble::Unanswered(why)) => self.after_silence(order, course, &why),
        }
    }

    fn found(&self, order: &Order) -> Result<Option<S::Job>, Ended> {
        self.0.find(order).map_err(|trouble| {
            let begun = order.may_have_begun();
            match trouble {
                Trouble::Ended(ended) => ended,
                Trouble::Refused(why) if !begun => Ended::Failed(why),
                Trouble::Unreachable(why) | Trouble::Unanswered(why) => Ended::Later(why),
                Trouble::Refused(why) => {
                    Ended::Unknown(format!("whether a job was started before cannot be seen: {why}"))
                }
                Trouble::Exists => Ended::Later("it is being started".to_string()),
            }
        })
    }

    /// After a start without an answer: the job that it started, or another start where that is safe.
    fn after_silence(&self, order: &Order, course: &Course, why: &str) -> Result<S::Job, Ended> {
        tracing::warn!(signal = %order.signal.id, why, "no answer to a start: looking for the job");
        course.rest()?;
        match self.0.repeats() {
            Repeats::ShownLater => self.shown(order, course, why),
            Repeats::Shown => self.shown_now(order, why),
            Repeats::Refused => {
                if let Ok(Some(job)) = self.0.find(order) {
                    return Ok(job);
                }
                match self.0.start(order) {
                    Ok(job) => Ok(job),
                    Err(Trouble::Exists) => self.shown(order, course, why),
                    Err(_) => Err(Ended::Unknown(format!("whether a job was started is not known: {why}"))),
                }
            }
        }
    }

    fn shown_now(&self, order: &Order, why: &str) -> Result<S::Job, Ended> {
        let found = self.0.find(order);
        found
            .ok()
            .flatten()
            .ok_or_else(|| Ended::Unknown(format!("whether a job was started is not known: {why}")))
    }

    /// Waits for a job that may be there to show.
    fn shown(&self, order: &Order, course: &Course, why: &str) -> Result<S::Job, Ended> {
        let until = std::time::Instant::now() + SHOWS_WITHIN;
        while std::time::Instant::now() < until {
            if let Ok(Some(job)) = self.0.find(order) {
                return Ok(job);
            }
            course.rest()?;
        }
        Err(Ended::Unknown(format!("{why}, but none shows for signal {}", order.signal.id)))
    }

    fn follow(&self, job: &S::Job, course: &Course) -> Result<Ended, Ended> {
        loop {
            match self.0.look(job) {
                Ok(State::Succeeded(words)) => return Ok(Ended::Done(words)),
                Ok(State::Failed(words)) => return Ok(Ended::Failed(words)),
                Ok(State::Unknown(words)) => return Ok(Ended::Unknown(words)),
                Ok(State::Running(words)) => course.say(words),
                Err(Trouble::Ended(ended)) => return Err(ended),
                Err(Trouble::Refused(why)) => {
                    return Ok(Ended::Unknown(format!(
                        "the job was started, and cannot be seen any more: {why}"
                    )));
                }
                // It is watched on: what was started goes on.
                Err(Trouble::Unreachable(why) | Trouble::Unanswered(why)) => {
                    course.say(format!("the job was started; how it goes cannot be seen: {why}"));
                }
                Err(Trouble::Exists) => {}
            }
            course.rest()?;
        }
    }
}

impl<S: Starter> Hand for Jobs<S> {
    fn carry_out(&self, order: &Order, course: &Course) -> Result<Ended, Ended> {
        if order.rehearsal {
            return Err(Ended::Rehearsed(self.0.describe(order)?));
        }
        let job = self.job(order, course)?;
        self.follow(&job, course)
    }
}
