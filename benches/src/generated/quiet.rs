//! Episodes on a clean fleet for a false-alarm budget: as the scores themselves say, and with the pooled tail.

use foreshock_detectors::{CoreBank, CoreConfig, Frame, Scores, SeriesBank, TailPool};

use super::fleet::{DAY, Fleet, Weekends};

/// Days that are not counted: two weeks, after which every season speaks.
const LEARN: usize = 14;
/// Ticks of calm after which an episode is a new one.
const CALM: usize = 12;
/// Days that the pool remembers.
const MEMORY: f64 = 7.0;

/// Episodes per day for one budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    /// Episodes per day that were allowed.
    pub budget: f64,
    /// Episodes per day when a series speaks at the −ln p that would give the budget, were it right.
    pub at_its_word: f64,
    /// Episodes per day at the pooled tail's threshold of the day before.
    pub pooled: f64,
}

/// One budget's two rules: the last tick at which each slot spoke, and the episodes.
struct Rule {
    last: Vec<usize>,
    episodes: usize,
}

impl Rule {
    fn tick(&mut self, tick: usize, nlp: &[f64], threshold: f64, counted: bool) {
        for (last, _) in self.last.iter_mut().zip(nlp).filter(|(_, nlp)| **nlp >= threshold) {
            let fresh = *last == 0 || tick - *last > CALM;
            self.episodes += usize::from(fresh && counted);
            *last = tick;
        }
    }
}

/// Runs a clean fleet for `days` after the two weeks that are not counted.
pub fn spend(series: usize, seed: u64, weekends: Weekends, days: usize, budgets: &[f64]) -> Vec<Spent> {
    let mut fleet = Fleet::new(series, seed, weekends);
    let mut bank = CoreBank::new(CoreConfig::default(), series);
    let mut out = Scores::new(series);
    let mut pool = TailPool::new(MEMORY * DAY as f64);
    let mut values = Vec::new();
    let rule = || Rule { last: vec![0; series], episodes: 0 };
    let mut rules: Vec<(Rule, Rule, f64)> = budgets.iter().map(|_| (rule(), rule(), f64::INFINITY)).collect();
    for tick in 0..(LEARN + days) * DAY {
        let time = fleet.next(&mut values);
        bank.advance(&Frame { time, values: &values }, &mut out);
        let counted = tick >= LEARN * DAY;
        for ((plain, pooled, threshold), budget) in rules.iter_mut().zip(budgets) {
            let per_tick = budget / DAY as f64;
            if tick % DAY == 0 {
                *threshold = pool.threshold(series, per_tick);
            }
            plain.tick(tick, &out.nlp, (series as f64 / per_tick).ln(), counted);
            pooled.tick(tick, &out.nlp, *threshold, counted);
        }
        pool.learn(&out.nlp, &out.warm);
    }
    let per_day = |rule: &Rule| rule.episodes as f64 / days as f64;
    let spent = rules.iter().zip(budgets).map(|((plain, pooled, _), budget)| Spent {
        budget: *budget,
        at_its_word: per_day(plain),
        pooled: per_day(pooled),
    });
    spent.collect()
}
