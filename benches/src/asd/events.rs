//! Episodes: runs of abnormal rows, true and reported. Nothing is point-adjusted.

/// A report is right when at least half of its rows lie within this many rows of a true episode, so that reporting everything is
/// no way to be right.
const NEAR: usize = 12;
/// Rows of calm between two reports that make them two episodes: an hour of five-minute rows.
const CALM: usize = 12;
const ROWS_PER_DAY: f64 = 288.0;

/// What came of some servers at one threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// True episodes, and those of them that a right report touches.
    pub events: usize,
    /// See `events`.
    pub hit: usize,
    /// Reported episodes, and those that are not right.
    pub reported: usize,
    /// See `reported`.
    pub false_alarms: usize,
    /// Labelled rows.
    pub rows: usize,
}

impl Tally {
    /// Harmonic mean of the share of true episodes hit and the share of reported ones that are true.
    pub fn f1(&self) -> f64 {
        if self.hit == 0 {
            return 0.0;
        }
        let recall = self.hit as f64 / self.events as f64;
        let precision = (self.reported - self.false_alarms) as f64 / self.reported as f64;
        2.0 * recall * precision / (recall + precision)
    }

    /// Both counts together.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            events: self.events + other.events,
            hit: self.hit + other.hit,
            reported: self.reported + other.reported,
            false_alarms: self.false_alarms + other.false_alarms,
            rows: self.rows + other.rows,
        }
    }

    /// Reported episodes per day and server.
    pub fn alarms_per_day(&self) -> f64 {
        self.reported as f64 * ROWS_PER_DAY / self.rows.max(1) as f64
    }
}

/// Counts over some servers, each with labels and scores: rows with at least this score are reported.
pub fn tally(servers: &[(&[bool], &[f64])], threshold: f64) -> Tally {
    let mut sum = Tally::default();
    for (labels, scores) in servers {
        let truth = episodes(labels.iter().copied(), 1);
        let told = episodes(scores.iter().map(|score| *score >= threshold), CALM);
        sum.events += truth.len();
        let near = |row: usize| truth.iter().any(|(from, to)| row + NEAR >= *from && row < to + NEAR);
        let right =
            |&&(from, to): &&(usize, usize)| 2 * (from..to).filter(|row| near(*row)).count() >= to - from;
        let good: Vec<_> = told.iter().filter(right).copied().collect();
        let touches = |&&(from, to): &&(usize, usize)| {
            let rows =
                |start: usize, end: usize| (from.max(start)..to.min(end)).any(|row| scores[row] >= threshold);
            good.iter().any(|(start, end)| rows(*start, *end))
        };
        sum.hit += truth.iter().filter(touches).count();
        sum.reported += told.len();
        sum.false_alarms += told.len() - good.len();
        sum.rows += labels.len();
    }
    sum
}

/// The threshold with the best F1, among the scores' own quantiles: the highest thousand steps of one part in 20,000.
pub fn best_threshold(servers: &[(&[bool], &[f64])]) -> f64 {
    let mut all: Vec<f64> = servers.iter().flat_map(|(_, scores)| scores.iter().copied()).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let mut candidates: Vec<f64> =
        (0..1_000).map(|step| all[(step * all.len() / 20_000).min(all.len() - 1)]).collect();
    candidates.dedup();
    let best = candidates.iter().map(|threshold| (tally(servers, *threshold).f1(), *threshold));
    best.fold((-1.0, f64::INFINITY), |best, this| if this.0 > best.0 { this } else { best }).1
}

/// Runs of true rows as first row and the one after the last; runs less than `calm` rows apart are one.
fn episodes(rows: impl Iterator<Item = bool>, calm: usize) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (row, _) in rows.enumerate().filter(|(_, on)| *on) {
        match found.last_mut() {
            Some((_, end)) if row - *end < calm => *end = row + 1,
            _ => found.push((row, row + 1)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_by_hand() {
        let on = |text: &str| text.chars().map(|c| c == '#').collect::<Vec<_>>();
        assert_eq!(episodes(on("..##.#...#").into_iter(), 1), [(2, 4), (5, 6), (9, 10)]);
        assert_eq!(episodes(on("..##.#...#").into_iter(), 3), [(2, 6), (9, 10)]);
        assert_eq!(episodes(on("....").into_iter(), 1), []);
    }

    #[test]
    fn a_long_episode_counts_once_and_silence_is_nothing() {
        let labels: Vec<bool> =
            (0..400).map(|row| (10..40).contains(&row) || (60..62).contains(&row)).collect();
        let mut scores = vec![0.0; 400];
        scores[35] = 5.0;
        scores[90] = 4.0;
        let both = tally(&[(&labels, &scores)], 4.0);
        assert_eq!((both.events, both.hit, both.reported, both.false_alarms), (2, 1, 2, 1));
        assert_eq!(both.f1(), 0.5);
        assert_eq!(tally(&[(&labels, &scores)], 6.0).f1(), 0.0);
        assert_eq!(best_threshold(&[(&labels, &scores)]), 5.0);
        // Reporting everything is one wrong report where most is calm.
        let mostly_calm: Vec<bool> = (0..300).map(|row| row < 20).collect();
        assert_eq!(tally(&[(&mostly_calm, &[1.0; 300])], 0.5).f1(), 0.0);
    }
}
