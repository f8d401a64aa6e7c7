//! Drifting streams: a naive Bayes classifier's share of errors as a series, its change points as drifts. An adapter: the set is no telemetry.
//!
//! The classifier is judged and then taught by every row, and begins anew where a drift is told, as the streams' own framework
//! (Tornado) does it. A change point is a drift when errors are more frequent since its onset than before it. The
//! engine is causal: after each drift the series, which goes on otherwise then, is replayed from its beginning and says the same up to there.

use std::{fmt::Write as _, path::Path};

use rayon::prelude::*;

use super::{
    AccuracyError, Context, Figure, Section, Tier,
    changes::found,
    mean,
    replay::{ReplayError, Wanted, untimed_series},
};
use crate::nab::CorpusError;

/// The streams: files of two seeds each, rows between drifts, rows within which a drift must be told, and what is published for two
/// files: true, missed, false, mean delay.
const STREAMS: [(&str, [&str; 2], usize, usize, &str); 3] = [
    (
        "SINE1",
        ["sine1_w_50_n_0.1_101", "sine1_w_50_n_0.1_102"],
        20_000,
        250,
        "ADWIN 8/0/0, 63; HDDM_W 8/0/0, 37; DDM 8/0/0, 140",
    ),
    (
        "MIXED",
        ["mixed_w_50_n_0.1_101", "mixed_w_50_n_0.1_102"],
        20_000,
        250,
        "ADWIN 8/0/0, 63; HDDM_W 8/0/4, 32; DDM 8/0/0, 167",
    ),
    (
        "CIRCLES",
        ["circles_w_500_n_0.1_101", "circles_w_500_n_0.1_102"],
        25_000,
        1_000,
        "ADWIN 6/0/0, 170; HDDM_W 6/0/3, 96; DDM 5/1/5, 521",
    ),
];

/// Drifts after which a stream is given up: it is nothing but false alarms then.
const MOST: usize = 30;
/// Ticks behind a drift that are shown first.
const AHEAD: usize = 1_000;
/// Rows of a tick: a model's errors come as a rate.
const ROWS: usize = 25;

/// Rows of numbers and whether each is of the first class. Nominal attributes are numbers of their values.
struct Stream {
    rows: Vec<(Vec<f64>, bool)>,
}

fn read(path: &Path) -> Result<Stream, CorpusError> {
    let shown = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| CorpusError::Read { path: shown.clone(), source })?;
    let bad = |line: &str| CorpusError::Form { path: shown.clone(), what: format!("bad row {line:?}") };
    let mut first_class = None;
    let mut rows = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(attribute) = line.strip_prefix('@') {
            let values = attribute.split_once('{').and_then(|(_, values)| values.split([',', '}']).next());
            first_class = values.map(|value| value.trim().to_string()).or(first_class);
            continue;
        }
        let (cells, class) = line.rsplit_once(',').ok_or_else(|| bad(line))?;
        let number = |cell: &str| match cell.trim() {
            word if word.eq_ignore_ascii_case("true") => Ok(1.0),
            word if word.eq_ignore_ascii_case("false") => Ok(0.0),
            number => number.parse().map_err(|_| bad(line)),
        };
        let values = cells.split(',').map(number).collect::<Result<_, _>>()?;
        rows.push((values, Some(class.trim()) == first_class.as_deref()));
    }
    Ok(Stream { rows })
}

/// A Gaussian naive Bayes classifier of two classes (Welford's means and variances).
struct Bayes {
    counts: [f64; 2],
    /// Mean and sum of squares of each attribute, per class.
    moments: [Vec<(f64, f64)>; 2],
}

impl Bayes {
    fn new(attributes: usize) -> Bayes {
        Bayes { counts: [0.0; 2], moments: [vec![(0.0, 0.0); attributes], vec![(0.0, 0.0); attributes]] }
    }

    /// Whether the row is of the first class rather than of the second.
    fn judge(&self, row: &[f64]) -> bool {
        let likelihood = |class: usize| {
            let count = self.counts[class];
            let parts = row.iter().zip(&self.moments[class]).map(|(value, (mean, squares))| {
                let variance = (squares / (count - 1.0).max(1.0)).max(1e-3);
                -0.5 * ((value - mean).powi(2) / variance + variance.ln())
            });
            (count + 1.0).ln() + parts.sum::<f64>()
        };
        likelihood(1) > likelihood(0)
    }

