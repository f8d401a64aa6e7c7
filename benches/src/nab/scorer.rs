//! The benchmark's scoring: rewards early detection inside windows, punishes alarms outside them.
//!
//! Source: Lavin & Ahmad 2015, "Evaluating Real-Time Anomaly Detection Algorithms", and the benchmark's own
//! code, whose published results the tests reproduce to two decimals.

use super::corpus::Series;

/// Weights of one application profile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// The profile's name.
    pub name: &'static str,
    tp: f64,
    fp: f64,
    miss: f64,
}

/// The three profiles: standard, low false positives, low false negatives.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", tp: 1.0, fp: 0.11, miss: 1.0 },
    Profile { name: "low FP", tp: 1.0, fp: 0.22, miss: 1.0 },
    Profile { name: "low FN", tp: 1.0, fp: 0.11, miss: 2.0 },
];

/// What detecting one row is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Worth {
    /// Inside a window: the window's number and the reward, relative to a true positive's weight.
    Inside(usize, f64),
    /// Outside: the penalty, relative to a false positive's weight.
    Outside(f64),
}

/// The scored rows of some series.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    rows: Vec<(f64, Worth)>,
    windows: usize,
}

/// A threshold and what it scores, in per cent of a perfect detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted {
    /// Rows with at least this score are detections.
    pub threshold: f64,
    /// 100 is perfect, 0 is silence.
    pub percent: f64,
    /// Windows with a detection.
    pub hits: usize,
    /// Detections outside windows.
    pub alarms: usize,
}

/// The scored rows of all series; `scores[k]` has one score per row of `series[k]`.
pub fn rows(series: &[&Series], scores: &[&[f64]]) -> Rows {
    let mut all = Rows::default();
    for (series, scores) in series.iter().zip(scores) {
        let skipped = (series.values.len() * 15 / 100).min(750);
        for (row, &score) in scores.iter().enumerate().skip(skipped) {
            all.rows.push((score, worth(row, &series.windows, all.windows)));
        }
        all.windows += series.windows.len();
    }
    all
}

fn worth(row: usize, windows: &[(usize, usize)], offset: usize) -> Worth {
    let mut before = None;
    for (number, &(first, last)) in windows.iter().enumerate() {
        let width = (last - first + 1) as f64;
        if row >= first && row <= last {
            let y = -((last - row + 1) as f64) / width;
            return Worth::Inside(offset + number, sigmoid(y) / sigmoid(-1.0));
        }
        if last < row {
            before = Some((last, width));
        }
    }
    Worth::Outside(before.map_or(-1.0, |(last, width)| sigmoid((row - last) as f64 / (width - 1.0))))
}

fn sigmoid(y: f64) -> f64 {
    if y > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * y).exp()) - 1.0 }
}

/// A sweep of the threshold from above.
struct Sweep {
    profile: Profile,
    best: Vec<Option<f64>>,
    raw: f64,
    hits: usize,
    alarms: usize,
}

impl Sweep {
    fn new(profile: Profile, windows: usize) -> Self {
        let raw = -profile.miss * windows as f64;
        Self { profile, best: vec![None; windows], raw, hits: 0, alarms: 0 }
    }

    fn detect(&mut self, worth: Worth) {
        match worth {
            Worth::Outside(penalty) => {
                self.raw += self.profile.fp * penalty;
                self.alarms += 1;
            }
            Worth::Inside(window, reward) => {
                let reward = reward * self.profile.tp;
                match self.best[window] {
                    None => {
                        self.raw += reward + self.profile.miss;
                        self.hits += 1;
                        self.best[window] = Some(reward);
                    }
                    Some(old) if reward > old => {
                        self.raw += reward - old;
                        self.best[window] = Some(reward);
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn result(&self, threshold: f64) -> Fitted {
        let windows = self.best.len() as f64;
        let null = -self.profile.miss * windows;
        let percent = 100.0 * (self.raw - null) / (self.profile.tp * windows - null);
        Fitted { threshold, percent, hits: self.hits, alarms: self.alarms }
    }
}

/// The best threshold over all distinct scores, and what it scores.
pub fn fit(rows: &Rows, profile: Profile) -> Fitted {
    let mut order = rows.rows.clone();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut sweep = Sweep::new(profile, rows.windows);
    let mut best = sweep.result(f64::INFINITY);
    for (at, &(score, worth)) in order.iter().enumerate() {
        sweep.detect(worth);
        let complete = order.get(at + 1).is_none_or(|next| next.0 < score);
        let here = sweep.result(score);
        if complete && here.percent > best.percent {
            best = here;
        }
    }
    best
}

/// What a threshold fixed beforehand scores: fitted on one half of the groups, used on the other, and the
/// other way round. Groups are halved in alphabetical order, three and four.
pub fn crossed(series: &[Series], scores: &[Vec<f64>], profile: Profile) -> f64 {
    let mut groups: Vec<&str> = series.iter().map(|s| group(&s.name)).collect();
    groups.dedup();
    let (few, _) = groups.split_at(groups.len() / 2);
    let half = |inside: bool| {
        let picked: Vec<usize> =
            (0..series.len()).filter(|k| few.contains(&group(&series[*k].name)) == inside).collect();
        let part: Vec<&Series> = picked.iter().map(|k| &series[*k]).collect();
        let marks: Vec<&[f64]> = picked.iter().map(|k| scores[*k].as_slice()).collect();
        rows(&part, &marks)
    };
    let (left, right) = (half(true), half(false));
    let windows = (left.windows + right.windows) as f64;
    let part = |fitted_on: &Rows, used_on: &Rows| {
        let threshold = fit(fitted_on, profile).threshold;
        let mut sweep = Sweep::new(profile, used_on.windows);
        for &(_, worth) in used_on.rows.iter().filter(|row| row.0 >= threshold) {
            sweep.detect(worth);
        }
        sweep.result(threshold).percent * used_on.windows as f64 / windows
    };
    part(&left, &right) + part(&right, &left)
}

fn group(name: &str) -> &str {
    name.split_once('/').map_or(name, |(group, _)| group)
}
