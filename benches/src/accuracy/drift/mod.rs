//! Drifting streams: a naive Bayes classifier's errors, watched by the drift detector, and, as a series, by what watches every series.
//!
//! * `streams`: the streams and the classifier · `generated`: outcomes with known drift · `judge`: what was told against what there is
//!
//! The classifier is judged and then taught by every row, and begins anew where a drift is told, as the streams' own framework
//! (Tornado) does it. A change point is a drift when errors are more frequent since its onset than before it. The
//! engine is causal: after each drift the series, which goes on otherwise then, is replayed from its beginning and says the same up to there.

mod generated;
mod judge;
mod streams;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    path::Path,
};

use foreshock_detectors::{Drift, DriftConfig};
use rayon::prelude::*;

use super::{
    AccuracyError, Context, Figure, Section, Tier,
    changes::found,
    mean,
    replay::{ReplayError, Wanted, untimed_series},
};
use crate::nab::CorpusError;
use generated::{Kind, Outcomes};
use judge::Judged;
use streams::{Bayes, Stream, read};

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

/// Whether the classifier errs, row by row; it begins anew after each row of which `told` says so.
fn each_error(stream: &Stream, mut told: impl FnMut(usize, bool) -> bool) {
    let attributes = stream.rows.first().map_or(0, |(values, _)| values.len());
    let mut bayes = Bayes::new(attributes);
    for (row, (values, class)) in stream.rows.iter().enumerate() {
        let is_wrong = bayes.judge(values) != *class;
        bayes.learn(values, *class);
        if told(row, is_wrong) {
            bayes = Bayes::new(attributes);
        }
    }
}