    fn learn(&mut self, row: &[f64], is_first: bool) {
        let class = usize::from(is_first);
        self.counts[class] += 1.0;
        for (value, (mean, squares)) in row.iter().zip(&mut self.moments[class]) {
            let before = value - *mean;
            *mean += before / self.counts[class];
            *squares += before * (value - *mean);
        }
    }
}

/// The classifier's share of errors tick by tick, when it begins anew after each of these rows.
fn errors(stream: &Stream, drifts: &[usize]) -> Vec<f64> {
    let attributes = stream.rows.first().map_or(0, |(values, _)| values.len());
    let mut bayes = Bayes::new(attributes);
    let rows = stream.rows.iter().enumerate().map(|(row, (values, class))| {
        let wrong = bayes.judge(values) != *class;
        bayes.learn(values, *class);
        if drifts.contains(&row) {
            bayes = Bayes::new(attributes);
        }
        f64::from(u8::from(wrong))
    });
    let rows: Vec<f64> = rows.collect();
    rows.chunks_exact(ROWS).map(|tick| mean(tick.iter().copied())).collect()
}

/// What counts as telling a drift, where errors are more frequent than before.
#[derive(Clone, Copy)]
enum By {
    /// A change point, by its onset.
    Changes,
    /// A tick that is an anomaly.
    Anomalies,
}

impl By {
    /// Ticks that it says something of, as onset and report, in the order of reports.
    fn told(self, errors: &[f64]) -> Result<Vec<(usize, usize)>, ReplayError> {
        match self {
            By::Changes => Ok(found(errors)?.iter().map(|found| (found.onset, found.announced)).collect()),
            By::Anomalies => {
                let mut heard = untimed_series(errors, Wanted { scores: true, ..Wanted::default() })?;
                let anomaly = heard.scores.remove("value").unwrap_or_default().anomaly;
                Ok(anomaly.iter().enumerate().filter(|(_, on)| **on).map(|(tick, _)| (tick, tick)).collect())
            }
        }
    }
}

/// Rows at which a drift is told.
fn drifts(stream: &Stream, by: By) -> Result<Vec<usize>, ReplayError> {
    let mut told: Vec<usize> = Vec::new();
    while told.len() < MOST {
        match next_drift(stream, by, &told)? {
            Some(row) => told.push(row),
            None => break,
        }
    }
    Ok(told)
}

/// The row at which the next drift is told after these. The engine is causal, so it need not see the ticks behind that: it is
/// shown twice as many until it tells one.
fn next_drift(stream: &Stream, by: By, told: &[usize]) -> Result<Option<usize>, ReplayError> {
    let errors = errors(stream, told);
    let begin = told.last().map_or(0, |row| (row + 1) / ROWS);
    let rises = |onset: usize, announced: usize| {
        let onset = onset.clamp(begin, announced);
        mean(errors[onset..=announced].iter().copied()) > mean(errors[begin..onset].iter().copied())
    };
    let mut ahead = AHEAD;
    loop {
        let shown = (begin + ahead).min(errors.len());
        let report = by.told(&errors[..shown])?;
        let next = report.iter().find(|(onset, announced)| *announced >= begin && rises(*onset, *announced));
        if next.is_some() || shown == errors.len() {
            return Ok(next.map(|(_, announced)| (announced + 1) * ROWS - 1));
        }
        ahead *= 2;
    }
}

/// Drifts told in time, missed and told wrongly, and the delays of the first, in rows.
#[derive(Debug, Default, PartialEq)]
struct Judged {
    right: usize,
    missed: usize,
    wrong: usize,
    delays: Vec<usize>,
}

impl Judged {
    fn of(told: &[usize], rows: usize, apart: usize, within: usize) -> Judged {
        let truth: Vec<usize> = (1..).map(|number| number * apart).take_while(|row| *row < rows).collect();
        let delay = |drift: &usize| {
            told.iter().find(|row| (*drift..=drift + within).contains(row)).map(|row| row - drift)
        };
        let delays: Vec<usize> = truth.iter().filter_map(delay).collect();
        let right = delays.len();
        Judged { right, missed: truth.len() - right, wrong: told.len() - right, delays }
    }

