//! One entity: what its measures are and how they go together.

use ndarray::ArrayView1;

use crate::forest::Tail;
use crate::kernels::math::ln;

/// Added to the diagonal of the correlations: directions in which the measures hardly ever differ count up to 20-fold, not more.
const RIDGE: f64 = 0.05;
/// A deviation beyond this many standard deviations says no more.
const FARTHEST: f64 = 12.0;
/// Values are held within this magnitude.
const LIMIT: f64 = 1e30;
/// Rows between two factorisations.
const REFRESH: u64 = 24;
/// Rows before far ones weigh less, and before anything is said.
const TRUSTED: u64 = 50;
const WARM: u64 = 200;
/// Fewest rows that are remembered.
const FEWEST: f64 = 1_000.0;
/// A row this many times as far as usual weighs less; gain of what is usual.
const FAR: f64 = 4.0;
const USUAL_GAIN: f64 = 0.01;
/// A measure that sets a record this often, of late, has no usual level yet: it only counts, or grows for ever. Gain of that share.
const RECORDS: f64 = 0.1;
const RECORDS_GAIN: f64 = 0.01;
/// The tail's prior is that of the forest's scores; a logarithm of a distance varies ten times as much.
const TO_TAIL: f64 = 0.1;

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) seen: u64,
    /// Event time of the latest row, seconds.
    pub(super) time: i64,
    /// Mean and covariance (features × features) of the values.
    pub(super) mean: Vec<f64>,
    pub(super) covariance: Vec<f64>,
    /// Standard deviations and lower Cholesky factor of the correlations, of the latest factorisation.
    pub(super) deviation: Vec<f64>,
    pub(super) factor: Vec<f64>,
    /// Least and most of each measure so far, and how often one of both is new.
    pub(super) least: Vec<f64>,
    pub(super) most: Vec<f64>,
    pub(super) records: Vec<f64>,
    /// The usual squared distance.
    pub(super) usual: f64,
    pub(super) tail: Tail,
}

impl Row {
    pub(super) fn cold(features: usize) -> Self {
        Self {
            seen: 0,
            time: 0,
            mean: vec![0.0; features],
            covariance: vec![0.0; features * features],
            deviation: vec![1.0; features],
            factor: vec![0.0; features * features],
            least: vec![f64::INFINITY; features],
            most: vec![f64::NEG_INFINITY; features],
            records: vec![1.0; features],
            usual: features as f64,
            tail: Tail::default(),
        }
    }

    /// Standardised deviations of the values; a missing one is as usual, and so is one of a measure without a level.
    pub(super) fn deviate(&self, values: ArrayView1<'_, f64>, away: &mut [f64]) {
        for (at, (to, value)) in away.iter_mut().zip(values).enumerate() {
            let d = (tame(*value) - self.mean[at]) / self.deviation[at];
            let known = !value.is_nan() && self.records[at] < RECORDS;
            *to = if known { d.clamp(-FARTHEST, FARTHEST) } else { 0.0 };
        }
    }

    /// Squared Mahalanobis distance, and each feature's share in it: its deviation times what the inverse makes of it.
    pub(super) fn distance(&self, away: &[f64], shares: &mut [f64]) -> f64 {
        let n = away.len();
        if self.seen < TRUSTED {
            shares.fill(0.0);
            return 0.0;
        }
        for i in 0..n {
            let line = &self.factor[i * n..i * n + i];
            let sum: f64 = line.iter().zip(&*shares).map(|(l, y)| l * y).sum();
            shares[i] = (away[i] - sum) / self.factor[i * n + i];
        }
        let distance: f64 = shares.iter().map(|y| y * y).sum();
        for i in (0..n).rev() {
            let sum: f64 = (i + 1..n).map(|k| self.factor[k * n + i] * shares[k]).sum();
            shares[i] = (shares[i] - sum) / self.factor[i * n + i];
        }
        let mut total = 0.0;
        for (share, away) in shares.iter_mut().zip(away) {
            *share = (*share * away).max(0.0);
            total += *share;
        }
        if total > 0.0 {
            shares.iter_mut().for_each(|share| *share /= total);
        }
        distance
    }

    /// −ln p of a distance on the entity's own past, and whether that means anything yet; the tail learns.
    pub(super) fn judge(&mut self, distance: f64) -> (f64, bool) {
        if self.seen < WARM {
            return (0.0, false);
        }
        let score = TO_TAIL * ln(1.0 + distance);
        let excess = score - self.tail.centre();
        let nlp = if self.tail.warm() { self.tail.nlp(excess) } else { 0.0 };
        let warm = self.tail.warm();
        self.tail.learn(score, excess);
        (nlp, warm)
    }

