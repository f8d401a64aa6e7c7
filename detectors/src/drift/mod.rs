//! Drift: outcomes of a model whose shares of categories change: right and wrong, or how often its inputs or outputs fall where.
//!
//! Every outcome so far may be the last before a change. For each such place stands the Bayes factor of "other shares since then"
//! against "the same shares all along", with Dirichlet priors: Jeffreys' for the older part, for the newer one a weak prior around the older
//! part's shares. Their sum over all places is the Shiryaev-Roberts statistic (Shiryaev 1963, Roberts 1966; Pollak 1985: no other rule
//! of the same false-alarm rate is told of a change sooner, up to a constant). Without a change its mean grows by one an outcome, so that an alarm at A comes
//! by chance about once in A outcomes or less often: the false-alarm rate is set, not fitted.
//!
//! Places are kept as ADWIN does (Bifet & Gavaldà 2007): buckets whose number grows as the logarithm of the outcomes, the recent past
//! outcome by outcome, the far past by thousands.
//!
//! * `window`: the buckets · `evidence`: the Bayes factors

mod evidence;
mod window;

use crate::bank::score_of;
use crate::columns::{ColumnData, Columns, LoadError};
use crate::kernels::math::ln;
use evidence::Older;
use window::Window;

/// Settings of a detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftConfig {
    /// Outcomes in which one false alarm may come.
    pub false_alarm_every: f64,
    /// Outcomes before a change can be told: what the shares were must be known.
    pub least_before: f64,
    /// Outcomes since a change before it is told: fewer are a streak of bad luck, no drift.
    pub least_since: f64,
    /// Population stability index between both parts below which a change of a mix is none that matters, bias taken out. The trade's rule of
    /// thumb: below 0.1 nothing, from 0.25 on a lot.
    pub least_psi: f64,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self { false_alarm_every: 2e6, least_before: 30.0, least_since: 25.0, least_psi: 0.1 }
    }
}

/// What is said of the outcomes so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DriftScore {
    /// Logarithm of the Shiryaev-Roberts statistic, at least 0.
    pub nlp: f64,
    /// The same in [0, 1), see [`score_of`].
    pub score: f64,
    /// Whether `nlp` reaches the false-alarm rate, and the change matters.
    pub alarm: bool,
    /// Outcomes since the likeliest change; 0 where there is none to speak of.
    pub since: f64,
    /// Population stability index between the outcomes before and since the likeliest change, bias taken out.
    pub psi: f64,
    /// Kolmogorov-Smirnov distance between the same, in [0, 1]: by categories in their order, it says something where they have one.
    pub ks: f64,
    /// Whether enough was seen to tell a change.
    pub warm: bool,
}

/// Logarithm of the Bayes factor from which on a change for the better is taken as the new normal.
const BETTER: f64 = 6.0;

const NAME: &str = "drift";
const VERSION: u32 = 1;

/// A detector for one stream of outcomes.
///
/// Equal outcomes in equal portions give equal output to the bit, wherever the state was saved and loaded in between.
#[derive(Debug, Clone)]
pub struct Drift {
    config: DriftConfig,
    window: Window,
    /// Counts of both parts, used again and again.
    parts: [Vec<f64>; 2],
    /// Whether only rises of the last category are drift.
    is_errors: bool,
}

impl Drift {
    /// A detector of errors that become more frequent. Outcomes are counts of right and of wrong ones; fewer errors are the new normal.
    pub fn of_errors(config: DriftConfig) -> Self {
        Self::new(config, 2, true)
    }

    /// A detector of any change in the shares of so many categories.
    ///
    /// # Panics
    /// When there are fewer than two.
    pub fn of_mix(config: DriftConfig, categories: usize) -> Self {
        assert!(categories >= 2, "one category never changes its share");
        Self::new(config, categories, false)
    }

    fn new(config: DriftConfig, categories: usize, is_errors: bool) -> Self {
        let parts = [vec![0.0; categories], vec![0.0; categories]];
        Self { config, window: Window::new(categories), parts, is_errors }
    }

    /// Outcomes that came at once, by category, and what is to be said now. No counts below zero, nothing that is no number.
    ///
    /// # Panics
    /// When there is not a count for each category.
    pub fn tell(&mut self, counts: &[f64]) -> DriftScore {
        assert_eq!(counts.len(), self.window.categories(), "one count per category");
        if counts.iter().all(|count| *count >= 0.0 && *count < 1e15) && counts.iter().sum::<f64>() > 0.0 {
            self.window.push(counts);
        }
        self.judge()
    }

    /// Forgets everything: the model is another one.
    pub fn begin_anew(&mut self) {
        self.window.clear();
    }

    /// Outcomes that are remembered.
    pub fn outcomes(&self) -> f64 {
        self.window.outcomes()
    }

