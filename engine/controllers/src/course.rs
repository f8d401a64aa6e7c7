//! What a hand at work knows of its lease, and what it says meanwhile.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Ended;

/// What is called when work begins.
type Begin = Box<dyn Fn() + Send + Sync>;

/// The way of one order, shared by the thread that carries it out and the session.
pub struct Course {
    state: Mutex<State>,
    changed: Condvar,
    /// Called right before the first change.
    begin: Begin,
    /// Time between looks at what is under way.
    every: Duration,
    /// When nobody waits any longer.
    until: Instant,
}

#[derive(Debug)]
struct State {
    fencing_token: u64,
    leased: bool,
    /// Why it is no longer wanted.
    cancelled: Option<String>,
    /// Whether something was, or is about to be, changed.
    acted: bool,
    doing: String,
    /// Whether the process ends.
    ending: bool,
}

impl Course {
    /// A course under a lease; `begin` is called right before the first change.
    pub fn new(fencing_token: u64, every: Duration, within: Duration, begin: Begin) -> Course {
        let doing = "at work".to_string();
        let state =
            State { fencing_token, leased: true, cancelled: None, acted: false, doing, ending: false };
        let until = Instant::now() + within;
        Course { state: Mutex::new(state), changed: Condvar::new(), begin, every, until }
    }

    // What the hand asks and says.

    /// To be asked right before each change: whether it may still be made. From then on it counts as begun.
    pub fn may_act(&self) -> Result<(), Ended> {
        let mut state = self.state();
        if let Some(why) = &state.cancelled {
            let words = format!("cancelled before anything was changed: {why}");
            return Err(if state.acted { Ended::Unknown(why.clone()) } else { Ended::Failed(words) });
        }
        if !state.leased || state.ending {
            return Err(Ended::Later("the lease was lost before anything was changed".to_string()));
        }
        if !state.acted {
            state.acted = true;
            (self.begin)();
        }
        Ok(())
    }

    /// The token of the latest lease.
    pub fn fencing_token(&self) -> u64 {
        self.state().fencing_token
    }

    /// Says what is being done, with the next renewal of the lease.
    pub fn say(&self, words: impl Into<String>) {
        self.state().doing = words.into();
    }

    /// Waits until it is worth looking again. Fails once nobody waits any longer: what is under way goes on then.
    pub fn rest(&self) -> Result<(), Ended> {
        self.pause(self.every)
    }

    /// Waits for so long, or until the course changes.
    pub fn pause(&self, time: Duration) -> Result<(), Ended> {
        let state = self.state();
        let cancelled = state.cancelled.is_some();
        let calm = |state: &mut State| !state.ending && state.cancelled.is_some() == cancelled;
        let waited = self.changed.wait_timeout_while(state, time, calm);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= self.until {
            let doing = &state.doing;
            return Err(Ended::Unknown(format!("it did not end within `follow.within`; last seen: {doing}")));
        }
        Ok(())
    }

    // What the session tells.

    /// The lease was granted anew: to us, who are at work on it. Gives whether something was changed already.
    pub(super) fn renewed(&self, fencing_token: u64) -> bool {
        let mut state = self.state();
        (state.fencing_token, state.leased) = (fencing_token, true);
        state.acted
    }

    /// The lease is lost.
    pub(super) fn lost(&self) {
        self.state().leased = false;
    }

    /// It is no longer wanted.
    pub(super) fn cancel(&self, why: String) {
        self.state().cancelled = Some(why);
        self.changed.notify_all();
    }

    /// The process ends: nothing more may be changed. Gives whether something was.
    pub(super) fn end(&self) -> bool {
        let mut state = self.state();
        state.ending = true;
        self.changed.notify_all();
        state.acted
    }

    /// What is being done, if we hold the lease.
    pub(super) fn doing(&self) -> Option<(u64, String)> {
        let state = self.state();
        state.leased.then(|| (state.fencing_token, state.doing.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A hand that panicked held nothing half-written: every change here is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    fn course() -> Course {
        Course::new(3, Duration::from_millis(1), Duration::from_secs(60), Box::new(|| {}))
    }

    #[test]
    fn work_begins_once_and_right_before_the_first_change() {
        let begun = Arc::new(AtomicU32::new(0));
        let count = begun.clone();
        let begin = Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let course = Course::new(3, Duration::from_millis(1), Duration::from_secs(60), begin);
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        course.may_act().unwrap();
        course.may_act().unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nothing_is_changed_after_a_cancel_or_without_a_lease() {
        let cancelled = course();
        cancelled.cancel("no longer needed".to_string());
        assert!(matches!(cancelled.may_act(), Err(Ended::Failed(_))));
        let lost = course();
        lost.lost();
        assert!(matches!(lost.may_act(), Err(Ended::Later(_))));
        lost.renewed(4);
        assert_eq!((lost.may_act(), lost.fencing_token()), (Ok(()), 4));
        let ending = course();
        assert!(!ending.end());
        assert!(matches!(ending.may_act(), Err(Ended::Later(_))));
    }

    #[test]
    fn what_was_changed_before_a_cancel_is_not_denied() {
        let course = course();
        course.may_act().unwrap();
        course.cancel("no longer needed".to_string());
        assert!(matches!(course.may_act(), Err(Ended::Unknown(_))));
        assert!(course.end());
    }

    #[test]
    fn waiting_ends() {
        let course = Course::new(1, Duration::from_millis(1), Duration::ZERO, Box::new(|| {}));
        course.say("pods come up");
        let Err(Ended::Unknown(words)) = course.rest() else { panic!("it waits for ever") };
        assert!(words.contains("pods come up"), "{words}");
    }
}
