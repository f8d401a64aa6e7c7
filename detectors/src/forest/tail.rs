//! Turns a forest's scores into −ln p on the class's own past: an exponential tail above a tracked quantile.

use crate::kernels::math::ln;

/// Share of rows above the threshold.
const EXCEED: f64 = 0.02;
/// Rows before anything is said.
const WARM: f64 = 200.0;
/// Prior of the mean excess, and its weight in exceedances.
const PRIOR: f64 = 0.03;
const PRIOR_WEIGHT: f64 = 10.0;
/// Exceedances are forgotten at this rate.
const FORGET: f64 = 0.998;
const GAIN: f64 = 0.002;

/// The tail of one class. A few numbers: `[seen, centre, spread, threshold, excess, count]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tail(pub [f64; 6]);

impl Tail {
    /// The class's usual score.
    pub(crate) fn centre(&self) -> f64 {
        self.0[1]
    }

    /// Whether enough has been seen.
    pub(crate) fn warm(&self) -> bool {
        self.0[0] >= WARM
    }

    /// −ln of the probability of an excess this large or larger.
    pub(crate) fn nlp(&self, excess: f64) -> f64 {
        let [_, _, spread, threshold, sum, count] = self.0;
        if excess > threshold {
            let mean = (PRIOR * PRIOR_WEIGHT + sum) / (PRIOR_WEIGHT + count);
            return -ln(EXCEED) + (excess - threshold) / mean.max(1e-9);
        }
        // Below the threshold: linear in p between the median (about zero excess) and the threshold.
        let share = if threshold > 0.0 { (excess / threshold).clamp(0.0, 1.0) } else { 0.0 };
        if spread > 0.0 { -ln(1.0 - (1.0 - EXCEED) * share) } else { 0.0 }
    }

    /// Learns from one row's score and its excess over the usual.
    pub(crate) fn learn(&mut self, score: f64, excess: f64) {
        let [seen, centre, spread, threshold, sum, count] = &mut self.0;
        *seen += 1.0;
        let gain = GAIN.max(1.0 / *seen);
        *centre += gain * (score - *centre);
        // The centre is young at first: measure from it as it is now, not from where it was.
        let away = if *seen < WARM { score - *centre } else { excess };
        *spread += gain * (away.abs() - *spread);
        if *seen < WARM {
            *threshold = 3.0 * *spread;
            return;
        }
        let over = excess > *threshold;
        if over {
            *sum = *sum * FORGET + (excess - *threshold);
            *count = *count * FORGET + 1.0;
        }
        *threshold += 0.1 * *spread * (f64::from(u8::from(over)) - EXCEED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::hash::Sequence;

    #[test]
    fn p_values_of_an_exponential_tail_are_right() {
        let mut tail = Tail::default();
        let mut random = Sequence::new(5, 0, 0);
        let mut loud = [0_u32; 2];
        let total = 200_000;
        for k in 0..total {
            // Median about 0.45, exponential upper tail.
            let score = 0.45 - 0.05 * ln(1.0 - random.unit());
            let excess = score - tail.centre();
            if k > total / 2 {
                loud[0] += u32::from(tail.nlp(excess) >= 5.0);
                loud[1] += u32::from(tail.nlp(excess) >= 7.0);
            }
            tail.learn(score, excess);
        }
        // e^-5 and e^-7 of 100,000 rows: 674 and 91.
        assert!((450..=950).contains(&loud[0]), "{loud:?}");
        assert!((45..=180).contains(&loud[1]), "{loud:?}");
    }
}