    fn judge(&mut self) -> DriftScore {
        let [before, since] = &mut self.parts;
        before.copy_from_slice(self.window.totals());
        since.fill(0.0);
        let last = since.len() - 1;
        let all = evidence::all(before);
        let (mut sum, mut best, mut better) = (0.0, (f64::MIN, 0.0, 0.0, 0.0), (BETTER, 0));
        for (index, bucket) in self.window.newest_first() {
            for ((since, before), count) in since.iter_mut().zip(before.iter_mut()).zip(bucket) {
                *since += count;
                *before -= count;
            }
            let (rows_since, rows_before) = (since.iter().sum::<f64>(), before.iter().sum::<f64>());
            if rows_before < self.config.least_before {
                break;
            }
            if rows_since < self.config.least_since {
                continue;
            }
            let is_worse = !self.is_errors || since[last] * rows_before > before[last] * rows_since;
            let factor = Older::new(before).against(since, all);
            if !is_worse {
                if factor > better.0 {
                    better = (factor, index);
                }
                continue;
            }
            // A bucket of many outcomes stands for as many places; overflow is far beyond any alarm.
            sum += bucket.iter().sum::<f64>() * crate::kernels::math::exp(factor.min(300.0));
            if factor > best.0 {
                best = (factor, rows_since, psi(before, since), ks(before, since));
            }
        }
        if better.1 > 0 {
            self.window.forget(better.1);
        }
        let warm = self.window.outcomes() >= self.config.least_before + self.config.least_since;
        if sum <= 1.0 {
            return DriftScore { warm, ..DriftScore::default() };
        }
        let nlp = ln(sum);
        let matters = self.is_errors || best.2 >= self.config.least_psi;
        let alarm = matters && nlp >= ln(self.config.false_alarm_every);
        DriftScore { nlp, score: score_of(nlp), alarm, since: best.1, psi: best.2, ks: best.3, warm }
    }

    /// The state: the level of each bucket, oldest first, and their counts one bucket after the other.
    pub fn parts(&self) -> (Vec<u32>, Vec<f64>) {
        self.window.parts()
    }

    /// Takes what [`Drift::parts`] gave; `false`, and nothing changed, where it cannot be of this detector.
    pub fn restore(&mut self, levels: &[u32], counts: &[f64]) -> bool {
        let restored = Window::from_parts(self.window.categories(), levels, counts);
        restored.map(|window| self.window = window).is_some()
    }

    /// The state as columns: a row per bucket.
    pub fn save(&self) -> Columns {
        let (levels, counts) = self.parts();
        Columns {
            name: NAME.to_owned(),
            version: VERSION,
            rows: levels.len(),
            columns: vec![
                ("level".to_owned(), ColumnData::U32(levels)),
                ("counts".to_owned(), ColumnData::F64(counts)),
            ],
        }
    }

    /// Replaces the state by a saved one.
    ///
    /// # Errors
    /// When the columns are not of this detector; the state is then unchanged.
    pub fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        columns.check(NAME, VERSION)?;
        let categories = self.window.categories();
        let levels = columns.u32(NAME, "level", columns.rows)?;
        let counts = columns.f64(NAME, "counts", columns.rows * categories)?;
        match self.restore(levels, counts) {
            true => Ok(()),
            false => Err(LoadError::Column { bank: NAME, column: "counts".to_owned() }),
        }
    }
}

/// Kolmogorov-Smirnov distance of two sets of counts of ordered categories: how far their distribution functions are apart at most, at the
/// edges of the categories. 0 where one of them is empty.
pub fn ks(before: &[f64], since: &[f64]) -> f64 {
    let (all_before, all_since) = (before.iter().sum::<f64>(), since.iter().sum::<f64>());
    if all_before <= 0.0 || all_since <= 0.0 {
        return 0.0;
    }
    let (mut apart, mut most) = (0.0, 0.0_f64);
    for (before, since) in before.iter().zip(since) {
        apart += since / all_since - before / all_before;
        most = most.max(apart.abs());
    }
    most.min(1.0)
}

/// Population stability index of two sets of counts, half an outcome added to each so that none is nothing, less what it is on average by
/// chance where nothing changed (Yurdakul & Naranjo 2020).
pub fn psi(before: &[f64], since: &[f64]) -> f64 {
    let total = |counts: &[f64]| counts.iter().map(|count| count + 0.5).sum::<f64>();
    let (all_before, all_since) = (total(before), total(since));
    let index: f64 = before
        .iter()
        .zip(since)
        .map(|(before, since)| ((before + 0.5) / all_before, (since + 0.5) / all_since))
        .map(|(before, since)| (since - before) * ln(since / before))
        .sum();
    (index - (before.len() as f64 - 1.0) * (1.0 / all_before + 1.0 / all_since)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::ks;

    #[test]
    fn the_distance_is_that_of_the_distribution_functions() {
        for (before, since, distance) in [
            ([10.0, 10.0, 0.0, 0.0], [0.0, 0.0, 5.0, 5.0], 1.0),
            ([10.0, 10.0, 10.0, 10.0], [1.0, 1.0, 1.0, 1.0], 0.0),
            // 0.4 - 0.25, 0.6 - 0.5, 0.8 - 0.75.
            ([1.0, 1.0, 1.0, 1.0], [4.0, 2.0, 2.0, 2.0], 0.15),
            ([0.0; 4], [1.0; 4], 0.0),
        ] {
            assert!((ks(&before, &since) - distance).abs() < 1e-12, "{before:?} {since:?}");
        }
    }
}
