//! Several threads for what is independent: the shards of a tick. Results come in the shards' order, so that the number of
//! threads changes nothing but time.

use rayon::{
    ThreadPool, ThreadPoolBuilder,
    iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator},
};

/// How many threads, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadsConfig {
    /// Threads that close shards, 1 or more; with 1 it is done where the event is taken.
    pub count: usize,
    /// Samples that a tick must have for more than one thread to pay.
    pub from_samples: usize,
}

impl Default for ThreadsConfig {
    fn default() -> ThreadsConfig {
        ThreadsConfig { count: 1, from_samples: 1000 }
    }
}

/// The threads, or none beside the caller's.
#[derive(Debug)]
pub(super) struct Threads {
    pool: Option<ThreadPool>,
    from_samples: usize,
}

impl Threads {
    /// Starts them. Where the system gives none, the caller's does all: the results are the same.
    pub(super) fn new(config: ThreadsConfig) -> Threads {
        let named = |index: usize| format!("shards-{index}");
        let start = || ThreadPoolBuilder::new().num_threads(config.count).thread_name(named).build().ok();
        let pool = if config.count > 1 { start() } else { None };
        Threads { pool, from_samples: config.from_samples }
    }

    /// Does the same with every item, given its index; the results are in the order of the items.
    pub(super) fn each<T: Send, R: Send>(
        &self,
        items: &mut [T],
        samples: usize,
        work: impl Fn(usize, &mut T) -> R + Sync,
    ) -> Vec<R> {
        match &self.pool {
            Some(pool) if samples >= self.from_samples => pool.install(|| {
                items.par_iter_mut().enumerate().map(|(index, item)| work(index, item)).collect()
            }),
            _ => items.iter_mut().enumerate().map(|(index, item)| work(index, item)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whichever_thread_had_them() {
        for count in 1..=4 {
            let threads = Threads::new(ThreadsConfig { count, from_samples: 10 });
            for samples in [9, 10] {
                let mut items: Vec<usize> = (0..100).collect();
                let work = |index: usize, item: &mut usize| {
                    *item += 1;
                    (index, *item, std::thread::current().name().unwrap_or_default().starts_with("shards-"))
                };
                let results = threads.each(&mut items, samples, work);
                let elsewhere = count > 1 && samples >= 10;
                assert!(results.iter().zip(0..).all(|(r, index)| *r == (index, index + 1, elsewhere)));
                assert!(items.iter().zip(1..).all(|(item, expected)| *item == expected));
            }
        }
    }
}