    /// Mean and covariance learn; a missing value changes nothing of its feature.
    pub(super) fn learn(&mut self, time: i64, values: ArrayView1<'_, f64>, distance: f64, memory: f64) {
        let n = self.mean.len();
        let since = if self.seen == 0 { 0.0 } else { time.saturating_sub(self.time) as f64 };
        self.time = time;
        let gain = (since / memory).clamp(0.0, 1.0 / FEWEST).max(1.0 / (self.seen as f64 + 1.0));
        let far = FAR * self.usual;
        let weight = if self.seen < TRUSTED || distance <= far { 1.0 } else { far / distance };
        if self.seen >= TRUSTED {
            self.usual += USUAL_GAIN * (distance.min(far) - self.usual);
        }
        let off: Vec<f64> = values
            .iter()
            .zip(&self.mean)
            .map(|(value, mean)| if value.is_nan() { f64::NAN } else { tame(*value) - mean })
            .collect();
        for i in 0..n {
            if off[i].is_nan() {
                continue;
            }
            let value = tame(values[i]);
            let record = if value < self.least[i] || value > self.most[i] { 1.0 } else { 0.0 };
            self.records[i] += RECORDS_GAIN * (record - self.records[i]);
            (self.least[i], self.most[i]) = (self.least[i].min(value), self.most[i].max(value));
            self.mean[i] += gain * weight * off[i];
            for k in (0..=i).filter(|k| !off[*k].is_nan()) {
                let old = self.covariance[i * n + k];
                self.covariance[i * n + k] = old + gain * (weight * (1.0 - gain) * off[i] * off[k] - old);
            }
        }
        self.seen += 1;
        if self.seen == TRUSTED || self.seen > TRUSTED && self.seen.is_multiple_of(REFRESH) {
            self.factorise();
        }
    }

    /// Cholesky's factor of the correlations with the ridge: they are positive definite.
    fn factorise(&mut self) {
        let n = self.mean.len();
        for i in 0..n {
            let floor = 1e-9 * self.mean[i].abs() + 1e-120;
            self.deviation[i] = self.covariance[i * n + i].max(0.0).sqrt().max(floor);
        }
        for i in 0..n {
            for k in 0..=i {
                let scale = self.deviation[i] * self.deviation[k];
                let raw = if scale > 0.0 { self.covariance[i * n + k] / scale } else { 0.0 };
                let mut sum = if i == k { 1.0 + RIDGE } else { raw.clamp(-1.0, 1.0) };
                for j in 0..k {
                    sum -= self.factor[i * n + j] * self.factor[k * n + j];
                }
                self.factor[i * n + k] =
                    if i == k { sum.max(RIDGE * RIDGE).sqrt() } else { sum / self.factor[k * n + k] };
            }
        }
    }
}

fn tame(value: f64) -> f64 {
    value.clamp(-LIMIT, LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    #[test]
    fn distances_are_mahalanobis_in_correlations_with_the_ridge() {
        let mut row = Row::cold(2);
        // Two measures that differ by little: x = a + b, y = a − b/10.
        for t in 0..2_400 {
            let (a, b) = ((f64::from(t) * 0.7).sin(), (f64::from(t) * 1.9).cos());
            row.learn(0, arr1(&[5.0 + a + 0.1 * b, 9.0 + 2.0 * a - 0.2 * b]).view(), 0.0, 1e9);
        }
        let c = &row.covariance;
        let r = c[2] / (c[0] * c[3]).sqrt();
        assert!(r > 0.95, "{r}");
        let (mut away, mut shares) = ([0.0; 2], [0.0; 2]);
        row.deviate(arr1(&[6.0, 8.0]).view(), &mut away);
        let got = row.distance(&away, &mut shares);
        let (x, y, d) = (away[0], away[1], 1.0 + RIDGE);
        let want = (d * x * x - 2.0 * r * x * y + d * y * y) / (d * d - r * r);
        assert!((got / want - 1.0).abs() < 1e-3, "{got} not {want}");
        assert!((shares[0] + shares[1] - 1.0).abs() < 1e-12);
        // Each measure within its usual range, but they part: far. Both at the edge together: near.
        row.deviate(arr1(&[5.9, 10.8]).view(), &mut away);
        assert!(row.distance(&away, &mut shares) < 0.3 * got);
    }
}