/// The classifier's share of errors tick by tick, when it begins anew after each of these rows.
fn errors(stream: &Stream, drifts: &[usize]) -> Vec<f64> {
    let mut rows = Vec::with_capacity(stream.rows.len());
    each_error(stream, |row, is_wrong| {
        rows.push(f64::from(u8::from(is_wrong)));
        drifts.contains(&row)
    });
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

/// All streams judged one way.
fn judge(
    folder: &Path,
    told: impl Fn(&str, &Stream) -> Result<Vec<usize>, AccuracyError> + Sync,
) -> Result<(Vec<String>, f64), AccuracyError> {
    let (mut all, mut words) = (Judged::default(), Vec::new());
    for (_, files, apart, within, _) in STREAMS {
        let judge = |file: &&str| -> Result<Judged, AccuracyError> {
            let stream = read(&folder.join(format!("{file}.arff")))?;
            let truth: Vec<usize> =
                (1..).map(|at| at * apart).take_while(|row| *row < stream.rows.len()).collect();
            Ok(Judged::of(&told(file, &stream)?, &truth, within))
        };
        let both: Vec<Judged> = files.par_iter().map(judge).collect::<Result<_, _>>()?;
        let both = both.into_iter().fold(Judged::default(), Judged::plus);
        words.push(both.words());
        all = all.plus(both);
    }
    Ok((words, all.f1()))
}

/// The drift detector, outcome by outcome; it begins anew where it tells a drift.
struct Watch {
    drift: Drift,
    told: Vec<usize>,
}

impl Watch {
    fn new() -> Watch {
        Watch { drift: Drift::of_errors(DriftConfig::default()), told: Vec::new() }
    }

    /// Whether it tells a drift at this row.
    fn tells(&mut self, row: usize, is_wrong: bool) -> bool {
        let is_told = self.drift.tell(if is_wrong { &[0.0, 1.0] } else { &[1.0, 0.0] }).alarm;
        if is_told {
            self.told.push(row);
            self.drift.begin_anew();
        }
        is_told
    }
}

/// Rows at which the drift detector tells a drift of the classifier's errors.
fn watched(stream: &Stream) -> Vec<usize> {
    let mut watch = Watch::new();
    each_error(stream, |row, is_wrong| watch.tells(row, is_wrong));
    watch.told
}

/// The same of outcomes that were generated.
fn watched_outcomes(outcomes: &Outcomes) -> Vec<usize> {
    let mut watch = Watch::new();
    for (row, is_wrong) in outcomes.wrong.iter().enumerate() {
        watch.tells(row, *is_wrong);
    }
    watch.told
}

/// One line of the table of generated outcomes: each kind judged, and false alarms in a million outcomes without drift.
fn judge_generated(all: &[Outcomes], told: impl Fn(&Outcomes) -> Vec<usize> + Sync) -> (String, f64) {
    let judged: Vec<(Kind, Judged, usize)> = all
        .par_iter()
        .map(|outcomes| {
            let judged = Judged::of(&told(outcomes), &outcomes.drifts, generated::WITHIN);
            (outcomes.kind, judged, outcomes.wrong.len())
        })
        .collect();
    let (mut by_kind, mut rate) = (BTreeMap::<&str, Judged>::new(), (0, 0));
    for (kind, judged, rows) in judged {
        if kind == Kind::Never {
            rate = (rate.0 + judged.wrong, rate.1 + rows);
        } else {
            let sum = by_kind.remove(kind.name()).unwrap_or_default();
            by_kind.insert(kind.name(), sum.plus(judged));
        }
    }
    let all = by_kind.values().map(Judged::words).collect::<Vec<_>>().join(" | ");
    let rate = rate.0 as f64 * 1e6 / rate.1 as f64;
    (format!("{all} | {rate:.1}"), rate)
}

/// What the peers in Python told, by detector and stream; empty without Python.
struct Peers {
    names: Vec<String>,
    told: HashMap<(String, String), Vec<usize>>,
}

impl Peers {
    fn run(context: &Context, all: &[Outcomes]) -> Result<Peers, AccuracyError> {
        let write = |out: &Path| -> std::io::Result<()> {
            std::fs::create_dir(out.join("generated"))?;
            all.iter().try_for_each(|outcomes| {
                let text: String =
                    outcomes.wrong.iter().map(|wrong| if *wrong { '1' } else { '0' }).collect();
                std::fs::write(out.join("generated").join(format!("{}.txt", outcomes.name)), text)
            })
        };
        let mut peers = Peers { names: Vec::new(), told: HashMap::new() };
        let Some(out) = context.peers_after("drift.py", "drift", write)? else { return Ok(peers) };
        let read = |file: &str| {
            let path = out.path().join(file);
            let shown = path.display().to_string();
            std::fs::read_to_string(path).map_err(|source| CorpusError::Read { path: shown, source })
        };
        peers.names = read("detectors.txt")?.lines().map(str::to_string).collect();
        for line in read("told.csv")?.lines() {
            let mut cells = line.split(',').map(str::to_string);
            if let (Some(name), Some(stream), Some(Ok(row))) =
                (cells.next(), cells.next(), cells.next().map(|row| row.parse()))
            {
                peers.told.entry((name, stream)).or_default().push(row);
            }
        }
        Ok(peers)
    }

    fn of(&self, name: &str, stream: &str) -> Vec<usize> {
        self.told.get(&(name.to_string(), stream.to_string())).cloned().unwrap_or_default()
    }
}

pub(super) fn score(context: &Context) -> Result<Section, AccuracyError> {
    let folder = context.folder("drift")?;
    let all = generated::all();
    let peers = Peers::run(context, &all)?;
    let mut details = format!(
        "A naive Bayes classifier's errors, and it begins anew where a drift is told. *drift*: the drift detector (`Drift`), row by row, one false alarm in \
         two million rows asked for. Adapters for what runs on every series, on the share of errors in ticks of {ROWS} rows: *changes*, its change points (`--changes`) since whose \
         onset errors are more frequent; *anomalies*, ticks with more errors than before that are anomalies (`--scores`). Two files per stream; \
         for the adapters a file with {MOST} drifts told is given up. True / missed / false drifts, mean delay in rows.\n\n\
         | detector | {} |\n|---|---|---|---|\n",
        STREAMS.map(|(name, _, _, within, _)| format!("{name}, within {within}")).join(" | ")
    );
    let mut line = |name: &str, words: &[String]| {
        let _ = writeln!(details, "| {name} | {} |", words.join(" | "));
    };
    let (words, by_drift) = judge(&folder, |_, stream| Ok(watched(stream)))?;
    line("**drift**", &words);
    let (words, by_changes) = judge(&folder, |_, stream| Ok(drifts(stream, By::Changes)?))?;
    line("changes", &words);
    let (words, by_anomalies) = judge(&folder, |_, stream| Ok(drifts(stream, By::Anomalies)?))?;
    line("anomalies", &words);
    line("published", &STREAMS.map(|(.., published)| published.to_string()));
    let mut f1 = Vec::new();
    for name in &peers.names {
        let (words, one) = judge(&folder, |file, _| Ok(peers.of(name, file)))?;
        line(name, &words);
        f1.push(format!("{} {one:.2}", name.trim_start_matches("river ")));
    }
    let (ours, rate) = judge_generated(&all, watched_outcomes);
    let _ = writeln!(
        details,
        "\nGenerated outcomes: 40 streams of 20,000 for each kind, errors more frequent by 0.08, 0.15 or 0.3; to be told within {} of where it begins; 100 without \
         drift. The detector begins anew where it tells one.\n\n\
         | detector | gradual | recurring | sudden | false alarms in a million without drift |\n|---|---|---|---|---:|\n| **drift** | {ours} |",
        generated::WITHIN
    );
    let mut rates = Vec::new();
    for name in &peers.names {
        let (words, rate) = judge_generated(&all, |outcomes| peers.of(name, &outcomes.name));
        let _ = writeln!(details, "| {name} | {words} |");
        rates.push(format!("{} {rate:.0}", name.trim_start_matches("river ")));
    }
    let published = "published: ADWIN 1.00, DDM 0.88, HDDM_W 0.86";
    let peers =
        if f1.is_empty() { published.to_string() } else { format!("{published}; run: {}", f1.join(", ")) };
    let figure = |what: &str, tier, value| Figure::new(what, tier, value, 2);
    let figures = vec![
        figure("F1 of drifts told in time, drift detector", Tier::Deep, by_drift).peers(peers),
        figure("F1 of drifts told in time by change points (adapter)", Tier::Deep, by_changes)
            .peers(published),
        figure("F1 of drifts told in time by anomalies (adapter)", Tier::Core, by_anomalies).peers(published),
        figure("false alarms in a million outcomes, half of one asked for", Tier::Deep, rate)
            .peers(rates.join(", ")),
    ];
    Ok(Section::new(figures, details))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drifts_are_judged_by_hand() {
        let judged = Judged::of(&[10, 105, 150, 290], &[100, 200, 300], 20);
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
