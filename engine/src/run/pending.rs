//! Records that were handed to the producer and of which nothing was heard yet, and a wait for none.
//!
//! In place of the client's own flush, which looks again and again without rest.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How many there are. Shared by who sends and by who hears of deliveries.
#[derive(Debug, Default)]
pub(super) struct Pending {
    records: Mutex<u64>,
    none: Condvar,
}

impl Pending {
    /// One more, before it is handed over: news of it may come at once.
    pub(super) fn begin(&self) {
        *self.records() += 1;
    }

    /// Something was heard of one, or it was not taken.
    pub(super) fn end(&self) {
        let mut records = self.records();
        *records -= 1;
        if *records == 0 {
            self.none.notify_all();
        }
    }

    /// Waits until there are none, `longest` at most; whether there are none.
    pub(super) fn none_within(&self, longest: Duration) -> bool {
        let waited = self.none.wait_timeout_while(self.records(), longest, |records| *records > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }

    fn records(&self) -> MutexGuard<'_, u64> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_wait_ends_with_the_last_record() {
        let pending = Arc::new(Pending::default());
        assert!(pending.none_within(Duration::ZERO));
        pending.begin();
        pending.begin();
        assert!(!pending.none_within(Duration::from_millis(1)));
        pending.end();
        assert!(!pending.none_within(Duration::from_millis(1)));
        let hears = pending.clone();
        let heard = std::thread::spawn(move || hears.end());
        assert!(pending.none_within(Duration::from_secs(60)));
        heard.join().expect("no panic");
    }
}
