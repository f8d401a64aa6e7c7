//! Those who were refused: counted all, told to the engine one a second at most, for the audit log. Whoever floods us with requests that they
//! may not make fills neither.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use prometheus_client::metrics::counter::Counter;

use crate::api::{Api, Command};

/// Time between two that are told.
const EVERY: Duration = Duration::from_secs(1);
/// Characters of what was asked for that are told.
const MOST: usize = 256;

/// Where refusals are told. Cheap to clone; all clones share one pace.
#[derive(Clone, Debug)]
pub(super) struct Denials {
    count: Counter<u64, AtomicU64>,
    api: Api,
    pace: Arc<Mutex<Pace>>,
}

#[derive(Debug, Default)]
struct Pace {
    /// When the latest was told.
    told: Option<Instant>,
    /// Those since then that were not.
    untold: u64,
}

impl Denials {
    pub(super) fn new(count: Counter<u64, AtomicU64>, api: Api) -> Denials {
        Denials { count, api, pace: Arc::default() }
    }

    /// Somebody was refused.
    pub(super) fn tell(&self, who: &str, what: &str, why: &str) {
        self.count.inc();
        let untold = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            if pace.told.is_some_and(|told| told.elapsed() < EVERY) {
                pace.untold += 1;
                return;
            }
            pace.told = Some(Instant::now());
            std::mem::take(&mut pace.untold)
        };
        let clipped = |text: &str| text.chars().take(MOST).collect();
        let command = Command::Denied { who: clipped(who), what: clipped(what), why: clipped(why), untold };
        // An engine that has stopped writes nothing down.
        self.api.send(command).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_one_of_it_told() {
        let (sender, commands) = crossbeam_channel::unbounded();
        let count = Counter::default();
        let denials = Denials::new(count.clone(), Api::new(sender, Default::default()).0);
        let flood = || (0..500).for_each(|_| denials.clone().tell("eve", &"/x".repeat(500), "may not"));
        flood();
        denials.pace.lock().unwrap().told = Instant::now().checked_sub(EVERY);
        flood();
        assert_eq!(count.get(), 1000);
        let told: Vec<(usize, u64)> = commands
            .try_iter()
            .map(|command| match command {
                Command::Denied { what, untold, .. } => (what.len(), untold),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [(MOST, 0), (MOST, 499)]);
    }
}
