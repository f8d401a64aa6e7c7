//! Change points: stitched series by covering, generated ones by F1 and delay.

use std::fmt::Write as _;

use augurs::changepoint::{Detector, NormalGammaDetector};
use rayon::prelude::*;

use super::{
    AccuracyError, Bound, Context, Figure, Section, Tier, mean, median,
    replay::{ReplayError, STEP, Wanted, untimed_series},
};
use crate::{
    generated::changes::{CHANGING, Kind, ROWS, STEADY, Series, series},
    tssb::{self, covering, f1},
};

/// Generated series of each kind, and how many of them the peer gets: it is slow.
const SERIES: u64 = 40;
const FOR_PEER: usize = 10;
/// Rows by which an onset may be off.
const MARGIN: usize = 5;
/// A report within this many rows of a change is about it: its delay counts.
const ABOUT: usize = 50;

/// A reported change point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// First row of the new segment, as reported.
    pub onset: usize,
    /// Row at which it was reported.
    pub announced: usize,
}

/// The engine's change points of a series of values, as `--changes` gives them.
///
/// # Errors
/// When it cannot be replayed.
pub fn found(values: &[f64]) -> Result<Vec<Found>, ReplayError> {
    let heard = untimed_series(values, Wanted { changes: true, ..Wanted::default() })?;
    let found = heard.changes.iter().map(|change| {
        let announced = change.stamp.parse().map_err(|_| ReplayError::Contract {
            what: "change points",
            problem: format!("{:?} is no row", change.stamp),
        })?;
        Ok(Found { onset: (change.onset / STEP as f64).round().max(0.0) as usize, announced })
    });
    found.collect()
}

fn onsets(found: &[Found]) -> Vec<usize> {
    found.iter().map(|found| found.onset).collect()
}

pub(super) fn score_tssb(context: &Context) -> Result<Section, AccuracyError> {
    let all = tssb::read(&context.folder("tssb")?)?;
    let reports: Vec<Vec<Found>> = all.par_iter().map(|one| found(&one.values)).collect::<Result<_, _>>()?;
    let of = |report: &dyn Fn(usize) -> Vec<usize>| -> Vec<f64> {
        let score =
            |(at, one): (usize, &tssb::Series)| 100.0 * covering(&one.changes, &report(at), one.values.len());
        all.iter().enumerate().map(score).collect()
    };
    let ours = of(&|at| onsets(&reports[at]));
    let none = of(&|_| Vec::new());
    let half = |odd: usize, of: &[f64]| mean(of.iter().skip(odd).step_by(2).copied());
    let delays: Vec<usize> =
        reports.iter().flatten().map(|found| found.announced.saturating_sub(found.onset)).collect();
    let (told, changes) = (delays.len(), all.iter().map(|one| one.changes.len()).sum::<usize>());
    let better = ours.iter().zip(&none).filter(|(ours, none)| ours > none).count();
    let details = format!(
        "{} series a minute per row, widths of `desc.txt` not read. Causal: what `--changes` had written by the end of the series, each onset as \
         it was written. {told} change points told, {changes} true; median {} rows after their onset. Better than \"there are none\" on \
         {better} series.\n\n| | all | even places | odd places |\n|---|---:|---:|---:|\n| foreshock | {:.2} | {:.2} | {:.2} |\n\
         | none | {:.2} | {:.2} | {:.2} |\n",
        all.len(),
        median(delays).map_or("-".to_string(), |delay| delay.to_string()),
        mean(ours.iter().copied()),
        half(0, &ours),
        half(1, &ours),
        mean(none.iter().copied()),
        half(0, &none),
        half(1, &none),
    );
    let peers = format!(
        "BOCD 44.9 (online), PELT 58.1, BinSeg 57.5, ClaSP 85.5 (offline); none {:.1}",
        mean(none.iter().copied())
    );
    let files = all.iter().zip(&reports).zip(ours.iter().zip(&none)).map(|((one, report), (ours, none))| {
        let told: Vec<(usize, usize)> = report.iter().map(|found| (found.onset, found.announced)).collect();
        let (name, rows, changes) = (&one.name, one.values.len(), &one.changes);
        format!(
            "{name}: {rows} rows, {ours:.1} (none {none:.1}), true {changes:?}, onset and report {told:?}"
        )
    });
    let figure = Figure::new("covering", Tier::Deep, mean(ours.iter().copied()), 1).peers(peers);
    let figures = vec![figure.floor(Bound::AtLeast(45.0)).target(Bound::Above(60.0))];
    Ok(Section { files: files.collect(), ..Section::new(figures, details) })
}

