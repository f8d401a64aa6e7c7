//! Probabilities of counts whose shares are not known, as logarithms: the Dirichlet-multinomial.

use crate::kernels::math::ln;

/// Jeffreys' prior: so much of an outcome in each category.
const JEFFREYS: f64 = 0.5;
/// How many outcomes the older part's shares weigh in the prior of the newer part's, beside one in each category. Weak: a change may lead anywhere.
const AROUND: f64 = 2.0;

/// The logarithm of the probability of all the outcomes, had they the same shares all along.
pub(super) fn all(counts: &[f64]) -> f64 {
    marginal(counts, |_| JEFFREYS)
}

/// The outcomes before a place.
pub(super) struct Older<'a> {
    counts: &'a [f64],
    rows: f64,
}

impl<'a> Older<'a> {
    pub(super) fn new(counts: &'a [f64]) -> Self {
        Self { counts, rows: counts.iter().sum() }
    }

    /// The logarithm of the Bayes factor of other shares since then; `all` is that of both parts together.
    pub(super) fn against(&self, since: &[f64], all: f64) -> f64 {
        let categories = self.counts.len() as f64;
        let share =
            |category: usize| (self.counts[category] + JEFFREYS) / (self.rows + JEFFREYS * categories);
        let newer = marginal(since, |category| 1.0 + AROUND * share(category));
        marginal(self.counts, |_| JEFFREYS) + newer - all
    }
}

/// The logarithm of the probability of counts in their order under a Dirichlet prior.
fn marginal(counts: &[f64], prior: impl Fn(usize) -> f64) -> f64 {
    let (mut priors, mut rows, mut sum) = (0.0, 0.0, 0.0);
    for (category, count) in counts.iter().enumerate() {
        let prior = prior(category);
        priors += prior;
        rows += count;
        sum += rising(prior, *count);
    }
    sum - rising(priors, rows)
}

/// The logarithm of Γ(x + n) / Γ(x).
fn rising(x: f64, n: f64) -> f64 {
    if n == 0.0 { 0.0 } else { ln_gamma(x + n) - ln_gamma(x) }
}

/// ln Γ(x) for x > 0: Stirling's series from 8 on, by recurrence below it; better than 1e-12 of 1 or of the value.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0
            - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    (x - 0.5) * ln(x) - x + 0.918_938_533_204_672_7 + series - ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gamma_function_at_known_places() {
        let pi = std::f64::consts::PI;
        for (x, expected) in [
            (0.5, 0.5 * pi.ln()),
            (1.0, 0.0),
            (2.0, 0.0),
            (5.0, 24.0_f64.ln()),
            (10.5, 13.940_625_219_403_763),
            (1e6, 12_815_504.569_147_61),
        ] {
            let found = ln_gamma(x);
            assert!((found - expected).abs() <= 1e-12 * f64::max(1.0, expected), "{x}: {found} {expected}");
        }
    }

    #[test]
    fn probabilities_of_all_orders_add_up_to_one() {
        // Of four outcomes of two categories, every count in as many orders as it has.
        let orders = [1.0, 4.0, 6.0, 4.0, 1.0];
        let sum: f64 = (0..5).map(|k| orders[k] * all(&[k as f64, 4.0 - k as f64]).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }
}