    fn plus(mut self, other: Judged) -> Judged {
        self.delays.extend(other.delays);
        let (right, missed, wrong) =
            (self.right + other.right, self.missed + other.missed, self.wrong + other.wrong);
        Judged { right, missed, wrong, delays: self.delays }
    }

    fn f1(&self) -> f64 {
        2.0 * self.right as f64 / (2 * self.right + self.missed + self.wrong).max(1) as f64
    }

    fn words(&self) -> String {
        let delay = mean(self.delays.iter().map(|delay| *delay as f64));
        let delay = if delay.is_nan() { "-".to_string() } else { format!("{delay:.0}") };
        format!("{}/{}/{}, {delay}", self.right, self.missed, self.wrong)
    }
}

/// All streams judged one way: words for each stream, and F1.
fn judge(folder: &Path, by: By) -> Result<(Vec<String>, f64), AccuracyError> {
    let (mut all, mut words) = (Judged::default(), Vec::new());
    for (_, files, apart, within, _) in STREAMS {
        let judge = |file: &&str| -> Result<Judged, AccuracyError> {
            let stream = read(&folder.join(format!("{file}.arff")))?;
            Ok(Judged::of(&drifts(&stream, by)?, stream.rows.len(), apart, within))
        };
        let both: Vec<Judged> = files.par_iter().map(judge).collect::<Result<_, _>>()?;
        let both = both.into_iter().fold(Judged::default(), Judged::plus);
        words.push(both.words());
        all = all.plus(both);
    }
    Ok((words, all.f1()))
}

pub(super) fn score(context: &Context) -> Result<Section, AccuracyError> {
    let folder = context.folder("drift")?;
    let mut details = format!(
        "Adapter: a naive Bayes classifier's share of errors, in ticks of {ROWS} rows; drifts are its change points (`--changes`) since whose \
         onset errors are more frequent, or ticks with more errors than before that are anomalies (`--scores`), and the classifier begins anew \
         there. Two files per stream; a file with {MOST} drifts told is given up. True / missed / false drifts, mean delay in rows.\n\n\
         | stream | tolerance | by change points | by anomalies | published |\n|---|---:|---|---|---|\n"
    );
    let (changes, by_changes) = judge(&folder, By::Changes)?;
    let (anomalies, by_anomalies) = judge(&folder, By::Anomalies)?;
    for ((name, _, _, within, published), (changes, anomalies)) in
        STREAMS.iter().zip(changes.iter().zip(&anomalies))
    {
        let _ = writeln!(details, "| {name} | {within} | {changes} | {anomalies} | {published} |");
    }
    let peers = "ADWIN 1.00, DDM 0.88, HDDM_W 0.86 (from the published counts)";
    let figure = |how: &str, tier, f1| {
        Figure::new(format!("F1 of drifts told in time by {how} (adapter)"), tier, f1, 2)
    };
    let figures = vec![
        figure("change points", Tier::Deep, by_changes).peers(peers),
        figure("anomalies", Tier::Core, by_anomalies).peers(peers),
    ];
    Ok(Section::new(figures, details))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drifts_are_judged_by_hand() {
        let judged = Judged::of(&[10, 105, 150, 290], 400, 100, 20);
        assert_eq!(judged, Judged { right: 1, missed: 2, wrong: 3, delays: vec![5] });
        assert_eq!(judged.words(), "1/2/3, 5");
        assert!((judged.f1() - 2.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn the_classifier_learns_and_begins_anew() {
        // The class is the sign of the first attribute, from row 600 on the other sign.
        let row = |at: usize| {
            let value = if at.is_multiple_of(2) { 1.0 } else { -1.0 } + (at % 7) as f64 / 20.0;
            (vec![value, (at % 5) as f64], (value > 0.0) == (at < 600))
        };
        let stream = Stream { rows: (0..1_200).map(row).collect() };
        let rate = |errors: &[f64]| mean(errors.iter().copied());
        let stuck = errors(&stream, &[]);
        assert!(rate(&stuck[2..24]) < 0.01 && rate(&stuck[24..36]) > 0.9);
        assert!(rate(&errors(&stream, &[649])[28..]) < 0.01);
    }
}