/// What a detector made of the series of one kind.
struct Made {
    f1: f64,
    covering: f64,
    told: usize,
    rows: usize,
    delays: Vec<usize>,
}

impl Made {
    fn of(all: &[Series], reports: &[Vec<Found>]) -> Made {
        let each = || all.iter().zip(reports);
        let delays = each().flat_map(|(one, report)| {
            one.changes.iter().filter_map(|change| {
                let about = report.iter().find(|found| found.onset.abs_diff(*change) <= ABOUT)?;
                Some(about.announced.saturating_sub(*change))
            })
        });
        Made {
            f1: mean(each().map(|(one, report)| f1(&one.changes, &onsets(report), MARGIN))),
            covering: mean(
                each().map(|(one, report)| covering(&one.changes, &onsets(report), one.values.len())),
            ),
            told: reports.iter().map(Vec::len).sum(),
            rows: all.len() * ROWS,
            delays: delays.collect(),
        }
    }

    fn line(&self, kind: Kind, detector: &str) -> String {
        let rate = self.told as f64 * 1e5 / self.rows as f64;
        let delay = median(self.delays.clone()).map_or("-".to_string(), |delay| delay.to_string());
        let (f1, covering) = (self.f1, self.covering);
        format!("| {kind:?} | {detector} | {f1:.3} | {covering:.3} | {} | {rate:.1} | {delay} |", self.told)
    }
}

/// Bayesian online change points of the `changepoint` crate, as augurs offers it; it is read at the end of the series.
fn of_changepoint(one: &Series) -> Vec<Found> {
    let rows = NormalGammaDetector::default().detect_changepoints(&one.values);
    rows.into_iter().filter(|row| *row > 0).map(|onset| Found { onset, announced: onset }).collect()
}

pub(super) fn score_generated(_: &Context) -> Result<Section, AccuracyError> {
    let mut details = format!(
        "{SERIES} series of {ROWS} rows per kind (`generated/changes.rs`), three changes each, or none; a minute per row. F1 with a margin of \
         {MARGIN} rows and covering are means over series, the start counts as found. *Delay*: median rows from a change to the report about it. \
         `changepoint` is that crate's Bayesian online detector as augurs offers it, on {FOR_PEER} series of each kind, read at the end of the \
         series; the crate has no PELT.\n\n| kind | detector | F1 | covering | told | per 1e5 rows | delay |\n|---|---|---:|---:|---:|---:|---:|\n"
    );
    let (mut changing, mut steady, mut peer, mut delays) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut nothing = Vec::new();
    for kind in CHANGING.into_iter().chain(STEADY) {
        let all: Vec<Series> = (0..SERIES).map(|seed| series(kind, seed)).collect();
        let reports: Vec<Vec<Found>> =
            all.par_iter().map(|one| found(&one.values)).collect::<Result<_, _>>()?;
        let few = &all[..FOR_PEER];
        let theirs: Vec<Vec<Found>> = few.par_iter().map(of_changepoint).collect();
        let none = vec![Vec::new(); all.len()];
        let (ours, theirs, none) = (Made::of(&all, &reports), Made::of(few, &theirs), Made::of(&all, &none));
        for (detector, made) in [("foreshock", &ours), ("changepoint", &theirs), ("none", &none)] {
            let _ = writeln!(details, "{}", made.line(kind, detector));
        }
        if CHANGING.contains(&kind) {
            changing.push(ours.f1);
            peer.push(theirs.f1);
            nothing.push(none.f1);
            delays.extend(ours.delays);
        } else if kind != Kind::Walk {
            steady.push(ours.told as f64 * 1e5 / ours.rows as f64);
        }
    }
    let none = mean(nothing);
    let delay = median(delays).map_or(f64::NAN, |delay| delay as f64);
    let peers = format!("none {none:.2}; changepoint crate (BOCPD, sees the end) {:.2}", mean(peer));
    let figures = vec![
        Figure::new("F1 where something changes, margin 5", Tier::Deep, mean(changing), 2)
            .floor(Bound::Above(none))
            .peers(peers),
        Figure::new("rows from a change to its report, median", Tier::Deep, delay, 0),
        Figure::new("reports per 100,000 rows where nothing changes", Tier::Deep, mean(steady), 1),
    ];
    Ok(Section::new(figures, details))
}
